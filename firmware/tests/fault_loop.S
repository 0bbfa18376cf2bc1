// SPDX-License-Identifier: MIT
// build: -m32
// run: --limit-insns=2000000
// status: 8
// qemu: no, it never ends
// tests: a fault whose handler returns to it, on an IST stack: time passes, the limit ends it
#define GUEST64
#include "guest.inc"

GUEST fault_loop

FUNC main
    PUTS "fault_loop: ok\n"
    UART_DRAIN
    GATE 6, loop_isr, GATE_INT, 1
    movl $ist1_top, M(tss + 0x24)
    ud2
    FAIL "went on"
END main

FUNC loop_isr
    iretq
END loop_isr

VAR ist1, 1024, 16
VAR ist1_top, 16, 16

#include "guestlib.inc"
