// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, its 8259 keeps an edge request after the line fell (hw/intc/i8259.c, pic_set_irq)
// tests: an edge request is withdrawn when the input falls before INTA (8259A data sheet, Interrupt Request Register)
#include "guest.inc"

GUEST pic_drop32

FUNC main
    GATE 0x20, pit_isr
    OUTB 0x21, 0xFE
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    OUTB 0x43, 0x30 // mode 0 again: OUT falls
    OUTB 0x20, 0x0A
    in $0x20, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0, "IRR after the line fell"
    DELIVER
    CHECK_LOG ""
    PIT_ONE_SHOT 50
    WAIT_COUNT isr_count, 1
    CHECK_LOG "t"
    PASS
END main

ISR pit_isr, 't', pic

#include "guestlib.inc"
