// SPDX-License-Identifier: MIT
// build: -m32
// status: 6
// qemu: no, it waits for ever
// tests: HLT with IF=0 while the PIT ticks: nothing can wake the CPU
#include "guest.inc"

GUEST halt_if0

FUNC main
    PUTS "halt_if0: ok\n"
    UART_DRAIN
    OUTB 0x21, 0xFE
    OUTB 0x43, 0x34
    OUTB 0x40, 200
    OUTB 0x40, 0
    cli
    hlt
    FAIL "woken"
END main

#include "guestlib.inc"
