// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: the way into long mode (SDM Vol. 3A 10.8.5 "Initializing IA-32e Mode"), 64-bit registers, RIP-relative addressing
#define GUEST64
#include "guest.inc"

GUEST hello64

FUNC main
    PUTS "hello from long mode\n"
    mov $0xC0000080, %ecx
    rdmsr
    and $0x500, %eax
    CHECK_EQ %eax, $0x500, "EFER.LME and LMA"
    movabs $0x123456789ABCDEF0, %r8
    mov %r8, %r15
    rol $32, %r15
    CHECK_EQ %r15d, $0x12345678, "r15"
    lea here(%rip), %rax
here:
    CHECK_EQ %eax, $here, "rip-relative"
    mov $-1, %rbx
    mov $1, %ebx // a 32-bit write clears the upper half
    shr $32, %rbx
    CHECK_EQ %ebx, $0, "zero extension"
    mov $-1, %rbx
    mov $1, %bl // 8- and 16-bit writes do not
    shr $32, %rbx
    CHECK_EQ %ebx, $-1, "no extension of 8-bit writes"
    PASS
END main

#include "guestlib.inc"
