/* SPDX-License-Identifier: MIT */
/*
 * Flows close in another order than they begin: this list prints them by number. What is printed waits in a temporary file, so that
 * a long run does not fill the memory.
 */
#ifndef IRQSCOPE_SCOPE_FLOW_LIST_H
#define IRQSCOPE_SCOPE_FLOW_LIST_H

#include <stdio.h>

#include "bus/error.h"
#include "scope/flow.h"
#include "scope/symbols.h"

struct flow_list;

/* max: only flows numbered up to this are kept. symbols is borrowed, may be NULL. 0 or -errno. */
int flow_list_new(struct flow_list **list, uint64_t max, bool json, struct symbols *symbols,
                  struct error *err);
void flow_list_free(struct flow_list *list); /* NULL is allowed */
void flow_list_add(struct flow_list *list, const struct irq_record *recs, size_t n);
/* Close what is open and print. Returns how many flows there are beyond max; -errno when the temporary file failed. */
int64_t flow_list_finish(struct flow_list *list, FILE *out, struct error *err);

#endif
