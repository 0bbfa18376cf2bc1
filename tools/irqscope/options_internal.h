/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of the command line: the table, the words and the readers of values.
 */
#ifndef IRQSCOPE_IRQSCOPE_OPTIONS_INTERNAL_H
#define IRQSCOPE_IRQSCOPE_OPTIONS_INTERNAL_H

#include "irqscope/options.h"

enum option_value {
    VALUE_NONE,
    VALUE_REQUIRED,
    VALUE_OPTIONAL
};

struct option_desc {
    const char *name;
    enum option_value value;
    bool own;  /* irqscope's: also --x=V */
    bool show; /* also an option of `show` */
    /* Take the value (NULL where there is none) into o. name is as typed, with its dashes. */
    int (*take)(struct options *o, const char *name, const char *value, struct error *err);
    const char *metavar;
    const char *help;
};
extern const struct option_desc options_table[]; /* ends with a NULL name */

/* QEMU options that this build does not have, told apart from misspellings. */
extern const char *const options_refused[];

struct options_words {
    char **word;
    size_t count, room;
};
int words_insert(struct options_words *w, size_t at, const char *text, size_t len,
                 struct error *err);
/* Insert the words of text (spaces separate; '...', "..." and \ quote) at *at, which moves behind them. */
int words_insert_text(struct options_words *w, size_t *at, const char *text, const char *origin,
                      struct error *err);
int words_insert_file(struct options_words *w, size_t *at, const char *path, struct error *err);
void words_free(struct options_words *w);

/* Remember a sentence for later, once. */
void options_note(struct options *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- readers of values ---- */
/* Decimal, 0x or 0 octal; the whole of text. */
bool value_number(const char *text, uint64_t *value);
/* "64", "64M", "1G", "512K": bytes; without a suffix, MiB. */
bool value_memory(const char *text, uint64_t *bytes);
/* "50ms", "1.5s", "20us", "100ns": ns. */
bool value_vtime(const char *text, vtime_t *ns);
/* Seconds above 0, with a fraction. */
bool value_seconds(const char *text, double *seconds);

#endif
