/* SPDX-License-Identifier: MIT */
/*
 * x87 instructions: D8h-DFh, FWAIT, EMMS.
 *
 * Intel SDM Vol. 1 (253665), chapter 8 "Programming with the x87 FPU", 8.5 "x87 FPU Floating-Point Exception Conditions"; Vol. 2, pages
 * of the instructions, appendix A.5 "Escape Opcode Instructions"; Vol. 3A (325384), 2.5 "Control Registers" for EM, TS, MP, NE.
 *
 * Modelled: control, load and store of all formats but BCD, the four operations, square root, rounding, scale, partial remainder,
 * comparisons, FCMOVcc, stack faults, sticky and unmasked exceptions (#MF at the next waiting instruction, CR0.NE = 1).
 * Not modelled (the run ends with a message): transcendental functions, FXTRACT, BCD, FISTTP; unmasked overflow and underflow of
 * a register result; FERR# (an unmasked exception with CR0.NE = 0).
 * One file, because all forms share the handling of stack faults and of unmasked exceptions.
 * Deviations: pointers of the last instruction are kept for instructions that reach the arithmetic unit, FCS and FDS included.
 */
#include "cpu/x87.h"

#include "cpu/flags.h"
#include "cpu/segment.h"

static const struct f80 indefinite = {0xc000000000000000ull, 0xffff};

/* ---- what comes before any instruction ---- */

/* #NM, then pending exceptions. Control instructions without WAIT (waiting = false) skip the second. */
static void check_unit(struct cpu *cpu, const struct insn *in, bool waiting)
{
    if (irq_unlikely(cpu->cr0 & (CR0_EM | CR0_TS))) {
        cpu_fault(cpu, in, VEC_NM);
    }
    if (waiting && irq_unlikely(cpu->x87.fsw & FSW_ES)) {
        if (!(cpu->cr0 & CR0_NE)) {
            cpu_unmodelled(cpu, in,
                           "an unmasked x87 exception with CR0.NE = 0: FERR# is not modelled");
        }
        cpu_fault(cpu, in, VEC_MF);
    }
}

static void need_host(struct cpu *cpu, const struct insn *in)
{
    if (!x87_host_present) {
        cpu_unmodelled(cpu, in, "x87 arithmetic is not modelled on this host");
    }
}

static void note_pointers(struct cpu *cpu, const struct insn *in, bool memory)
{
    struct x87_state *x = &cpu->x87;
    x->fip = insn_rip(cpu, in);
    x->fcs = cpu->seg[SEG_CS].sel;
    x->fop = (uint16_t)((unsigned)(in->op - OP_X87_D8) << 8 | in->r);
    if (memory) {
        x->fdp = mem_ea_offset(cpu, in);
        x->fds = cpu->seg[in->seg].sel;
    }
}

/* ---- exceptions ---- */

static bool is_empty(const struct cpu *cpu, unsigned i)
{
    return !((cpu->x87.ftw >> ((x87_top(cpu) + i) & 7)) & 1);
}

/* Take over exceptions and C1 of an operation. Returns false if its result must not be stored: unmasked I, D, Z. */
static bool accept(struct cpu *cpu, const struct insn *in, uint16_t sw, bool to_register)
{
    struct x87_state *x = &cpu->x87;
    unsigned unmasked = sw & ~x->fcw & FSW_EX;
    if (to_register && (unmasked & (FSW_OE | FSW_UE))) {
        cpu_unmodelled(cpu, in, "an unmasked x87 overflow or underflow is not modelled");
    }
    x->fsw = (uint16_t)((x->fsw & ~FSW_C1) | (sw & (FSW_EX | FSW_C1)));
    x87_update_summary(cpu);
    unsigned fatal = FSW_IE | FSW_DE | FSW_ZE;
    if (!to_register) {
        fatal |= FSW_OE | FSW_UE;
    }
    return !(unmasked & fatal);
}

/* Stack underflow (c1 = false) or overflow. Returns true if the masked response is to be stored. */
static bool stack_fault(struct cpu *cpu, bool overflow)
{
    struct x87_state *x = &cpu->x87;
    x->fsw = (uint16_t)((x->fsw & ~FSW_C1) | FSW_IE | FSW_SF | (overflow ? FSW_C1 : 0));
    x87_update_summary(cpu);
    return (x->fcw & FSW_IE) != 0;
}

static void pop(struct cpu *cpu)
{
    cpu->x87.ftw &= (uint16_t) ~(1u << x87_top(cpu));
    x87_set_top(cpu, x87_top(cpu) + 1);
}

static void push(struct cpu *cpu, struct f80 v)
{
    if (!is_empty(cpu, 7)) {
        if (!stack_fault(cpu, true)) {
            return;
        }
        v = indefinite;
    } else {
        cpu->x87.fsw &= (uint16_t)~FSW_C1;
    }
    x87_set_top(cpu, x87_top(cpu) - 1);
    x87_put(cpu, 0, v);
}

/* ---- arithmetic and comparison ---- */

/* ST(dest) = ST(dest) op b. Returns false if nothing was stored (then nothing is popped). */
static bool arithmetic(struct cpu *cpu, const struct insn *in, enum x87_op op, unsigned dest,
                       struct f80 a, struct f80 b, bool empty, uint16_t load_sw)
{
    struct f80 r = indefinite;
    need_host(cpu, in);
    if (empty) {
        if (!stack_fault(cpu, false)) {
            return false;
        }
    } else {
        uint16_t sw = (uint16_t)(x87_host_op(op, cpu->x87.fcw, a, b, &r) | (load_sw & FSW_EX));
        if (!accept(cpu, in, sw, true)) {
            return false;
        }
    }
    x87_put(cpu, dest, r);
    return true;
}

/* Returns false if an unmasked exception leaves everything as it was. */
static bool compare(struct cpu *cpu, const struct insn *in, bool quiet, struct f80 a, struct f80 b,
                    bool empty, uint16_t load_sw)
{
    struct x87_state *x = &cpu->x87;
    need_host(cpu, in);
    uint16_t cc = FSW_C0 | FSW_C2 | FSW_C3;
    bool ok;
    if (empty) {
        ok = stack_fault(cpu, false);
    } else {
        struct f80 r;
        uint16_t sw = x87_host_op(quiet ? X87_UCOM : X87_COM, x->fcw, a, b, &r);
        cc = sw & (FSW_C0 | FSW_C2 | FSW_C3);
        ok = accept(cpu, in, (uint16_t)((sw & FSW_EX) | (load_sw & FSW_EX)), false);
    }
    if (ok) {
        x->fsw = (uint16_t)((x->fsw & ~(FSW_C0 | FSW_C2 | FSW_C3)) | cc);
    }
    return ok;
}

/* FCOMI and its kin: ZF, PF, CF as C3, C2, C0; the others 0. */
static bool compare_flags(struct cpu *cpu, const struct insn *in, bool quiet, unsigned i)
{
    uint16_t before = cpu->x87.fsw & (FSW_C0 | FSW_C2 | FSW_C3);
    bool empty = is_empty(cpu, 0) || is_empty(cpu, i);
    bool ok = compare(cpu, in, quiet, x87_get(cpu, 0), x87_get(cpu, i), empty, 0);
    uint16_t cc = cpu->x87.fsw;
    cpu->x87.fsw = (uint16_t)((cc & ~(FSW_C0 | FSW_C2 | FSW_C3)) | before);
    if (ok) {
        cc_replace(cpu, EFLAGS_ARITH,
                   (cc & FSW_C3 ? EFLAGS_ZF : 0) | (cc & FSW_C2 ? EFLAGS_PF : 0) |
                       (cc & FSW_C0 ? EFLAGS_CF : 0));
    }
    return ok;
}

/* D8h, DAh, DCh, DEh with a memory operand: ST(0) op value. */
static void memory_arithmetic(struct cpu *cpu, const struct insn *in, struct f80 v,
                              uint16_t load_sw)
{
    unsigned op = (in->r >> 3) & 7;
    bool empty = is_empty(cpu, 0);
    if (op == X87_COM || op == X87_COMP) {
        if (compare(cpu, in, false, x87_get(cpu, 0), v, empty, load_sw) && op == X87_COMP) {
            pop(cpu);
        }
    } else {
        arithmetic(cpu, in, (enum x87_op)op, 0, x87_get(cpu, 0), v, empty, load_sw);
    }
}

/* ---- memory forms ---- */

static struct f80 load_float(struct cpu *cpu, const struct insn *in, unsigned size, uint16_t *sw)
{
    struct f80 v;
    need_host(cpu, in);
    uint64_t raw = mem_load(cpu, in, mem_ea(cpu, in, size, MEM_READ), size, MEM_READ);
    *sw = x87_host_load_float(size, raw, &v);
    return v;
}

static struct f80 load_int(struct cpu *cpu, const struct insn *in, unsigned size)
{
    struct f80 v;
    need_host(cpu, in);
    uint64_t raw = mem_load(cpu, in, mem_ea(cpu, in, size, MEM_READ), size, MEM_READ);
    int64_t i = size == 2 ? (int16_t)raw : size == 4 ? (int32_t)raw : (int64_t)raw;
    x87_host_load_int(i, &v);
    return v;
}

static void push_float(struct cpu *cpu, const struct insn *in, unsigned size)
{
    uint16_t sw;
    struct f80 v = load_float(cpu, in, size, &sw);
    if (!is_empty(cpu, 7)) {
        sw = 0; /* the stack fault comes first */
    }
    if (accept(cpu, in, (uint16_t)(sw & FSW_EX), true)) {
        push(cpu, v);
    }
}

/* FST, FSTP, FIST, FISTP: probe, convert, store, pop. */
static void store(struct cpu *cpu, const struct insn *in, unsigned size, bool integer, bool pops)
{
    struct x87_state *x = &cpu->x87;
    need_host(cpu, in);
    uint64_t lin = mem_ea(cpu, in, size, MEM_WRITE);
    mem_probe(cpu, in, lin, size, MEM_WRITE);
    uint64_t raw;
    bool ok;
    if (is_empty(cpu, 0)) {
        ok = stack_fault(cpu, false);
        raw = integer ? 1ull << (8 * size - 1) : size == 4 ? 0xffc00000u : 0xfff8000000000000ull;
    } else {
        uint16_t sw = integer ? x87_host_store_int(size, x->fcw, x87_get(cpu, 0), &raw)
                              : x87_host_store_float(size, x->fcw, x87_get(cpu, 0), &raw);
        ok = accept(cpu, in, (uint16_t)(sw & (FSW_EX | FSW_C1)), false);
    }
    if (ok) {
        mem_store(cpu, in, lin, size, raw, MEM_WRITE);
        if (pops) {
            pop(cpu);
        }
    }
}

static void load_f80(struct cpu *cpu, const struct insn *in)
{
    uint64_t lin = mem_ea(cpu, in, 10, MEM_READ);
    struct f80 v = {.mant = mem_ld64(cpu, in, lin)};
    v.se = mem_ld16(cpu, in, cpu_wrap_linear(cpu, lin + 8));
    push(cpu, v);
}

/* ST(0) as FST and FSTP m80 store it: the indefinite value for an empty register. false: #IS is unmasked, nothing is stored. */
static bool value_to_store(struct cpu *cpu, struct f80 *v)
{
    if (is_empty(cpu, 0)) {
        *v = indefinite;
        return stack_fault(cpu, false);
    }
    *v = x87_get(cpu, 0);
    cpu->x87.fsw &= (uint16_t)~FSW_C1;
    return true;
}

static void store_f80(struct cpu *cpu, const struct insn *in)
{
    uint64_t lin = mem_ea(cpu, in, 10, MEM_WRITE);
    mem_probe(cpu, in, lin, 10, MEM_WRITE);
    struct f80 v;
    if (!value_to_store(cpu, &v)) {
        return;
    }
    mem_st64(cpu, in, lin, v.mant);
    mem_st16(cpu, in, cpu_wrap_linear(cpu, lin + 8), v.se);
    pop(cpu);
}

static _Noreturn void not_modelled(struct cpu *cpu, const struct insn *in, const char *what)
{
    cpu_unmodelled(cpu, in, "%s is not modelled", what);
}

/* D9h /4-/7, DDh /4 /6 /7. Returns false if the instruction is none of the control group. */
static bool memory_control(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op)
{
    struct x87_state *x = &cpu->x87;
    switch (group << 4 | op) {
    case 0x14: /* FLDENV */
        check_unit(cpu, in, true);
        x87_load_env(cpu, in);
        return true;
    case 0x15: /* FLDCW */
        check_unit(cpu, in, true);
        x->fcw = (uint16_t)(mem_ld16(cpu, in, mem_ea(cpu, in, 2, MEM_READ)) | 0x40);
        x87_update_summary(cpu);
        return true;
    case 0x16: /* FNSTENV */
        check_unit(cpu, in, false);
        x87_store_env(cpu, in);
        return true;
    case 0x17: /* FNSTCW */
        check_unit(cpu, in, false);
        mem_st16(cpu, in, mem_ea(cpu, in, 2, MEM_WRITE), x->fcw);
        return true;
    case 0x54: /* FRSTOR */
        check_unit(cpu, in, true);
        x87_restore(cpu, in);
        return true;
    case 0x56: /* FNSAVE */
        check_unit(cpu, in, false);
        x87_save(cpu, in);
        return true;
    case 0x57: /* FNSTSW m16 */
        check_unit(cpu, in, false);
        mem_st16(cpu, in, mem_ea(cpu, in, 2, MEM_WRITE), x->fsw);
        return true;
    default:
        return false;
    }
}

/* D9h, DBh, DDh, DFh: loads and stores. */
static void memory_move(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op)
{
    static const uint8_t float_size[8] = {[1] = 4, [5] = 8};
    static const uint8_t int_size[8] = {[3] = 4, [7] = 2};
    unsigned fsize = float_size[group];
    unsigned isize = int_size[group];
    if (fsize && op == 0) {
        push_float(cpu, in, fsize);
    } else if (fsize && (op == 2 || op == 3)) {
        store(cpu, in, fsize, false, op == 3);
    } else if (isize && op == 0) {
        push(cpu, load_int(cpu, in, isize));
    } else if (isize && (op == 2 || op == 3)) {
        store(cpu, in, isize, true, op == 3);
    } else if (group == 3 && op == 5) {
        load_f80(cpu, in);
    } else if (group == 3 && op == 7) {
        store_f80(cpu, in);
    } else if (group == 7 && op == 5) {
        push(cpu, load_int(cpu, in, 8));
    } else if (group == 7 && op == 7) {
        store(cpu, in, 8, true, true);
    } else if (group == 7 && (op == 4 || op == 6)) {
        not_modelled(cpu, in, "x87 BCD arithmetic");
    } else if (group != 1 && op == 1 && (cpu->model->f1_ecx & F1C_SSE3)) {
        not_modelled(cpu, in, "FISTTP");
    } else {
        cpu_fault(cpu, in, VEC_UD);
    }
}

static const struct insn *op_x87_memory(struct cpu *cpu, const struct insn *in)
{
    unsigned group = in->op - OP_X87_D8;
    unsigned op = (in->r >> 3) & 7;
    uint16_t sw = 0;
    if (memory_control(cpu, in, group, op)) {
        INSN_RETURN INSN_NEXT(cpu, in);
    }
    check_unit(cpu, in, true);
    struct f80 v;
    switch (group) {
    case 0:
    case 4:
        v = load_float(cpu, in, group == 0 ? 4 : 8, &sw);
        memory_arithmetic(cpu, in, v, sw);
        break;
    case 2:
    case 6:
        v = load_int(cpu, in, group == 2 ? 4 : 2);
        memory_arithmetic(cpu, in, v, 0);
        break;
    default:
        memory_move(cpu, in, group, op);
        break;
    }
    note_pointers(cpu, in, true);
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* ---- register forms ---- */

/* D8h (to ST(0)), DCh (to ST(i)), DEh (to ST(i), and pop). */
static void register_arithmetic(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op,
                                unsigned i)
{
    bool empty = is_empty(cpu, 0) || is_empty(cpu, i);
    if (op == X87_COM || op == X87_COMP) {
        /* DEh D9h is FCOMPP; DCh and DEh D0h-DFh otherwise repeat FCOM and FCOMP. */
        if (group == 6 && in->r != 0xd9) {
            cpu_fault(cpu, in, VEC_UD);
        }
        if (compare(cpu, in, false, x87_get(cpu, 0), x87_get(cpu, i), empty, 0) && op == X87_COMP) {
            pop(cpu);
            if (group == 6) {
                pop(cpu);
            }
        }
        return;
    }
    if (group == 0) {
        arithmetic(cpu, in, (enum x87_op)op, 0, x87_get(cpu, 0), x87_get(cpu, i), empty, 0);
        return;
    }
    /* With ST(i) as destination the encodings of the reversed forms are exchanged. */
    enum x87_op real = op >= X87_SUB ? (enum x87_op)(op ^ 1) : (enum x87_op)op;
    if (arithmetic(cpu, in, real, i, x87_get(cpu, i), x87_get(cpu, 0), empty, 0) && group == 6) {
        pop(cpu);
    }
}

/* Replace ST(0) by op(ST(0), ST(1)); ST(1) counts only if binary. C2 of the remainders is taken over. */
static void unary(struct cpu *cpu, const struct insn *in, enum x87_op op, bool binary)
{
    struct x87_state *x = &cpu->x87;
    bool empty = is_empty(cpu, 0) || (binary && is_empty(cpu, 1));
    struct f80 a = x87_get(cpu, 0);
    struct f80 b = binary ? x87_get(cpu, 1) : a;
    struct f80 r = indefinite;
    need_host(cpu, in);
    if (empty) {
        if (stack_fault(cpu, false)) {
            x87_put(cpu, 0, r);
        }
        return;
    }
    uint16_t sw = x87_host_op(op, x->fcw, a, b, &r);
    if (accept(cpu, in, sw, true)) {
        x87_put(cpu, 0, r);
        if (op == X87_PREM || op == X87_PREM1) {
            x->fsw = (uint16_t)((x->fsw & ~FSW_CC) | (sw & FSW_CC));
        }
    }
}

/* FXAM. Vol. 2, table 3-27: class in C3, C2, C0, sign in C1. */
static void examine(struct cpu *cpu)
{
    struct f80 v = x87_get(cpu, 0);
    unsigned exponent = v.se & 0x7fff;
    unsigned cc = v.se & 0x8000 ? FSW_C1 : 0;
    if (is_empty(cpu, 0)) {
        cc |= FSW_C3 | FSW_C0;
    } else if (exponent == 0x7fff && (v.mant >> 63)) {
        cc |= v.mant << 1 ? FSW_C0 : FSW_C2 | FSW_C0;
    } else if (exponent == 0) {
        cc |= v.mant ? FSW_C3 | FSW_C2 : FSW_C3;
    } else if (v.mant >> 63) {
        cc |= FSW_C2;
    }
    cpu->x87.fsw = (uint16_t)((cpu->x87.fsw & ~FSW_CC) | cc);
}

/* D9h E8h-EEh. The last bit of the irrational ones follows the rounding control. Vol. 2, "FLD1/...". */
static void constant(struct cpu *cpu, unsigned n)
{
    static const struct {
        struct f80 down;
        bool nearest_up; /* round to nearest gives the value above */
        bool exact;
    } table[] = {
        {{0x8000000000000000ull, 0x3fff}, false, true},  /* 1 */
        {{0xd49a784bcd1b8afeull, 0x4000}, false, false}, /* log2(10) */
        {{0xb8aa3b295c17f0bbull, 0x3fff}, true, false},  /* log2(e) */
        {{0xc90fdaa22168c234ull, 0x4000}, true, false},  /* pi */
        {{0x9a209a84fbcff798ull, 0x3ffd}, true, false},  /* log10(2) */
        {{0xb17217f7d1cf79abull, 0x3ffe}, true, false},  /* ln(2) */
        {{0, 0}, false, true},                           /* 0 */
    };
    struct f80 v = table[n].down;
    unsigned rc = (cpu->x87.fcw >> 10) & 3;
    if (!table[n].exact && (rc == 2 || (rc == 0 && table[n].nearest_up))) {
        v.mant++;
    }
    push(cpu, v);
}

static void exchange(struct cpu *cpu, unsigned i)
{
    if (is_empty(cpu, 0) || is_empty(cpu, i)) {
        if (!stack_fault(cpu, false)) {
            return;
        }
        if (is_empty(cpu, 0)) {
            x87_put(cpu, 0, indefinite);
        }
        if (is_empty(cpu, i)) {
            x87_put(cpu, i, indefinite);
        }
    } else {
        cpu->x87.fsw &= (uint16_t)~FSW_C1;
    }
    struct f80 a = x87_get(cpu, 0);
    struct f80 b = x87_get(cpu, i);
    x87_put(cpu, 0, b);
    x87_put(cpu, i, a);
}

static void change_sign(struct cpu *cpu, bool absolute)
{
    struct f80 v = x87_get(cpu, 0);
    if (is_empty(cpu, 0)) {
        if (stack_fault(cpu, false)) {
            x87_put(cpu, 0, indefinite);
        }
        return;
    }
    cpu->x87.fsw &= (uint16_t)~FSW_C1;
    v.se = absolute ? v.se & 0x7fff : v.se ^ 0x8000;
    x87_put(cpu, 0, v);
}

static void load_register(struct cpu *cpu, unsigned i)
{
    struct f80 v = x87_get(cpu, i);
    if (is_empty(cpu, i)) {
        if (!stack_fault(cpu, false)) {
            return;
        }
        x87_set_top(cpu, x87_top(cpu) - 1);
        x87_put(cpu, 0, indefinite);
        return;
    }
    push(cpu, v);
}

static void store_register(struct cpu *cpu, unsigned i, bool pops)
{
    struct f80 v;
    if (!value_to_store(cpu, &v)) {
        return;
    }
    x87_put(cpu, i, v);
    if (pops) {
        pop(cpu);
    }
}

/* D9h E0h-FFh. */
static void d9_special(struct cpu *cpu, const struct insn *in)
{
    static const struct f80 zero;
    switch (in->r) {
    case 0xe0:
    case 0xe1:
        change_sign(cpu, in->r == 0xe1);
        break;
    case 0xe4: /* FTST */
        compare(cpu, in, false, x87_get(cpu, 0), zero, is_empty(cpu, 0), 0);
        break;
    case 0xe5:
        examine(cpu);
        break;
    case 0xf5:
        unary(cpu, in, X87_PREM1, true);
        break;
    case 0xf6: /* FDECSTP */
    case 0xf7: /* FINCSTP */
        x87_set_top(cpu, x87_top(cpu) + (in->r == 0xf7 ? 1 : 7));
        cpu->x87.fsw &= (uint16_t)~FSW_C1;
        break;
    case 0xf8:
        unary(cpu, in, X87_PREM, true);
        break;
    case 0xfa:
        unary(cpu, in, X87_SQRT, false);
        break;
    case 0xfc:
        unary(cpu, in, X87_RNDINT, false);
        break;
    case 0xfd:
        unary(cpu, in, X87_SCALE, true);
        break;
    default:
        if (in->r >= 0xe8 && in->r <= 0xee) {
            constant(cpu, in->r - 0xe8u);
        } else if (in->r >= 0xf0) {
            not_modelled(cpu, in, in->r == 0xf4 ? "FXTRACT" : "an x87 transcendental function");
        } else {
            cpu_fault(cpu, in, VEC_UD);
        }
        break;
    }
}

/* FCMOVcc: DAh B, E, BE, U; DBh the opposites. */
static void conditional_move(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op,
                             unsigned i)
{
    static const uint8_t conditions[4] = {COND_B, COND_Z, COND_BE, COND_P};
    if (!(cpu->model->f1_edx & F1D_CMOV)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (is_empty(cpu, 0) || is_empty(cpu, i)) {
        if (stack_fault(cpu, false)) {
            x87_put(cpu, 0, indefinite);
        }
        return;
    }
    if (cc_test(&cpu->cc, (enum cc_cond)conditions[op]) == (group == 2)) {
        x87_put(cpu, 0, x87_get(cpu, i));
    }
    cpu->x87.fsw &= (uint16_t)~FSW_C1;
}

/* FCOMI, FUCOMI and, in DFh, with pop. */
static void register_flags(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op,
                           unsigned i)
{
    if (!(cpu->model->f1_edx & F1D_CMOV)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    if (compare_flags(cpu, in, op == 5, i) && group == 7) {
        pop(cpu);
    }
}

/* DDh: FFREE, FST, FSTP, FUCOM, FUCOMP. */
static void dd_register(struct cpu *cpu, const struct insn *in, unsigned op, unsigned i)
{
    if (op == 0) {
        cpu->x87.ftw &= (uint16_t) ~(1u << ((x87_top(cpu) + i) & 7));
    } else if (op == 2 || op == 3) {
        store_register(cpu, i, op == 3);
    } else if (op == 4 || op == 5) {
        bool empty = is_empty(cpu, 0) || is_empty(cpu, i);
        if (compare(cpu, in, true, x87_get(cpu, 0), x87_get(cpu, i), empty, 0) && op == 5) {
            pop(cpu);
        }
    } else {
        cpu_fault(cpu, in, VEC_UD);
    }
}

/* Register forms that are not plain arithmetic. */
static void register_other(struct cpu *cpu, const struct insn *in, unsigned group, unsigned op,
                           unsigned i)
{
    if (group == 1 && op == 0) {
        load_register(cpu, i);
    } else if (group == 1 && op == 1) {
        exchange(cpu, i);
    } else if (group == 1 && in->r == 0xd0) {
        return; /* FNOP */
    } else if (group == 1 && op >= 4) {
        d9_special(cpu, in);
    } else if ((group == 2 || group == 3) && op < 4) {
        conditional_move(cpu, in, group, op, i);
    } else if (group == 2 && in->r == 0xe9) { /* FUCOMPP */
        bool empty = is_empty(cpu, 0) || is_empty(cpu, 1);
        if (compare(cpu, in, true, x87_get(cpu, 0), x87_get(cpu, 1), empty, 0)) {
            pop(cpu);
            pop(cpu);
        }
    } else if ((group == 3 || group == 7) && (op == 5 || op == 6)) {
        register_flags(cpu, in, group, op, i);
    } else if (group == 5) {
        dd_register(cpu, in, op, i);
    } else {
        cpu_fault(cpu, in, VEC_UD);
    }
}

/* DBh E0h-E4h and DFh E0h: control, without WAIT. False if it is something else. */
static bool register_control(struct cpu *cpu, const struct insn *in, unsigned group)
{
    struct x87_state *x = &cpu->x87;
    if (group == 7 && in->r == 0xe0) { /* FNSTSW AX */
        check_unit(cpu, in, false);
        cpu->regs[REG_RAX] = (cpu->regs[REG_RAX] & ~0xffffull) | x->fsw;
        return true;
    }
    if (group != 3 || in->r < 0xe0 || in->r > 0xe4) {
        return false;
    }
    check_unit(cpu, in, false);
    if (in->r == 0xe2) { /* FNCLEX */
        x->fsw &= (uint16_t) ~(FSW_EX | FSW_SF | FSW_ES | FSW_B);
    } else if (in->r == 0xe3) {
        x87_init(cpu);
    }
    /* FENI, FDISI, FSETPM of older units do nothing. */
    return true;
}

static const struct insn *op_x87_register(struct cpu *cpu, const struct insn *in)
{
    unsigned group = in->op - OP_X87_D8;
    unsigned op = (in->r >> 3) & 7;
    unsigned i = in->r & 7;
    if (register_control(cpu, in, group)) {
        INSN_RETURN INSN_NEXT(cpu, in);
    }
    check_unit(cpu, in, true);
    if (group == 0 || group == 4 || group == 6) {
        register_arithmetic(cpu, in, group, op, i);
    } else {
        register_other(cpu, in, group, op, i);
    }
    note_pointers(cpu, in, false);
    INSN_RETURN INSN_NEXT(cpu, in);
}

/* FWAIT minds TS only with MP. Vol. 3A, table 10-3 "EM and MP Flags Interpretation". */
static const struct insn *op_fwait(struct cpu *cpu, const struct insn *in)
{
    if ((cpu->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) {
        cpu_fault(cpu, in, VEC_NM);
    }
    if (cpu->x87.fsw & FSW_ES) {
        if (!(cpu->cr0 & CR0_NE)) {
            cpu_unmodelled(cpu, in,
                           "an unmasked x87 exception with CR0.NE = 0: FERR# is not modelled");
        }
        cpu_fault(cpu, in, VEC_MF);
    }
    INSN_RETURN INSN_NEXT(cpu, in);
}

static const struct insn *op_emms(struct cpu *cpu, const struct insn *in)
{
    if (!(cpu->model->f1_edx & F1D_MMX) || (cpu->cr0 & CR0_EM)) {
        cpu_fault(cpu, in, VEC_UD);
    }
    check_unit(cpu, in, true);
    cpu->x87.ftw = 0;
    INSN_RETURN INSN_NEXT(cpu, in);
}

#define X87_TABLE(n)                    \
    const struct op_fns fns_X87_##n = { \
        {{OP_ALL_SIZES(op_x87_register)}, {OP_ALL_SIZES(op_x87_memory)}}};
X87_TABLE(D8)
X87_TABLE(D9)
X87_TABLE(DA)
X87_TABLE(DB)
X87_TABLE(DC)
X87_TABLE(DD)
X87_TABLE(DE)
X87_TABLE(DF)
const struct op_fns fns_FWAIT = {{{OP_ALL_SIZES(op_fwait)}}};
const struct op_fns fns_EMMS = {{{OP_ALL_SIZES(op_emms)}}};
_Static_assert(OP_X87_DF - OP_X87_D8 == 7, "x87 opcodes stand in order in the table");
