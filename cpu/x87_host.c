/* SPDX-License-Identifier: MIT */
/*
 * x87 arithmetic on the host's own x87 unit, one operation at a time.
 *
 * Intel SDM Vol. 1 (253665), chapter 8 "Programming with the x87 FPU". The guest's precision and rounding control hold during the
 * operation; every exception is masked and handed back as a status word. The host's control word is restored each time.
 *
 * Not modelled: transcendental functions (their last bits differ between processors). Hosts without an x87 unit: nothing at all,
 * and the caller ends the run with a message.
 */
#include "cpu/x87.h"

#include "bus/assert.h"

#if defined(__x86_64__)

const bool x87_host_present = true;

struct host80 {
    uint8_t b[16];
};

static struct host80 pack(struct f80 v)
{
    struct host80 h = {{0}};
    __builtin_memcpy(h.b, &v.mant, 8);
    __builtin_memcpy(h.b + 8, &v.se, 2);
    return h;
}

static struct f80 unpack(const struct host80 *h)
{
    struct f80 v;
    __builtin_memcpy(&v.mant, h->b, 8);
    __builtin_memcpy(&v.se, h->b + 8, 2);
    return v;
}

static uint16_t masked(uint16_t fcw)
{
    return (uint16_t)((fcw & 0x0f00) | 0x007f);
}

#define X87_CLOBBER "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"

/* a in ST(0), b in ST(1); the result is what ST(0) holds afterwards. */
#define HOST_BINARY(name, code)                                                                    \
    static uint16_t name(uint16_t cw, const struct host80 *a, const struct host80 *b,              \
                         struct host80 *out)                                                       \
    {                                                                                              \
        uint16_t save, sw;                                                                         \
        __asm__ volatile("fnclex\n\tfnstcw %[save]\n\tfldcw %[cw]\n\t"                             \
                         "fldt %[b]\n\tfldt %[a]\n\t" code "\n\t"                                  \
                         "fnstsw %[sw]\n\tfstpt %[out]\n\tfstp %%st(0)\n\tfnclex\n\tfldcw %[save]" \
                         : [save] "=m"(save), [sw] "=m"(sw), [out] "=m"(*out)                      \
                         : [cw] "m"(cw), [a] "m"(*a), [b] "m"(*b)                                  \
                         : X87_CLOBBER);                                                           \
        return sw;                                                                                 \
    }
HOST_BINARY(host_add, "fadd %%st(1), %%st")
HOST_BINARY(host_mul, "fmul %%st(1), %%st")
HOST_BINARY(host_sub, "fsub %%st(1), %%st")
HOST_BINARY(host_div, "fdiv %%st(1), %%st")
HOST_BINARY(host_com, "fcom %%st(1)")
HOST_BINARY(host_ucom, "fucom %%st(1)")
HOST_BINARY(host_sqrt, "fsqrt")
HOST_BINARY(host_rndint, "frndint")
HOST_BINARY(host_scale, "fscale")
HOST_BINARY(host_prem, "fprem")
HOST_BINARY(host_prem1, "fprem1")

uint16_t x87_host_op(enum x87_op op, uint16_t fcw, struct f80 a, struct f80 b, struct f80 *result)
{
    struct host80 x = pack(a), y = pack(b), r = pack(a);
    uint16_t cw = masked(fcw);
    uint16_t sw = 0;
    switch (op) {
    case X87_ADD:
        sw = host_add(cw, &x, &y, &r);
        break;
    case X87_MUL:
        sw = host_mul(cw, &x, &y, &r);
        break;
    case X87_SUB:
        sw = host_sub(cw, &x, &y, &r);
        break;
    case X87_SUBR:
        sw = host_sub(cw, &y, &x, &r);
        break;
    case X87_DIV:
        sw = host_div(cw, &x, &y, &r);
        break;
    case X87_DIVR:
        sw = host_div(cw, &y, &x, &r);
        break;
    case X87_COM:
    case X87_COMP:
        sw = host_com(cw, &x, &y, &r);
        break;
    case X87_UCOM:
        sw = host_ucom(cw, &x, &y, &r);
        break;
    case X87_SQRT:
        sw = host_sqrt(cw, &x, &y, &r);
        break;
    case X87_RNDINT:
        sw = host_rndint(cw, &x, &y, &r);
        break;
    case X87_SCALE:
        sw = host_scale(cw, &x, &y, &r);
        break;
    case X87_PREM:
        sw = host_prem(cw, &x, &y, &r);
        break;
    case X87_PREM1:
        sw = host_prem1(cw, &x, &y, &r);
        break;
    }
    *result = unpack(&r);
    return sw;
}

#define HOST_LOAD(name, type, code)                                                     \
    static uint16_t name(const type *v, struct host80 *out)                             \
    {                                                                                   \
        uint16_t save, sw, cw = 0x037f;                                                 \
        __asm__ volatile("fnclex\n\tfnstcw %[save]\n\tfldcw %[cw]\n\t" code " %[v]\n\t" \
                         "fnstsw %[sw]\n\tfstpt %[out]\n\tfnclex\n\tfldcw %[save]"      \
                         : [save] "=m"(save), [sw] "=m"(sw), [out] "=m"(*out)           \
                         : [cw] "m"(cw), [v] "m"(*v)                                    \
                         : X87_CLOBBER);                                                \
        return sw;                                                                      \
    }
HOST_LOAD(host_load32, uint32_t, "flds")
HOST_LOAD(host_load64, uint64_t, "fldl")
HOST_LOAD(host_load_int, int64_t, "fildll")

#define HOST_STORE(name, type, code)                                                     \
    static uint16_t name(uint16_t cw, const struct host80 *v, type *out)                 \
    {                                                                                    \
        uint16_t save, sw;                                                               \
        __asm__ volatile("fnclex\n\tfnstcw %[save]\n\tfldcw %[cw]\n\tfldt %[v]\n\t" code \
                         " %[out]\n\tfnstsw %[sw]\n\tfnclex\n\tfldcw %[save]"            \
                         : [save] "=m"(save), [sw] "=m"(sw), [out] "=m"(*out)            \
                         : [cw] "m"(cw), [v] "m"(*v)                                     \
                         : X87_CLOBBER);                                                 \
        return sw;                                                                       \
    }
HOST_STORE(host_store32, uint32_t, "fstps")
HOST_STORE(host_store64, uint64_t, "fstpl")
HOST_STORE(host_store_i16, uint16_t, "fistps")
HOST_STORE(host_store_i32, uint32_t, "fistpl")
HOST_STORE(host_store_i64, uint64_t, "fistpll")

uint16_t x87_host_load_float(unsigned size, uint64_t raw, struct f80 *result)
{
    struct host80 r;
    uint32_t raw32 = (uint32_t)raw;
    uint16_t sw = size == 4 ? host_load32(&raw32, &r) : host_load64(&raw, &r);
    *result = unpack(&r);
    return sw;
}

uint16_t x87_host_load_int(int64_t v, struct f80 *result)
{
    struct host80 r;
    uint16_t sw = host_load_int(&v, &r);
    *result = unpack(&r);
    return sw;
}

uint16_t x87_host_store_float(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw)
{
    struct host80 h = pack(v);
    uint32_t raw32 = 0;
    if (size == 8) {
        return host_store64(masked(fcw), &h, raw);
    }
    uint16_t sw = host_store32(masked(fcw), &h, &raw32);
    *raw = raw32;
    return sw;
}

uint16_t x87_host_store_int(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw)
{
    struct host80 h = pack(v);
    uint16_t sw;
    if (size == 8) {
        return host_store_i64(masked(fcw), &h, raw);
    }
    if (size == 4) {
        uint32_t raw32 = 0;
        sw = host_store_i32(masked(fcw), &h, &raw32);
        *raw = raw32;
    } else {
        uint16_t raw16 = 0;
        sw = host_store_i16(masked(fcw), &h, &raw16);
        *raw = raw16;
    }
    return sw;
}

#else

const bool x87_host_present = false;

uint16_t x87_host_op(enum x87_op op, uint16_t fcw, struct f80 a, struct f80 b, struct f80 *result)
{
    (void)op, (void)fcw, (void)b;
    *result = a;
    irq_unreachable();
}

uint16_t x87_host_load_float(unsigned size, uint64_t raw, struct f80 *result)
{
    (void)size, (void)raw, (void)result;
    irq_unreachable();
}

uint16_t x87_host_load_int(int64_t v, struct f80 *result)
{
    (void)v, (void)result;
    irq_unreachable();
}

uint16_t x87_host_store_float(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw)
{
    (void)size, (void)fcw, (void)v, (void)raw;
    irq_unreachable();
}

uint16_t x87_host_store_int(unsigned size, uint16_t fcw, struct f80 v, uint64_t *raw)
{
    (void)size, (void)fcw, (void)v, (void)raw;
    irq_unreachable();
}

#endif
