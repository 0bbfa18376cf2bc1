// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 8259 poll, rotation, set priority, automatic EOI, special mask mode (8259A data sheet, OCW2, OCW3, ICW4)
#include "guest.inc"

GUEST pic_modes32

// IRQ0 and IRQ4 both pending, with IF=0.
.macro BOTH_PENDING
    THRE_ON
    WAIT_IRR 0x10
    PIT_ONE_SHOT 50
    WAIT_IRR 1
.endm

// One poll; the byte read must be as given.
.macro POLL want, what
    OUTB 0x20, 0x0C
    in $0x20, %al
    and $0x87, %eax
    CHECK_EQ %eax, $\want, "\what"
.endm

FUNC main
    GATE 0x20, pit_isr
    GATE 0x24, uart_isr
    UART_DRAIN
    OUTB 0x21, 0xEE

    // Poll: the read acknowledges, so EOI follows.
    BOTH_PENDING
    POLL 0x80, "poll gives IRQ0"
    OUTB 0x20, 0x20
    POLL 0x84, "poll gives IRQ4"
    OUTB 0x20, 0x20
    THRE_OFF

    // Rotate on EOI: IRQ0 gets the lowest priority, IRQ4 goes first now.
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    POLL 0x80, "IRQ0 before rotation"
    OUTB 0x20, 0xA0
    BOTH_PENDING
    POLL 0x84, "IRQ4 after rotation"
    OUTB 0x20, 0x20
    POLL 0x80, "then IRQ0"
    OUTB 0x20, 0x20
    THRE_OFF

    // Set priority: IRQ7 lowest again.
    OUTB 0x20, 0xC7
    BOTH_PENDING
    DELIVER
    CHECK_LOG "pu"
    THRE_OFF

    // Special mask mode: a level in service that is masked blocks nobody.
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    POLL 0x80, "IRQ0 in service"
    THRE_ON
    WAIT_IRR 0x10
    DELIVER
    CHECK_LOG ""
    OUTB 0x20, 0x68
    OUTB 0x21, 0xEF
    DELIVER
    CHECK_LOG "u"
    OUTB 0x20, 0x48
    OUTB 0x20, 0x60 // specific EOI of IRQ0
    THRE_OFF

    // Automatic EOI: nothing stays in service.
    OUTB 0x20, 0x11
    OUTB 0x21, 0x20
    OUTB 0x21, 0x04
    OUTB 0x21, 0x03
    OUTB 0x21, 0xFE
    GATE 0x20, auto_isr
    OUTB 0x43, 0x30 // OUT low before the edge is looked for
    PIT_ONE_SHOT 50
    WAIT_COUNT isr_count, 4
    CHECK_LOG "a"
    PASS
END main

ISR pit_isr, 'p', pic

// IIR takes the request back, so that the line falls.
FUNC uart_isr
    push %eax
    push %edx
    LOG 'u'
    incl isr_count
    mov $0x3FA, %edx
    in (%dx), %al
    mov $0x64, %al
    out %al, $0x20
    pop %edx
    pop %eax
    iret
END uart_isr

FUNC auto_isr
    push %eax
    LOG 'a'
    incl isr_count
    OUTB 0x20, 0x0B
    in $0x20, %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0, "ISR with automatic EOI"
    pop %eax
    iret
END auto_isr

#include "guestlib.inc"
