/* SPDX-License-Identifier: MIT */
/*
 * A naive 8259A pair, from the datasheet (231468-003) alone: one bool per pin and bit, the
 * priority as a list. It knows nothing of time, records or buses.
 */
#ifndef IRQSCOPE_TESTS_UNIT_MODEL_I8259_H
#define IRQSCOPE_TESTS_UNIT_MODEL_I8259_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct model_chip {
    bool line[8], edge[8], service[8], mask[8], elcr[8];
    int order[8]; /* highest priority first */
    int step;     /* ICW expected next, 0 = none */
    bool ready, single, adi, ltim, want4, x86, aeoi, sfnm, smm, rotate_aeoi, poll, show_isr;
    uint8_t icw1, icw2, icw3;
    bool out;
};

struct model_pic {
    struct model_chip chip[2];
    bool discrete;
};

static inline bool model_pic_by_level(const struct model_pic *p, int c, int n)
{
    return p->discrete ? p->chip[c].ltim : p->chip[c].elcr[n];
}

static inline bool model_pic_request(const struct model_pic *p, int c, int n)
{
    return model_pic_by_level(p, c, n) ? p->chip[c].line[n] : p->chip[c].edge[n];
}

static inline void model_pic_make_lowest(struct model_chip *k, int n)
{
    for (int i = 0; i < 8; i++) {
        k->order[i] = (n + 1 + i) % 8;
    }
}

/* Walk down the priorities; what is in service ends the walk. */
static inline int model_pic_pick(const struct model_pic *p, int c)
{
    const struct model_chip *k = &p->chip[c];
    for (int i = 0; i < 8 && k->ready && k->step == 0; i++) {
        int n = k->order[i];
        bool asks = model_pic_request(p, c, n) && !k->mask[n];
        if (k->service[n] && !(k->smm && k->mask[n])) {
            bool slave_here = c == 0 && !k->single && (k->icw3 >> n & 1);
            return asks && k->sfnm && slave_here ? n : -1;
        }
        if (asks) {
            return n;
        }
    }
    return -1;
}

static inline void model_pic_input(struct model_pic *p, int c, int n, bool level)
{
    struct model_chip *k = &p->chip[c];
    if (level && !k->line[n] && !model_pic_by_level(p, c, n)) {
        k->edge[n] = true;
    }
    if (!level) {
        k->edge[n] = false;
    }
    k->line[n] = level;
}

static inline void model_pic_settle(struct model_pic *p)
{
    p->chip[1].out = model_pic_pick(p, 1) >= 0;
    model_pic_input(p, 0, 2, p->chip[1].out);
    p->chip[0].out = model_pic_pick(p, 0) >= 0;
}

static inline void model_pic_take(struct model_pic *p, int c, int n)
{
    struct model_chip *k = &p->chip[c];
    k->edge[n] = false;
    k->service[n] = !k->aeoi || k->service[n];
    if (k->aeoi && k->rotate_aeoi) {
        model_pic_make_lowest(k, n);
    }
}

static inline uint8_t model_pic_vector(const struct model_chip *k, int n)
{
    if (k->x86) {
        return (uint8_t)(k->icw2 / 8 * 8 + n);
    }
    return (uint8_t)(k->adi ? k->icw1 / 32 * 32 + n * 4 : k->icw1 / 64 * 64 + n * 8);
}

static inline uint8_t model_pic_ack(struct model_pic *p)
{
    struct model_chip *m = &p->chip[0], *s = &p->chip[1];
    int n = model_pic_pick(p, 0);
    uint8_t vector;

    if (n < 0) {
        vector = model_pic_vector(m, 7);
    } else {
        bool cascaded = !m->single && (m->icw3 >> n & 1);
        model_pic_take(p, 0, n);
        if (!cascaded) {
            vector = model_pic_vector(m, n);
        } else if (n != 2 || !s->ready || s->step || s->single || s->icw3 % 8 != 2) {
            vector = 0xff;
        } else {
            int k = model_pic_pick(p, 1);
            if (k >= 0) {
                model_pic_take(p, 1, k);
            }
            vector = model_pic_vector(s, k < 0 ? 7 : k);
        }
        if (cascaded && n == 2) {
            model_pic_input(p, 0, 2, false); /* INTA lowers the slave's INT */
        }
    }
    model_pic_settle(p);
    return vector;
}

static inline void model_pic_eoi(struct model_chip *k, int n, bool rotate)
{
    if (n >= 0) {
        k->service[n] = false;
        if (rotate) {
            model_pic_make_lowest(k, n);
        }
    }
}

static inline void model_pic_command(struct model_pic *p, int c, uint8_t v)
{
    struct model_chip *k = &p->chip[c];
    if (v & 0x10) { /* ICW1 */
        struct model_chip fresh = {.ready = k->ready, .out = k->out, .step = 2, .icw1 = v};
        memcpy(fresh.line, k->line, sizeof(fresh.line));
        memcpy(fresh.elcr, k->elcr, sizeof(fresh.elcr));
        fresh.want4 = v & 1, fresh.single = v & 2, fresh.adi = v & 4, fresh.ltim = v & 8;
        fresh.icw3 = c ? 7 : 0;
        model_pic_make_lowest(&fresh, 7);
        *k = fresh;
    } else if (v & 8) { /* OCW3 */
        if (v & 0x40) {
            k->smm = v & 0x20;
        }
        if (v & 4) {
            k->poll = true;
        }
        if (v & 2) {
            k->show_isr = v & 1;
        }
    } else { /* OCW2 */
        bool rotate = v & 0x80, specific = v & 0x40, eoi = v & 0x20;
        int n = v % 8;
        if (eoi && !specific) {
            n = -1;
            for (int i = 7; i >= 0; i--) {
                if (k->service[k->order[i]] && !(k->smm && k->mask[k->order[i]])) {
                    n = k->order[i];
                }
            }
        }
        if (eoi) {
            model_pic_eoi(k, n, rotate);
        } else if (rotate && specific) {
            model_pic_make_lowest(k, n);
        } else if (!specific) {
            k->rotate_aeoi = rotate;
        }
    }
    model_pic_settle(p);
}

static inline void model_pic_data(struct model_pic *p, int c, uint8_t v)
{
    struct model_chip *k = &p->chip[c];
    int step = k->step;
    if (step == 0) {
        for (int n = 0; n < 8; n++) {
            k->mask[n] = v >> n & 1;
        }
    } else if (step == 2) {
        k->icw2 = v;
        k->step = !k->single ? 3 : k->want4 ? 4 : 0;
    } else if (step == 3) {
        k->icw3 = v;
        k->step = k->want4 ? 4 : 0;
    } else {
        k->x86 = v & 1, k->aeoi = v & 2, k->sfnm = v & 16;
        k->step = 0;
    }
    k->ready |= step != 0 && k->step == 0;
    model_pic_settle(p);
}

static inline uint8_t model_pic_bits(const bool *bits)
{
    uint8_t v = 0;
    for (int n = 0; n < 8; n++) {
        v = (uint8_t)(v | bits[n] << n);
    }
    return v;
}

static inline uint8_t model_pic_read(struct model_pic *p, int c, bool data)
{
    struct model_chip *k = &p->chip[c];
    if (k->poll) {
        int n = model_pic_pick(p, c);
        k->poll = false;
        if (n < 0) {
            return 0;
        }
        model_pic_take(p, c, n);
        if (c == 1) {
            model_pic_input(p, 0, 2, false);
        }
        model_pic_settle(p);
        return (uint8_t)(0x80 + n);
    }
    if (data) {
        return model_pic_bits(k->mask);
    }
    if (k->show_isr) {
        return model_pic_bits(k->service);
    }
    bool irr[8];
    for (int n = 0; n < 8; n++) {
        irr[n] = model_pic_request(p, c, n);
    }
    return model_pic_bits(irr);
}

static inline void model_pic_elcr(struct model_pic *p, int c, uint8_t v)
{
    v &= c ? 0xde : 0xf8;
    for (int n = 0; n < 8; n++) {
        p->chip[c].elcr[n] = v >> n & 1;
        if (!p->discrete && p->chip[c].elcr[n]) {
            p->chip[c].edge[n] = false;
        }
    }
    model_pic_settle(p);
}

static inline void model_pic_init(struct model_pic *p, bool discrete)
{
    memset(p, 0, sizeof(*p));
    p->discrete = discrete;
    model_pic_make_lowest(&p->chip[0], 7);
    model_pic_make_lowest(&p->chip[1], 7);
}

#endif
