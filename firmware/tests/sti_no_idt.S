// SPDX-License-Identifier: MIT
// build: -m32
// status: 4
// qemu: no, it starts again
// tests: interrupts on without an IDT and with the 8259 as the BIOS left it: the PIT's first tick is vector 08h, and the end
#include "guest.inc"

GUEST sti_no_idt

FUNC main
    PUTS "sti_no_idt: ok\n"
    lidt no_idt
    OUTB 0x21, 0xFE // IRQ0
    mov $0x11, %al // the 8259 as a BIOS leaves it: base 08h
    out %al, $0x20
    OUTB 0x21, 8
    OUTB 0x21, 4
    OUTB 0x21, 1
    OUTB 0x21, 0xFE
    PIT_ONE_SHOT 100
1:  sti
    hlt
    jmp 1b
END main

    .align 8
no_idt:
    .word 2047
    .long empty

    .bss
    .align 8
empty:
    .skip 2048

#include "guestlib.inc"
