/* SPDX-License-Identifier: MIT */
/*
 * The end of a run that met one of our own bugs. Never reached by what a guest does.
 */
#include "bus/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void irq_assert_fail(const char *expr, const char *file, int line)
{
    fprintf(stderr, "irqscope: internal error at %s:%d: %s\n", file, line, expr);
    abort();
}
