/* SPDX-License-Identifier: MIT */
/*
 * The 8259A pair of a PC: inputs, priority, acknowledge, outputs. The command words are in
 * i8259_regs.c.
 *
 * Intel "8259A Programmable Interrupt Controller" datasheet, order no. 231468-003; for the
 * edge/level control registers Intel "82371FB (PIIX) and 82371SB (PIIX3) PCI ISA IDE Xcelerator",
 * order no. 290550-002.
 *
 * Modelled: both chips and their cascade as a wire (the slave's INT is the master's IR2, edge or
 * level like any pin), fully nested, special fully nested and special mask modes, rotation,
 * automatic EOI, polling, level mode by ICW1.LTIM (discrete chips) or by ELCR (PIIX3), MCS-80/85
 * vectors as the second INTA pulse of an 80x86 reads them, re-initialisation at any time, the
 * default interrupts 7 and 15.
 *
 * Readings taken where the datasheet leaves room: an edge request lives in a latch that falls with
 * its input, and INT with it; the default interrupt is given only when INT was sampled and nothing
 * is left. ICW1 clears ISR. Until a chip's ICW sequence is complete its INT stays low. A poll that
 * finds nothing reads as 00h.
 * Not modelled: buffered mode (no effect on a PC), the third INTA pulse of MCS-80/85 mode.
 * Deviations: none known.
 */
#include "intc/i8259.h"

#include <string.h>

#include "bus/assert.h"
#include "intc/i8259_internal.h"
#include "intc/trace_events.h"

static uint16_t pair_irr(const struct i8259 *pic)
{
    return i8259_pair(pic->chip[I8259_MASTER].irr, pic->chip[I8259_SLAVE].irr);
}

static uint16_t pair_imr(const struct i8259 *pic)
{
    return i8259_pair(pic->chip[I8259_MASTER].imr, pic->chip[I8259_SLAVE].imr);
}

static uint16_t pair_isr(const struct i8259 *pic)
{
    return i8259_pair(pic->chip[I8259_MASTER].isr, pic->chip[I8259_SLAVE].isr);
}

static bool chip_ready(const struct i8259_chip *chip)
{
    return chip->initialised && chip->init_step == 0;
}

/* Is the cascade input an input of the pair rather than a device's? */
static bool is_cascade(unsigned which, unsigned n)
{
    return which == I8259_MASTER && n == I8259_CASCADE;
}

uint8_t i8259_level_pins(const struct i8259 *pic, unsigned which)
{
    const struct i8259_chip *chip = &pic->chip[which];
    if (pic->ltim_honoured) {
        return chip->icw1 & ICW1_LTIM ? 0xff : 0;
    }
    return chip->elcr;
}

/* 0 = highest priority. "Automatic Rotation", "Specific Rotation". */
static unsigned rank(const struct i8259_chip *chip, unsigned n)
{
    return (n - chip->lowest - 1u) & 7u;
}

uint8_t i8259_highest(const struct i8259_chip *chip, uint8_t set)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned n = (chip->lowest + i) & 7u;
        if (set >> n & 1) {
            return (uint8_t)n;
        }
    }
    return I8259_NONE;
}

/*
 * Does something in service keep level n from being acknowledged? "Fully Nested", "Special Fully
 * Nested", "Special Mask Mode".
 */
static bool blocked_by_service(const struct i8259_chip *chip, unsigned which, unsigned n)
{
    uint8_t in_service = chip->isr;
    if (chip->special_mask) {
        in_service &= (uint8_t)~chip->imr;
    }
    uint8_t top = i8259_highest(chip, in_service);
    if (top == I8259_NONE || rank(chip, n) < rank(chip, top)) {
        return false;
    }
    bool has_slave = which == I8259_MASTER && !(chip->icw1 & ICW1_SNGL) && (chip->icw3 >> n & 1);
    return !(n == top && has_slave && (chip->icw4 & ICW4_SFNM));
}

uint8_t i8259_resolve(const struct i8259 *pic, unsigned which)
{
    const struct i8259_chip *chip = &pic->chip[which];
    uint8_t n = i8259_highest(chip, chip->irr & (uint8_t)~chip->imr);
    if (n == I8259_NONE || blocked_by_service(chip, which, n)) {
        return I8259_NONE;
    }
    return n;
}

void i8259_sample(struct i8259 *pic, unsigned which, cause_t cause)
{
    struct i8259_chip *chip = &pic->chip[which];
    uint8_t by_level = i8259_level_pins(pic, which);
    uint8_t before = chip->irr;

    chip->irr = (uint8_t)((chip->level & by_level) | (chip->edge_seen & ~by_level));
    uint8_t changed = before ^ chip->irr;
    for (unsigned n = 0; changed >> n; n++) {
        if (!(changed >> n & 1)) {
            continue;
        }
        unsigned pin = which * 8 + n;
        if (chip->irr >> n & 1) {
            chip->held[n] = HOLD_NONE;
            chip->cause[n] = is_cascade(which, n)
                                 ? cause
                                 : trace_pic_request(pic->trace, TRACE_CPU_NONE, cause, 0, 0, pin,
                                                     pair_irr(pic), pair_imr(pic), pair_isr(pic));
        } else if (!(chip->isr >> n & 1) && !is_cascade(which, n)) {
            (void)trace_pic_withdraw(pic->trace, TRACE_CPU_NONE, cause, chip->cause[n], 0, pin,
                                     pair_irr(pic), pair_imr(pic), pair_isr(pic));
        }
    }
}

/* An input changed. */
static void set_input(struct i8259 *pic, unsigned which, unsigned n, bool level, cause_t cause)
{
    struct i8259_chip *chip = &pic->chip[which];
    uint8_t bit = (uint8_t)(1u << n);

    if (((chip->level & bit) != 0) == level) {
        return;
    }
    chip->level ^= bit;
    if (!level) {
        chip->edge_seen &= (uint8_t)~bit;
    } else if (!(i8259_level_pins(pic, which) & bit)) {
        chip->edge_seen |= bit;
    }
    i8259_sample(pic, which, cause);
}

void i8259_cascade(struct i8259 *pic, bool level)
{
    struct i8259_chip *slave = &pic->chip[I8259_SLAVE];
    uint8_t n = i8259_resolve(pic, I8259_SLAVE);

    slave->intr = level;
    set_input(pic, I8259_MASTER, I8259_CASCADE, level, n == I8259_NONE ? 0 : slave->cause[n]);
}

void i8259_take(struct i8259 *pic, unsigned which, uint8_t n)
{
    struct i8259_chip *chip = &pic->chip[which];
    uint8_t bit = (uint8_t)(1u << n);

    chip->edge_seen &= (uint8_t)~bit;
    if (!(i8259_level_pins(pic, which) & bit)) {
        chip->irr &= (uint8_t)~bit;
    }
    chip->held[n] = HOLD_NONE;
    if (!(chip->icw4 & ICW4_AEOI)) {
        chip->isr |= bit;
    } else if (chip->rotate_on_aeoi) {
        chip->lowest = n;
    }
}

/* Why does level n of a chip wait? Only asked while its IRR bit is set. */
static enum trace_hold chip_hold(const struct i8259 *pic, unsigned which, unsigned n,
                                 const struct reg_writer **writer)
{
    const struct i8259_chip *chip = &pic->chip[which];

    *writer = NULL;
    if (!chip_ready(chip)) {
        *writer = &chip->icw_writer;
        return HOLD_PIC_UNINIT;
    }
    if (chip->imr >> n & 1) {
        *writer = &chip->imr_writer;
        return HOLD_PIC_MASKED;
    }
    if (blocked_by_service(chip, which, n)) {
        return HOLD_PIC_IN_SERVICE;
    }
    if (i8259_resolve(pic, which) != n) {
        return HOLD_PIC_PRIORITY;
    }
    return HOLD_NONE;
}

/*
 * Tell about requests whose reason to wait changed. A slave's request may be held by either chip.
 */
static void tell_holds(struct i8259 *pic)
{
    for (unsigned pin = 0; pin < I8259_PINS; pin++) {
        unsigned which = pin / 8, n = pin % 8;
        struct i8259_chip *chip = &pic->chip[which];
        const struct reg_writer *writer;

        if (!(chip->irr >> n & 1) || is_cascade(which, n)) {
            continue;
        }
        if ((chip->isr & i8259_level_pins(pic, which)) >> n & 1) {
            continue; /* its level is being served, nothing new waits */
        }
        enum trace_hold hold = chip_hold(pic, which, n, &writer);
        if (hold == HOLD_NONE && which == I8259_SLAVE) {
            hold = chip_hold(pic, I8259_MASTER, I8259_CASCADE, &writer);
        }
        if (hold == chip->held[n]) {
            continue;
        }
        chip->held[n] = (uint8_t)hold;
        if (hold != HOLD_NONE) {
            uint16_t value = hold == HOLD_PIC_IN_SERVICE ? pair_isr(pic)
                             : hold == HOLD_PIC_PRIORITY ? pair_irr(pic)
                                                         : pair_imr(pic);
            (void)trace_pic_hold(pic->trace, TRACE_CPU_NONE, chip->cause[n], 0, 0, pin, hold, value,
                                 writer && writer->vtime != VTIME_NEVER ? writer->rip : 0);
        }
    }
}

/* INT as it should be, with its fall time. */
static bool chip_output(struct i8259 *pic, unsigned which)
{
    struct i8259_chip *chip = &pic->chip[which];

    if (chip_ready(chip) && i8259_resolve(pic, which) != I8259_NONE) {
        clock_disarm(pic->clock, &chip->fall);
        return true;
    }
    if (chip->intr && pic->int_fall != 0) {
        if (!clock_event_armed(&chip->fall)) {
            clock_arm(pic->clock, &chip->fall, pic->clock->now + pic->int_fall);
        }
        return true;
    }
    return false;
}

void i8259_update(struct i8259 *pic, cause_t cause)
{
    struct i8259_chip *master = &pic->chip[I8259_MASTER];

    bool slave_intr = chip_output(pic, I8259_SLAVE);
    if (slave_intr != pic->chip[I8259_SLAVE].intr) {
        i8259_cascade(pic, slave_intr);
    }
    bool intr = chip_output(pic, I8259_MASTER);
    tell_holds(pic);
    if (intr != master->intr) {
        uint8_t n = i8259_resolve(pic, I8259_MASTER);
        unsigned pin = n == I8259_NONE ? 7 : n;
        cause_t why = cause;

        master->intr = intr;
        if (intr) {
            why = n == I8259_NONE ? cause : master->cause[n];
            if (n == I8259_CASCADE && i8259_resolve(pic, I8259_SLAVE) != I8259_NONE) {
                n = i8259_resolve(pic, I8259_SLAVE);
                pin = 8u + n;
                why = pic->chip[I8259_SLAVE].cause[n];
            }
        }
        cause_t rec = trace_pic_intr(pic->trace, TRACE_CPU_NONE, why, 0, 0, intr, pin);
        if (intr) {
            pic->intr_cause = rec;
        }
        i8259_check(pic);
        irq_set(&pic->out, intr, rec);
        return;
    }
    i8259_check(pic);
}

static void int_falls(void *opaque, vtime_t deadline)
{
    struct i8259_chip *chip = opaque;
    struct i8259 *pic = chip->pic;

    (void)deadline;
    if (chip == &pic->chip[I8259_SLAVE]) {
        i8259_cascade(pic, false);
        i8259_update(pic, 0);
        return;
    }
    /*
     * The master's output has no other receiver than the line: drop it and let the update see the
     * fall as done.
     */
    chip->intr = false;
    cause_t rec = trace_pic_intr(pic->trace, TRACE_CPU_NONE, pic->intr_cause, 0, 0, false, 7);
    irq_set(&pic->out, false, rec);
    i8259_update(pic, rec);
}

void i8259_inta_lowers(struct i8259 *pic, unsigned which)
{
    clock_disarm(pic->clock, &pic->chip[which].fall);
    if (which == I8259_SLAVE) {
        if (pic->chip[which].intr) {
            i8259_cascade(pic, false);
        }
        return;
    }
    if (pic->chip[which].intr) {
        pic->chip[which].intr = false;
        cause_t rec = trace_pic_intr(pic->trace, TRACE_CPU_NONE, pic->intr_cause, 0, 0, false, 7);
        irq_set(&pic->out, false, rec);
    }
}

/* What the chip drives on the data bus at the second INTA pulse. "Interrupt Sequence". */
static vector_t chip_vector(const struct i8259_chip *chip, unsigned n)
{
    if (chip->icw4 & ICW4_UPM) {
        return (vector_t)((chip->icw2 & 0xf8) | n);
    }
    /* MCS-80/85: the low address byte, spaced by 4 or 8. */
    return chip->icw1 & ICW1_ADI ? (vector_t)((chip->icw1 & 0xe0) | n << 2)
                                 : (vector_t)((chip->icw1 & 0xc0) | n << 3);
}

/* The slave's half of an acknowledge of the master's IR2. */
static vector_t ack_slave(struct i8259 *pic, unsigned *pin, bool *spurious)
{
    struct i8259_chip *slave = &pic->chip[I8259_SLAVE];
    bool answers =
        chip_ready(slave) && !(slave->icw1 & ICW1_SNGL) && (slave->icw3 & 7) == I8259_CASCADE;

    if (!answers) { /* nobody drives the bus */
        *pin = 15;
        *spurious = true;
        return 0xff;
    }
    uint8_t n = i8259_resolve(pic, I8259_SLAVE);
    *spurious = n == I8259_NONE;
    if (*spurious) {
        n = 7;
    } else {
        i8259_take(pic, I8259_SLAVE, n);
    }
    *pin = 8u + n;
    return chip_vector(slave, n);
}

struct intr_ack i8259_ack(struct i8259 *pic, uint16_t cpu, cause_t cause)
{
    struct i8259_chip *master = &pic->chip[I8259_MASTER];
    uint8_t n = chip_ready(master) ? i8259_resolve(pic, I8259_MASTER) : I8259_NONE;
    bool spurious = n == I8259_NONE, to_slave = false;
    unsigned pin = spurious ? 7 : n;
    vector_t vector;

    if (spurious) {
        vector = chip_vector(master, 7);
    } else {
        bool cascaded = !(master->icw1 & ICW1_SNGL) && (master->icw3 >> n & 1);
        i8259_take(pic, I8259_MASTER, n);
        if (cascaded && n == I8259_CASCADE) {
            to_slave = true;
            vector = ack_slave(pic, &pin, &spurious);
        } else if (cascaded) { /* a slave was promised on a pin that has none */
            spurious = true;
            vector = 0xff;
        } else {
            vector = chip_vector(master, n);
        }
    }
    const struct i8259_chip *chip = &pic->chip[pin / 8];
    cause_t why = spurious ? pic->intr_cause : chip->cause[pin % 8];
    cause_t rec = trace_pic_ack(pic->trace, cpu, why ? why : cause, pic->intr_cause, 0, pin, vector,
                                spurious, pair_irr(pic), pair_isr(pic));
    if (!spurious) {
        pic->chip[pin / 8].isr_cause[pin % 8] = rec;
    }
    if (to_slave) {
        master->isr_cause[I8259_CASCADE] = rec;
        i8259_inta_lowers(pic, I8259_SLAVE);
    }
    i8259_inta_lowers(pic, I8259_MASTER);
    i8259_update(pic, rec);
    return (struct intr_ack){
        .vector = vector, .source = spurious ? INTR_ACK_PIC_SPURIOUS : INTR_ACK_PIC, .cause = rec};
}

void i8259_set_irq(void *opaque, uint16_t pin, uint16_t source, bool level, cause_t cause)
{
    struct i8259 *pic = opaque;
    unsigned which = pin / 8, n = pin % 8;

    if (pin >= I8259_PINS || is_cascade(which, n)) {
        return;
    }
    struct i8259_chip *chip = &pic->chip[which];
    uint64_t bit = 1ull << (source & 63);
    if (level) {
        chip->asserters[n] |= bit;
    } else {
        chip->asserters[n] &= ~bit;
    }
    set_input(pic, which, n, chip->asserters[n] != 0, cause);
    i8259_update(pic, cause);
}

bool i8259_pin_open(const struct i8259 *pic, uint16_t pin)
{
    unsigned which = pin / 8, n = pin % 8;

    if (pin >= I8259_PINS || is_cascade(which, n)) {
        return false;
    }
    const struct i8259_chip *chip = &pic->chip[which];
    if (!chip_ready(chip) || (chip->imr >> n & 1) || blocked_by_service(chip, which, n)) {
        return false;
    }
    const struct i8259_chip *master = &pic->chip[I8259_MASTER];
    return which == I8259_MASTER || (chip_ready(master) && !(master->imr >> I8259_CASCADE & 1) &&
                                     !blocked_by_service(master, I8259_MASTER, I8259_CASCADE));
}

static void forget(struct reg_writer *writer)
{
    *writer = (struct reg_writer){.vtime = VTIME_NEVER};
}

void i8259_init(struct i8259 *pic, struct trace *trace, struct clock *clock)
{
    memset(pic, 0, sizeof(*pic));
    pic->trace = trace;
    pic->clock = clock;
    pic->chip[I8259_MASTER].elcr_mask = 0xf8; /* 0-2 (timer, keyboard, cascade) are edge for ever */
    pic->chip[I8259_SLAVE].elcr_mask = 0xde;  /* 8 and 13 (RTC, coprocessor) are edge for ever */
    for (unsigned i = 0; i < 2; i++) {
        pic->chip[i].pic = pic;
        clock_event_init(&pic->chip[i].fall, "i8259 int-fall", int_falls, &pic->chip[i]);
    }
    i8259_reset(pic);
}

void i8259_reset(struct i8259 *pic)
{
    for (unsigned i = 0; i < 2; i++) {
        struct i8259_chip *chip = &pic->chip[i];
        struct i8259_chip old = *chip;

        clock_disarm(pic->clock, &chip->fall);
        *chip = (struct i8259_chip){
            .level = i == I8259_MASTER ? old.level & (uint8_t) ~(1u << I8259_CASCADE) : old.level,
            .elcr_mask = old.elcr_mask,
            .lowest = 7,
            .intr = i == I8259_MASTER && old.intr,
            .pic = pic,
        };
        clock_event_init(&chip->fall, "i8259 int-fall", int_falls, chip);
        memcpy(chip->asserters, old.asserters, sizeof(chip->asserters));
        forget(&chip->imr_writer);
        forget(&chip->icw_writer);
        forget(&chip->ocw2_writer);
        forget(&chip->elcr_writer);
    }
    if (pic->chip[I8259_MASTER].intr) {
        pic->chip[I8259_MASTER].intr = false;
        irq_set(&pic->out, false, 0);
    }
    pic->intr_cause = 0;
    i8259_update(pic, 0);
}

void i8259_check(const struct i8259 *pic)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct i8259_chip *chip = &pic->chip[i];
        uint8_t by_level = i8259_level_pins(pic, i);

        irq_check(chip->irr == (uint8_t)((chip->level & by_level) | (chip->edge_seen & ~by_level)));
        irq_check((chip->edge_seen & ~chip->level) == 0);
        irq_check((chip->elcr & ~chip->elcr_mask) == 0);
        irq_check(chip->lowest < 8);
        irq_check(chip->init_step == 0 || (chip->init_step >= 2 && chip->init_step <= 4));
        irq_check(!clock_event_armed(&chip->fall) || chip->intr);
        if (pic->int_fall == 0) {
            irq_check(chip->intr == (chip_ready(chip) && i8259_resolve(pic, i) != I8259_NONE));
        }
        for (unsigned n = 0; n < 8; n++) {
            irq_check(is_cascade(i, n) || (chip->asserters[n] != 0) == (chip->level >> n & 1));
        }
        (void)by_level;
        (void)chip;
    }
    irq_check((pic->chip[I8259_MASTER].level >> I8259_CASCADE & 1) == pic->chip[I8259_SLAVE].intr);
}
