// SPDX-License-Identifier: MIT
// Multiboot header, stack, segments, and the handler's frame for main.c.
#define SEL_CODE 0x08
#define SEL_DATA 0x10

    .section .multiboot, "a", @progbits
    .balign 4
    .long 0x1BADB002, 0, -0x1BADB002

    .text
    .globl _start
    .type _start, @function
_start:
    cli
    cld
    mov $stack_top, %esp
    lgdt gdt_pointer
    ljmp $SEL_CODE, $1f
1:  mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    call main
2:  cli
    hlt
    jmp 2b
    .size _start, . - _start

    .globl tick_entry
    .type tick_entry, @function
tick_entry:
    pusha
    call tick
    popa
    iret
    .size tick_entry, . - tick_entry

    .data
    .balign 8
gdt:
    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdt_pointer:
    .word 23
    .long gdt
    .bss
    .balign 16
    .skip 16384
stack_top:
