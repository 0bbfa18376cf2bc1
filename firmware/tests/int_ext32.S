// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, 7.2 never sets EXT (target/i386/tcg/seg_helper.c, do_interrupt_protected)
// tests: EXT in error codes when a hardware interrupt or an exception finds a bad gate (SDM Vol. 3A 6.13 Error Code)
#include "guest.inc"

GUEST int_ext32

FUNC main
    LAPIC_ENABLE
    GATE 0x41, gate_isr
    GATE_ABSENT 0x41
    movl $resume, exc_resume
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    DELIVER
    FAIL "no fault"
resume:
    cli
    CHECK_EQ exc_vector, $11, "interrupt through an absent gate"
    CHECK_EQ exc_error, $(0x41 * 8 + 2 + 1), "EXT, interrupt"
    LAPIC_WRITE LAPIC_EOI, $0

    // INT3 and INT n are not external.
    GATE_ABSENT 3
    FAULT 11, (3 * 8 + 2), "INT3 through an absent gate", "int3"
    // An invalid opcode, benign, then #NP: served one after the other, EXT set.
    GATE_ABSENT 6
    FAULT 11, (6 * 8 + 2 + 1), "#UD through an absent gate", "ud2"
    GATE 6, gate_isr
    movw $0, idt + 6 * 8 + 2
    FAULT 13, 1, "#UD through a null selector", "ud2"
    PASS
END main

FUNC gate_isr
    FAIL "gate taken"
END gate_isr

#include "guestlib.inc"
