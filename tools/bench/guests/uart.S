// SPDX-License-Identifier: MIT
// WORK transmitter interrupts (THRE) of the serial port through the IOAPIC, or the 8259 with -DPIC.
#include "bench.inc"

GUEST uart

FUNC main
    GATE 0x24, isr
    LAPIC_ENABLE
#ifdef PIC
    OUTB 0x21, 0xEF // IRQ4 alone
#else
    LAPIC_WRITE LAPIC_LVT_LINT0, $0x10700
    IOAPIC_WRITE 0x19, $0
    IOAPIC_WRITE 0x18, $0x24 // pin 4: edge, fixed, to APIC 0
#endif
    UART_DRAIN
    mov $LAPIC_BASE, %edi
    mov $WORK, %ebx
    THRE_ON
    sti
1:  cmp %ebx, M(count)
    jb 1b
    DONE
END main

// Reading IIR takes the request back; closing and opening its gate makes the next one, which is pending before
// IRETQ. The last one is not re-armed, or the loop above would not get to see it.
FUNC isr
    incl M(count)
    mov $0x3FA, %edx
    in (%dx), %al
    dec %edx
    xor %eax, %eax
    out %al, (%dx)
    cmp %ebx, M(count)
    jae 1f
    mov $2, %al
    out %al, (%dx)
1:
#ifdef PIC
    mov $0x20, %al
    out %al, $0x20
#else
    movl $0, LAPIC_EOI(%rdi)
#endif
    iretq
END isr

#include "guestlib.inc"
