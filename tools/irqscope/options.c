/* SPDX-License-Identifier: MIT */
/*
 * The parser of the command line. Its grammar: options.h; the table: options_table.c.
 */
#include "irqscope/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "irqscope/options_internal.h"

#define FILES_DEEP 8 /* @FILE in @FILE in ... */

void options_note(struct options *o, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (unsigned i = 0; i < o->nnotes; i++) {
        if (strcmp(o->notes[i], text) == 0) {
            return;
        }
    }
    if (o->nnotes < OPTIONS_NOTES) {
        char *copy = strdup(text);
        if (copy) {
            o->notes[o->nnotes++] = copy;
        }
    }
}

const char *options_name(size_t n, bool *own)
{
    for (size_t i = 0; options_table[i].name; i++) {
        if (i == n) {
            *own = options_table[i].own;
            return options_table[i].name;
        }
    }
    return NULL;
}

static const struct option_desc *find_option(const char *name, size_t len)
{
    for (const struct option_desc *d = options_table; d->name; d++) {
        if (strlen(d->name) == len && strncmp(d->name, name, len) == 0) {
            return d;
        }
    }
    return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein's distance; names longer than the table's longest are far from everything. */
static size_t distance(const char *a, const char *b)
{
    size_t row[33];
    size_t la = strlen(a), lb = strlen(b);
    if (la > 32 || lb > 32) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= lb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t up = row[j];
            row[j] = min3(up + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = up;
        }
    }
    return row[lb];
}

static int unknown_option(const char *word, const char *name, struct error *err)
{
    char bare[33];
    snprintf(bare, sizeof(bare), "%.*s", (int)strcspn(name, "="), name);
    for (size_t i = 0; options_refused[i]; i++) {
        if (strcmp(options_refused[i], bare) == 0) {
            return error_set(err, -EINVAL, "%s: an option of QEMU that this build does not have",
                             word);
        }
    }
    const struct option_desc *best = NULL;
    size_t least = SIZE_MAX;
    for (const struct option_desc *d = options_table; d->name; d++) {
        size_t far = distance(bare, d->name);
        if (far < least) {
            least = far;
            best = d;
        }
    }
    if (best && least <= 1 + strlen(best->name) / 3) {
        const char *dashes = best->own ? "--" : "-";
        if (least == 0) { /* a QEMU option with =V */
            return error_set(err, -EINVAL, "%s: the value of %s%s is the next argument", word,
                             dashes, best->name);
        }
        return error_set(err, -EINVAL, "unknown option %s; did you mean %s%s?", word, dashes,
                         best->name);
    }
    return error_set(err, -EINVAL, "unknown option %s; irqscope -help lists all", word);
}

static int take_file(struct options *o, const char *path, bool as_disk, struct error *err)
{
    if (as_disk) {
        return error_set(
            err, -EINVAL,
            "%s: under this name a bare file is a disk image, and this build has no disks; "
            "use -kernel",
            path);
    }
    if (o->file) {
        return error_set(err, -EINVAL, "%s: one file is enough, and %s was given already", path,
                         o->file);
    }
    o->file = path;
    return 0;
}

/* The option at word *at; *at moves behind it and its value. */
static int take_option(struct options *o, size_t *at, struct error *err)
{
    const char *word = o->words->word[*at];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_desc *d = find_option(name, len);

    if (!d || (equals && !d->own)) {
        return unknown_option(word, name, err);
    }
    if (o->command == COMMAND_SHOW && !d->show) {
        return error_set(err, -EINVAL, "%s: not an option of irqscope show", word);
    }
    if (equals && d->value == VALUE_NONE) {
        return error_set(err, -EINVAL, "%s: --%s takes no value", word, d->name);
    }
    (*at)++;
    const char *value = equals ? equals + 1 : NULL;
    if (!value && d->value == VALUE_REQUIRED) {
        if (*at >= o->words->count) {
            return error_set(err, -EINVAL, "%s: its value is missing (%s)", word, d->metavar);
        }
        value = o->words->word[(*at)++];
    }
    char typed[40];
    snprintf(typed, sizeof(typed), "%.*s", (int)(name - word) + (int)len, word);
    return d->take(o, typed, value, err);
}

static int take_words(struct options *o, bool as_disk, struct error *err)
{
    bool only_files = false;
    size_t files_end = 0; /* words before this index came from an @FILE */
    unsigned deep = 0;

    for (size_t at = 0; at < o->words->count;) {
        const char *word = o->words->word[at];
        int rc;
        if (at >= files_end) {
            deep = 0;
        }
        if (only_files || (word[0] != '-' && word[0] != '@') || strcmp(word, "-") == 0) {
            rc = take_file(o, word, as_disk, err);
            at++;
        } else if (word[0] == '@') {
            if (++deep > FILES_DEEP) {
                return error_set(err, -EINVAL, "%s: argument files are nested deeper than %d", word,
                                 FILES_DEEP);
            }
            size_t end = at + 1;
            rc = words_insert_file(o->words, &end, word + 1, err);
            free(o->words->word[at]);
            memmove(&o->words->word[at], &o->words->word[at + 1],
                    (o->words->count - at - 1) * sizeof(*o->words->word));
            o->words->count--;
            size_t inserted = end - at - 1;
            files_end = files_end > at ? files_end - 1 + inserted : at + inserted;
        } else if (strcmp(word, "--") == 0) {
            only_files = true;
            rc = 0;
            at++;
        } else {
            rc = take_option(o, &at, err);
        }
        if (rc < 0) {
            return rc;
        }
        if (o->command == COMMAND_HELP || o->command == COMMAND_VERSION || o->list != LIST_NONE) {
            return 0;
        }
    }
    return 0;
}

static void set_defaults(struct options *o)
{
    *o = (struct options){
        .command = COMMAND_RUN,
        .memory = 128ull << 20,
        .cpus = 1,
        .cpu = OPTIONS_CPU_MODEL,
        .flows_max = UINT64_MAX,
        .rtc_epoch = INT64_MIN,
        .limit_insns = UINT64_MAX,
        .limit_time = VTIME_NEVER,
        .screen = SCREEN_AT_END,
        .max_block = OPTIONS_MAX_BLOCK,
    };
}

int options_parse(struct options *o, int argc, char *const argv[], const char *env_args,
                  struct error *err)
{
    set_defaults(o);
    o->words = calloc(1, sizeof(*o->words));
    if (!o->words) {
        return error_set(err, -ENOMEM, "out of memory");
    }

    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *self = argc > 0 ? (slash ? slash + 1 : argv[0]) : "";
    bool as_qemu = strncmp(self, "qemu-system-", strlen("qemu-system-")) == 0;
    int first = argc > 0;
    if (!as_qemu && argc > 1) {
        if (strcmp(argv[1], "run") == 0) {
            first = 2;
        } else if (strcmp(argv[1], "show") == 0) {
            o->command = COMMAND_SHOW;
            first = 2;
        } else if (strcmp(argv[1], "help") == 0) {
            o->command = COMMAND_HELP;
            return 0;
        }
    }

    size_t at = 0;
    if (env_args && o->command == COMMAND_RUN) {
        int rc = words_insert_text(o->words, &at, env_args, "IRQSCOPE_ARGS", err);
        if (rc < 0) {
            return rc;
        }
    }
    for (int i = first; i < argc; i++, at++) {
        int rc = words_insert(o->words, at, argv[i], strlen(argv[i]), err);
        if (rc < 0) {
            return rc;
        }
    }
    int rc = take_words(o, as_qemu, err);
    if (rc == 0 && o->command == COMMAND_SHOW && !o->file) {
        rc = error_set(err, -EINVAL, "show: the name of a record file is missing");
    }
    return rc;
}

void options_fini(struct options *o)
{
    for (unsigned i = 0; i < o->nnotes; i++) {
        free(o->notes[i]);
    }
    o->nnotes = 0;
    words_free(o->words);
    o->words = NULL;
}

void options_print_words(const struct options *o, FILE *out)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,.:/+@%";

    fputs(o->command == COMMAND_SHOW ? "irqscope show" : "irqscope run", out);
    for (size_t i = 0; i < o->words->count; i++) {
        const char *word = o->words->word[i];
        if (*word && word[strspn(word, plain)] == '\0') {
            fprintf(out, " %s", word);
            continue;
        }
        fputs(" '", out);
        for (; *word; word++) {
            if (*word == '\'') {
                fputs("'\\''", out);
            } else {
                fputc(*word, out);
            }
        }
        fputc('\'', out);
    }
    fputc('\n', out);
}
