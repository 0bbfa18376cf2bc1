/* SPDX-License-Identifier: MIT */
/*
 * irq_assert(): our own bugs. On in every build; never reachable by what a guest does.
 * irq_check(): expensive invariants, only in builds with IRQ_CHECKS.
 */
#ifndef IRQSCOPE_BUS_ASSERT_H
#define IRQSCOPE_BUS_ASSERT_H

/* Print the failed expression and abort. Any thread. */
_Noreturn void irq_assert_fail(const char *expr, const char *file, int line);

#define irq_assert(e)     ((e) ? (void)0 : irq_assert_fail(#e, __FILE__, __LINE__))
#define irq_unreachable() irq_assert_fail("unreachable", __FILE__, __LINE__)
#ifdef IRQ_CHECKS
#define irq_check(e) irq_assert(e)
#else
#define irq_check(e) ((void)sizeof(!!(e)))
#endif

#endif
