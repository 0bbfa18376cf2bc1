// SPDX-License-Identifier: MIT
// build: -m32
// status: 6
// qemu: no, it waits for input for ever
// tests: received bytes interrupt through the 8259 (PC16550D "Interrupt Enable Register"); without input the machine is halted for ever
#include "guest.inc"

GUEST uart_echo

FUNC main
    GATE 0x24, uart_isr
    OUTB 0x21, 0xEF // IRQ4 alone
    OUTB 0x3FC, 0x0B // MCR: DTR, RTS, OUT2 (the gate of the interrupt)
    OUTB 0x3F9, 1 // IER: received data
    PUTS "uart_echo: ok\n"
    // Each byte comes back plus one; q ends.
1:  sti
    hlt
    cli
    cmpl $0, quit
    je 1b
    EXIT 0x10
END main

FUNC uart_isr
    push %eax
    push %edx
2:  mov $0x3FD, %edx
    in (%dx), %al
    test $1, %al
    jz 3f
    mov $0x3F8, %edx
    in (%dx), %al
    cmp $'q', %al
    jne 4f
    movl $1, quit
4:  inc %eax
    out %al, (%dx)
    jmp 2b
3:  SEND_EOI pic
    pop %edx
    pop %eax
    iret
END uart_isr

VAR quit

#include "guestlib.inc"
