// SPDX-License-Identifier: MIT
// WORK interrupts of the LAPIC timer, one-shot with a count of 1, re-armed in the handler; -DHALT: waits by HLT.
#include "bench.inc"

GUEST timer

FUNC main
    GATE 0x40, isr
    LAPIC_ENABLE
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $0xB
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x40
    LAPIC_WRITE LAPIC_TIMER_INIT, $1
    mov $WORK, %ebx
#ifdef HALT
1:  cli
    cmp %ebx, M(count)
    jae 2f
    sti
    hlt
    jmp 1b
2:
#else
    sti
1:  cmp %ebx, M(count)
    jb 1b
#endif
    DONE
END main

// The last one is not re-armed: it would be pending before IRETQ, and the loop would not get to see it.
FUNC isr
    incl M(count)
    movl $0, LAPIC_EOI(%rdi)
    cmp %ebx, M(count)
    jae 1f
    movl $1, LAPIC_TIMER_INIT(%rdi)
1:  iretq
END isr

#include "guestlib.inc"
