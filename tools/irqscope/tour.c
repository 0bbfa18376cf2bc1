/* SPDX-License-Identifier: MIT */
/*
 * See tour.h. The build puts the bytes between these two symbols.
 */
#include "irqscope/tour.h"

extern const uint8_t embedded_tour_start[], embedded_tour_end[];

const uint8_t *tour_data(void)
{
    return embedded_tour_start;
}

size_t tour_size(void)
{
    return (size_t)((uintptr_t)embedded_tour_end - (uintptr_t)embedded_tour_start);
}
