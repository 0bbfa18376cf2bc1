/* SPDX-License-Identifier: MIT */
/*
 * The words of the command line, and what stands for words: @FILE and IRQSCOPE_ARGS; and the readers of numbers.
 */
#include "irqscope/options_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX      4096
#define WORDS_FILE_MAX (1u << 20)

int words_insert(struct options_words *w, size_t at, const char *text, size_t len,
                 struct error *err)
{
    if (w->count >= WORDS_MAX) {
        return error_set(err, -E2BIG, "more than %d arguments", WORDS_MAX);
    }
    if (w->count == w->room) {
        size_t room = w->room ? 2 * w->room : 32;
        char **word = realloc(w->word, room * sizeof(*word));
        if (!word) {
            return error_set(err, -ENOMEM, "out of memory");
        }
        w->word = word;
        w->room = room;
    }
    char *copy = strndup(text, len);
    if (!copy) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    memmove(&w->word[at + 1], &w->word[at], (w->count - at) * sizeof(*w->word));
    w->word[at] = copy;
    w->count++;
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Unquote one word from *text into buf; moves *text behind it. False: a quote is not closed. */
static bool next_word(const char **text, char *buf, size_t *len)
{
    const char *s = *text;
    char quote = 0;
    size_t n = 0;
    for (; *s && (quote || !is_space(*s)); s++) {
        if (quote) {
            if (*s == quote) {
                quote = 0;
            } else if (quote == '"' && *s == '\\' && (s[1] == '"' || s[1] == '\\')) {
                buf[n++] = *++s;
            } else {
                buf[n++] = *s;
            }
        } else if (*s == '\'' || *s == '"') {
            quote = *s;
        } else if (*s == '\\' && s[1]) {
            buf[n++] = *++s;
        } else {
            buf[n++] = *s;
        }
    }
    *text = s;
    *len = n;
    return quote == 0;
}

int words_insert_text(struct options_words *w, size_t *at, const char *text, const char *origin,
                      struct error *err)
{
    char *buf = malloc(strlen(text) + 1);
    if (!buf) {
        return error_set(err, -ENOMEM, "out of memory");
    }
    int rc = 0;
    while (rc == 0) {
        while (is_space(*text)) {
            text++;
        }
        if (!*text) {
            break;
        }
        size_t len;
        if (!next_word(&text, buf, &len)) {
            rc = error_set(err, -EINVAL, "%s: a quote is not closed", origin);
            break;
        }
        rc = words_insert(w, *at, buf, len, err);
        if (rc == 0) {
            (*at)++;
        }
    }
    free(buf);
    return rc;
}

int words_insert_file(struct options_words *w, size_t *at, const char *path, struct error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        return error_set(err, -errno, "@%s: cannot open it: %s", path, strerror(errno));
    }
    char *text = malloc(WORDS_FILE_MAX + 1);
    int rc;
    if (!text) {
        rc = error_set(err, -ENOMEM, "out of memory");
        goto out;
    }
    size_t len = fread(text, 1, WORDS_FILE_MAX + 1, f);
    if (ferror(f)) {
        rc = error_set(err, -EIO, "@%s: cannot read it: %s", path, strerror(errno));
        goto out;
    }
    if (len > WORDS_FILE_MAX || memchr(text, 0, len)) {
        rc = error_set(err, -EINVAL, "@%s: not a list of arguments: %s", path,
                       len > WORDS_FILE_MAX ? "over 1 MiB" : "it contains zero bytes");
        goto out;
    }
    text[len] = '\0';
    rc = words_insert_text(w, at, text, path, err);
out:
    free(text);
    fclose(f);
    return rc;
}

void words_free(struct options_words *w)
{
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        free(w->word[i]);
    }
    free(w->word);
    free(w);
}

bool value_number(const char *text, uint64_t *value)
{
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    *value = v;
    return errno == 0 && *end == '\0';
}

bool value_memory(const char *text, uint64_t *bytes)
{
    if (*text < '0' || *text > '9') {
        return false;
    }
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 0);
    unsigned shift = 20;
    switch (*end) {
    case 'k':
    case 'K':
        shift = 10;
        end++;
        break;
    case 'm':
    case 'M':
        end++;
        break;
    case 'g':
    case 'G':
        shift = 30;
        end++;
        break;
    case 't':
    case 'T':
        shift = 40;
        end++;
        break;
    default:
        break;
    }
    if (errno || *end || v > UINT64_MAX >> shift) {
        return false;
    }
    *bytes = (uint64_t)v << shift;
    return true;
}

/* Digits and at most one point: no signs, exponents, "inf", "nan" or hexadecimal. */
static bool plain_decimal(const char *text, const char **end)
{
    size_t digits = strspn(text, "0123456789");
    const char *s = text + digits;
    if (*s == '.') {
        size_t more = strspn(++s, "0123456789");
        digits += more;
        s += more;
    }
    *end = s;
    return digits > 0;
}

bool value_vtime(const char *text, vtime_t *ns)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    const char *end;
    if (!plain_decimal(text, &end)) {
        return false;
    }
    uint64_t scale = 0;
    for (size_t i = 0; i < irq_array_size(units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            scale = units[i].ns;
        }
    }
    if (!scale) {
        return false;
    }
    /* Exact for whole numbers; a fraction is cut off below 1 ns. */
    uint64_t whole = 0;
    const char *s = text;
    for (; s < end && *s != '.'; s++) {
        if (__builtin_mul_overflow(whole, (uint64_t)10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole)) {
            return false;
        }
    }
    if (__builtin_mul_overflow(whole, scale, &whole)) {
        return false;
    }
    uint64_t place = scale;
    for (s = *s == '.' ? s + 1 : s; s < end && place; s++) {
        place /= 10;
        if (__builtin_add_overflow(whole, place * (uint64_t)(*s - '0'), &whole)) {
            return false;
        }
    }
    *ns = whole;
    return whole != VTIME_NEVER;
}

bool value_seconds(const char *text, double *seconds)
{
    const char *end;
    if (!plain_decimal(text, &end) || (*end && strcmp(end, "s") != 0)) {
        return false;
    }
    *seconds = strtod(text, NULL);
    return *seconds > 0 && *seconds < 1e9;
}
