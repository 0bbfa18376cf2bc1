// SPDX-License-Identifier: MIT
// build: -m32
// status: 0
// qemu: same
// expect: tour: pit 1, ioapic 1, lapic 1, ipi 1, int80 1. bye
// tests: five interrupts by five routes, in long mode: 8259 and LINT0, IOAPIC, LAPIC timer, self-IPI, INT n
//
// The tour takes exactly one interrupt of each kind, in this order, and waits
// for each before it asks for the next. Read main from top to bottom; README.md
// in this folder says what to look for in the flows.
//
// Manuals: Intel SDM Vol. 3A 6.14 "Exception and Interrupt Handling in 64-Bit
// Mode", 11.4 "Local APIC", 11.5.1 "Local Vector Table", 11.5.4 "APIC Timer",
// 11.6.1 "Interrupt Command Register (ICR)", 11.8.5 "Signaling Interrupt
// Servicing Completion"; 8259A data sheet; 82C54 data sheet, "Mode 0";
// 82093AA data sheet 3.2.4 "I/O Redirection Table Registers"; PC16550D data
// sheet "Interrupt Enable Register".
#define GUEST64
#include "guest.inc"

#define VECTOR_PIT 0x20
#define VECTOR_UART 0x34
#define VECTOR_TIMER 0x40
#define VECTOR_IPI 0x50
#define VECTOR_INT80 0x80
#define VECTOR_SPURIOUS 0xFF

GUEST tour

FUNC main
    // Five gates of the IDT, each an interrupt gate: the CPU clears IF on the
    // way in, and IRETQ brings it back with the saved RFLAGS.
    GATE VECTOR_PIT, pit_isr
    GATE VECTOR_UART, uart_isr
    GATE VECTOR_TIMER, timer_isr
    GATE VECTOR_IPI, ipi_isr
    GATE VECTOR_INT80, int80_isr
    GATE VECTOR_SPURIOUS, spurious_isr

    // The local APIC: enabled by SVR bit 8, and its pin LINT0 in mode ExtINT
    // and unmasked. This is the "virtual wire" through which the 8259 reaches
    // the CPU.
    mov $LAPIC_BASE, %ebx
    movl $0x100 | VECTOR_SPURIOUS, LAPIC_SVR(%rbx)
    movl $0x700, LAPIC_LVT_LINT0(%rbx)
    movl $0, LAPIC_TPR(%rbx)

    // With the 8259 masked nothing can come, so interrupts may be on. They are
    // off again from the CLI on: the story of the first interrupt will name it
    // as what held the request back.
    OUTB 0x21, 0xFF // OCW1: all masked
    sti
    nop
    cli

    // 1. A timer interrupt through the 8259.
    // Channel 0 of the PIT in mode 0: OUT goes low at once and rises when the
    // count has run out. IF=0 the whole time, so the request has to wait: the
    // loop sees it as bit 0 of the 8259's IRR.
    OUTB 0x43, 0x30 // channel 0, low then high byte, mode 0
    OUTB 0x20, 0x0A // OCW3: reads of port 20h give IRR
    OUTB 0x21, 0xFE // OCW1: all masked but IRQ0
    OUTB 0x40, 60   // 60 periods of 838 ns
    OUTB 0x40, 0
1:  in $0x20, %al
    test $1, %al
    jz 1b
    // The request is in the 8259 and at the CPU, held by IF=0. STI holds it
    // for one instruction more; it is taken after the NOP.
    sti
    nop
    cli
    cmpl $1, M(pit_count)
    jne wrong

    // 2. A serial port interrupt through the IOAPIC.
    // The 8259 is masked entirely from here on. Pin 4 of the IOAPIC: fixed
    // delivery, physical destination (this CPU), edge, active high. Then the
    // UART is told to interrupt when its transmitter is empty, which it is.
    OUTB 0x21, 0xFF
    mov LAPIC_ID(%rbx), %eax
    mov $IOAPIC_BASE, %edi
    movl $0x10 + 2 * 4 + 1, (%rdi) // IOREGSEL: high half of entry 4
    mov %eax, 0x10(%rdi)           // IOWIN: the LAPIC's ID in bits 31:24
    movl $0x10 + 2 * 4, (%rdi)     // low half
    movl $VECTOR_UART, 0x10(%rdi)
    sti
    OUTB 0x3F9, 2 // IER: THRE interrupt
    WAIT_COUNT M(uart_count), 1

    // 3. The LAPIC's own timer, once: the count runs down at the bus clock
    // divided by 16 and the CPU sleeps in HLT until then.
    movl $VECTOR_TIMER, LAPIC_LVT_TIMER(%rbx)
    movl $3, LAPIC_TIMER_DIVIDE(%rbx)
    movl $100, LAPIC_TIMER_INIT(%rbx)
    WAIT_COUNT M(timer_count), 1

    // 4. An interrupt from this CPU to itself: shorthand "self", fixed. With
    // IF=1 it is taken right after the write to the ICR.
    sti
    movl $0x44000 | VECTOR_IPI, LAPIC_ICR_LOW(%rbx)
    WAIT_COUNT M(ipi_count), 1

    // 5. A software interrupt. No controller is asked, IF does not matter, and
    // there is nothing to acknowledge.
    int $VECTOR_INT80

    // Tell, and switch the machine off. Each handler counted for itself.
    PUTS "tour: pit "
    mov M(pit_count), %eax
    call put_digit
    PUTS ", ioapic "
    mov M(uart_count), %eax
    call put_digit
    PUTS ", lapic "
    mov M(timer_count), %eax
    call put_digit
    PUTS ", ipi "
    mov M(ipi_count), %eax
    call put_digit
    PUTS ", int80 "
    mov M(int80_count), %eax
    call put_digit
    PUTS ". bye\n"
    POWER_OFF
END main

// The PIT's interrupt came through the 8259: the end of interrupt goes there
// (OCW2, non-specific EOI). The LAPIC only passed the INTR on, as ExtINT, and
// has no bit in service.
FUNC pit_isr
    push %rax
    incl M(pit_count)
    mov $0x20, %al
    out %al, $0x20
    pop %rax
    iretq
END pit_isr

// Reading IIR takes the THRE request back; with IER=0 the printing at the end
// raises no more of them. The IOAPIC's message was accepted by the LAPIC, so
// the EOI goes there; as pin 4 is edge-triggered the IOAPIC does not hear of it.
FUNC uart_isr
    push %rax
    push %rdx
    incl M(uart_count)
    mov $0x3FA, %edx
    in (%dx), %al
    dec %edx
    xor %eax, %eax
    out %al, (%dx)
    movl $0, LAPIC_EOI(%rbx)
    pop %rdx
    pop %rax
    iretq
END uart_isr

// RBX is the LAPIC's base for the whole of main, so the handlers may use it.
FUNC timer_isr
    incl M(timer_count)
    movl $0, LAPIC_EOI(%rbx)
    iretq
END timer_isr

FUNC ipi_isr
    incl M(ipi_count)
    movl $0, LAPIC_EOI(%rbx)
    iretq
END ipi_isr

// A software interrupt sets no in-service bit anywhere: no EOI.
FUNC int80_isr
    incl M(int80_count)
    iretq
END int80_isr

// The spurious vector is not in service either: no EOI.
FUNC spurious_isr
    iretq
END spurious_isr

// EAX below 10.
FUNC put_digit
    add $'0', %eax
    call serial_putc
    ret
END put_digit

FUNC wrong
    PUTS "tour: the PIT's interrupt was not taken\n"
    EXIT 0x11
END wrong

VAR pit_count
VAR uart_count
VAR timer_count
VAR ipi_count
VAR int80_count

#include "guestlib.inc"
