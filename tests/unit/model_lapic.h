/* SPDX-License-Identifier: MIT */
/*
 * A naive local APIC, from the SDM's chapter 11 alone: one bool per vector, priorities found by
 * looking at all of them, the timer counted tick by tick.
 */
#ifndef IRQSCOPE_TESTS_UNIT_MODEL_LAPIC_H
#define IRQSCOPE_TESTS_UNIT_MODEL_LAPIC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct model_lapic {
    bool irr[256], isr[256], tmr[256], post[256], post_level[256];
    uint8_t tpr, esr, errors;
    bool enabled, fired, lint0, lint0_open, extint;
    uint32_t svr_vector;
    struct {
        uint8_t vector;
        bool masked, periodic;
    } timer, error;
    uint32_t initial, count, prescale, divide;
    bool running;
    unsigned broadcasts;
};

static inline int model_lapic_top(const bool *bits)
{
    int top = -1;
    for (int v = 0; v < 256; v++) {
        if (bits[v]) {
            top = v;
        }
    }
    return top;
}

static inline int model_lapic_ppr(const struct model_lapic *m)
{
    int top = model_lapic_top(m->isr), in_service = top < 0 ? 0 : top / 16;
    return m->tpr / 16 >= in_service ? m->tpr : in_service * 16;
}

static inline int model_lapic_ready(const struct model_lapic *m)
{
    int top = model_lapic_top(m->irr);
    return top >= 0 && top / 16 > model_lapic_ppr(m) / 16 ? top : -1;
}

static inline bool model_lapic_hard(const struct model_lapic *m)
{
    return (m->lint0 && m->lint0_open) || m->extint || model_lapic_ready(m) >= 0;
}

static inline void model_lapic_error(struct model_lapic *m, uint8_t bits);

static inline void model_lapic_accept(struct model_lapic *m, int v, bool level)
{
    if (v < 16) {
        model_lapic_error(m, 0x40);
    } else {
        m->irr[v] = true;
        m->tmr[v] = level;
    }
}

static inline void model_lapic_error(struct model_lapic *m, uint8_t bits)
{
    m->errors |= bits;
    if (!m->error.masked && !m->fired) {
        m->fired = true;
        model_lapic_accept(m, m->error.vector, false);
    }
}

/* A message arrives; true if it is taken. */
static inline bool model_lapic_post(struct model_lapic *m, int v, bool level)
{
    if (m->enabled) {
        m->post[v] = true;
        m->post_level[v] = level;
    }
    return m->enabled;
}

static inline void model_lapic_fold(struct model_lapic *m)
{
    for (int v = 0; v < 256; v++) {
        if (m->post[v]) {
            m->post[v] = false;
            model_lapic_accept(m, v, m->post_level[v]);
        }
    }
}

static inline int model_lapic_ack(struct model_lapic *m)
{
    if ((m->lint0 && m->lint0_open) || m->extint) {
        m->extint = false;
        return -1; /* the 8259 answers */
    }
    int v = model_lapic_ready(m);
    if (v < 0) {
        return (int)m->svr_vector;
    }
    m->irr[v] = false;
    m->isr[v] = true;
    return v;
}

static inline void model_lapic_eoi(struct model_lapic *m)
{
    int v = model_lapic_top(m->isr);
    if (v >= 0) {
        m->isr[v] = false;
        m->broadcasts += m->tmr[v];
    }
}

static inline void model_lapic_svr(struct model_lapic *m, uint32_t value)
{
    m->svr_vector = value & 0xff;
    m->enabled = value & 0x100;
    if (!m->enabled) {
        m->timer.masked = m->error.masked = true;
        m->lint0_open = false;
    }
}

static inline void model_lapic_start(struct model_lapic *m, uint32_t initial)
{
    m->initial = m->count = initial;
    m->prescale = 0;
    m->running = initial != 0;
}

static inline void model_lapic_tick(struct model_lapic *m)
{
    if (!m->running || ++m->prescale < m->divide) {
        return;
    }
    m->prescale = 0;
    if (--m->count == 0) {
        m->running = m->timer.periodic;
        m->count = m->running ? m->initial : 0;
        if (!m->timer.masked) {
            model_lapic_accept(m, m->timer.vector, false);
        }
    }
}

static inline void model_lapic_divide(struct model_lapic *m, uint32_t divide)
{
    if (m->divide != divide) {
        m->divide = divide;
        m->prescale = 0;
    }
}

static inline void model_lapic_init(struct model_lapic *m)
{
    memset(m, 0, sizeof(*m));
    m->svr_vector = 0xff;
    m->timer.masked = m->error.masked = true;
    m->divide = 2;
}

#endif
