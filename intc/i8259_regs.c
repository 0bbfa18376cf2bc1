/* SPDX-License-Identifier: MIT */
/*
 * The 8259A pair's ports: ICW1-4, OCW1-3, poll, status reads, and the edge/level control registers.
 *
 * Intel "8259A Programmable Interrupt Controller" datasheet, order no. 231468-003, "Programming
 * the 8259A"; Intel "82371FB (PIIX) and 82371SB (PIIX3) PCI ISA IDE Xcelerator", order no.
 * 290550-002, "Interrupt Controller Registers" (4D0h-4D1h).
 *
 * Modelled: see i8259.c. Each ICW, IMR, OCW2 and ELCR write leaves its writer.
 * Not modelled: see i8259.c.
 * Deviations: a non-specific EOI with nothing in service neither clears nor rotates; the datasheet
 * does not define it.
 */
#include "intc/i8259.h"

#include "intc/i8259_internal.h"
#include "intc/trace_events.h"

static void note_writer(const struct i8259 *pic, struct reg_writer *writer,
                        const struct bus_attrs *attrs)
{
    writer->rip = attrs->rip;
    writer->vtime = pic->clock->now;
    writer->requester = attrs->requester;
}

/* "Initialization Command Words 1 and 2 (ICW1, ICW2)": what ICW1 does by itself. */
static void write_icw1(struct i8259 *pic, unsigned which, uint8_t value,
                       const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];

    chip->icw1 = value;
    chip->icw2 = 0;
    chip->icw3 = which == I8259_MASTER ? 0 : 7; /* "the slave mode address is set to 7" */
    chip->icw4 = 0;
    chip->init_step = 2;
    chip->edge_seen = 0; /* "the edge sense circuit is reset" */
    chip->imr = 0;
    chip->isr = 0;
    chip->lowest = 7;
    chip->read_isr = false;
    chip->poll = false;
    chip->special_mask = false;
    chip->rotate_on_aeoi = false;
    note_writer(pic, &chip->icw_writer, attrs);
    note_writer(pic, &chip->imr_writer, attrs);
    i8259_sample(pic, which, attrs->cause);
}

static void finish_icws(struct i8259_chip *chip)
{
    chip->init_step = 0;
    chip->initialised = true;
}

/* ICW2, ICW3, ICW4 in the order that ICW1 announced. "Initialization Sequence" (figure 6). */
static void write_next_icw(struct i8259 *pic, unsigned which, uint8_t value,
                           const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];
    bool wants_icw4 = chip->icw1 & ICW1_IC4;

    note_writer(pic, &chip->icw_writer, attrs);
    switch (chip->init_step) {
    case 2:
        chip->icw2 = value;
        if (!(chip->icw1 & ICW1_SNGL)) {
            chip->init_step = 3;
        } else if (wants_icw4) {
            chip->init_step = 4;
        } else {
            finish_icws(chip);
        }
        break;
    case 3:
        chip->icw3 = value;
        if (wants_icw4) {
            chip->init_step = 4;
        } else {
            finish_icws(chip);
        }
        break;
    default:
        chip->icw4 = value & 0x1f;
        finish_icws(chip);
        break;
    }
}

/* End of interrupt for level n (I8259_NONE: nothing was in service). */
static void end_of_interrupt(struct i8259 *pic, unsigned which, uint8_t n, uint8_t value,
                             const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];
    bool was_set = n != I8259_NONE && (chip->isr >> n & 1);

    if (was_set) {
        chip->isr &= (uint8_t) ~(1u << n);
    }
    uint16_t in_service = i8259_pair(pic->chip[I8259_MASTER].isr, pic->chip[I8259_SLAVE].isr);
    uint16_t cpu =
        attrs->requester <= IRQ_REQ_CPU_MAX ? (uint16_t)attrs->requester : TRACE_CPU_NONE;
    (void)trace_pic_eoi(pic->trace, cpu, attrs->cause, was_set ? chip->isr_cause[n] : 0,
                        was_set ? DELIVER_OK : DELIVER_IGNORED, was_set ? which * 8u + n : 0xffu,
                        value, in_service, attrs->rip);
    if (was_set) {
        chip->isr_cause[n] = 0;
    }
}

/* "Operation Control Word 2 (OCW2)": R, SL, EOI in bits 7-5, level in 2-0. */
static void write_ocw2(struct i8259 *pic, unsigned which, uint8_t value,
                       const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];
    uint8_t n = value & 7;

    note_writer(pic, &chip->ocw2_writer, attrs);
    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode, clear */
        chip->rotate_on_aeoi = false;
        break;
    case 4: /* rotate in automatic EOI mode, set */
        chip->rotate_on_aeoi = true;
        break;
    case 1:   /* non-specific EOI */
    case 5: { /* rotate on non-specific EOI */
        /*
         * "An IS bit that is masked by an IMR bit will not be cleared by a non-specific EOI ... in
         * the Special Mask Mode."
         */
        uint8_t candidates = chip->special_mask ? chip->isr & (uint8_t)~chip->imr : chip->isr;
        n = i8259_highest(chip, candidates);
        end_of_interrupt(pic, which, n, value, attrs);
        if (value >> 5 == 5 && n != I8259_NONE) {
            chip->lowest = n;
        }
        break;
    }
    case 3: /* specific EOI */
        end_of_interrupt(pic, which, n, value, attrs);
        break;
    case 7: /* rotate on specific EOI */
        end_of_interrupt(pic, which, n, value, attrs);
        chip->lowest = n;
        break;
    case 6: /* set priority */
        chip->lowest = n;
        break;
    default: /* 010: no operation */
        break;
    }
}

/* "Operation Control Word 3 (OCW3)". */
static void write_ocw3(struct i8259_chip *chip, uint8_t value)
{
    if (value & 0x40) { /* ESMM */
        chip->special_mask = value & 0x20;
    }
    if (value & 0x04) { /* P wins over RR: the next read is the poll */
        chip->poll = true;
    }
    if (value & 0x02) { /* RR */
        chip->read_isr = value & 0x01;
    }
}

/* "Poll Command": the next read is the acknowledge; the chip drives I 0 0 0 0 W2 W1 W0. */
static uint8_t poll_read(struct i8259 *pic, unsigned which, const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];
    uint8_t n = chip->init_step == 0 && chip->initialised ? i8259_resolve(pic, which) : I8259_NONE;

    chip->poll = false;
    if (n == I8259_NONE) {
        return 0;
    }
    i8259_take(pic, which, n);
    uint16_t cpu =
        attrs->requester <= IRQ_REQ_CPU_MAX ? (uint16_t)attrs->requester : TRACE_CPU_NONE;
    chip->isr_cause[n] =
        trace_pic_ack(pic->trace, cpu, chip->cause[n], attrs->cause, 0, which * 8u + n, 0x80u | n,
                      false, i8259_pair(pic->chip[I8259_MASTER].irr, pic->chip[I8259_SLAVE].irr),
                      i8259_pair(pic->chip[I8259_MASTER].isr, pic->chip[I8259_SLAVE].isr));
    cause_t rec = chip->isr_cause[n];
    i8259_inta_lowers(pic, which);
    i8259_update(pic, rec);
    return 0x80 | n;
}

static uint64_t chip_read(struct i8259 *pic, unsigned which, uint64_t off,
                          const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];

    if (chip->poll) {
        return poll_read(pic, which, attrs);
    }
    if (off & 1) {
        return chip->imr;
    }
    return chip->read_isr ? chip->isr : chip->irr;
}

static void chip_write(struct i8259 *pic, unsigned which, uint64_t off, uint8_t value,
                       const struct bus_attrs *attrs)
{
    struct i8259_chip *chip = &pic->chip[which];

    if (off & 1) {
        if (chip->init_step != 0) {
            write_next_icw(pic, which, value, attrs);
        } else {
            chip->imr = value; /* OCW1 */
            note_writer(pic, &chip->imr_writer, attrs);
        }
    } else if (value & ICW1_INIT) {
        write_icw1(pic, which, value, attrs);
    } else if (value & OCW3_SEL) {
        write_ocw3(chip, value);
    } else {
        write_ocw2(pic, which, value, attrs);
    }
    i8259_update(pic, attrs->cause);
}

static uint64_t master_read(void *opaque, uint64_t off, unsigned size,
                            const struct bus_attrs *attrs)
{
    (void)size;
    return chip_read(opaque, I8259_MASTER, off, attrs);
}

static void master_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                         const struct bus_attrs *attrs)
{
    (void)size;
    chip_write(opaque, I8259_MASTER, off, (uint8_t)value, attrs);
}

static uint64_t slave_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)size;
    return chip_read(opaque, I8259_SLAVE, off, attrs);
}

static void slave_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                        const struct bus_attrs *attrs)
{
    (void)size;
    chip_write(opaque, I8259_SLAVE, off, (uint8_t)value, attrs);
}

static uint64_t elcr_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    const struct i8259 *pic = opaque;

    (void)size;
    (void)attrs;
    return pic->chip[off & 1].elcr;
}

static void elcr_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                       const struct bus_attrs *attrs)
{
    struct i8259 *pic = opaque;
    struct i8259_chip *chip = &pic->chip[off & 1];

    (void)size;
    chip->elcr = (uint8_t)value & chip->elcr_mask;
    /*
     * A pin that turns to level has no use for its latch; one that turns to edge needs a new edge.
     */
    chip->edge_seen &= (uint8_t)~i8259_level_pins(pic, off & 1);
    note_writer(pic, &chip->elcr_writer, attrs);
    i8259_sample(pic, off & 1, attrs->cause);
    i8259_update(pic, attrs->cause);
}

int i8259_map(struct i8259 *pic, struct bus *bus, struct error *err)
{
    const struct mmio_dev master = {"i8259 master", master_read, master_write, pic, 1, 1};
    const struct mmio_dev slave = {"i8259 slave", slave_read, slave_write, pic, 1, 1};
    const struct mmio_dev elcr = {"elcr", elcr_read, elcr_write, pic, 1, 1};
    int ret = bus_map_ports(bus, 0x20, 2, &master, err);

    if (ret == 0) {
        ret = bus_map_ports(bus, 0xa0, 2, &slave, err);
    }
    if (ret == 0) {
        ret = bus_map_ports(bus, 0x4d0, 2, &elcr, err);
    }
    return ret;
}
