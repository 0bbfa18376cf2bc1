// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: IOAPIC, level: Remote IRR, redelivery after EOI while the line is high, unmasking an asserted pin (82093AA data sheet 3.2.4; SDM Vol. 3A 11.8.5 Signaling Interrupt Servicing Completion)
#define GUEST64
#include "guest.inc"

GUEST ioapic_level

FUNC main
    GATE 0x34, uart_isr
    LAPIC_ENABLE
    UART_DRAIN
    LAPIC_READ LAPIC_ID
    mov %eax, %ebx
    IOAPIC_WRITE 0x19, %ebx
    IOAPIC_WRITE 0x18, $0x8034

    // The handler leaves the line high twice and quiets it the third time.
    THRE_ON
    WAIT_COUNT M(isr_count), 3
    CHECK_LOG "UUUq"
    DELIVER
    CHECK_LOG ""
    IOAPIC_READ 0x18
    CHECK_EQ %eax, $0x8034, "Remote IRR clear after the last EOI"

    // Asserted while masked: delivered on unmasking.
    movl $2, M(isr_count)
    IOAPIC_WRITE 0x18, $0x18034
    THRE_ON
    DELIVER
    CHECK_LOG ""
    IOAPIC_WRITE 0x18, $0x8034
    WAIT_COUNT M(isr_count), 3
    CHECK_LOG "Uq"
    IOAPIC_WRITE 0x18, $0x10000
    PASS
END main

FUNC uart_isr
    push %rax
    push %rdx
    push %rdi
    LOG 'U'
    IOAPIC_READ 0x18
    CHECK_EQ %eax, $0xC034, "Remote IRR set in the handler"
    LAPIC_READ (LAPIC_TMR + 0x10)
    bt $0x14, %eax
    CHECK_COND c, "TMR bit 34h"
    LAPIC_READ (LAPIC_ISR + 0x10)
    bt $0x14, %eax
    CHECK_COND c, "ISR bit 34h"
    incl M(isr_count)
    cmpl $3, M(isr_count)
    jb 1f
    LOG 'q'
    mov $0x3FA, %edx
    in (%dx), %al
    THRE_OFF
1:  LAPIC_WRITE LAPIC_EOI, $0
    pop %rdi
    pop %rdx
    pop %rax
    iretq
END uart_isr

#include "guestlib.inc"
