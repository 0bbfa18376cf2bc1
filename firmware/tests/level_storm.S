// SPDX-License-Identifier: MIT
// build: -m32
// run: --limit-insns=2000000
// status: 8
// qemu: no, it never ends
// tests: a level line that is never lowered: the handler is entered again after each EOI, the limit ends it
#define GUEST64
#include "guest.inc"

GUEST level_storm

FUNC main
    PUTS "level_storm: ok\n"
    UART_DRAIN
    GATE 0x34, storm_isr
    LAPIC_ENABLE
    LAPIC_READ LAPIC_ID
    mov %eax, %ebx
    IOAPIC_WRITE 0x19, %ebx
    IOAPIC_WRITE 0x18, $0x8034
    THRE_ON
    sti
1:  hlt
    jmp 1b
END main

FUNC storm_isr
    LAPIC_WRITE LAPIC_EOI, $0
    iretq
END storm_isr

#include "guestlib.inc"
