// SPDX-License-Identifier: MIT
// build: -m32
// status: 4
// qemu: no, it resets at a triple fault and tells no status
// tests: shutdown: #UD, #NP, #DF with absent gates (SDM Vol. 3A 6.15 Interrupt 8 - Double Fault Exception)
#include "guest.inc"

GUEST triple_fault

FUNC main
    PUTS "triple_fault: ok\n"
    UART_DRAIN
    GATE_ABSENT 6
    GATE_ABSENT 8
    GATE_ABSENT 11
    ud2
    FAIL "no fault"
END main

#include "guestlib.inc"
