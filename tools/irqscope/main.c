/* SPDX-License-Identifier: MIT */
/*
 * The command.
 */
#include <stdio.h>
#include <stdlib.h>

#include "irqscope/options.h"
#include "irqscope/run.h"
#include "irqscope/show.h"

#define VERSION "0.1"

static int dispatch(const struct options *o)
{
    if (o->list != LIST_NONE) {
        options_print_list(o->list, stdout);
        return STATUS_OK;
    }
    switch (o->command) {
    case COMMAND_HELP:
        options_print_help(stdout);
        return STATUS_OK;
    case COMMAND_VERSION:
        puts("irqscope " VERSION);
        return STATUS_OK;
    case COMMAND_SHOW:
        return show_main(o);
    case COMMAND_RUN:
        break;
    }
    if (o->verbose) {
        options_print_words(o, stderr);
    }
    for (unsigned i = 0; i < o->nnotes && !o->quiet; i++) {
        fprintf(stderr, "irqscope: %s\n", o->notes[i]);
    }
    return run_main(o);
}

int main(int argc, char **argv)
{
    struct options options;
    struct error err = {{0}};
    int status = STATUS_SETUP;
    if (options_parse(&options, argc, argv, getenv("IRQSCOPE_ARGS"), &err) < 0) {
        fprintf(stderr, "irqscope: %s\n", err.text);
    } else {
        status = dispatch(&options);
    }
    options_fini(&options);
    return status;
}
