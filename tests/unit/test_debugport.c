/* SPDX-License-Identifier: MIT */
/*
 * Debug output, POST code, exit port, and the ports that power off and reset.
 */
#include "bus/isa/debugport.h"
#include "bus/isa/isa_debug_exit.h"
#include "bus/isa/pc_ports.h"
#include "unit/bus_test.h"

#include <criterion/criterion.h>
#include <errno.h>

static struct bus bus;
static const struct bus_attrs attrs = {.requester = 0, .rip = 0x7c12};

static struct {
    uint8_t out[16];
    size_t nout;
    unsigned exits, power_offs, resets;
    uint32_t exit_value;
    uint16_t port;
    uint64_t rip;
} seen;

static void collect(void *opaque, const uint8_t *buf, size_t n)
{
    (void)opaque;
    for (size_t i = 0; i < n && seen.nout < sizeof(seen.out); i++) {
        seen.out[seen.nout++] = buf[i];
    }
}

static void on_exit_port(void *opaque, uint32_t value, const struct bus_attrs *a)
{
    (void)opaque, (void)a;
    seen.exits++;
    seen.exit_value = value;
}

static void on_power_off(void *opaque, uint16_t port, const struct bus_attrs *a)
{
    (void)opaque;
    seen.power_offs++;
    seen.port = port;
    seen.rip = a->rip;
}

static void on_reset(void *opaque, uint16_t port, const struct bus_attrs *a)
{
    (void)opaque, (void)a;
    seen.resets++;
    seen.port = port;
}

static struct debugport dbg;
static struct pc_ports pc;

static void setup(void)
{
    const struct chardev c = {collect, NULL};
    const struct pc_ports_callbacks cb = {on_power_off, on_reset, NULL};
    memset(&seen, 0, sizeof(seen));
    cr_assert_eq(bus_init(&bus, 4096, NULL), 0);
    debugport_init(&dbg, &c);
    cr_assert_eq(debugport_map(&dbg, &bus, NULL), 0);
    pc_ports_init(&pc, &cb);
    cr_assert_eq(pc_ports_map(&pc, &bus, NULL), 0);
}

static void teardown(void)
{
    bus_fini(&bus);
}

static void out(uint16_t port, unsigned v)
{
    bus_port_write(&bus, port, 1, v, &attrs);
}

static unsigned in(uint16_t port)
{
    return bus_port_read(&bus, port, 1, &attrs);
}

Test(debugport, e9_write_is_output_and_read_gives_e9, .init = setup, .fini = teardown)
{
    out(0xe9, 'o');
    out(0xe9, 'k');
    cr_assert_eq(seen.nout, 2);
    cr_assert_arr_eq(seen.out, "ok", 2);
    cr_assert_eq(in(0xe9), 0xe9);
}

Test(debugport, post_code_is_kept_until_reset, .init = setup, .fini = teardown)
{
    out(0x80, 0x5a);
    cr_assert_eq(dbg.post, 0x5a);
    cr_assert_eq(in(0x80), 0x5a);
    debugport_reset(&dbg);
    cr_assert_eq(in(0x80), 0);
}

Test(isa_debug_exit, write_any_width_hands_on_the_value, .init = setup, .fini = teardown)
{
    struct isa_debug_exit d;
    isa_debug_exit_init(&d, 0xf4, 4, on_exit_port, NULL);
    cr_assert_eq(isa_debug_exit_map(&d, &bus, NULL), 0);
    out(0xf4, 0x10);
    cr_assert_eq(seen.exit_value, 0x10);
    bus_port_write(&bus, 0xf4, 4, 0x12345678, &attrs);
    cr_assert_eq(seen.exit_value, 0x12345678);
    cr_assert_eq(seen.exits, 2);
    cr_assert_eq(in(0xf5), 0);
    cr_assert_eq(in(0xf8), 0xff);
}

Test(isa_debug_exit, map_over_another_port_is_refused, .init = setup, .fini = teardown)
{
    struct isa_debug_exit d;
    struct error err = {""};
    isa_debug_exit_init(&d, 0x7f, 2, on_exit_port, NULL);
    cr_assert_eq(isa_debug_exit_map(&d, &bus, &err), -EINVAL);
    cr_assert_neq(strstr(err.text, "post"), NULL);
}

Test(pc_ports, pm1a_slp_en_powers_off_at_both_addresses, .init = setup, .fini = teardown)
{
    bus_port_write(&bus, 0x604, 2, 0x0001, &attrs);
    cr_assert_eq(seen.power_offs, 0);
    cr_assert_eq(bus_port_read(&bus, 0x604, 2, &attrs), 0x0001);
    bus_port_write(&bus, 0x604, 2, 0x2000, &attrs);
    cr_assert_eq(seen.power_offs, 1);
    cr_assert_eq(seen.port, 0x604);
    cr_assert_eq(seen.rip, 0x7c12);
    cr_assert_eq(bus_port_read(&bus, 0x604, 2, &attrs) & 0x2000, 0, "ACPI: SLP_EN reads as zero");
    bus_port_write(&bus, 0xb004, 2, 0x3400, &attrs);
    cr_assert_eq(seen.port, 0xb004);
    out(0x605, 0x20);
    cr_assert_eq(seen.power_offs, 3);
}

Test(pc_ports, bochs_port_needs_the_whole_word, .init = setup, .fini = teardown)
{
    for (const char *s = "ShutShutdow"; *s; s++) {
        out(0x8900, (uint8_t)*s);
    }
    cr_assert_eq(seen.power_offs, 0);
    out(0x8900, 'n');
    cr_assert_eq(seen.power_offs, 1);
    cr_assert_eq(seen.port, 0x8900);
    out(0x8900, 'n');
    cr_assert_eq(seen.power_offs, 1);
}

Test(pc_ports, port92_bit0_resets_and_a20_stays_on, .init = setup, .fini = teardown)
{
    cr_assert_eq(in(0x92), 0x02);
    out(0x92, 0x00);
    cr_assert_eq(in(0x92), 0x02);
    cr_assert_eq(seen.resets, 0);
    out(0x92, 0x03);
    cr_assert_eq(seen.resets, 1);
    cr_assert_eq(seen.port, 0x92);
}

Test(pc_ports, cf9_resets_on_rising_rcpu_only, .init = setup, .fini = teardown)
{
    out(0xcf9, 0x02);
    cr_assert_eq(seen.resets, 0);
    out(0xcf9, 0x06);
    cr_assert_eq(seen.resets, 1);
    out(0xcf9, 0x06);
    cr_assert_eq(seen.resets, 1);
    out(0xcf9, 0x02);
    out(0xcf9, 0x0e);
    cr_assert_eq(seen.resets, 2);
}

Test(pc_ports, kbc_self_test_answers_55_once, .init = setup, .fini = teardown)
{
    cr_assert_eq(in(0x64) & 3, 0, "no data, input buffer empty");
    out(0x64, 0xaa);
    cr_assert_eq(in(0x64) & 3, 1);
    cr_assert_eq(in(0x60), 0x55);
    cr_assert_eq(in(0x64) & 3, 0);
}

Test(pc_ports, kbc_command_byte_is_kept, .init = setup, .fini = teardown)
{
    out(0x64, 0x60);
    out(0x60, 0x47);
    out(0x64, 0x20);
    cr_assert_eq(in(0x60), 0x47);
    out(0x60, 0xed); /* to the keyboard, which is not there */
    cr_assert_eq(in(0x64) & 3, 0);
    cr_assert_eq(seen.resets, 0);
}

Test(pc_ports, kbc_pulse_and_output_port_reset, .init = setup, .fini = teardown)
{
    out(0x64, 0xff);
    cr_assert_eq(seen.resets, 0, "pulses nothing");
    out(0x64, 0xfe);
    cr_assert_eq(seen.resets, 1);
    cr_assert_eq(seen.port, 0x64);
    out(0x64, 0xd1);
    out(0x60, 0xdf);
    cr_assert_eq(seen.resets, 1);
    out(0x64, 0xd1);
    out(0x60, 0xfe);
    cr_assert_eq(seen.resets, 2);
    out(0x60, 0xfe);
    cr_assert_eq(seen.resets, 2, "a data byte without a command is none");
}
