// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: UART transmitter interrupt through the 8259: IIR, IER, THRE (PC16550D data sheet Interrupt Identification Register)
#include "guest.inc"

GUEST uart_irq

FUNC main
    GATE 0x24, uart_isr
    UART_DRAIN
    OUTB 0x21, 0xEF

    // Enabling THRE with an empty transmitter interrupts at once.
    THRE_ON
    WAIT_COUNT isr_count, 1
    CHECK_LOG "2"

    // Each byte that is written interrupts when it has moved on. The text is
    // sent by the handler, one byte an interrupt.
    mov $text, %esi
    mov %esi, next
    movl $1, sending
    THRE_OFF
    THRE_ON
    WAIT_COUNT done, 1
    THRE_OFF
    CHECK_LOG "2222222222"
    mov $0x3FA, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $1, "IIR: nothing pending"
    PASS
END main

FUNC uart_isr
    push %eax
    push %edx
    push %esi
    incl isr_count
    mov $0x3FA, %edx
    in (%dx), %al
    cmp $2, %al
    jne 9f
    LOG '2'
    cmpl $0, sending
    je 1f
    mov next, %esi
    lodsb
    mov %esi, next
    test %al, %al
    jz 2f
    mov $0x3F8, %edx
    out %al, (%dx)
    jmp 1f
2:  movl $1, done
1:  SEND_EOI pic
    pop %esi
    pop %edx
    pop %eax
    iret
9:  movzbl %al, %eax
    FAIL "IIR"
END uart_isr

    .section .rodata
text:
    .asciz "by irq 4\n"

VAR next
VAR sending
VAR done

#include "guestlib.inc"
