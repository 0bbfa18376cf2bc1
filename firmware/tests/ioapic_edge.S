// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: IOAPIC redirection, edge: PIT on pin 2 and UART on pin 4, masked edges are lost (82093AA data sheet 3.2.4 I/O Redirection Table Registers)
#define GUEST64
#include "guest.inc"

GUEST ioapic_edge

FUNC main
    GATE 0x32, pit_isr
    GATE 0x34, uart_isr
    LAPIC_ENABLE
    UART_DRAIN
    IOAPIC_READ 1
    and $0xFF0000, %eax
    CHECK_EQ %eax, $0x170000, "24 entries"
    LAPIC_READ LAPIC_ID
    mov %eax, %ebx
    IOAPIC_WRITE 0x15, %ebx
    IOAPIC_WRITE 0x19, %ebx
    IOAPIC_WRITE 0x14, $0x32
    IOAPIC_WRITE 0x18, $0x34
    IOAPIC_READ 0x14
    CHECK_EQ %eax, $0x32, "entry 2 reads back"
    IOAPIC_READ 0x19
    CHECK_EQ %eax, %ebx, "destination reads back"

    PIT_ONE_SHOT 50
    WAIT_COUNT M(isr_count), 1
    CHECK_LOG "P"
    THRE_ON
    WAIT_COUNT M(isr_count), 2
    CHECK_LOG "U"

    // The line is still high: no new edge, no new interrupt.
    DELIVER
    CHECK_LOG ""
    mov $0x3FA, %edx
    in (%dx), %al
    THRE_OFF

    // An edge on a masked pin is lost.
    IOAPIC_WRITE 0x18, $0x10034
    THRE_ON
    IOAPIC_WRITE 0x18, $0x34
    DELIVER
    CHECK_LOG ""
    THRE_OFF
    THRE_ON
    DELIVER
    CHECK_LOG "U"
    THRE_OFF

    // Logical destination, flat model.
    LAPIC_WRITE 0xE0, $0xFFFFFFFF
    LAPIC_WRITE 0xD0, $0x02000000
    IOAPIC_WRITE 0x19, $0x02000000
    IOAPIC_WRITE 0x18, $0x834
    THRE_ON
    DELIVER
    CHECK_LOG "U"
    THRE_OFF
    IOAPIC_WRITE 0x18, $0x10000
    PASS
END main

ISR pit_isr, 'P', lapic
ISR uart_isr, 'U', lapic

#include "guestlib.inc"
