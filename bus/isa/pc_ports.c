/* SPDX-License-Identifier: MIT */
/*
 * The PC's ports that end or restart a run.
 *
 * - 604h and B004h: PM1a control of the ACPI power management block, as on an Intel 82371AB (PIIX4, order no. 290562) whose block
 *   stands at 600h or B000h: a write with SLP_EN (bit 13; ACPI 4.8.3.2.1 "PM1 Control Registers") powers off. SLP_EN reads as 0.
 * - 8900h: Bochs' power-off port: the string "Shutdown", byte by byte.
 * - 92h: PS/2 system control port A: bit 0 from 0 to 1 resets; bit 1 (A20) always reads 1.
 * - CF9h: reset control register of Intel's bridges (82371AB 4.2.4.3 "RC - Reset Control Register"): RCPU (bit 2) from 0 to 1 resets.
 * - 60h, 64h: the least of an Intel 8042 as in a PC/AT, without keyboard and mouse: self-test AAh (answers 55h), interface test ABh
 *   and A9h (00h: no error), command byte (20h, 60h), output port (D0h, D1h; bit 0 = 0 resets), pulses F0h-FFh (bit 0 = 0 resets).
 *   Every other command is accepted. Status is 14h: system flag and keylock as after a power-on self test, input buffer empty.
 *
 * Not modelled: keyboard and mouse (bytes sent to them vanish, IRQ1 and IRQ12 never rise), A20 off, sleep types (any one powers
 * off), the rest of the ACPI block, CF9h's hard against soft reset.
 */
#include "bus/isa/pc_ports.h"

enum pc_port {
    PORT_KBC_DATA = 0x60,
    PORT_KBC_COMMAND = 0x64,
    PORT_CONTROL_A = 0x92,
    PORT_PM1A_PIIX4 = 0x604,
    PORT_RESET = 0xcf9,
    PORT_BOCHS = 0x8900,
    PORT_PM1A_OLD = 0xb004,
};

#define PM1_SLP_EN      0x2000u
#define CONTROL_A_RESET 0x01u
#define CONTROL_A_A20   0x02u
#define RESET_RCPU      0x04u
#define KBC_STATUS_OBF  0x01u
#define KBC_STATUS_IDLE 0x14u
#define KBC_OUTPUT_PORT 0xdfu /* A20 on, reset line high */

static void ask_power_off(const struct pc_ports *p, uint16_t port, const struct bus_attrs *attrs)
{
    if (p->cb.power_off) {
        p->cb.power_off(p->cb.opaque, port, attrs);
    }
}

static void ask_reset(const struct pc_ports *p, uint16_t port, const struct bus_attrs *attrs)
{
    if (p->cb.reset) {
        p->cb.reset(p->cb.opaque, port, attrs);
    }
}

/* ---- PM1a control, two addresses ---- */

static uint64_t pm1a_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)size, (void)attrs;
    return (uint64_t)((const struct pc_ports *)opaque)->pm1a_control >> (8 * off);
}

static void pm1a_write(struct pc_ports *p, uint16_t port, uint64_t off, unsigned size,
                       uint64_t value, const struct bus_attrs *attrs)
{
    uint32_t lane = (size == 1 ? 0xffu : 0xffffu) << (8 * off);
    uint32_t raw = (uint32_t)(value << (8 * off)) & lane;
    p->pm1a_control = (uint16_t)(((p->pm1a_control & ~lane) | raw) & ~PM1_SLP_EN);
    if (raw & PM1_SLP_EN) {
        ask_power_off(p, port, attrs);
    }
}

static void pm1a_piix4_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                             const struct bus_attrs *attrs)
{
    pm1a_write(opaque, PORT_PM1A_PIIX4, off, size, value, attrs);
}

static void pm1a_old_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                           const struct bus_attrs *attrs)
{
    pm1a_write(opaque, PORT_PM1A_OLD, off, size, value, attrs);
}

/* ---- 8900h ---- */

static uint64_t ones_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)opaque, (void)off, (void)size, (void)attrs;
    return UINT64_MAX;
}

static void bochs_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                        const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    static const char word[] = "Shutdown";
    struct pc_ports *p = opaque;
    if ((char)value == word[p->shutdown_pos]) {
        p->shutdown_pos++;
    } else {
        p->shutdown_pos = (char)value == word[0];
    }
    if (word[p->shutdown_pos] == '\0') {
        p->shutdown_pos = 0;
        ask_power_off(p, PORT_BOCHS, attrs);
    }
}

/* ---- 92h and CF9h ---- */

static uint64_t control_a_read(void *opaque, uint64_t off, unsigned size,
                               const struct bus_attrs *attrs)
{
    (void)opaque, (void)off, (void)size, (void)attrs;
    return CONTROL_A_A20;
}

static void control_a_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                            const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    /* Bit 0 always reads 0, so each write of 1 is a 0-to-1 transition. */
    if (value & CONTROL_A_RESET) {
        ask_reset(opaque, PORT_CONTROL_A, attrs);
    }
}

static uint64_t reset_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    return ((const struct pc_ports *)opaque)->reset_control;
}

static void reset_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                        const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    struct pc_ports *p = opaque;
    bool rises = (value & RESET_RCPU) && !(p->reset_control & RESET_RCPU);
    p->reset_control = (uint8_t)(value & 0x0e);
    if (rises) {
        ask_reset(p, PORT_RESET, attrs);
    }
}

/* ---- keyboard controller ---- */

static void kbc_answer(struct pc_ports *p, uint8_t byte)
{
    p->kbc_data = byte;
    p->kbc_full = true;
}

static void kbc_run_command(struct pc_ports *p, uint8_t command, const struct bus_attrs *attrs)
{
    p->kbc_command = 0;
    switch (command) {
    case 0x20:
        kbc_answer(p, p->kbc_byte);
        break;
    case 0x60: /* write command byte */
    case 0xd1: /* write output port */
    case 0xd2: /* write to keyboard's output buffer */
    case 0xd3: /* write to mouse's output buffer */
    case 0xd4: /* write to mouse */
        p->kbc_command = command;
        break;
    case 0xaa:
        kbc_answer(p, 0x55);
        break;
    case 0xa9:
    case 0xab:
        kbc_answer(p, 0x00);
        break;
    case 0xd0:
        kbc_answer(p, KBC_OUTPUT_PORT);
        break;
    default:
        if (command >= 0xf0 && !(command & 1)) {
            ask_reset(p, PORT_KBC_COMMAND, attrs);
        }
        break;
    }
}

static uint64_t kbc_command_read(void *opaque, uint64_t off, unsigned size,
                                 const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    return KBC_STATUS_IDLE | (((const struct pc_ports *)opaque)->kbc_full ? KBC_STATUS_OBF : 0);
}

static void kbc_command_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                              const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    kbc_run_command(opaque, (uint8_t)value, attrs);
}

static uint64_t kbc_data_read(void *opaque, uint64_t off, unsigned size,
                              const struct bus_attrs *attrs)
{
    (void)off, (void)size, (void)attrs;
    struct pc_ports *p = opaque;
    p->kbc_full = false;
    return p->kbc_data;
}

static void kbc_data_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                           const struct bus_attrs *attrs)
{
    (void)off, (void)size;
    struct pc_ports *p = opaque;
    uint8_t command = p->kbc_command;
    p->kbc_command = 0;
    switch (command) {
    case 0x60:
        p->kbc_byte = (uint8_t)value;
        break;
    case 0xd1:
        if (!(value & 1)) {
            ask_reset(p, PORT_KBC_DATA, attrs);
        }
        break;
    case 0xd2:
    case 0xd3:
        kbc_answer(p, (uint8_t)value);
        break;
    default: /* for a keyboard or mouse that is not there */
        break;
    }
}

/* ---- set-up ---- */

void pc_ports_init(struct pc_ports *p, const struct pc_ports_callbacks *cb)
{
    *p = (struct pc_ports){.cb = *cb};
    pc_ports_reset(p);
}

void pc_ports_reset(struct pc_ports *p)
{
    *p = (struct pc_ports){.cb = p->cb};
}

int pc_ports_map(struct pc_ports *p, struct bus *bus, struct error *err)
{
    static const struct {
        uint16_t base;
        uint8_t len;
        const char *name;
        bus_read_fn *read;
        bus_write_fn *write;
    } ports[] = {
        {PORT_KBC_DATA, 1, "i8042.data", kbc_data_read, kbc_data_write},
        {PORT_KBC_COMMAND, 1, "i8042.command", kbc_command_read, kbc_command_write},
        {PORT_CONTROL_A, 1, "port92", control_a_read, control_a_write},
        {PORT_PM1A_PIIX4, 2, "pm1a-control", pm1a_read, pm1a_piix4_write},
        {PORT_RESET, 1, "reset-control", reset_read, reset_write},
        {PORT_BOCHS, 1, "shutdown", ones_read, bochs_write},
        {PORT_PM1A_OLD, 2, "pm1a-control-b004", pm1a_read, pm1a_old_write},
    };
    for (size_t i = 0; i < irq_array_size(ports); i++) {
        const struct mmio_dev dev = {
            .name = ports[i].name,
            .read = ports[i].read,
            .write = ports[i].write,
            .opaque = p,
            .min_size = 1,
            .max_size = ports[i].len,
        };
        int rc = bus_map_ports(bus, ports[i].base, ports[i].len, &dev, err);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}
