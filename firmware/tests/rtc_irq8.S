// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: RTC periodic interrupt through both 8259s; register C ends the request (MC146818A data sheet, Register C; 8259A data sheet, Cascade Mode)
#include "guest.inc"

GUEST rtc_irq8

FUNC main
    GATE 0x28, rtc_isr
    // Periodic rate 3: 8192 Hz; register C is read to start clean.
    OUTB 0x70, 0x8A
    in $0x71, %al
    and $0xF0, %al
    or $3, %al
    mov %al, %bl
    OUTB 0x70, 0x8A
    mov %bl, %al
    out %al, $0x71
    OUTB 0x70, 0x0C
    in $0x71, %al
    OUTB 0x21, 0xFB
    OUTB 0xA1, 0xFE
    OUTB 0x70, 0x8B
    in $0x71, %al
    mov %al, saved_b
    or $0x40, %al
    mov %al, %bl
    OUTB 0x70, 0x8B
    mov %bl, %al
    out %al, $0x71
    WAIT_COUNT isr_count, 3
    OUTB 0xA1, 0xFF
    OUTB 0x70, 0x8B
    mov saved_b, %al
    out %al, $0x71
    OUTB 0x70, 0x0D
    in $0x71, %al
    and $0x80, %eax
    CHECK_EQ %eax, $0x80, "VRT"
    PASS
END main

FUNC rtc_isr
    push %eax
    incl isr_count
    OUTB 0x70, 0x0C
    in $0x71, %al
    and $0xC0, %eax
    CHECK_EQ %eax, $0xC0, "IRQF and PF in register C"
    OUTB 0x20, 0x0B
    in $0x20, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $4, "master in service: the cascade pin"
    OUTB 0xA0, 0x0B
    in $0xA0, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $1, "slave in service"
    SEND_EOI slave
    pop %eax
    iret
END rtc_isr

VAR saved_b

#include "guestlib.inc"
