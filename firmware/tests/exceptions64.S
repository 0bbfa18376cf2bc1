// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: faults and traps of 64-bit mode: removed opcodes, canonical addresses, segments (SDM Vol. 3A 6.15; Vol. 1 3.3.7.1 Canonical Addressing)
#define GUEST64
#include "guest.inc"

GUEST exceptions64

FUNC main
    mov $1, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    FAULT 0, 0, "division by zero", "div %rcx"
    mov $1, %edx
    mov $1, %ecx
    FAULT 0, 0, "128-bit overflow", "div %rcx"
    pushf
    orl $0x100, (%rsp)
    TRAP 1, "single step", "popf; nop"
    TRAP 3, "INT3", "int3"
    FAULT 6, 0, "UD2", "ud2"
    FAULT 6, 0, "PUSH ES", ".byte 0x06"
    FAULT 6, 0, "INTO", ".byte 0xCE"
    FAULT 6, 0, "AAA", ".byte 0x37"
    FAULT 6, 0, "far call by immediate", ".byte 0x9A"
    FAULT 6, 0, "PUSHA", ".byte 0x60"

    movabs $0x800000000000, %rax
    FAULT 13, 0, "load, not canonical", "mov (%rax), %ecx"
    FAULT 13, 0, "store, not canonical", "mov %cl, (%rax)"
    // Null data segments are harmless here; limits and bases are not used.
    xor %ecx, %ecx
    mov %ecx, %ds
    mov %ecx, %es
    mov M(test_name), %ecx
    mov $SEL_DATA, %ecx
    mov %ecx, %ds
    mov %ecx, %es

    // FS and GS keep their bases: MSRs C0000100h and C0000101h.
    mov $0xC0000101, %ecx
    mov $quad_data, %eax
    xor %edx, %edx
    wrmsr
    mov %gs:0, %eax
    CHECK_EQ %eax, $0x11223344, "GS base"
    FAULT 13, 0xC8, "DS beyond the limit", "movw selectors(%rip), %ds"
    movabs $0x1122334455667788, %rcx
    FAULT 14, 0, "page not present", "mov 0x40000000, %ecx"
    mov M(exc_cr2), %eax
    CHECK_EQ %eax, $0x40000000, "CR2"
    FAULT 14, 2, "page not present, write", "mov %ecx, 0x7FFFFFF0"
    PASS
END main

    .section .rodata
selectors:
    .word 0xC8
quad_data:
    .long 0x11223344

#include "guestlib.inc"
