// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 16-bit real mode and back: IVT interrupts, INT n, #DE, segments, 16-bit strings, a PIT tick (SDM Vol. 3A 10.9 Mode Switching; Vol. 3B 21.1 Real-Address Mode)
#include "guest.inc"

GUEST realmode

#define BLOB 0x8000
#define LOW(symbol) (BLOB + symbol - blob)

FUNC main
    mov $blob, %esi
    mov $BLOB, %edi
    mov $blob_end - blob, %ecx
    rep movsb
    movl $LOW(int60), 0x60 * 4   // offset, segment 0
    movl $0x08000000 + LOW(int61) - 0x8000, 0x61 * 4 // 0800h:offset
    movl $LOW(divide), 0 * 4
    movl $LOW(tick), 0x20 * 4
    movl $0, 0x7000 // counters
    movl $0, 0x7004
    movl $0, 0x7008
    mov %esp, %ebp
    lidt real_idt
    ljmp $SEL_CODE16, $LOW(start16)
main_back:
    lidt idt_pointer
    CHECK_EQ 0x7000, $0x3C3C3C3C, "INT 60h"
    CHECK_EQ 0x7004, $0x00010001, "#DE and tick"
    CHECK_EQ 0x7008, $0x0000FFFE, "FLAGS and SP in the frame"
    CHECK_EQ 0x700C, $0x01000800, "CS of INT 61h, far call"
    CHECK_EQ 0x20000, $0xBEEF1234, "16-bit string move"
    CHECK_EQ 0x2FFFC, $0x5A5A5A5A, "64 KiB were moved"
    CHECK_EQ 0x7010, $0x0000FFFF, "16-bit wrap"
    TRAP 3, "protected mode again", "int3"
    PASS
END main

    .section .rodata
real_idt:
    .word 0x3FF
    .long 0
    .text
    .balign 16
    .type blob, @function
blob:
    .code16
start16:
    mov $SEL_DATA16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov %ax, %fs
    mov %ax, %gs
    mov %cr0, %eax
    and $~1, %eax
    mov %eax, %cr0
    ljmp $0, $LOW(real)
real:
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x6000, %sp

    mov $0x3C3C, %ax
    int $0x60
    int $0x61
    xor %dx, %dx
    xor %cx, %cx
    div %cx // the handler skips the two bytes
    sub $0x6000, %sp // 0 if all frames were popped
    sub $2, %sp
    mov %sp, 0x7008
    mov $0x6000, %sp

    // Far call through memory: 0100h:7000h+x is the same code at another CS.
    lcall $0x0100, $LOW(far_code) - 0x1000
    // 64 KiB from 1000h:0 to 2000h:0 in words; SI and DI wrap.
    mov $0x1000, %ax
    mov %ax, %ds
    mov $0x2000, %ax
    mov %ax, %es
    xor %si, %si
    movl $0xBEEF1234, (%si)
    movl $0x5A5A5A5A, 0xFFFC
    xor %di, %di
    mov $0x8000, %cx
    cld
    rep movsw
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    lea -1(%si), %ax
    mov %ax, 0x7010
    movw $0, 0x7012

    // One tick through the IVT.
    mov $0xFE, %al
    out %al, $0x21
    mov $0x30, %al
    out %al, $0x43
    mov $60, %al
    out %al, $0x40
    xor %al, %al
    out %al, $0x40
1:  sti
    hlt
    cli
    cmpw $0, 0x7006
    je 1b
    mov $0xFF, %al
    out %al, $0x21

    lgdtl %cs:LOW(gdt_low)
    mov %cr0, %eax
    or $1, %eax
    mov %eax, %cr0
    ljmpl $SEL_CODE32, $LOW(back32)

int60: // AX to 7000h twice, by way of both halves of a 32-bit register
    push %bp
    mov %sp, %bp
    mov %ax, %dx
    shl $16, %edx
    mov %ax, %dx
    mov %edx, 0x7000
    pop %bp
    iret

int61:
    mov %cs, 0x700C
    iret

far_code:
    mov %cs, 0x700E
    lret

divide:
    push %bp
    mov %sp, %bp
    incw 0x7004
    addw $2, 2(%bp)
    pop %bp
    iret

tick:
    push %ax
    incw 0x7006
    mov $0x20, %al
    out %al, $0x20
    pop %ax
    iret

    .balign 4
gdt_low:
    .word 191
    .long gdt
    .code32
back32:
    mov $SEL_DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov %ebp, %esp
    mov $main_back, %eax
    jmp *%eax
blob_end:
    .size blob, . - blob

#include "guestlib.inc"
