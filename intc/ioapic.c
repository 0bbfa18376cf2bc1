/* SPDX-License-Identifier: MIT */
/*
 * IOAPIC: pins in, MSI writes out.
 *
 * Intel "82093AA I/O Advanced Programmable Interrupt Controller (IOAPIC)" datasheet, order no.
 * 290566-001. Version 20h and its EOI register: Intel "I/O Controller Hub 9 (ICH9) Family
 * Datasheet", order no. 316972, 13.5 "Advanced Programmable Interrupt Controller Registers".
 *
 * Modelled: IOREGSEL, IOWIN, ID, version, arbitration, 24 redirection entries with polarity, edge
 * and level, Remote IRR, EOI by broadcast and (version 20h) by register; shared pins by bitmap of
 * sources. A message is a 32-bit store to FEExxxxxh; whoever decodes the window finds the targets
 * and answers through bus_attrs.result.
 * Readings taken where the datasheet leaves room: NMI, SMI, INIT and ExtINT entries are edge
 * whatever bit 15 says; an edge on a masked pin is lost; a write to an entry never makes an edge,
 * also when it turns the polarity; switching to edge clears Remote IRR; unmasking an asserted
 * level pin delivers; after an EOI a pin that is still asserted sends again `redeliver` ns later
 * (hold "transit"). A store that is narrower than 32 bits merges with the register; reserved
 * registers read as 0.
 * Not modelled: delivery status (bit 12) reads 0, as a message is never left pending; resample
 * notifiers at EOI.
 * Deviations: a level request that no local APIC accepts leaves Remote IRR clear and is sent again
 * at the pin's or its entry's next change, not continuously; such an edge request is lost, as a
 * posted write is.
 */
#include "intc/ioapic.h"

#include <string.h>

#include "bus/assert.h"
#include "intc/apic_msg.h"
#include "intc/trace_events.h"

#define IOAPIC_REGSEL_OFF 0x00
#define IOAPIC_WIN_OFF    0x10
#define IOAPIC_EOI_OFF    0x40
#define IOAPIC_REG_ID     0x00
#define IOAPIC_REG_VER    0x01
#define IOAPIC_REG_ARB    0x02
#define IOAPIC_REG_RTE    0x10
#define IOAPIC_WINDOW     0x1000

/*
 * Writable bits of an entry: all but delivery status, Remote IRR and the reserved ones. 82093AA
 * 3.2.4 "IOREDTBL".
 */
#define IOAPIC_RTE_RW 0xff0000000001afffull

static enum apic_delivery rte_delivery(uint64_t rte)
{
    return (enum apic_delivery)((rte & IOAPIC_RTE_DELIVERY) >> 8);
}

/* Level triggered in effect: only Fixed and Lowest Priority may be. */
static bool rte_is_level(uint64_t rte)
{
    return (rte & IOAPIC_RTE_LEVEL) &&
           (rte_delivery(rte) == APIC_DELIVERY_FIXED || rte_delivery(rte) == APIC_DELIVERY_LOWEST);
}

static bool pin_active(const struct ioapic *io, unsigned pin)
{
    bool asserted = io->asserted >> pin & 1, low = io->wire_low >> pin & 1;
    bool active_low = io->rte[pin] & IOAPIC_RTE_ACTIVE_LOW;
    return asserted ^ low ^ active_low;
}

static void tell_hold(struct ioapic *io, unsigned pin, enum trace_hold hold,
                      enum deliver_reason result)
{
    const struct reg_writer *writer = &io->writer[pin];

    if (io->held[pin] == hold) {
        return;
    }
    io->held[pin] = (uint8_t)hold;
    if (hold != HOLD_NONE) {
        bool by_writer = hold == HOLD_IOAPIC_MASKED && writer->vtime != VTIME_NEVER;
        (void)trace_ioapic_hold(io->trace, TRACE_CPU_NONE, io->cause[pin], 0, (uint8_t)result,
                                io->index, pin, hold, by_writer ? writer->rip : 0);
    }
}

/*
 * Make the MSI write for a pin. Remote IRR stands before the write, so that an EOI inside it finds
 * it.
 */
static void send_message(struct ioapic *io, unsigned pin, cause_t ref)
{
    uint64_t rte = io->rte[pin];
    bool level = rte_is_level(rte);
    struct deliver_result result = {0};
    gpa_t addr;
    uint32_t data;

    const struct apic_msg msg = {
        .dest = (uint32_t)(rte >> 56),
        .dest_mode = rte & IOAPIC_RTE_LOGICAL ? APIC_DEST_LOGICAL : APIC_DEST_PHYSICAL,
        .delivery = rte_delivery(rte),
        .vector = (vector_t)(rte & IOAPIC_RTE_VECTOR),
        .trigger = level ? APIC_TRIGGER_LEVEL : APIC_TRIGGER_EDGE,
        .assert_level = APIC_ASSERT,
        .redirection_hint = rte_delivery(rte) == APIC_DELIVERY_LOWEST,
    };
    msi_encode(&msg, &addr, &data);

    io->latched &= ~(1u << pin);
    if (level) {
        io->rte[pin] |= IOAPIC_RTE_REMOTE_IRR;
    }
    io->held[pin] = HOLD_NONE;
    cause_t rec = trace_ioapic_msg(io->trace, TRACE_CPU_NONE, io->cause[pin], ref, 0, io->index,
                                   pin, addr, data);
    const struct bus_attrs attrs = {
        .requester = IRQ_REQ_IOAPIC + io->index,
        .cause = rec,
        .result = &result,
    };
    stl_le_phys(io->bus, addr, data, &attrs);
    if (result.accepted + result.posted + result.coalesced == 0) {
        if (level) {
            io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
        }
        tell_hold(io, pin, HOLD_APIC_OFF, result.reason ? result.reason : DELIVER_NO_TARGET);
    }
}

/*
 * Look at a pin: send what can be sent, or tell why not. ref: earlier record that a repeated
 * delivery joins.
 */
static void ioapic_service(struct ioapic *io, unsigned pin, cause_t ref)
{
    uint64_t rte = io->rte[pin];
    bool level = rte_is_level(rte);

    if (level ? !pin_active(io, pin) : !(io->latched >> pin & 1)) {
        return;
    }
    if (rte & IOAPIC_RTE_MASKED) {
        io->latched &= ~(1u << pin); /* an edge on a masked pin is lost */
        tell_hold(io, pin, HOLD_IOAPIC_MASKED, level ? DELIVER_PENDING : DELIVER_MASKED);
    } else if (level && (rte & IOAPIC_RTE_REMOTE_IRR)) {
        tell_hold(io, pin, HOLD_REMOTE_IRR, DELIVER_PENDING);
    } else if (level && io->redeliver_at[pin] != VTIME_NEVER) {
        tell_hold(io, pin, HOLD_TRANSIT, DELIVER_PENDING);
    } else {
        send_message(io, pin, ref);
    }
}

/* What will become of a pin that just turned active, for its record. */
static uint8_t pin_outcome(const struct ioapic *io, unsigned pin)
{
    uint64_t rte = io->rte[pin];

    if (rte & IOAPIC_RTE_MASKED) {
        return DELIVER_MASKED;
    }
    bool waits = (rte & IOAPIC_RTE_REMOTE_IRR) || io->redeliver_at[pin] != VTIME_NEVER;
    return rte_is_level(rte) && waits ? DELIVER_PENDING : DELIVER_OK;
}

void ioapic_set_irq(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause)
{
    struct ioapic *io = opaque;

    if (pin >= IOAPIC_PINS) {
        return;
    }
    uint64_t bit = 1ull << (source & 63);
    bool was_active = pin_active(io, pin);
    if (level) {
        io->asserters[pin] |= bit;
    } else {
        io->asserters[pin] &= ~bit;
    }
    uint32_t pin_bit = 1u << pin;
    io->asserted = io->asserters[pin] ? io->asserted | pin_bit : io->asserted & ~pin_bit;

    bool active = pin_active(io, pin);
    if (active && !was_active) {
        io->cause[pin] = trace_ioapic_pin(io->trace, TRACE_CPU_NONE, cause, 0, pin_outcome(io, pin),
                                          io->index, pin, true, io->rte[pin]);
        if (!rte_is_level(io->rte[pin])) {
            io->latched |= pin_bit;
        } else {
            io->held[pin] = HOLD_NONE; /* a new episode tells its holds anew */
        }
        ioapic_service(io, pin, 0);
    } else if (!active && was_active && rte_is_level(io->rte[pin])) {
        (void)trace_ioapic_pin(io->trace, TRACE_CPU_NONE, cause, io->cause[pin], 0, io->index, pin,
                               false, io->rte[pin]);
        io->held[pin] = HOLD_NONE;
    }
    ioapic_check(io);
}

/* Arm the one event for the earliest pin in transit. */
static void arm_redeliver(struct ioapic *io)
{
    vtime_t first = VTIME_NEVER;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (io->redeliver_at[pin] < first) {
            first = io->redeliver_at[pin];
        }
    }
    if (first == VTIME_NEVER) {
        clock_disarm(io->clock, &io->redeliver_event);
    } else if (io->redeliver_event.deadline != first) {
        clock_arm(io->clock, &io->redeliver_event, first);
    }
}

static void redeliver_due(void *opaque, vtime_t deadline)
{
    struct ioapic *io = opaque;

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        if (io->redeliver_at[pin] <= deadline) {
            io->redeliver_at[pin] = VTIME_NEVER;
            ioapic_service(io, pin, io->cause[pin]);
        }
    }
    arm_redeliver(io);
    ioapic_check(io);
}

void ioapic_eoi(struct ioapic *io, vector_t vector, cause_t cause)
{
    uint32_t ended = 0;

    /* All state first: servicing a pin below may come back here. */
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t rte = io->rte[pin];
        if ((rte & IOAPIC_RTE_VECTOR) != vector || !(rte & IOAPIC_RTE_LEVEL) ||
            !(rte & IOAPIC_RTE_REMOTE_IRR)) {
            continue;
        }
        io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
        ended |= 1u << pin;
        bool again = rte_is_level(rte) && pin_active(io, pin);
        (void)trace_ioapic_eoi(io->trace, TRACE_CPU_NONE, cause, io->cause[pin], 0, io->index, pin,
                               vector, again);
        if (again && io->redeliver != 0) {
            io->redeliver_at[pin] = io->clock->now + io->redeliver;
        }
    }
    arm_redeliver(io);
    for (unsigned pin = 0; ended >> pin; pin++) {
        if (ended >> pin & 1) {
            ioapic_service(io, pin, io->cause[pin]);
        }
    }
    ioapic_check(io);
}

bool ioapic_pin_open(const struct ioapic *io, uint16_t pin)
{
    return pin < IOAPIC_PINS && !(io->rte[pin] & IOAPIC_RTE_MASKED);
}

static uint32_t read_register(const struct ioapic *io, uint8_t reg)
{
    switch (reg) {
    case IOAPIC_REG_ID:
    case IOAPIC_REG_ARB:
        return (uint32_t)io->id << 24;
    case IOAPIC_REG_VER:
        return io->version | (IOAPIC_PINS - 1u) << 16;
    default:
        if (reg >= IOAPIC_REG_RTE && reg < IOAPIC_REG_RTE + 2 * IOAPIC_PINS) {
            unsigned pin = (reg - IOAPIC_REG_RTE) / 2u;
            return (uint32_t)(io->rte[pin] >> (reg & 1 ? 32 : 0));
        }
        return 0;
    }
}

static void write_rte(struct ioapic *io, unsigned pin, bool high, uint32_t value,
                      const struct bus_attrs *attrs)
{
    uint64_t old = io->rte[pin];
    uint64_t rw = IOAPIC_RTE_RW & (high ? 0xffffffff00000000ull : 0xffffffffull);
    uint64_t rte = (old & ~rw) | ((high ? (uint64_t)value << 32 : value) & rw);

    io->writer[pin] = (struct reg_writer){attrs->rip, io->clock->now, attrs->requester};
    if (!(rte & IOAPIC_RTE_LEVEL)) {
        rte &= ~IOAPIC_RTE_REMOTE_IRR;
    }
    bool was_level_active = rte_is_level(old) && pin_active(io, pin);
    io->rte[pin] = rte;
    if (!rte_is_level(rte) || !pin_active(io, pin)) {
        io->held[pin] = HOLD_NONE;
        io->redeliver_at[pin] = VTIME_NEVER;
        arm_redeliver(io);
    } else {
        if (!was_level_active) { /* the entry, not the wire, starts this episode */
            io->cause[pin] =
                trace_ioapic_pin(io->trace, TRACE_CPU_NONE, attrs->cause, io->cause[pin],
                                 pin_outcome(io, pin), io->index, pin, true, rte);
        }
        ioapic_service(io, pin, was_level_active ? attrs->cause : 0);
    }
}

static void write_register(struct ioapic *io, uint8_t reg, uint32_t value,
                           const struct bus_attrs *attrs)
{
    if (reg == IOAPIC_REG_ID) {
        io->id = value >> 24 & 0x0f;
    } else if (reg >= IOAPIC_REG_RTE && reg < IOAPIC_REG_RTE + 2 * IOAPIC_PINS) {
        write_rte(io, (reg - IOAPIC_REG_RTE) / 2u, reg & 1, value, attrs);
    }
}

static uint32_t read_dword(const struct ioapic *io, uint64_t off)
{
    switch (off) {
    case IOAPIC_REGSEL_OFF:
        return io->ioregsel;
    case IOAPIC_WIN_OFF:
        return read_register(io, io->ioregsel);
    default:
        return 0;
    }
}

/* size is at most 4: the bus splits wider accesses. Bytes past the register read as 0. */
static uint64_t ioapic_mmio_read(void *opaque, uint64_t off, unsigned size,
                                 const struct bus_attrs *attrs)
{
    const struct ioapic *io = opaque;
    uint32_t value = read_dword(io, off & ~3ull) >> (off & 3) * 8;

    (void)attrs;
    return size >= 4 ? value : value & ((1u << size * 8) - 1);
}

static void ioapic_mmio_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                              const struct bus_attrs *attrs)
{
    struct ioapic *io = opaque;
    unsigned shift = (unsigned)(off & 3) * 8;
    uint32_t bytes = (size >= 4 ? 0xffffffffu : (1u << size * 8) - 1) << shift;
    uint32_t given = (uint32_t)value << shift & bytes;

    switch (off & ~3ull) {
    case IOAPIC_REGSEL_OFF:
        if (bytes & 0xff) {
            io->ioregsel = (uint8_t)given;
        }
        break;
    case IOAPIC_WIN_OFF:
        write_register(io, io->ioregsel, (read_register(io, io->ioregsel) & ~bytes) | given, attrs);
        break;
    case IOAPIC_EOI_OFF:
        if (io->version >= 0x20 && (bytes & 0xff)) {
            ioapic_eoi(io, (vector_t)given, attrs->cause);
        }
        break;
    default:
        break;
    }
    ioapic_check(io);
}

void ioapic_init(struct ioapic *io, uint8_t index, uint32_t gsi_base, uint8_t version,
                 struct bus *bus, struct trace *trace, struct clock *clock)
{
    memset(io, 0, sizeof(*io));
    io->index = index;
    io->version = version;
    io->gsi_base = gsi_base;
    io->bus = bus;
    io->trace = trace;
    io->clock = clock;
    io->redeliver = IOAPIC_REDELIVER_NS;
    clock_event_init(&io->redeliver_event, "ioapic redeliver", redeliver_due, io);
    ioapic_reset(io);
}

void ioapic_reset(struct ioapic *io)
{
    io->id = 0;
    io->ioregsel = 0;
    io->latched = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        io->rte[pin] = IOAPIC_RTE_MASKED;
        io->cause[pin] = 0;
        io->held[pin] = HOLD_NONE;
        io->redeliver_at[pin] = VTIME_NEVER;
        io->writer[pin] = (struct reg_writer){.vtime = VTIME_NEVER};
    }
    clock_disarm(io->clock, &io->redeliver_event);
    ioapic_check(io);
}

int ioapic_map(struct ioapic *io, gpa_t base, struct error *err)
{
    const struct mmio_dev dev = {"ioapic", ioapic_mmio_read, ioapic_mmio_write, io, 4, 4};
    return bus_map(io->bus, base, IOAPIC_WINDOW, &dev, err);
}

void ioapic_check(const struct ioapic *io)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t rte = io->rte[pin];

        irq_check(!(rte & IOAPIC_RTE_REMOTE_IRR) || (rte & IOAPIC_RTE_LEVEL));
        irq_check((rte & ~(IOAPIC_RTE_RW | IOAPIC_RTE_REMOTE_IRR)) == 0);
        irq_check((io->asserters[pin] != 0) == (io->asserted >> pin & 1));
        irq_check(io->redeliver_at[pin] == VTIME_NEVER || clock_event_armed(&io->redeliver_event));
        (void)rte;
    }
    irq_check(io->id <= 0x0f);
}
