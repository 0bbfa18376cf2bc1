// SPDX-License-Identifier: MIT
// WORK turns of 18 instructions on registers.
#include "bench.inc"

GUEST alu

FUNC main
    mov $WORK, %ecx
    mov $0x12345678, %eax
    mov $1, %ebx
    mov $7, %edx
    mov $11, %esi
    mov $13, %edi
    xor %r8d, %r8d
    xor %r9d, %r9d
    .balign 16
1:  add %rbx, %rax
    xor %rdx, %rax
    mov %rax, %r8
    shl $3, %r8
    add %r8, %rsi
    lea 5(%rsi,%rax,2), %rdi
    sub %rdi, %rbx
    and $0xffffff, %ebx
    or $1, %ebx
    mov %rdi, %r9
    shr $7, %r9
    xor %r9, %rdx
    inc %edx
    imul %rdx, %r9
    add %r9, %rax
    cmp %rax, %rsi
    dec %ecx
    jnz 1b
    DONE
END main

#include "guestlib.inc"
