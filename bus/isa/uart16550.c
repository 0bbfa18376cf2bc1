/* SPDX-License-Identifier: MIT */
/*
 * Serial port: National Semiconductor PC16550D, "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs", TL/C/8652,
 * June 1995. Section numbers below are that datasheet's.
 *
 * Modelled: all registers, both FIFO modes, interrupt priorities (table "Interrupt Control Functions"), character timeout,
 * loopback, modem status deltas. A terminal that is ready is always connected: CTS, DSR and DCD asserted, RI not.
 *
 * Not modelled: DMA mode signals (TXRDY, RXRDY: FCR bit 3 has no effect), break and framing and parity errors from the line (a
 * break sent by LCR bit 6 is stored only), baud rates as seen from the outside, RI from outside.
 *
 * Deviations:
 * - Transmission takes no virtual time: a written character is out, and THR empty again, before the next instruction, so that
 *   polled output of kernels does not burn time. The interrupt line still falls and rises on each write that empties THR again.
 * - A full receiver makes the outside wait instead of an overrun; an overrun happens in loopback only.
 * - The divisor latch, undefined after power-on, holds 12 (9600 baud); a divisor of 0 counts as 1.
 * - Character timeout is exact in virtual time: four character times at the programmed divisor and format.
 *
 * As wired in a PC: OUT2 gates the INTR pin onto the bus. With MCR bit 3 clear, or in loopback (which forces the OUT2 pin
 * inactive, "MODEM Control Register"), the line stays low whatever IIR says.
 */
#include "bus/isa/uart16550.h"

#include "bus/assert.h"
#include "bus/isa/isa_access.h"

enum uart_reg {
    UART_RBR_THR_DLL = 0,
    UART_IER_DLM = 1,
    UART_IIR_FCR = 2,
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
};

#define IER_ERBFI        0x01u
#define IER_ETBEI        0x02u
#define IER_ELSI         0x04u
#define IER_EDSSI        0x08u

#define IIR_NONE         0x01u
#define IIR_MSR          0x00u
#define IIR_THRE         0x02u
#define IIR_RDA          0x04u
#define IIR_RLS          0x06u
#define IIR_CTI          0x0cu
#define IIR_FIFOS        0xc0u

#define FCR_ENABLE       0x01u
#define FCR_CLEAR_RX     0x02u

#define LCR_STB          0x04u
#define LCR_PEN          0x08u
#define LCR_DLAB         0x80u

#define MCR_DTR          0x01u
#define MCR_RTS          0x02u
#define MCR_OUT1         0x04u
#define MCR_OUT2         0x08u
#define MCR_LOOP         0x10u

#define LSR_DR           0x01u
#define LSR_OE           0x02u
#define LSR_ERRORS       0x1eu /* OE, PE, FE, BI */
#define LSR_THRE         0x20u
#define LSR_TEMT         0x40u

#define MSR_DELTAS       0x0fu
#define MSR_TERI         0x04u
#define MSR_CTS          0x10u
#define MSR_DSR          0x20u
#define MSR_RI           0x40u
#define MSR_DCD          0x80u

#define DIVISOR_POWER_ON 12

static bool fifos_on(const struct uart16550 *u)
{
    return u->fcr & FCR_ENABLE;
}

/* Receiver FIFO interrupt trigger level, "FIFO Control Register", bits 7:6. */
static unsigned trigger_level(const struct uart16550 *u)
{
    static const uint8_t level[4] = {1, 4, 8, 14};
    return fifos_on(u) ? level[u->fcr >> 6] : 1;
}

/* The interrupt that IIR shows: the highest of those enabled, "Interrupt Identification Register". */
static uint8_t pending_interrupt(const struct uart16550 *u)
{
    if ((u->ier & IER_ELSI) && (u->lsr & LSR_ERRORS)) {
        return IIR_RLS;
    }
    if ((u->ier & IER_ERBFI) && u->rx_count >= trigger_level(u)) {
        return IIR_RDA;
    }
    if ((u->ier & IER_ERBFI) && u->cti_pending) {
        return IIR_CTI;
    }
    if ((u->ier & IER_ETBEI) && u->thre_pending) {
        return IIR_THRE;
    }
    if ((u->ier & IER_EDSSI) && (u->msr & MSR_DELTAS)) {
        return IIR_MSR;
    }
    return IIR_NONE;
}

static bool output_level(const struct uart16550 *u)
{
    return (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP) && pending_interrupt(u) != IIR_NONE;
}

static void uart16550_update(struct uart16550 *u, cause_t cause, const struct isa_access *access)
{
    isa_drive_line(&u->irq, output_level(u), u->trace, cause, access);
#ifdef IRQ_CHECKS
    uart16550_check(u);
#endif
}

/* Four character times in ns: start, data, parity and stop bits at 16 clocks times the divisor each. */
static vtime_t timeout_ns(const struct uart16550 *u)
{
    unsigned data = 5 + (u->lcr & 3u);
    /* In half bits: a second stop bit is half a bit with 5 data bits, "Line Control Register", bit 2. */
    unsigned half_bits = 2 * (1 + data + 1);
    if (u->lcr & LCR_PEN) {
        half_bits += 2;
    }
    if (u->lcr & LCR_STB) {
        half_bits += data == 5 ? 1 : 2;
    }
    uint64_t divisor = u->divisor ? u->divisor : 1;
    return clock_muldiv(4 * divisor * 8 * half_bits, 1000000000, UART16550_CLOCK);
}

/* The timeout restarts with each character that arrives or is read while the FIFO holds some, "FIFO Interrupt Mode Operation". */
static void restart_timeout(struct uart16550 *u)
{
    if (fifos_on(u) && u->rx_count > 0) {
        clock_arm(u->clock, &u->timeout, u->clock->now + timeout_ns(u));
    } else {
        clock_disarm(u->clock, &u->timeout);
    }
}

static void timeout_expired(void *opaque, vtime_t deadline)
{
    struct uart16550 *u = opaque;
    u->cti_pending = true;
    cause_t cause = u->rx_cause;
    if (output_level(u) && !u->irq.level) {
        cause = trace_timer_expire(u->trace, TRACE_CPU_NONE, cause, 0, 0, u->irq.source, deadline);
    }
    uart16550_update(u, cause, NULL);
}

static unsigned rx_capacity(const struct uart16550 *u)
{
    return fifos_on(u) ? UART16550_FIFO : 1;
}

static void rx_clear(struct uart16550 *u)
{
    u->rx_head = 0;
    u->rx_count = 0;
    u->cti_pending = false;
    clock_disarm(u->clock, &u->timeout);
}

static void rx_push(struct uart16550 *u, uint8_t byte, cause_t cause)
{
    if (u->rx_count == rx_capacity(u)) {
        /* "Line Status Register", bit 1: the character register is lost; a full FIFO keeps what it holds. */
        u->lsr |= LSR_OE;
        if (!fifos_on(u)) {
            u->rx[u->rx_head] = byte;
        }
        return;
    }
    u->rx[(u->rx_head + u->rx_count) % UART16550_FIFO] = byte;
    u->rx_count++;
    u->rx_cause = cause;
    if (!u->cti_pending) {
        restart_timeout(u);
    }
}

static uint8_t rx_pop(struct uart16550 *u)
{
    uint8_t byte = u->rx[u->rx_head];
    if (u->rx_count > 0) {
        u->rx_count--;
        u->rx_head = (uint8_t)((u->rx_head + 1) % UART16550_FIFO);
        u->cti_pending = false;
        restart_timeout(u);
    }
    return byte;
}

/* Modem input pins: from MCR in loopback ("MODEM Control Register", bit 4), else the terminal's. */
static uint8_t modem_inputs(const struct uart16550 *u)
{
    if (!(u->mcr & MCR_LOOP)) {
        return MSR_CTS | MSR_DSR | MSR_DCD;
    }
    return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                     (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

/* Note changes of the inputs in the delta bits; RI counts at its trailing edge, "MODEM Status Register", bit 2. */
static void update_modem_inputs(struct uart16550 *u)
{
    uint8_t inputs = modem_inputs(u);
    uint8_t changed = (uint8_t)((inputs ^ u->msr) >> 4);
    if (inputs & MSR_RI) {
        changed &= (uint8_t)~MSR_TERI;
    }
    u->msr = (uint8_t)(inputs | (u->msr & MSR_DELTAS) | changed);
}

static void write_thr(struct uart16550 *u, uint8_t value, const struct isa_access *access)
{
    /* THR full: the THRE condition and its interrupt go, then come back as the character leaves. */
    u->thre_pending = false;
    uart16550_update(u, 0, access);
    if (u->mcr & MCR_LOOP) {
        rx_push(u, value, access->attrs->cause);
    } else {
        chardev_write(&u->out, &value, 1);
    }
    u->thre_pending = true;
}

static void write_ier(struct uart16550 *u, uint8_t value)
{
    /* THR is always empty here, so enabling its interrupt raises it. */
    if ((value & IER_ETBEI) && !(u->ier & IER_ETBEI)) {
        u->thre_pending = true;
    }
    u->ier = value & 0x0f;
}

static void write_fcr(struct uart16550 *u, uint8_t value)
{
    /* "FIFO Control Register", bit 0: changing it clears the FIFOs; without it no other bit is programmed. */
    if ((value ^ u->fcr) & FCR_ENABLE) {
        rx_clear(u);
    }
    if (!(value & FCR_ENABLE)) {
        u->fcr = 0;
        return;
    }
    if (value & FCR_CLEAR_RX) {
        rx_clear(u);
    }
    u->fcr = value & 0xc9;
}

static uint8_t read_iir(struct uart16550 *u)
{
    uint8_t id = pending_interrupt(u);
    if (id == IIR_THRE) {
        u->thre_pending = false;
    }
    return (uint8_t)(id | (fifos_on(u) ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct uart16550 *u)
{
    uint8_t v = (uint8_t)(u->lsr | LSR_THRE | LSR_TEMT | (u->rx_count ? LSR_DR : 0));
    u->lsr &= (uint8_t)~LSR_ERRORS;
    return v;
}

static uint8_t read_msr(struct uart16550 *u)
{
    uint8_t v = u->msr;
    u->msr &= (uint8_t)~MSR_DELTAS;
    return v;
}

static uint8_t read_reg(struct uart16550 *u, unsigned reg)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (reg) {
    case UART_RBR_THR_DLL:
        return dlab ? (uint8_t)u->divisor : rx_pop(u);
    case UART_IER_DLM:
        return dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
    case UART_IIR_FCR:
        return read_iir(u);
    case UART_LCR:
        return u->lcr;
    case UART_MCR:
        return u->mcr;
    case UART_LSR:
        return read_lsr(u);
    case UART_MSR:
        return read_msr(u);
    case UART_SCR:
        return u->scr;
    default:
        return 0xff;
    }
}

uint64_t uart16550_read(void *opaque, uint64_t off, unsigned size, const struct bus_attrs *attrs)
{
    struct uart16550 *u = opaque;
    (void)size;
    uint8_t value = read_reg(u, (unsigned)off);
    struct isa_access access = {(uint16_t)(u->base + off), value, attrs};
    uart16550_update(u, 0, &access);
    return value;
}

void uart16550_write(void *opaque, uint64_t off, unsigned size, uint64_t value,
                     const struct bus_attrs *attrs)
{
    struct uart16550 *u = opaque;
    (void)size;
    uint8_t v = (uint8_t)value;
    struct isa_access access = {(uint16_t)(u->base + off), v, attrs};
    bool dlab = u->lcr & LCR_DLAB;
    switch ((unsigned)off) {
    case UART_RBR_THR_DLL:
        if (dlab) {
            u->divisor = (uint16_t)((u->divisor & 0xff00) | v);
        } else {
            write_thr(u, v, &access);
        }
        break;
    case UART_IER_DLM:
        if (dlab) {
            u->divisor = (uint16_t)((u->divisor & 0x00ff) | v << 8);
        } else {
            write_ier(u, v);
        }
        break;
    case UART_IIR_FCR:
        write_fcr(u, v);
        break;
    case UART_LCR:
        u->lcr = v;
        break;
    case UART_MCR:
        u->mcr = v & 0x1f;
        update_modem_inputs(u);
        break;
    case UART_SCR:
        u->scr = v;
        break;
    default: /* LSR is for factory tests, MSR is read only: writes have no effect */
        break;
    }
    uart16550_update(u, 0, &access);
}

bool uart16550_can_receive(const struct uart16550 *u)
{
    return !(u->mcr & MCR_LOOP) && u->rx_count < rx_capacity(u);
}

bool uart16550_receive(struct uart16550 *u, uint8_t byte, cause_t cause)
{
    if (!uart16550_can_receive(u)) {
        return false;
    }
    rx_push(u, byte, cause);
    uart16550_update(u, cause, NULL);
    return true;
}

void uart16550_init(struct uart16550 *u, struct clock *clock, struct trace *trace,
                    const struct chardev *out)
{
    *u = (struct uart16550){.clock = clock, .trace = trace, .divisor = DIVISOR_POWER_ON};
    if (out) {
        u->out = *out;
    }
    clock_event_init(&u->timeout, "uart16550.timeout", timeout_expired, u);
    uart16550_reset(u);
}

void uart16550_reset(struct uart16550 *u)
{
    /* Table "UART Reset Configuration": SCR and the divisor latches are not among what MR resets. */
    u->ier = 0;
    u->fcr = 0;
    u->lcr = 0;
    u->mcr = 0;
    u->lsr = 0;
    u->msr = modem_inputs(u);
    u->thre_pending = false;
    u->rx_cause = 0;
    rx_clear(u);
    uart16550_update(u, 0, NULL);
}

int uart16550_map(struct uart16550 *u, struct bus *bus, uint16_t base, struct error *err)
{
    const struct mmio_dev dev = {
        .name = "uart16550",
        .read = uart16550_read,
        .write = uart16550_write,
        .opaque = u,
        .min_size = 1,
        .max_size = 1,
    };
    u->base = base;
    return bus_map_ports(bus, base, UART16550_PORTS, &dev, err);
}

void uart16550_check(const struct uart16550 *u)
{
    irq_assert(u->rx_count <= rx_capacity(u) && u->rx_head < UART16550_FIFO);
    irq_assert(!u->cti_pending || (fifos_on(u) && u->rx_count > 0));
    irq_assert(!clock_event_armed(&u->timeout) || (fifos_on(u) && u->rx_count > 0));
    irq_assert((u->ier & 0xf0) == 0 && (u->mcr & 0xe0) == 0);
    irq_assert(u->irq.level == output_level(u));
}
