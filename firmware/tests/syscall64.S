// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: SYSCALL, SYSRET to 64-bit and compatibility mode, SWAPGS (SDM Vol. 2B SYSCALL, SYSRET, SWAPGS; Vol. 3A 5.8.8 Fast System Calls in 64-Bit Mode)
#define GUEST64
#include "guest.inc"

GUEST syscall64

FUNC main
    FAULT 6, 0, "SYSCALL with EFER.SCE=0", "syscall"
    mov $0xC0000080, %ecx
    rdmsr
    or $1, %eax
    wrmsr
    inc %ecx // STAR: SYSCALL 38h and 40h; SYSRET 18h, 20h, 28h
    xor %eax, %eax
    mov $SEL_UCODE32 << 16 | SEL_CODE64, %edx
    wrmsr
    inc %ecx // LSTAR
    mov $entry, %eax
    xor %edx, %edx
    wrmsr
    add $2, %ecx // FMASK: IF and DF
    mov $0x600, %eax
    wrmsr
    mov $0xC0000101, %ecx
    mov $user_gs, %eax
    wrmsr
    inc %ecx
    mov $kernel_gs, %eax
    wrmsr
    movl $0x11111111, M(user_gs)
    movl $0x22222222, M(kernel_gs)
    RUN_USER user, SEL_UCODE64
    CHECK_LOG "sSc"
    PASS
END main

FUNC user
    mov $user_stack_top, %edx
    std
    xor %eax, %eax
    syscall
back:
    CHECK_EQ %ecx, $back, "RCX"
    pushf
    pop %rax
    and $0x400, %eax
    CHECK_EQ %eax, $0x400, "DF came back from R11"
    cld
    mov %cs, %eax
    CHECK_EQ %eax, $(SEL_UCODE64 | 3), "CS"
    mov %ss, %eax
    CHECK_EQ %eax, $(SEL_UDATA | 3), "SS"
    CHECK_EQ %esp, $user_stack_top, "RSP is not touched"
    mov %gs:0, %eax
    CHECK_EQ %eax, $0x11111111, "GS base of the user"
    FAULT 13, 0, "SWAPGS in ring 3", "swapgs"
    FAULT 13, 0, "SYSRET in ring 3", "sysretq"
    mov $1, %eax
    syscall
    FAIL "came back to 64-bit mode"
END user

    .code32
FUNC compat_user
    mov %cs, %eax
    cmp $SEL_UCODE32 | 3, %eax
    jne 1f
    mov $1, %eax
    dec %eax // 48h would be a REX prefix in 64-bit mode
    jnz 1f
    push %eax
    cmp $user_stack_top - 4, %esp
    jne 1f
    int $0x81
1:  ud2
END compat_user
    .code64

FUNC entry
    mov %eax, %ebx
    mov %cs, %eax
    CHECK_EQ %eax, $SEL_CODE64, "CS of the handler"
    mov %ss, %eax
    CHECK_EQ %eax, $(SEL_CODE64 + 8), "SS of the handler"
    mov %rsp, %r12
    mov $ring0_stack_top, %esp
    pushf
    pop %rax
    and $0x600, %eax
    CHECK_EQ %eax, $0, "FMASK"
    swapgs
    mov %gs:0, %eax
    CHECK_EQ %eax, $0x22222222, "GS base of the kernel"
    swapgs
    LOG 's'
    mov %r12, %rsp
    test %ebx, %ebx
    jnz 1f
    sysretq
1:  movb $'S', M(log_text + 1)
    LOG 'c'
    mov $compat_user, %ecx
    mov %r12, %rsp
    sysretl
END entry

VAR user_gs, 8, 8
VAR kernel_gs, 8, 8

#include "guestlib.inc"
