// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 8259 fully nested mode: a higher request interrupts a lower handler, a lower one waits for the EOI (8259A data sheet, Fully Nested Mode)
#include "guest.inc"

GUEST pic_nested

FUNC main
    GATE 0x20, pit_isr
    GATE 0x24, uart_isr
    UART_DRAIN

    // IRQ0 inside the handler of IRQ4.
    OUTB 0x21, 0xEE
    THRE_ON
    WAIT_IRR 0x10
    DELIVER
    CHECK_LOG "U(Pp)u"

    // IRQ4 while IRQ0 is in service: only after its EOI.
    movl $1, second_part
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    DELIVER
    CHECK_LOG "P[.]U()up"

    // Both wait: IRQ0 first although it came later.
    movl $2, second_part
    THRE_ON
    WAIT_IRR 0x10
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    DELIVER
    CHECK_LOG "PpUu"
    PASS
END main

FUNC uart_isr
    push %eax
    push %edx
    LOG 'U'
    mov $0x3FA, %edx // IIR takes the request back
    in (%dx), %al
    cmp $2, %al
    jne bad_iir
    THRE_OFF
    cmpl $2, second_part
    je 1f
    LOG '('
    cmpl $1, second_part
    je 2f
    PIT_ONE_SHOT 50
    WAIT_IRR 1
    DELIVER
    OUTB 0x20, 0x0B
    in $0x20, %al
    cmp $0x10, %al
    jne bad_isr
2:  LOG ')'
1:  LOG 'u'
    SEND_EOI pic
    pop %edx
    pop %eax
    iret
END uart_isr

FUNC pit_isr
    push %eax
    push %edx
    LOG 'P'
    cmpl $1, second_part
    jne 1f
    LOG '['
    THRE_ON
    WAIT_IRR 0x10
    DELIVER
    LOG '.'
    LOG ']'
    SEND_EOI pic
    DELIVER
    jmp 2f
1:  OUTB 0x20, 0x0B
    in $0x20, %al
    mov $0x11, %ah
    cmpl $0, second_part
    je 3f
    mov $0x01, %ah
3:  cmp %ah, %al
    jne bad_isr
    SEND_EOI pic
2:  LOG 'p'
    pop %edx
    pop %eax
    iret
END pit_isr

FUNC bad_isr
    movzbl %al, %eax
    FAIL "ISR"
END bad_isr

FUNC bad_iir
    movzbl %al, %eax
    FAIL "IIR"
END bad_iir

VAR second_part

#include "guestlib.inc"
