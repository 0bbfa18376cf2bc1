// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: LAPIC timer: one-shot, periodic, masked, stopped (SDM Vol. 3A 11.5.4 APIC Timer)
#define GUEST64
#include "guest.inc"

GUEST lapic_timer

FUNC main
    GATE 0x40, timer_isr
    LAPIC_ENABLE
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $0xB
    LAPIC_READ LAPIC_TIMER_DIVIDE
    CHECK_EQ %eax, $0xB, "divide register"

    LAPIC_WRITE LAPIC_LVT_TIMER, $0x40
    LAPIC_WRITE LAPIC_TIMER_INIT, $500
    WAIT_COUNT M(isr_count), 1
    CHECK_LOG "t"
    LAPIC_READ LAPIC_TIMER_COUNT
    CHECK_EQ %eax, $0, "count after the one-shot"
    LAPIC_READ LAPIC_TIMER_INIT
    CHECK_EQ %eax, $500, "initial count stays"

    // Periodic, divided by 16.
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $3
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x20040
    LAPIC_WRITE LAPIC_TIMER_INIT, $5000
    WAIT_COUNT M(isr_count), 4
    LAPIC_WRITE LAPIC_TIMER_INIT, $0
    DELIVER // whatever came between
    movl $0, M(log_length)
    LAPIC_READ LAPIC_TIMER_COUNT
    CHECK_EQ %eax, $0, "count when stopped"

    // Masked: it runs down and nothing is requested.
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $0xB
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x10040
    LAPIC_WRITE LAPIC_TIMER_INIT, $1000
1:  LAPIC_READ LAPIC_TIMER_COUNT
    test %eax, %eax
    jnz 1b
    DELIVER
    CHECK_LOG ""
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x40
    DELIVER
    CHECK_LOG ""
    LAPIC_WRITE LAPIC_TIMER_INIT, $1000
    WAIT_COUNT M(isr_count), 5
    PASS
END main

ISR timer_isr, 't', lapic

#include "guestlib.inc"
