/* SPDX-License-Identifier: MIT */
/*
 * Records of the interrupt controllers.
 */
#ifndef IRQSCOPE_INTC_TRACE_EVENTS_H
#define IRQSCOPE_INTC_TRACE_EVENTS_H

#include "bus/trace.h"

/*
 * pic_*: pin is 0-15 (8-15 = second chip), irr/imr/isr are the pair as 16 bits after the step.
 * pic_intr: the pair's output changed. pic_hold: a request waits at the 8259; writer = RIP of who
 * wrote the register that holds it. pic_ack: vector chosen (a poll: the byte read); pin 7 or
 * 15 with spurious=1 when nothing was left. pic_eoi: pin = the level whose ISR bit fell, 0xff =
 * nothing was in service. ioapic_pin: the pin's state was taken into account; ioapic_msg: the MSI
 * write made for it; when nobody takes it, an ioapic_hold (apic-off, result = enum deliver_reason)
 * follows. msi: an address/data pair was decoded. lapic_accept: IRR[vector] set, or coalesced with
 * ref. lapic_hold: the highest pending vector waits. lapic_ack: IRR -> ISR; lapic_eoi: ISR bit of
 * vector cleared (vector 0 and result DELIVER_IGNORED: nothing in service). lapic_event: NMI, SMI,
 * INIT, SIPI, ExtINT accepted (delivery = enum apic_delivery). lapic_lvt: a LINT pin turned
 * active, the timer expired or an error was logged; entry: timer 0, thermal 1, perf 2, LINT0 3,
 * LINT1 4, error 5. lapic_error: esr 0 and DELIVER_IGNORED is an odd access without effect on ESR.
 */
#define INTC_TRACE_EVENTS(E0, E1, E2, E3, E4, E5)                                  \
    E4(pic_request, "pic", pin, DEC, irr, HEX, imr, HEX, isr, HEX)                 \
    E4(pic_withdraw, "pic-drop", pin, DEC, irr, HEX, imr, HEX, isr, HEX)           \
    E4(pic_hold, "hold", pin, DEC, reason, REASON, value, HEX, writer, ADDR)       \
    E2(pic_intr, "intr", level, BOOL, pin, DEC)                                    \
    E5(pic_ack, "ack", pin, DEC, vector, VEC, spurious, BOOL, irr, HEX, isr, HEX)  \
    E4(pic_eoi, "eoi", pin, DEC, ocw2, HEX, isr, HEX, rip, ADDR)                   \
    E4(ioapic_pin, "route", ioapic, DEC, pin, DEC, level, BOOL, rte, HEX)          \
    E4(ioapic_hold, "hold", ioapic, DEC, pin, DEC, reason, REASON, writer, ADDR)   \
    E4(ioapic_msg, "msg", ioapic, DEC, pin, DEC, address, HEX, data, HEX)          \
    E4(ioapic_eoi, "ioapic-eoi", ioapic, DEC, pin, DEC, vector, VEC, level, BOOL)  \
    E4(msi, "msi", address, HEX, data, HEX, vector, VEC, targets, DEC)             \
    E4(ipi, "ipi", icr, HEX, vector, VEC, delivery, ENUM, rip, ADDR)               \
    E4(lapic_accept, "accept", vector, VEC, trigger, ENUM, ppr, HEX, pending, DEC) \
    E4(lapic_hold, "hold", vector, VEC, reason, REASON, ppr, HEX, writer, ADDR)    \
    E3(lapic_ack, "ack", vector, VEC, spurious, BOOL, ppr, HEX)                    \
    E4(lapic_eoi, "eoi", vector, VEC, level, BOOL, ppr, HEX, rip, ADDR)            \
    E3(lapic_event, "event", delivery, ENUM, vector, VEC, source, HEX)             \
    E3(lapic_lvt, "lvt", entry, ENUM, value, HEX, level, BOOL)                     \
    E3(lapic_error, "error", esr, HEX, vector, VEC, rip, ADDR)

TRACE_DEFINE_ENUM(intc, TRACE_FOLDER_INTC, INTC_TRACE_EVENTS)
TRACE_DEFINE_EMITTERS(INTC_TRACE_EVENTS)

extern const struct trace_desc intc_trace_descs[];
extern const size_t intc_trace_ndescs;

#endif
