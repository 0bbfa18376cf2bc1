// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: faults and traps of 32-bit mode, their error codes and restart (SDM Vol. 3A 6.15 Exception and Interrupt Reference)
#include "guest.inc"

GUEST exceptions32

FUNC main
    movl $0x0000FFFF, gdt + 0x68
    movl $0x00CF1300, gdt + 0x6C
    movl $0x0000FFFF, gdt + 0x70
    movl $0x00CF9100, gdt + 0x74
    movl $0x0000FFFF, gdt + 0x78
    movl $0x00CFFB00, gdt + 0x7C
    movl $0x0000FFFF, gdt + 0x80
    movl $0x00CFE200, gdt + 0x84
    movl $0x0000FFFF, gdt + 0x88
    movl $0x00CF1B00, gdt + 0x8C

    // #DE: nothing has changed.
    mov $1, %eax
    xor %edx, %edx
    xor %ecx, %ecx
    FAULT 0, 0, "division by zero", "div %ecx"
    mov $5, %edx
    mov $7, %eax
    mov $5, %ecx
    FAULT 0, 0, "division overflow", "div %ecx"
    CHECK_EQ %eax, $7, "EAX after #DE"
    CHECK_EQ %edx, $5, "EDX after #DE"
    mov $0x80000000, %eax
    cltd
    mov $-1, %ecx
    FAULT 0, 0, "signed overflow", "idiv %ecx"
    FAULT 0, 0, "AAM 0", ".byte 0xD4, 0x00"

    // #DB after one instruction with TF=1; ICEBP.
    xor %eax, %eax
    mov %eax, %dr6
    pushf
    orl $0x100, (%esp)
    TRAP 1, "single step", "popf; nop"
    mov %dr6, %eax
    and $0x4000, %eax
    CHECK_EQ %eax, $0x4000, "DR6.BS"

    TRAP 3, "INT3", "int3"
    TRAP 3, "INT 3", ".byte 0xCD, 0x03"
    mov $0x7FFFFFFF, %eax
    add $1, %eax
    TRAP 4, "INTO", "into"
    xor %eax, %eax
    into
    mov $9, %eax
    FAULT 5, 0, "BOUND above", "bound %eax, bounds"
    mov $-6, %eax
    FAULT 5, 0, "BOUND below", "bound %eax, bounds"
    mov $8, %eax
    bound %eax, bounds
    FAULT 6, 0, "UD2", "ud2"
    FAULT 6, 0, "LOCK on a register", ".byte 0xF0, 0x01, 0xC3"
    FAULT 6, 0, "MOV CS", ".byte 0x8E, 0xC8"
    FAULT 6, 0, "LEA of a register", ".byte 0x8D, 0xC0"

    // Segment loads. 68h: data, absent; 70h: data, read-only; 78h: code, DPL 3;
    // 80h: data of DPL 3 with its S bit clear (a system type).
    FAULT 11, 0x68, "DS absent", "movw selectors, %ds"
    FAULT 12, 0x68, "SS absent", "movw selectors, %ss"
    FAULT 13, 0x70, "SS read-only", "movw selectors + 2, %ss"
    FAULT 13, 0x78, "SS code", "movw selectors + 4, %ss"
    FAULT 13, 0x80, "DS system segment", "movw selectors + 6, %ds"
    FAULT 13, 0xC8, "DS beyond the limit", "movw selectors + 8, %ds"
    FAULT 13, 0xC8, "RPL is not in the error code", "movw selectors + 10, %ds"
    xor %eax, %eax // at reset the LDT is 64 KiB at address 0
    lldt %ax
    FAULT 13, 0x0C, "LDT selector without LDT", "movw selectors + 12, %ds"
    FAULT 13, 0, "SS null", "movw selectors + 14, %ss"
    FAULT 13, 0x20, "SS of DPL 3", "movw selectors + 16, %ss"
    mov %ds, %eax
    CHECK_EQ %eax, $SEL_DATA, "DS after the faults"
    mov %ss, %eax
    CHECK_EQ %eax, $SEL_DATA, "SS after the faults"
    movw selectors + 2, %fs // read-only is good enough for a data segment

    // Far transfers.
    FAULT 13, 0, "far jump to null", "ljmp $0, $0"
    FAULT 13, SEL_DATA, "far jump to data", "ljmp $0x10, $0"
    FAULT 13, 0x78, "far jump to DPL 3", "ljmp $0x78, $0"
    FAULT 13, 0xC8, "far jump beyond the limit", "ljmp $0xC8, $0"
    FAULT 11, 0x88, "far jump to an absent segment", "ljmp $0x88, $0"
    FAULT 13, SEL_TSS, "LTR of a busy TSS", "ltr selectors + 18"
    PASS
END main

    .section .rodata
    .balign 4
bounds:
    .long -5, 8
selectors:
    .word 0x68, 0x70, 0x78, 0x80, 0xC8, 0xCB, 0x0C, 0, 0x20, SEL_TSS

#include "guestlib.inc"
