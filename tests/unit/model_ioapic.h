/* SPDX-License-Identifier: MIT */
/*
 * A naive IOAPIC, from the datasheet (82093AA, 290566-001) alone: one struct per pin, fields
 * instead of bits. Messages are kept in a list; `accepts` says whether somebody takes them.
 */
#ifndef IRQSCOPE_TESTS_UNIT_MODEL_IOAPIC_H
#define IRQSCOPE_TESTS_UNIT_MODEL_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct model_pin {
    uint8_t vector, mode, dest;
    bool logical, low, remote, level, masked;
    bool wire_low, sources[4];
    uint64_t wait_until; /* redelivery after an EOI, 0 = none */
};

struct model_ioapic {
    struct model_pin pin[24];
    uint64_t now, delay;
    bool accepts;
    unsigned messages;
    uint64_t last_address;
    uint32_t last_data;
};

static inline bool model_ioapic_active(const struct model_pin *p)
{
    bool asserted = p->sources[0] || p->sources[1] || p->sources[2] || p->sources[3];
    return (asserted != p->wire_low) != p->low;
}

/* Only Fixed (0) and Lowest Priority (1) may be level. */
static inline bool model_ioapic_level(const struct model_pin *p)
{
    return p->level && p->mode < 2;
}

static inline void model_ioapic_send(struct model_ioapic *m, struct model_pin *p)
{
    m->messages++;
    m->last_address =
        0xfee00000u + p->dest * 0x1000u + (p->mode == 1 ? 8u : 0u) + (p->logical ? 4u : 0u);
    m->last_data = p->vector + p->mode * 0x100u + 0x4000u + (model_ioapic_level(p) ? 0x8000u : 0u);
    if (model_ioapic_level(p)) {
        p->remote = m->accepts;
    }
}

static inline void model_ioapic_try_level(struct model_ioapic *m, struct model_pin *p)
{
    if (model_ioapic_level(p) && model_ioapic_active(p) && !p->masked && !p->remote &&
        !p->wait_until) {
        model_ioapic_send(m, p);
    }
}

static inline void model_ioapic_wire(struct model_ioapic *m, unsigned n, unsigned source,
                                     bool level)
{
    struct model_pin *p = &m->pin[n];
    bool before = model_ioapic_active(p);
    p->sources[source] = level;
    if (!before && model_ioapic_active(p)) {
        if (model_ioapic_level(p)) {
            model_ioapic_try_level(m, p);
        } else if (!p->masked) {
            model_ioapic_send(m, p);
        }
    }
}

static inline void model_ioapic_write(struct model_ioapic *m, unsigned n, bool high, uint32_t v)
{
    struct model_pin *p = &m->pin[n];
    if (high) {
        p->dest = (uint8_t)(v >> 24);
    } else {
        p->vector = (uint8_t)v, p->mode = v >> 8 & 7;
        p->logical = v >> 11 & 1, p->low = v >> 13 & 1, p->level = v >> 15 & 1,
        p->masked = v >> 16 & 1;
        p->remote = p->remote && p->level;
    }
    if (!model_ioapic_level(p) || !model_ioapic_active(p)) {
        p->wait_until = 0;
    }
    model_ioapic_try_level(m, p);
}

static inline uint32_t model_ioapic_read(const struct model_ioapic *m, unsigned n, bool high)
{
    const struct model_pin *p = &m->pin[n];
    return high ? (uint32_t)p->dest << 24
                : p->vector + p->mode * 0x100u + p->logical * 0x800u + p->low * 0x2000u +
                      p->remote * 0x4000u + p->level * 0x8000u + p->masked * 0x10000u;
}

static inline void model_ioapic_eoi(struct model_ioapic *m, uint8_t vector)
{
    for (unsigned n = 0; n < 24; n++) {
        struct model_pin *p = &m->pin[n];
        if (p->vector == vector && p->level && p->remote) {
            p->remote = false;
            if (m->delay && model_ioapic_level(p) && model_ioapic_active(p)) {
                p->wait_until = m->now + m->delay;
            }
            model_ioapic_try_level(m, p);
        }
    }
}

static inline void model_ioapic_time(struct model_ioapic *m, uint64_t now)
{
    for (; m->now < now; m->now++) {
        for (unsigned n = 0; n < 24; n++) {
            struct model_pin *p = &m->pin[n];
            if (p->wait_until && p->wait_until <= m->now + 1) {
                p->wait_until = 0;
                model_ioapic_try_level(m, p);
            }
        }
    }
}

static inline void model_ioapic_init(struct model_ioapic *m)
{
    memset(m, 0, sizeof(*m));
    m->accepts = true;
    for (unsigned n = 0; n < 24; n++) {
        m->pin[n].masked = true;
    }
}

#endif
