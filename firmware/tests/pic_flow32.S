// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: PIT ticks through the 8259 pair in 32-bit mode: IRR, ISR, masking, EOI (8259A data sheet, OCW1-OCW3)
#include "guest.inc"

GUEST pic_flow32

FUNC main
    GATE 0x20, pit_isr

    // One at a time, by HLT.
    OUTB 0x21, 0xFE
    PIT_ONE_SHOT 50
    WAIT_COUNT isr_count, 1
    PIT_ONE_SHOT 60
    WAIT_COUNT isr_count, 2
    CHECK_LOG "tt"
    OUTB 0x20, 0x0B // nothing in service any more
    in $0x20, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0, "ISR after EOI"

    // Masked: the request waits in IRR and is delivered when unmasked.
    OUTB 0x21, 0xFF
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    DELIVER
    CHECK_EQ isr_count, $2, "masked request delivered"
    OUTB 0x21, 0xFE
    DELIVER
    CHECK_LOG "t"
    in $0x21, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0xFE, "IMR"

    // The rate generator: three ticks and stop.
    OUTB 0x43, 0x34
    OUTB 0x40, 200
    OUTB 0x40, 0
    WAIT_COUNT isr_count, 6
    OUTB 0x21, 0xFF
    OUTB 0x43, 0x30
    movl $0, log_length
    PASS
END main

FUNC pit_isr
    push %eax
    LOG 't'
    incl isr_count
    mov $0x0B, %al // OCW3: read ISR
    out %al, $0x20
    in $0x20, %al
    cmp $1, %al
    jne bad_isr
    mov $0x60, %al // specific EOI, level 0
    out %al, $0x20
    pop %eax
    iret
END pit_isr

FUNC bad_isr
    movzbl %al, %eax
    FAIL "ISR in the handler"
END bad_isr

#include "guestlib.inc"
