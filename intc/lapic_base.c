/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's life: power-on, INIT, IA32_APIC_BASE; and the door that its CPU uses.
 *
 * Intel SDM Vol. 3A (order no. 325384), 11.4.3 "Enabling or Disabling the Local APIC", 11.4.4
 * "Local APIC Status and Location", 11.4.5 "Relocating the Local APIC Registers", 11.4.7 "Local
 * APIC State".
 *
 * Modelled: relocation, disabling and re-enabling (refused after the first disable on processors
 * of the 3-wire bus, if the board says so), the BSP flag as a plain bit, #GP for reserved bits.
 * Readings taken: disabling resets the registers, the id included; INIT keeps NMI, SMI and SIPI
 * messages that were posted.
 * Not modelled: x2APIC mode: setting bit 10 gives #GP.
 * Deviations: none known.
 */
#include "intc/lapic.h"

#include <string.h>

#include "intc/lapic_internal.h"

static void forget_requests(struct lapic *lapic)
{
    lapic->extint_latch = false;
    lapic->esr_pending = 0;
    lapic->error_fired = false;
    lapic->held = HOLD_NONE;
    lapic->held_vector = 0;
    memset(lapic->irr_cause, 0, sizeof(lapic->irr_cause));
    memset(lapic->isr_cause, 0, sizeof(lapic->isr_cause));
    memset(lapic->posted_cause, 0, sizeof(lapic->posted_cause));
    memset(lapic->posted_level, 0, sizeof(lapic->posted_level));
    memset(&lapic->posted, 0, sizeof(lapic->posted));
}

void lapic_reset(struct lapic *lapic, enum lapic_reset_kind kind)
{
    lapic_timer_stop(lapic);
    lapic->timer_cause = 0;
    forget_requests(lapic);
    lapic_reset_page(lapic);
    if (kind == LAPIC_RESET_POWER_ON) {
        lapic->base = LAPIC_DEFAULT_BASE | LAPIC_BASE_ENABLE | (lapic->bsp ? LAPIC_BASE_BSP : 0);
        lapic_set_reg(lapic, LAPIC_REG_ID, lapic->initial_id << 24);
        lapic->posted_events = 0;
    } else {
        lapic->posted_events &= CPU_INTERRUPT_NMI | CPU_INTERRUPT_SMI | CPU_INTERRUPT_SIPI;
        lapic->posted.control = lapic->posted_events ? 1 : 0;
    }
    lapic_lower_output(lapic);
    lapic_update(lapic);
}

void lapic_init(struct lapic *lapic, uint16_t cpu, uint32_t apic_id, bool bsp, struct clock *clock,
                struct trace *trace)
{
    memset(lapic, 0, sizeof(*lapic));
    lapic->cpu = cpu;
    lapic->initial_id = apic_id;
    lapic->clock = clock;
    lapic->trace = trace;
    lapic->phys_bits = 40;
    lapic->bsp = bsp;
    lapic_timer_init(lapic);
    clock_event_init(&lapic->fall, "lapic intr-fall", lapic_output_falls, lapic);
    lapic_reset(lapic, LAPIC_RESET_POWER_ON);
}

void lapic_set_bios_state(struct lapic *lapic)
{
    lapic_set_reg(lapic, LAPIC_REG_SVR, LAPIC_SVR_ENABLE | 0xff);
    lapic_set_reg(lapic, LAPIC_REG_LVT_LINT0, 0x8700);
    lapic_set_reg(lapic, LAPIC_REG_LVT_LINT1, 0x8400);
    lapic_update(lapic);
}

void lapic_set_eoi_suppression(struct lapic *lapic, bool supported)
{
    lapic_set_reg(lapic, LAPIC_REG_VERSION,
                  LAPIC_VERSION | (supported ? LAPIC_VERSION_EOI_SUPPRESS : 0));
    lapic_set_reg(lapic, LAPIC_REG_SVR, lapic_reg(lapic, LAPIC_REG_SVR) & ~LAPIC_SVR_EOI_SUPPRESS);
}

/*
 * IA32_APIC_BASE. SDM 11.4.3 "Enabling or Disabling the Local APIC", 11.4.5 "Relocating the Local
 * APIC Registers".
 */
static bool set_base(void *opaque, uint64_t value, const struct bus_attrs *attrs)
{
    struct lapic *lapic = opaque;
    uint64_t allowed =
        LAPIC_BASE_BSP | LAPIC_BASE_ENABLE | (((1ull << lapic->phys_bits) - 1) & ~0xfffull);

    (void)attrs;
    if (value & ~allowed) { /* LAPIC_BASE_X2APIC among them */
        return false;
    }
    bool was_enabled = lapic_globally_enabled(lapic), enable = value & LAPIC_BASE_ENABLE;
    if (enable && !was_enabled && lapic->one_way_disable) {
        value &= ~LAPIC_BASE_ENABLE;
        enable = false;
    }
    lapic->base = value;
    if (was_enabled && !enable) {
        lapic->posted_events = 0;
        lapic_reset(lapic, LAPIC_RESET_INIT);
        lapic_set_reg(lapic, LAPIC_REG_ID, lapic->initial_id << 24);
    }
    lapic_update(lapic);
    return true;
}

static uint64_t get_base(void *opaque)
{
    const struct lapic *lapic = opaque;
    return lapic->base;
}

static struct intr_ack source_ack(void *opaque, const struct bus_attrs *attrs)
{
    return lapic_ack(opaque, attrs);
}

static void source_fold(void *opaque)
{
    lapic_fold(opaque);
}

static bool apic_window(void *opaque, gpa_t gpa)
{
    const struct lapic *lapic = opaque;
    gpa_t page = lapic->base & ~0xfffull;
    return lapic_globally_enabled(lapic) && (gpa & ~0xfffull) == page;
}

static uint64_t source_read(void *opaque, uint32_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    return lapic_read(opaque, off, size, attrs);
}

static void source_write(void *opaque, uint32_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    lapic_write(opaque, off, size, value, attrs);
}

/* CR8 is TPR[7:4]. SDM 11.8.6 "Task Priority in IA-32e Mode". */
static uint8_t get_tpr(void *opaque)
{
    const struct lapic *lapic = opaque;
    return (uint8_t)(lapic_reg(lapic, LAPIC_REG_TPR) >> 4 & 0xf);
}

static void set_tpr(void *opaque, uint8_t cr8, const struct bus_attrs *attrs)
{
    lapic_write(opaque, LAPIC_REG_TPR, 4, (uint64_t)(cr8 & 0xf) << 4, attrs);
}

static void cpu_init(void *opaque)
{
    lapic_reset(opaque, LAPIC_RESET_INIT);
}

const struct intr_source_ops lapic_intr_source_ops = {
    .ack = source_ack,
    .fold = source_fold,
    .apic_window = apic_window,
    .apic_read = source_read,
    .apic_write = source_write,
    .get_tpr = get_tpr,
    .set_tpr = set_tpr,
    .get_base = get_base,
    .set_base = set_base,
    .cpu_init = cpu_init,
};
