// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: UART loop mode, receiver, line and modem status, scratch register, divisor latch (PC16550D data sheet Modem Control Register)
#include "guest.inc"

GUEST uart_loop

FUNC main
    UART_DRAIN
    OUTB 0x3FF, 0x5A
    mov $0x3FF, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0x5A, "scratch"
    OUTB 0x3FC, 0x1F // loop: DTR, RTS, OUT1, OUT2 come back as DSR, CTS, RI, DCD
    mov $0x3FE, %edx
    in (%dx), %al
    and $0xF0, %eax
    CHECK_EQ %eax, $0xF0, "modem status, all on"
    OUTB 0x3FC, 0x12
    mov $0x3FE, %edx
    in (%dx), %al
    and $0xF0, %eax
    CHECK_EQ %eax, $0x10, "modem status, RTS to CTS"

    OUTB 0x3F8, 'x'
    call wait_ready
    mov $0x3F8, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $'x', "byte received"
    mov $0x3FD, %edx
    in (%dx), %al
    and $0x1F, %eax
    CHECK_EQ %eax, $0, "line status after the read"

    // Received data has priority over THRE; each is ended by its own access.
    mov $0x3FE, %edx // the modem status' deltas are read away
    in (%dx), %al
    OUTB 0x3F8, 'y'
    call wait_ready
    UART_DRAIN
    OUTB 0x3F9, 3
    mov $0x3FA, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $4, "IIR: received data"
    mov $0x3F8, %edx
    in (%dx), %al
    mov $0x3FA, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $2, "IIR: THRE"
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $1, "IIR: none"
    OUTB 0x3F9, 0

    OUTB 0x3FB, 0x83
    OUTB 0x3F8, 0x0C
    OUTB 0x3F9, 0x00
    mov $0x3F8, %edx
    in (%dx), %al
    movzbl %al, %eax
    CHECK_EQ %eax, $0x0C, "divisor"
    OUTB 0x3FB, 0x03
    call serial_init
    PASS
END main

FUNC wait_ready
    mov $0x3FD, %edx
1:  in (%dx), %al
    test $1, %al
    jz 1b
    ret
END wait_ready

#include "guestlib.inc"
