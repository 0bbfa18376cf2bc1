// SPDX-License-Identifier: MIT
// A ROM that does nothing but copy a guest (-DIMAGE="FILE", its memory image from 1 MiB on) to its
// place and jump to it (-DENTRY=ADDRESS): it stands in for BIOS and boot loader where a simulator cannot
// load a multiboot kernel. 128 KiB below 4 GiB, linked there. SDM Vol. 3A 9.1.4 "First Instruction Executed".
    .text
image:
    .incbin IMAGE
image_end:

    // CS is FFFF0000h after a reset.
    .org 0x1F000
    .code16
start16:
    cli
    lgdtl %cs:(gdt_pointer - image - 0x10000)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $8, $start32
    .code32
start32:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    cld
    mov $image, %esi
    mov $0x100000, %edi
    mov $image_end - image, %ecx
    rep movsb
    mov $0x2BADB002, %eax
    mov $ENTRY, %edx
    jmp *%edx
    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
gdt_pointer:
    .word 23
    .long gdt

    .org 0x1FFF0
    .code16
    jmp start16
    .org 0x1FFFF
    .byte 0
