/* SPDX-License-Identifier: MIT */
/*
 * Can a halted PC wake? The question behind the verdict "halted for ever".
 *
 * HLT ends with an enabled interrupt, NMI, SMI, INIT or reset (Intel SDM Vol. 2A, order no. 325383, "HLT - Halt"). While every CPU
 * halts nobody can write a register, so the controllers' state is what it is: it suffices to look at each source that time or the outside may
 * still move, and at the way from there to a CPU.
 *
 * Modelled: PIT channel 0, RTC, COM1 (character timeout, and input if it may come), local APIC timer, IOAPIC redelivery in transit;
 * ways through the 8259s and LINT0, and through the IOAPIC to a local APIC.
 * Not modelled: nothing else on this board moves by itself.
 * Deviations: says true when in doubt (a source that may fall rather than rise, say); the run then goes on until it is known.
 */
#include "firmware/pc_board.h"

#define REG_B_ENABLES 0x70 /* PIE, AIE, UIE. MC146818A, "Register B" */
#define RTC_REG_B     0x0b
#define IER_ERBFI     0x01 /* PC16550D, "Interrupt Enable Register" */
#define LVT_MASKED    (1u << 16)
#define SVR_ENABLE    (1u << 8)

/* How far a request can get now. */
enum wake_path {
    PATH_NONE = 0,
    PATH_MASKABLE = 1, /* waits for IF */
    PATH_ALWAYS = 2,   /* NMI, SMI or INIT */
};

static uint32_t reg_of(const struct lapic *lapic, enum lapic_reg reg)
{
    return lapic->regs[(unsigned)reg / 4];
}

static bool above_ppr(const struct lapic *lapic, uint8_t vector)
{
    return vector < 16 || (vector & 0xf0) > (lapic_get_ppr(lapic) & 0xf0);
}

/* Where a message of this delivery mode and vector gets at one local APIC. */
static unsigned delivery_path(const struct lapic *lapic, enum apic_delivery delivery,
                              uint8_t vector)
{
    if (!(lapic->base & LAPIC_BASE_ENABLE)) {
        return PATH_NONE;
    }
    switch (delivery) {
    case APIC_DELIVERY_FIXED:
    case APIC_DELIVERY_LOWEST:
        return (reg_of(lapic, LAPIC_REG_SVR) & SVR_ENABLE) && above_ppr(lapic, vector)
                   ? PATH_MASKABLE
                   : PATH_NONE;
    case APIC_DELIVERY_EXTINT:
        return PATH_MASKABLE;
    case APIC_DELIVERY_SMI:
    case APIC_DELIVERY_NMI:
    case APIC_DELIVERY_INIT:
        return PATH_ALWAYS;
    case APIC_DELIVERY_RESERVED:
    case APIC_DELIVERY_STARTUP:
        break;
    }
    return PATH_NONE;
}

static unsigned pic_path(const struct pc_board *board, uint8_t pin)
{
    const struct lapic *lapic = &board->lapic[0];
    if (!i8259_pin_open(&board->pic, pin)) {
        return PATH_NONE;
    }
    if (lapic_extint_open(lapic)) {
        return PATH_MASKABLE;
    }
    uint32_t lvt = reg_of(lapic, LAPIC_REG_LVT_LINT0);
    return lvt & LVT_MASKED ? PATH_NONE
                            : delivery_path(lapic, (enum apic_delivery)(lvt >> 8 & 7), lvt & 0xff);
}

static unsigned ioapic_path(const struct pc_board *board, uint8_t pin)
{
    if (!ioapic_pin_open(&board->ioapic, pin)) {
        return PATH_NONE;
    }
    uint64_t rte = board->ioapic.rte[pin];
    if ((rte & IOAPIC_RTE_LEVEL) && (rte & IOAPIC_RTE_REMOTE_IRR)) {
        return PATH_NONE; /* waits for an EOI, which only a CPU can write */
    }
    struct apic_msg msg = {
        .dest = (uint32_t)(rte >> 56),
        .dest_mode = rte & IOAPIC_RTE_LOGICAL ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL,
        .delivery = (enum apic_delivery)(rte >> 8 & 7),
        .vector = (vector_t)(rte & IOAPIC_RTE_VECTOR),
    };
    unsigned path = PATH_NONE;
    for (unsigned i = 0; i < board->ncpus; i++) {
        if (lapic_match(&board->lapic[i], &msg)) {
            path |= delivery_path(&board->lapic[i], msg.delivery, msg.vector);
        }
    }
    return path;
}

static unsigned source_path(const struct pc_board *board, uint16_t source)
{
    unsigned path = PATH_NONE;
    for (size_t i = 0; i < board_nwires; i++) {
        const struct board_wire *wire = &board_wires[i];
        if (wire->source == source) {
            path |= wire->pic_pin == BOARD_NO_PIN ? PATH_NONE : pic_path(board, wire->pic_pin);
            path |=
                wire->ioapic_pin == BOARD_NO_PIN ? PATH_NONE : ioapic_path(board, wire->ioapic_pin);
        }
    }
    return path;
}

bool board_can_wake(const struct pc_board *board, bool input)
{
    unsigned path = PATH_NONE, wanted = PATH_ALWAYS;

    for (unsigned i = 0; i < board->ncpus; i++) {
        if (cpu_get_eflags(board->cpu[i]) & EFLAGS_IF) {
            wanted |= PATH_MASKABLE;
        }
        if (lapic_timer_open(&board->lapic[i])) {
            path |= PATH_MASKABLE;
        }
    }
    if (clock_event_armed(&board->pit.edge)) {
        path |= source_path(board, BOARD_SOURCE_PIT0);
    }
    /* A line that is up already stays up: only a CPU can quiet the device. */
    if ((board->rtc.ram[RTC_REG_B] & REG_B_ENABLES) && !board->rtc.irq.level) {
        path |= source_path(board, BOARD_SOURCE_RTC);
    }
    bool receive = input && (board->uart0.ier & IER_ERBFI);
    if ((receive || clock_event_armed(&board->uart0.timeout)) && !board->uart0.irq.level) {
        path |= source_path(board, BOARD_SOURCE_UART0);
    }
    if (clock_event_armed(&board->ioapic.redeliver_event)) {
        path |= PATH_MASKABLE;
    }
    return path & wanted;
}
