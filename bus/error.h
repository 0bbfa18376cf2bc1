/* SPDX-License-Identifier: MIT */
/*
 * Errors of host, configuration and set-up: one sentence that names the thing and the
 * reason, filled once, at the lowest frame that knows both.
 */
#ifndef IRQSCOPE_BUS_ERROR_H
#define IRQSCOPE_BUS_ERROR_H

struct error {
    char text[512];
};

/* Fill err (may be NULL) with a printf-style sentence; returns code unchanged (a negative errno). */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int code, const char *fmt,
                                                    ...);

#endif
