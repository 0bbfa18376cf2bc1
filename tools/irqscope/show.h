/* SPDX-License-Identifier: MIT */
/*
 * irqscope show: a recorded stream as text, flows or JSON lines.
 */
#ifndef IRQSCOPE_IRQSCOPE_SHOW_H
#define IRQSCOPE_IRQSCOPE_SHOW_H

#include "irqscope/options.h"

/* Returns the exit status: 0, or 2 for a file that is none, damaged or truncated (then what is there is shown first). */
int show_main(const struct options *options);

#endif
