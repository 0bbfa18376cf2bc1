// SPDX-License-Identifier: MIT
// WORK self-IPIs by the ICR, each with its EOI.
#include "bench.inc"

GUEST self_ipi

FUNC main
    GATE 0x40, isr
    LAPIC_ENABLE
    mov $LAPIC_BASE, %edi
    xor %ebx, %ebx
    sti
1:  inc %ebx
    movl $0x44040, LAPIC_ICR_LOW(%rdi) // self, assert, fixed, vector 40h
2:  cmp %ebx, M(count)
    jne 2b
    cmp $WORK, %ebx
    jne 1b
    DONE
END main

FUNC isr
    incl M(count)
    movl $0, LAPIC_EOI(%rdi)
    iretq
END isr

#include "guestlib.inc"
