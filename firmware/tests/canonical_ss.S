// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, 7.2 raises #GP for them, takes any FS base, and raises #UD for INT1 (target/i386/tcg/translate.c, WANT_ICEBP)
// tests: stack accesses that are not canonical raise #SS, INT1 in 64-bit mode (SDM Vol. 1 3.3.7.1 Canonical Addressing; Vol. 3A 6.15 Interrupt 12)
#define GUEST64
#include "guest.inc"

GUEST canonical_ss

FUNC main
    movabs $0x800000000000, %rax
    mov %rax, %rbp
    FAULT 12, 0, "stack segment, not canonical", "mov (%rbp), %ecx"
    mov %rsp, %rbx
    lea 0x1000(%rax), %rsp
    // The push faults; the handler runs on the stack of IST 1.
    movb $1, M(idt + 12 * 16 + 4)
    movl $ist1_top, M(tss + 0x24)
    FAULT 12, 0, "push, not canonical", "push %rcx"
    mov %rbx, %rsp

    mov $0xC0000100, %ecx
    mov $0x00800000, %edx
    FAULT 13, 0, "FS base not canonical", "wrmsr"
    TRAP 1, "INT1", ".byte 0xF1"
    PASS
END main

VAR ist1, 1024, 16
VAR ist1_top, 16, 16

#include "guestlib.inc"
