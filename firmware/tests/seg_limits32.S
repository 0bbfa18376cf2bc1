// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, its TCG checks no segment limits or types on access, no LOCK before MOV, and has no INT1
// tests: segment limits, expand-down, null and read-only segments on data access; LOCK MOV; INT1 (SDM Vol. 3A 5.3 Limit Checking, 5.5 Privilege Levels)
#include "guest.inc"

GUEST seg_limits32

FUNC main
    movl $0x00000FFF, gdt + 0x68 // bytes 0-FFFh
    movl $0x00409300, gdt + 0x6C
    movl $0x00000FFF, gdt + 0x70 // expand-down: 1000h and above
    movl $0x00409700, gdt + 0x74
    movl $0x0000FFFF, gdt + 0x78 // read-only
    movl $0x00CF9100, gdt + 0x7C
    movl $0x0000FFFF, gdt + 0x80 // execute-only
    movl $0x00CF9900, gdt + 0x84
    mov $0x68, %eax
    mov %eax, %fs
    mov $0x70, %eax
    mov %eax, %gs
    mov $0x78, %eax
    mov %eax, %es
    movl %fs:0xFFC, %eax
    FAULT 13, 0, "one byte beyond the limit", "movl %fs:0xFFD, %eax"
    FAULT 13, 0, "store beyond the limit", "movb %al, %fs:0x1000"
    movl %gs:0x1000, %eax
    FAULT 13, 0, "expand-down below", "movl %gs:0xFFF, %eax"
    movl %es:0x100000, %eax
    FAULT 13, 0, "store to a read-only segment", "movl %eax, %es:test_byte"
    FAULT 13, 0, "store to a code segment", "movl %eax, %cs:test_byte"
    FAULT 13, 0x80, "load of an execute-only segment", "movw selectors, %fs"
    xor %eax, %eax
    mov %eax, %fs
    FAULT 13, 0, "null segment", "movl %fs:0x1000, %eax"
    mov $SEL_DATA, %eax
    mov %eax, %es
    FAULT 6, 0, "LOCK MOV", ".byte 0xF0, 0x89, 0x03"
    TRAP 1, "INT1", ".byte 0xF1"
    PASS
END main

    .section .rodata
selectors:
    .word 0x80

VAR test_byte

#include "guestlib.inc"
