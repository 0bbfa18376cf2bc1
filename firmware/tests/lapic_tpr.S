// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: TPR and CR8 hold and release by priority class; PPR (SDM Vol. 3A 11.8.3 Interrupt, Task, and Processor Priority, 11.8.6 Task Priority in IA-32e Mode)
#define GUEST64
#include "guest.inc"

GUEST lapic_tpr

.macro SEND vector
    LAPIC_WRITE LAPIC_ICR_LOW, $(0x44000 | \vector)
.endm

FUNC main
    GATE 0x4F, isr_4f
    GATE 0x50, isr_50
    GATE 0x5F, isr_5f
    GATE 0x60, isr_60
    LAPIC_ENABLE

    // TPR 50h: classes up to 5 wait, class 6 passes.
    LAPIC_WRITE LAPIC_TPR, $0x50
    LAPIC_READ LAPIC_PPR
    CHECK_EQ %eax, $0x50, "PPR from TPR"
    mov %cr8, %rax
    CHECK_EQ %eax, $5, "CR8 from TPR"
    SEND 0x4F
    SEND 0x50
    SEND 0x5F
    SEND 0x60
    DELIVER
    CHECK_LOG "6"

    // CR8 4: class 5 is released, highest first.
    mov $4, %eax
    mov %rax, %cr8
    LAPIC_READ LAPIC_TPR
    CHECK_EQ %eax, $0x40, "TPR from CR8"
    DELIVER
    CHECK_LOG "f5"

    // With IF=1 the write itself releases the last one.
    xor %eax, %eax
    sti
    mov %rax, %cr8
    jmp 1f
1:  nop
    cli
    CHECK_LOG "4"

    // In service counts for PPR: in 50h's handler, 5Fh (same class) waits.
    movl $1, M(nested)
    SEND 0x50
    DELIVER
    CHECK_LOG "5(6)f"
    PASS
END main

FUNC isr_50
    push %rdi
    push %rax
    LOG '5'
    cmpl $1, M(nested)
    jne 1f
    LAPIC_READ LAPIC_PPR
    CHECK_EQ %eax, $0x50, "PPR from the vector in service"
    SEND 0x5F
    SEND 0x60
    LOG '('
    DELIVER
    LOG ')'
1:  LAPIC_WRITE LAPIC_EOI, $0
    pop %rax
    pop %rdi
    iretq
END isr_50

ISR isr_4f, '4', lapic
ISR isr_5f, 'f', lapic
ISR isr_60, '6', lapic

VAR nested

#include "guestlib.inc"
