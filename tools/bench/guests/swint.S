// SPDX-License-Identifier: MIT
// WORK round trips of INT 80h and IRETQ.
#include "bench.inc"

GUEST swint

FUNC main
    GATE 0x80, isr
    mov $WORK, %ebx
1:  int $0x80
    dec %ebx
    jnz 1b
    CHECK_EQ M(count), $WORK, "interrupts"
    DONE
END main

FUNC isr
    incl M(count)
    iretq
END isr

#include "guestlib.inc"
