/* SPDX-License-Identifier: MIT */
/*
 * The machine's life through machine.h: tiny guests (raw bytes, 32-bit flat mode, at 1 MiB) and how their runs end.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bus/trace.h"
#include "firmware/machine.h"
#include "firmware/pc_board.h"

#define BASE       0x100000

#define GUEST(...) ((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__})
/* Guest code. */
#define CLI       0xfa
#define STI       0xfb
#define HLT       0xf4
#define UD2       0x0f, 0x0b
#define LOOP      0xeb, 0xfe /* jmp $ */
#define MOV_AL(v) 0xb0, (v)
#define OUT_AL(p) 0xe6, (p)
#define MOV_DX(v) 0x66, 0xba, (v)&0xff, (v) >> 8
#define OUT_DX    0xee
#define EXIT(v)   MOV_AL(v), OUT_AL(0xf4)

static struct machine_config config(const uint8_t *code, size_t size)
{
    struct machine_config c = machine_config_default();
    c.ram_bytes = 2 << 20;
    c.kernel = (struct machine_file){.path = "guest", .data = code, .size = size};
    c.flat = true;
    c.flat_address = c.flat_entry = BASE;
    c.debug_exit = true;
    c.debug_exit_iobase = 0xf4;
    c.debug_exit_iosize = 4;
    c.limit_ns = 1000000000; /* no test here may hang */
    return c;
}

static struct machine *make(const struct machine_config *c)
{
    struct machine *m;
    struct error err;
    cr_assert_eq(machine_create(c, &m, &err), 0, "%s", err.text);
    return m;
}

static struct machine_stop_info run(const uint8_t *code, size_t size)
{
    struct machine_config c = config(code, size);
    struct machine *m = make(&c);
    struct machine_stop_info info;
    cr_expect_eq(machine_run(m, &info), info.reason);
    machine_destroy(m);
    return info;
}

Test(machine, debug_exit_gives_the_value_and_the_instruction)
{
    struct machine_stop_info info = run(GUEST(EXIT(0x10), LOOP));
    cr_expect_eq(info.reason, MACHINE_STOP_DEBUG_EXIT, "%s", machine_stop_name(info.reason));
    cr_expect_eq(info.value, 0x10);
    cr_expect_eq(info.at_rip, BASE + 2);
    cr_expect_eq(info.insns, 2);
    cr_expect_eq(info.vtime_ns, 2);
}

Test(machine, power_off_ends_the_run)
{
    struct machine_stop_info info = run(GUEST(MOV_DX(0x605), MOV_AL(0x20), OUT_DX, LOOP));
    cr_expect_eq(info.reason, MACHINE_STOP_POWER_OFF, "%s", machine_stop_name(info.reason));
    cr_expect_eq(info.insns, 3);
}

Test(machine, halt_without_if_is_for_ever)
{
    struct machine_stop_info info = run(GUEST(CLI, HLT, LOOP));
    cr_expect_eq(info.reason, MACHINE_STOP_HALTED_FOREVER, "%s", machine_stop_name(info.reason));
    cr_expect_eq(info.regs.rip, BASE + 2);
    cr_expect(info.regs.halted);
    cr_expect_eq(info.vtime_ns, 2, "at once, though the PIT ticks");
}

Test(machine, halt_with_everything_masked_is_for_ever)
{
    struct machine_stop_info info =
        run(GUEST(MOV_AL(0xff), OUT_AL(0x21), OUT_AL(0xa1), STI, HLT, LOOP));
    cr_expect_eq(info.reason, MACHINE_STOP_HALTED_FOREVER, "%s", machine_stop_name(info.reason));
}

Test(machine, limits_are_exact_and_can_be_raised)
{
    struct machine_config c = config(GUEST(LOOP));
    struct machine_stop_info info;
    c.limit_insns = 1234567;
    struct machine *m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_INSNS);
    cr_expect_eq(info.insns, 1234567);
    cr_expect_eq(info.vtime_ns, 1234567);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_INSNS, "still there");
    machine_set_limits(m, MACHINE_NEVER, 2000001);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_TIME);
    cr_expect_eq(info.vtime_ns, 2000001);
    cr_expect_eq(machine_get_insns(m, 0), 2000001);
    machine_destroy(m);
}

Test(machine, time_limit_is_exact_while_the_cpu_halts)
{
    struct machine_config c = config(GUEST(STI, HLT, LOOP));
    struct machine_stop_info info;
    c.limit_ns = 10000; /* the first tick of the BIOS timer comes after 54.9 ms */
    struct machine *m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_TIME, "%s",
                 machine_stop_name(info.reason));
    cr_expect_eq(info.vtime_ns, 10000);
    cr_expect_eq(info.insns, 2);
    machine_destroy(m);
}

Test(machine, triple_fault_is_told_but_with_an_idt_of_limit_0_it_resets)
{
    struct machine_stop_info info = run(GUEST(UD2));
    cr_expect_eq(info.reason, MACHINE_STOP_TRIPLE_FAULT, "%s", machine_stop_name(info.reason));
    cr_expect_eq(info.regs.rip, BASE);

    static const uint8_t code[] = {0x0f,      0x01, 0x1d, 0x20,
                                   0,         0x10, 0,    UD2, /* lidt [100020h]: zeros */
                                   [0x27] = 0};
    struct machine_config c = config(code, sizeof(code));
    c.no_reboot = true;
    struct machine *m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_RESET, "%s", machine_stop_name(info.reason));
    cr_expect_eq(info.at_rip, BASE + 7);
    machine_destroy(m);
}

Test(machine, reset_loads_the_kernel_again_and_time_goes_on)
{
    /* Counts in memory that no loader touches; destroys itself; resets twice through port 92h, then exits with the count. */
    static const uint8_t code[] = {
        0xff,         0x05,         0x00, 0x00, 0x05, 0x00,       /* inc dword [50000h] */
        0xa0,         0x00,         0x00, 0x05, 0x00,             /* mov al, [50000h] */
        0x3c,         0x03,                                       /* cmp al, 3 */
        0x74,         0x0d,                                       /* je +13 */
        0xc6,         0x05,         0x00, 0x00, 0x10, 0x00, 0xf4, /* mov byte [100000h], hlt */
        MOV_AL(0x01), OUT_AL(0x92), LOOP,                         /* reset */
        OUT_AL(0xf4), LOOP,
    };
    struct machine_config c = config(code, sizeof(code));
    struct machine *m = make(&c);
    struct machine_stop_info info;
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_DEBUG_EXIT, "%s",
                 machine_stop_name(info.reason));
    cr_expect_eq(info.value, 3);
    cr_expect_eq(info.insns, 2 * 7 + 5, "the count goes on over resets");
    cr_expect_eq(info.vtime_ns, 2 * 7 + 5);
    machine_destroy(m);

    c.no_reboot = true;
    m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_RESET);
    cr_expect_eq(info.insns, 7);
    machine_destroy(m);
}

static void stop_at_third_poll(void *opaque, struct machine *m)
{
    if (++*(unsigned *)opaque == 3) {
        machine_stop(m);
    }
}

Test(machine, stop_is_seen_within_a_millisecond_and_the_run_can_go_on)
{
    unsigned polls = 0;
    struct machine_config c = config(GUEST(LOOP));
    struct machine_stop_info info;
    c.poll = stop_at_third_poll;
    c.opaque = &polls;
    struct machine *m = make(&c);
    machine_stop(m);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_REQUEST, "a stop before the run counts");
    cr_expect_eq(info.insns, 0);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_REQUEST);
    cr_expect_leq(info.vtime_ns, 3000000);
    machine_set_limits(m, info.insns + 5, MACHINE_NEVER);
    uint64_t insns = info.insns;
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_INSNS);
    cr_expect_eq(info.insns, insns + 5);
    machine_destroy(m);
}

static void collect(void *opaque, const uint8_t *buf, size_t n)
{
    char *text = opaque;
    strncat(text, (const char *)buf, n);
}

Test(machine, serial_and_debug_port_output_arrive)
{
    char serial[16] = "", debug[16] = "";
    struct machine_config c = config(
        GUEST(MOV_DX(0x3f8), MOV_AL('H'), OUT_DX, MOV_AL('i'), OUT_DX, OUT_AL(0xe9), CLI, HLT));
    c.serial = (struct chardev){.write = collect, .opaque = serial};
    c.debug_port = (struct chardev){.write = collect, .opaque = debug};
    struct machine *m = make(&c);
    machine_run(m, NULL);
    cr_expect_str_eq(serial, "Hi");
    cr_expect_str_eq(debug, "i");
    machine_destroy(m);
}

/* Reads LSR until a byte is there, and exits with it. */
#define ECHO_BYTE \
    MOV_DX(0x3fd), 0xec, 0xa8, 0x01, 0x74, 0xfb, MOV_DX(0x3f8), 0xec, OUT_AL(0xf4), LOOP

Test(machine, serial_input_reaches_a_polling_guest)
{
    struct machine_config c = config(GUEST(ECHO_BYTE));
    struct machine_stop_info info;
    struct machine *m = make(&c);
    cr_expect_eq(machine_serial_input(m, (const uint8_t *)"x", 1), 1);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_DEBUG_EXIT, "%s",
                 machine_stop_name(info.reason));
    cr_expect_eq(info.value, 'x');
    cr_expect_geq(info.vtime_ns, 86806, "one character time");
    machine_destroy(m);
}

struct idle_log {
    unsigned calls;
    uint64_t wake;
};

static bool push_once(void *opaque, struct machine *m, uint64_t wake)
{
    struct idle_log *log = opaque;
    if (log->calls++ == 0) {
        log->wake = wake;
        return machine_serial_input(m, (const uint8_t *)"y", 1) == 1;
    }
    return true;
}

Test(machine, idle_is_asked_for_input_before_a_halt_is_for_ever)
{
    /* Input interrupt on, all masked but IRQ4; the interrupt finds no IDT: what counts is that it wakes. */
    static const uint8_t code[] = {
        MOV_AL(0xef),  OUT_AL(0x21),         /* IRQ4 only */
        MOV_DX(0x3fc), MOV_AL(0x08), OUT_DX, /* OUT2 */
        MOV_DX(0x3f9), MOV_AL(0x01), OUT_DX, /* received data */
        STI,           HLT,          LOOP,
    };
    struct idle_log log = {0};
    struct machine_config c = config(code, sizeof(code));
    struct machine_stop_info info;
    c.idle = push_once;
    c.opaque = &log;
    struct machine *m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_TRIPLE_FAULT, "%s",
                 machine_stop_name(info.reason));
    cr_expect_eq(log.wake, MACHINE_NEVER);
    cr_expect_geq(info.vtime_ns, 86806);
    machine_destroy(m);

    c.idle = NULL;
    m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_HALTED_FOREVER);
    machine_destroy(m);
}

/* No progress, but time passes: each iteration costs one instruction. */
Test(machine, rep_ends_at_the_limit)
{
    static const uint8_t code[] = {
        0x31, 0xc9, 0x49,       /* ecx = ffffffffh */
        0xbf, 0,    0,    5, 0, /* edi = 50000h */
        0x66, 0xba, 0x61, 0,    /* dx = 61h */
        0xf3, 0x6e,             /* rep outsb */
        LOOP,
    };
    struct machine_config c = config(code, sizeof(code));
    struct machine_stop_info info;
    c.limit_insns = 100000;
    struct machine *m = make(&c);
    cr_expect_eq(machine_run(m, &info), MACHINE_STOP_LIMIT_INSNS, "%s",
                 machine_stop_name(info.reason));
    cr_expect_eq(info.insns, 100000);
    machine_destroy(m);
}

static void hash_records(void *opaque, const struct irq_record *recs, size_t n)
{
    uint64_t *hash = opaque;
    const uint8_t *p = (const uint8_t *)recs;
    for (size_t i = 0; i < n * sizeof(*recs); i++) {
        *hash = (*hash ^ p[i]) * 0x100000001b3;
    }
}

Test(machine, two_machines_in_one_process_make_equal_streams)
{
    uint64_t hash[2] = {0xcbf29ce484222325, 0xcbf29ce484222325};
    struct machine_config c = config(GUEST(ECHO_BYTE));
    struct machine *m[2];
    for (unsigned i = 0; i < 2; i++) {
        m[i] = make(&c);
        cr_assert_eq(machine_trace_listen(m[i], hash_records, &hash[i]), 0);
        machine_serial_input(m[i], (const uint8_t *)"x", 1);
    }
    machine_set_limits(m[0], 1000, MACHINE_NEVER);
    machine_set_limits(m[1], 1000, MACHINE_NEVER);
    machine_run(m[0], NULL);
    machine_run(m[1], NULL); /* interleaved */
    machine_set_limits(m[0], MACHINE_NEVER, MACHINE_NEVER);
    machine_set_limits(m[1], MACHINE_NEVER, MACHINE_NEVER);
    machine_run(m[0], NULL);
    machine_run(m[1], NULL);
    cr_expect_eq(hash[0], hash[1]);
    cr_expect_neq(hash[0], 0xcbf29ce484222325, "there were records");
    machine_destroy(m[0]);
    machine_destroy(m[1]);
}

Test(machine, entry_state_is_that_of_the_format)
{
    struct machine_config c = config(GUEST(LOOP));
    struct machine_regs regs;
    struct machine *m = make(&c);
    machine_get_regs(m, 0, &regs);
    cr_expect_eq(regs.rip, BASE);
    cr_expect_eq(regs.cr0 & (CR0_PE | CR0_PG), CR0_PE);
    cr_expect_eq(regs.rflags, EFLAGS_ONE);
    cr_expect_eq(regs.code_bits, 32);
    cr_expect_eq(regs.cpl, 0);
    const struct cpu *cpu = machine_get_board(m)->cpu[0];
    for (unsigned i = 0; i < SEG_COUNT; i++) {
        cr_expect_eq(cpu->seg[i].base, 0);
        cr_expect_eq(cpu->seg[i].limit, 0xffffffff);
    }
    machine_destroy(m);
}

Test(machine, bad_configurations_are_refused_with_a_sentence)
{
    struct machine_config c = config(GUEST(LOOP));
    struct machine *m = NULL;
    struct error err;
    struct machine_config bad = c;
    bad.ram_bytes = 0;
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    cr_expect(strstr(err.text, "-m"));
    bad.ram_bytes = UINT64_MAX & ~4095ull;
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    bad = c;
    bad.cpus = 2;
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    cr_expect(strstr(err.text, "-smp 2"));
    bad = c;
    bad.cpu_model = "i860";
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    cr_expect(strstr(err.text, "i860"));
    bad = c;
    bad.kernel = (struct machine_file){.path = "/nonexistent/k"};
    cr_expect_eq(machine_create(&bad, &m, &err), -ENOENT);
    cr_expect(strstr(err.text, "/nonexistent/k"));
    bad = c;
    bad.flat = false;
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    bad = c;
    bad.size = 0;
    cr_expect_eq(machine_create(&bad, &m, &err), -EINVAL);
    cr_expect_null(m);
}
