/* SPDX-License-Identifier: MIT */
/*
 * Names and lines of guest addresses: tools/scope/symbols.h. The tour is the ELF file with everything in it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "irqscope/tour.h"
#include "scope/symbols.h"

static char text[SYMBOLS_TEXT];

Test(symbols, of_the_embedded_tour)
{
    struct symbols *s = symbols_open_memory(tour_data(), tour_size());
    uint64_t addr;
    struct symbols_place place;
    cr_assert_not_null(s);
    cr_expect_gt(symbols_count(s), 5);
    cr_assert(symbols_lookup(s, "pit_isr", &addr));
    cr_expect_str_eq(symbols_format_short(s, addr, text), "pit_isr");
    cr_expect_str_eq(symbols_format_short(s, addr + 1, text), "pit_isr+0x1");
    symbols_find(s, addr, &place);
    cr_expect_str_eq(place.file, "tour.S", "the base name only");
    cr_expect_gt(place.line, 1);
    symbols_format(s, addr, text);
    cr_expect_eq(strncmp(text, "pit_isr (tour.S:", 16), 0, "%s", text);
    cr_expect_not(symbols_lookup(s, "no_such_symbol", &addr));
    symbols_close(s);
}

Test(symbols, outside_of_the_code_there_are_none)
{
    struct symbols *s = symbols_open_memory(tour_data(), tour_size());
    cr_expect_str_eq(symbols_format(s, 0xfff0, text), "0xfff0");
    cr_expect_str_eq(symbols_format(s, UINT64_MAX, text), "0xffffffffffffffff");
    symbols_close(s);
}

Test(symbols, without_a_table)
{
    cr_expect_str_eq(symbols_format(NULL, 0x1234, text), "0x1234");
    cr_expect_eq(symbols_count(NULL), 0);
    struct symbols *s = symbols_open_file("/nonexistent/kernel.elf");
    cr_assert_not_null(s);
    cr_expect_str_eq(symbols_format(s, 0x1234, text), "0x1234");
    symbols_close(s);
    s = symbols_open_memory("\177ELF", 4);
    cr_assert_not_null(s);
    cr_expect_eq(symbols_count(s), 0);
    symbols_close(s);
    symbols_close(NULL);
}

/* A damaged file may lose names, and no more than that. */
Test(symbols, of_a_truncated_file)
{
    size_t size = tour_size();
    uint8_t *copy = malloc(size);
    for (size_t n = 1; n < size; n += 1 + n / 16) {
        memcpy(copy, tour_data(), n);
        struct symbols *s = symbols_open_memory(copy, n);
        cr_assert_not_null(s);
        symbols_format(s, 0x100040, text);
        symbols_close(s);
    }
    free(copy);
}
