// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: MOV SS and POP SS hold interrupts for one instruction: a deadline swept over them never splits the pair (SDM Vol. 3A 6.8.3 Masking Exceptions and Interrupts When Switching Stacks)
#include "guest.inc"

GUEST movss_shadow

// The timer fires at each of 120 distances. It may hit anywhere, but the saved
// IP must never be the instruction behind a MOV SS or POP SS.
FUNC main
    GATE 0x41, isr
    LAPIC_ENABLE
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $0xB
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x41
    mov %ss, %ebx
    movl $1, distance
1:  movl $0, isr_count
    mov distance, %eax
    LAPIC_WRITE LAPIC_TIMER_INIT, %eax
    sti
    nop
    .rept 10
    mov %ebx, %ss
    nop
    nop
    push %ss
    pop %ss
    nop
    nop
    .endr
2:  cmpl $0, isr_count
    je 2b
    cli
    incl distance
    cmpl $120, distance
    jbe 1b
    PASS
END main

FUNC isr
    push %eax
    push %edi
    mov 8(%esp), %eax
    cmpw $0xD38E, -2(%eax) // MOV SS, BX
    je bad
    cmpb $0x17, -1(%eax) // POP SS
    je bad
    incl isr_count
    LAPIC_WRITE LAPIC_EOI, $0
    pop %edi
    pop %eax
    iret
END isr

FUNC bad
    FAIL "interrupt behind a load of SS"
END bad

VAR distance

#include "guestlib.inc"
