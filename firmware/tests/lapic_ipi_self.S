// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: IPIs to oneself: shorthand, physical, logical, broadcast; order, nesting, coalescing (SDM Vol. 3A 11.6.1 Interrupt Command Register, 11.8.4 Interrupt Acceptance for Fixed Interrupts)
#define GUEST64
#include "guest.inc"

GUEST lapic_ipi_self

FUNC main
    GATE 0x41, isr_41
    GATE 0x51, isr_51
    GATE 0x61, isr_61
    GATE 0x71, isr_71
    LAPIC_ENABLE
    LAPIC_READ LAPIC_ID
    mov %eax, %ebx

    // Four ways to the same CPU.
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    DELIVER
    LAPIC_WRITE LAPIC_ICR_HIGH, %ebx
    LAPIC_WRITE LAPIC_ICR_LOW, $0x4051
    DELIVER
    LAPIC_WRITE 0xE0, $0xFFFFFFFF
    LAPIC_WRITE 0xD0, $0x01000000
    LAPIC_WRITE LAPIC_ICR_HIGH, $0x01000000
    LAPIC_WRITE LAPIC_ICR_LOW, $0x4861
    DELIVER
    LAPIC_WRITE LAPIC_ICR_LOW, $0x84041
    DELIVER
    CHECK_LOG "aAbBcCaA"

    // Nobody there: "all but self" on a machine of one CPU.
    LAPIC_WRITE LAPIC_ICR_LOW, $0xC4041
    DELIVER
    CHECK_LOG ""

    // Three pending: highest vector first. The same vector twice is one.
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44061
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44051
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    LAPIC_READ (LAPIC_IRR + 0x20)
    CHECK_EQ %eax, $0x00020002, "IRR 41h and 51h"
    LAPIC_READ (LAPIC_IRR + 0x30)
    CHECK_EQ %eax, $0x00000002, "IRR 61h"
    DELIVER
    CHECK_LOG "cCbBaA"

    // 71h sends 61h and then, with IF=1, 51h and 41h wait for its EOI.
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44071
    DELIVER
    CHECK_LOG "d.DcCbB"
    PASS
END main

FUNC isr_71
    push %rdi
    LOG 'd'
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44051
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44061
    DELIVER
    LOG '.'
    LOG 'D'
    LAPIC_WRITE LAPIC_EOI, $0
    pop %rdi
    iretq
END isr_71

.macro PAIR name, first, last, bit
FUNC \name
    push %rdi
    push %rax
    LOG \first
    LAPIC_READ (LAPIC_ISR + \bit / 32 * 16)
    bt $\bit % 32, %eax
    CHECK_COND c, "ISR bit"
    LAPIC_WRITE LAPIC_EOI, $0
    LAPIC_READ (LAPIC_ISR + \bit / 32 * 16)
    bt $\bit % 32, %eax
    CHECK_COND nc, "ISR bit after EOI"
    LOG \last
    pop %rax
    pop %rdi
    iretq
END \name
.endm

PAIR isr_41, 'a', 'A', 0x41
PAIR isr_51, 'b', 'B', 0x51
PAIR isr_61, 'c', 'C', 0x61

#include "guestlib.inc"
