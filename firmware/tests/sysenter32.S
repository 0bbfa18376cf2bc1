// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: SYSENTER and SYSEXIT (SDM Vol. 2B SYSENTER, SYSEXIT; Vol. 3A 5.8.7 Performing Fast Calls to System Procedures)
#include "guest.inc"

GUEST sysenter32

FUNC main
    FAULT 13, 0, "SYSENTER with a null selector", "sysenter"
    mov $0x174, %ecx
    mov $SEL_CODE32, %eax
    xor %edx, %edx
    wrmsr
    inc %ecx
    mov $ring0_stack_top, %eax
    wrmsr
    inc %ecx
    mov $entry, %eax
    wrmsr
    rdmsr
    CHECK_EQ %eax, $entry, "MSR 176h"
    RUN_USER user, SEL_UCODE32
    CHECK_LOG "ee"
    PASS
END main

FUNC user
    mov %esp, %ecx
    mov $1f, %edx
    mov $41, %eax
    sysenter
1:  CHECK_EQ %eax, $42, "result"
    CHECK_EQ %esp, $user_stack_top, "ESP"
    mov %cs, %ebx
    CHECK_EQ %ebx, $(SEL_UCODE32 | 3), "CS"
    mov %ss, %ebx
    CHECK_EQ %ebx, $(SEL_UDATA | 3), "SS"
    FAULT 13, 0, "SYSEXIT in ring 3", "sysexit"
    mov %esp, %ecx
    mov $2f, %edx
    sysenter
2:  int $0x81
END user

FUNC entry
    LOG 'e'
    CHECK_EQ %esp, $ring0_stack_top, "ESP of the handler"
    mov %cs, %ebx
    CHECK_EQ %ebx, $SEL_CODE32, "CS of the handler"
    mov %ss, %ebx
    CHECK_EQ %ebx, $SEL_DATA, "SS of the handler"
    inc %eax
    sysexit
END entry

#include "guestlib.inc"
