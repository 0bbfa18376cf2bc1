// SPDX-License-Identifier: MIT
// PVH entry (32-bit, flat, paging off) and the way to long mode for main.c:
// Xen, "x86/HVM direct boot ABI"; SDM Vol. 3A 10.8.5 "Initializing IA-32e Mode".
// The first GiB is mapped by 2 MiB pages.
#define SEL_CODE64 0x08
#define SEL_DATA 0x10

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18 // XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad _start

    .text
    .code32
    .globl _start
    .type _start, @function
_start:
    cli
    cld
    mov $stack_top, %esp
    mov $directory, %edi
    mov $0x83, %eax
    mov $512, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    movl $directory + 3, pointers
    movl $pointers + 3, map
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $map, %eax
    mov %eax, %cr3
    mov $0xC0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $SEL_CODE64, $2f
    .code64
2:  mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebx, %edi // hvm_start_info
    call main
3:  cli
    hlt
    jmp 3b
    .size _start, . - _start

    .globl soft_entry
    .type soft_entry, @function
soft_entry:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    call soft
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    iretq
    .size soft_entry, . - soft_entry

    .data
    .balign 8
gdt:
    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
gdt_pointer:
    .word 23
    .quad gdt
    .bss
    .balign 4096
map:
    .skip 4096
pointers:
    .skip 4096
directory:
    .skip 4096
    .skip 16384
stack_top:
