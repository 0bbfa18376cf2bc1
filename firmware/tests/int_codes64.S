// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, 7.2 pushes vector * 16 + 2 and no EXT (target/i386/tcg/seg_helper.c, do_interrupt64), and takes any CR8
// tests: error codes of 64-bit delivery: vector * 8 + 2 + EXT; CR8 reserved bits (SDM Vol. 3A 6.13 Error Code)
#define GUEST64
#include "guest.inc"

GUEST int_codes64

FUNC main
    LAPIC_ENABLE
    GATE 0x41, gate_isr
    GATE_ABSENT 0x41
    GATE 0x93, gate_isr, 0x8C
    GATE 0x94, gate_isr
    movw $0, M(idt + 0x94 * 16 + 2)
    FAULT 11, (0x41 * 8 + 2), "gate absent", "int $0x41"
    FAULT 13, (0x93 * 8 + 2), "wrong gate type", "int $0x93"
    FAULT 13, 0, "null selector in the gate", "int $0x94"

    // By an interrupt: EXT is set. The in-service bit stays, so EOI.
    movl $resume, M(exc_resume)
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    DELIVER
    FAIL "no fault"
resume:
    cli
    CHECK_EQ M(exc_vector), $11, "interrupt through an absent gate"
    CHECK_EQ M(exc_error), $(0x41 * 8 + 2 + 1), "EXT"
    LAPIC_READ (LAPIC_ISR + 0x20)
    CHECK_EQ %eax, $2, "ISR 41h stays"
    LAPIC_WRITE LAPIC_EOI, $0

    mov $16, %eax
    FAULT 13, 0, "CR8 of 16", "mov %rax, %cr8"
    PASS
END main

FUNC gate_isr
    FAIL "gate taken"
END gate_isr

#include "guestlib.inc"
