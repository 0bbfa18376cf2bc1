// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: self-NMI by the ICR: IF is ignored, blocked until IRET, one is kept pending (SDM Vol. 3A 6.7 Nonmaskable Interrupt, 6.7.1 Handling Multiple NMIs)
#include "guest.inc"

GUEST nmi

FUNC main
    GATE 2, nmi_isr
    GATE 0x41, isr
    LAPIC_ENABLE
    call send_nmi
    CHECK_LOG "N.nNn"
    movl $0, isr_count

    // Any IRET opens the door again, that of a breakpoint inside too.
    movl $1, with_int3
    call send_nmi
    CHECK_LOG "N.Nn3n"

    // NMI before a pending interrupt; the interrupt after the NMI's IRET.
    movl $0, with_int3
    movl $5, isr_count
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    call send_nmi
    CHECK_LOG "Nn"
    DELIVER
    CHECK_LOG "t"
    PASS
END main

// Fixed shorthands exist for NMI only as "all but self", so by destination.
FUNC send_nmi
    LAPIC_READ LAPIC_ID
    LAPIC_WRITE LAPIC_ICR_HIGH, %eax
    LAPIC_WRITE LAPIC_ICR_LOW, $0x4400
    jmp 1f
1:  nop
    ret
END send_nmi

FUNC nmi_isr
    push %eax
    push %edi
    LOG 'N'
    incl isr_count
    cmpl $1, isr_count
    jne 1f
    call send_nmi
    LOG '.'
    cmpl $1, with_int3
    jne 1f
    movl $back, exc_resume
    int3
    nop
back:
    LOG '3'
1:  LOG 'n'
    pop %edi
    pop %eax
    iret
END nmi_isr

ISR isr, 't', lapic

VAR with_int3

#include "guestlib.inc"
