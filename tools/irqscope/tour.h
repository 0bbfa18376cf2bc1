/* SPDX-License-Identifier: MIT */
/*
 * The tour: the guest program that is part of the command. An ELF file; firmware/labs/tour has its source.
 */
#ifndef IRQSCOPE_IRQSCOPE_TOUR_H
#define IRQSCOPE_IRQSCOPE_TOUR_H

#include <stddef.h>
#include <stdint.h>

#define TOUR_NAME "tour"

const uint8_t *tour_data(void);
/* 0: this build has none. */
size_t tour_size(void);

#endif
