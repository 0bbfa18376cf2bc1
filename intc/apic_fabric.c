/* SPDX-License-Identifier: MIT */
/*
 * The APIC fabric: from a message to its targets.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.6.2 "Determining IPI Destination", 11.11 "Message
 * Signalled Interrupts".
 *
 * Modelled: the device-side MSI window, physical and logical destinations, shorthands (by the
 * sender's identity, not its id register), lowest priority, the redirection hint, EOI broadcast to
 * every IOAPIC. All messages reach a local APIC through lapic_post().
 * Readings taken: lowest priority chooses the lowest TPR class among the matching APICs that are
 * enabled in SVR and IA32_APIC_BASE, the lowest CPU index among equals; there is no focus
 * processor. A redirection hint chooses one target in the same way, whatever the delivery mode,
 * but only with logical destinations. The window takes aligned 32-bit writes of devices; a CPU's
 * write that reaches it (its own APIC page is elsewhere or disabled) is ignored and recorded.
 * Not modelled: interrupt remapping and posting by an IOMMU; x2APIC destinations.
 * Deviations: none known.
 */
#include "intc/apic_fabric.h"

#include <string.h>

#include "bus/assert.h"
#include "intc/lapic_internal.h"
#include "intc/trace_events.h"

static bool is_fixed(enum apic_delivery delivery)
{
    return delivery == APIC_DELIVERY_FIXED || delivery == APIC_DELIVERY_LOWEST;
}

static bool chooses_one(const struct apic_msg *msg)
{
    return msg->delivery == APIC_DELIVERY_LOWEST ||
           (msg->redirection_hint && msg->dest_mode == APIC_DEST_LOGICAL);
}

/* Reduce a set to its enabled member of the lowest TPR class; an empty set if none is enabled. */
static uint64_t lowest_priority(const struct apic_fabric *fabric, uint64_t targets)
{
    uint64_t best = 0;
    uint32_t best_class = 16;

    for (unsigned i = 0; i < fabric->ncpus; i++) {
        const struct lapic *lapic = fabric->lapic[i];
        uint32_t task_class = lapic_reg(lapic, LAPIC_REG_TPR) >> 4 & 0xf;
        if ((targets >> i & 1) && lapic_software_enabled(lapic) && task_class < best_class) {
            best = 1ull << i;
            best_class = task_class;
        }
    }
    return best;
}

/*
 * The set of CPU indices that a message goes to. matched: whether any destination matched at all.
 */
static uint64_t find_targets(const struct apic_fabric *fabric, const struct apic_msg *msg,
                             bool *matched)
{
    uint64_t targets = 0;

    for (unsigned i = 0; i < fabric->ncpus; i++) {
        const struct lapic *lapic = fabric->lapic[i];
        bool self = lapic->cpu == msg->source, hit = false;

        switch (msg->shorthand) {
        case APIC_SHORT_NONE:
            hit = lapic_match(lapic, msg);
            break;
        case APIC_SHORT_SELF:
            hit = self;
            break;
        case APIC_SHORT_ALL:
            hit = true;
            break;
        case APIC_SHORT_OTHERS:
            hit = !self;
            break;
        }
        targets |= (uint64_t)hit << i;
    }
    *matched = targets != 0;
    return chooses_one(msg) ? lowest_priority(fabric, targets) : targets;
}

static struct deliver_result post_all(struct apic_fabric *fabric, const struct apic_msg *msg,
                                      uint64_t targets, bool matched)
{
    struct deliver_result sum = {.reason = matched ? DELIVER_DISABLED : DELIVER_NO_TARGET};
    bool first = true;

    for (unsigned i = 0; i < fabric->ncpus; i++) {
        if (!(targets >> i & 1)) {
            continue;
        }
        struct deliver_result one = lapic_post(fabric->lapic[i], msg);
        sum.accepted = (uint16_t)(sum.accepted + one.accepted);
        sum.posted = (uint16_t)(sum.posted + one.posted);
        sum.coalesced = (uint16_t)(sum.coalesced + one.coalesced);
        sum.rejected = (uint16_t)(sum.rejected + one.rejected);
        sum.pending = (uint16_t)(sum.pending + one.pending);
        if (first) {
            sum.reason = one.reason;
            first = false;
        }
    }
    if (matched && targets == 0) { /* lowest priority found no enabled candidate */
        sum.rejected = 1;
    }
    return sum;
}

struct deliver_result apic_fabric_deliver(struct apic_fabric *fabric, const struct apic_msg *msg)
{
    bool matched;
    uint64_t targets = find_targets(fabric, msg, &matched);
    return post_all(fabric, msg, targets, matched);
}

struct msi_result msi_translate(uint32_t requester, gpa_t address, uint32_t data,
                                const struct bus_attrs *attrs)
{
    struct msi_result result = {.kind = MSI_MESSAGE};

    msi_decode(address, data, attrs, &result.msg);
    result.msg.source = requester;
    /* SDM table in 11.11.2: 011b and 110b are reserved. A message is one aligned dword. */
    if (address >> 20 != MSI_WINDOW_BASE >> 20 || (address & 3) != 0 ||
        result.msg.delivery == APIC_DELIVERY_RESERVED ||
        result.msg.delivery == APIC_DELIVERY_STARTUP) {
        result.kind = MSI_FAULT;
    }
    return result;
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    (void)opaque;
    (void)off;
    (void)size;
    (void)attrs;
    return UINT64_MAX;
}

static void window_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    struct apic_fabric *fabric = opaque;
    gpa_t address = MSI_WINDOW_BASE + off;
    struct msi_result msi = msi_translate(attrs->requester, address, (uint32_t)value, attrs);
    struct deliver_result result = {.rejected = 1};
    bool from_cpu = attrs->requester <= IRQ_REQ_CPU_MAX;

    if (from_cpu || size != 4 || msi.kind == MSI_FAULT) {
        result.reason = from_cpu ? DELIVER_IGNORED : DELIVER_ILLEGAL;
        (void)trace_msi(fabric->trace, TRACE_CPU_NONE, attrs->cause, 0, result.reason, address,
                        value, msi.msg.vector, 0);
    } else {
        bool matched;
        uint64_t targets = find_targets(fabric, &msi.msg, &matched);
        uint8_t outcome = targets ? DELIVER_OK : matched ? DELIVER_DISABLED : DELIVER_NO_TARGET;

        msi.msg.cause =
            trace_msi(fabric->trace, TRACE_CPU_NONE, attrs->cause, 0, outcome, address, value,
                      is_fixed(msi.msg.delivery) ? msi.msg.vector : 0,
                      fabric->trace->enabled ? (uint64_t)__builtin_popcountll(targets) : 0);
        result = post_all(fabric, &msi.msg, targets, matched);
    }
    if (attrs->result) {
        *attrs->result = result;
    }
}

static struct deliver_result fabric_send(void *opaque, struct lapic *from,
                                         const struct apic_msg *msg)
{
    (void)from;
    return apic_fabric_deliver(opaque, msg);
}

static void fabric_eoi(void *opaque, vector_t vector, cause_t cause)
{
    struct apic_fabric *fabric = opaque;
    for (unsigned i = 0; i < fabric->nioapics; i++) {
        ioapic_eoi(fabric->ioapic[i], vector, cause);
    }
}

static struct intr_ack fabric_pic_ack(void *opaque, uint16_t cpu, cause_t cause)
{
    struct apic_fabric *fabric = opaque;
    if (!fabric->pic_ack) { /* no 8259 on this board: nobody drives the bus */
        return (struct intr_ack){.vector = 0xff, .source = INTR_ACK_PIC_SPURIOUS, .cause = cause};
    }
    return fabric->pic_ack(fabric->pic_opaque, cpu, cause);
}

static const struct lapic_ops fabric_lapic_ops = {
    .send = fabric_send,
    .eoi_broadcast = fabric_eoi,
    .pic_ack = fabric_pic_ack,
};

void apic_fabric_init(struct apic_fabric *fabric, struct trace *trace)
{
    memset(fabric, 0, sizeof(*fabric));
    fabric->trace = trace;
}

void apic_fabric_add_lapic(struct apic_fabric *fabric, struct lapic *lapic)
{
    irq_assert(fabric->ncpus < APIC_FABRIC_MAX_CPUS);
    fabric->lapic[fabric->ncpus++] = lapic;
    lapic->ops = &fabric_lapic_ops;
    lapic->ops_opaque = fabric;
}

void apic_fabric_add_ioapic(struct apic_fabric *fabric, struct ioapic *ioapic)
{
    irq_assert(fabric->nioapics < APIC_FABRIC_MAX_IOAPICS);
    fabric->ioapic[fabric->nioapics++] = ioapic;
}

int apic_fabric_map(struct apic_fabric *fabric, struct bus *bus, struct error *err)
{
    const struct mmio_dev dev = {"msi window", window_read, window_write, fabric, 4, 8};
    return bus_map(bus, MSI_WINDOW_BASE, MSI_WINDOW_SIZE, &dev, err);
}
