/* SPDX-License-Identifier: MIT */
/*
 * Private to the 8259A model: what its core and its command words share.
 */
#ifndef IRQSCOPE_INTC_I8259_INTERNAL_H
#define IRQSCOPE_INTC_I8259_INTERNAL_H

#include "intc/i8259.h"

#define ICW1_IC4      0x01
#define ICW1_SNGL     0x02
#define ICW1_ADI      0x04
#define ICW1_LTIM     0x08
#define ICW1_INIT     0x10
#define ICW4_UPM      0x01
#define ICW4_AEOI     0x02
#define ICW4_SFNM     0x10
#define OCW3_SEL      0x08

#define I8259_MASTER  0
#define I8259_SLAVE   1
#define I8259_CASCADE 2 /* the master's input that the slave drives; also the slave's identity */
#define I8259_NONE    0xff

/* Pins that are level triggered now. */
uint8_t i8259_level_pins(const struct i8259 *pic, unsigned which);
/*
 * Inputs or trigger modes changed: bring IRR up to date and record new requests and withdrawn
 * ones.
 */
void i8259_sample(struct i8259 *pic, unsigned which, cause_t cause);
/* Highest-priority level of a set under the present rotation, or I8259_NONE. */
uint8_t i8259_highest(const struct i8259_chip *chip, uint8_t set);
/* Level that the chip would acknowledge now, or I8259_NONE. */
uint8_t i8259_resolve(const struct i8259 *pic, unsigned which);
/* INTA or poll: move level n from IRR to ISR (or through it, in AEOI mode). */
void i8259_take(struct i8259 *pic, unsigned which, uint8_t n);
/* INTA (or a poll read) lowers INT at once, whatever waits behind. */
void i8259_inta_lowers(struct i8259 *pic, unsigned which);
/* The slave's INT reaches the master's input. */
void i8259_cascade(struct i8259 *pic, bool level);
/* Recompute outputs, tell holds, drive INTR. Every entry point ends here. */
void i8259_update(struct i8259 *pic, cause_t cause);

static inline uint16_t i8259_pair(uint8_t master, uint8_t slave)
{
    return (uint16_t)(master | slave << 8);
}

#endif
