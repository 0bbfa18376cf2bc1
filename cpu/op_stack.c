/* SPDX-License-Identifier: MIT */
/*
 * PUSH, POP (general registers, immediates, memory), PUSHA, POPA, ENTER, LEAVE.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages; Vol. 1 (253665), 6.2 "Stacks". PUSH (E)SP
 * stores the value before the instruction, as every processor since the 80286 does. POP of memory
 * computes the address with SP already moved. ENTER probes a write at the final stack pointer
 * before it changes anything.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_template.h"

/* ---- PUSH, POP of registers and immediates ---- */

/* Pushes a value; expr must not fault. */
#define PUSH_SLOW(B, name, expr)                     \
    OP_NOINLINE OP_HANDLER(name##_slow_##B)          \
    {                                                \
        stack_push(cpu, in, B / 8, (OP_U(B))(expr)); \
        OP_NEXT;                                     \
    }
#define PUSH(B, name, expr)                                                             \
    PUSH_SLOW(B, name, expr)                                                            \
    OP_HANDLER(name##_##B)                                                              \
    {                                                                                   \
        if (irq_unlikely(cpu->stack_kind != (B == 64 ? STACK_FLAT64 : STACK_FLAT32))) { \
            INSN_RETURN name##_slow_##B(cpu, in);                                       \
        }                                                                               \
        uint64_t lin = cpu->regs[REG_RSP] - B / 8;                                      \
        if (B != 64) {                                                                  \
            lin = (uint32_t)lin;                                                        \
        }                                                                               \
        OP_HOST_AT(B, tag_w, name##_slow_##B)                                           \
        const OP_U(B) out = (OP_U(B))(expr);                                            \
        memcpy(host, &out, sizeof(out));                                                \
        cpu->regs[REG_RSP] = lin;                                                       \
        OP_NEXT;                                                                        \
    }
#define POP(B)                                                                            \
    OP_NOINLINE OP_HANDLER(pop_r_slow_##B)                                                \
    {                                                                                     \
        const OP_U(B) v = (OP_U(B))op_stack_load(cpu, in, 0, B / 8);                      \
        stack_add(cpu, B / 8);                                                            \
        reg_set_##B(cpu, in->rm, v);                                                      \
        OP_NEXT;                                                                          \
    }                                                                                     \
    OP_HANDLER(pop_r_##B)                                                                 \
    {                                                                                     \
        if (irq_unlikely(cpu->stack_kind != (B == 64 ? STACK_FLAT64 : STACK_FLAT32))) {   \
            INSN_RETURN pop_r_slow_##B(cpu, in);                                          \
        }                                                                                 \
        const uint64_t lin = B == 64 ? cpu->regs[REG_RSP] : (uint32_t)cpu->regs[REG_RSP]; \
        OP_U(B) v;                                                                        \
        OP_HOST_AT(B, tag_r, pop_r_slow_##B)                                              \
        memcpy(&v, host, sizeof(v));                                                      \
        cpu->regs[REG_RSP] = B == 64 ? lin + B / 8 : (uint32_t)(lin + B / 8);             \
        reg_set_##B(cpu, in->rm, v);                                                      \
        OP_NEXT;                                                                          \
    }
#define PUSH_POP(B)                           \
    PUSH(B, push_r, reg_get_##B(cpu, in->rm)) \
    PUSH(B, push_i, in->imm)                  \
    POP(B)
OP_EACH_V(PUSH_POP)
OP_FNS_REG_V(PUSH_Zv, push_r)
OP_FNS_REG_V(PUSH_I, push_i)
OP_FNS_REG_V(POP_Zv, pop_r)

/* ---- memory operands ---- */

/*
 * What the stack pointer register will be after SP moved by `delta`, as stack_set() will make it.
 */
static uint64_t moved_rsp(const struct cpu *cpu, unsigned delta)
{
    const uint64_t rsp = cpu->regs[REG_RSP];

    if (cpu->code_bits == 64) {
        return rsp + delta;
    }
    if (cpu->ss32) {
        return (uint32_t)(rsp + delta);
    }
    return (rsp & ~0xffffull) | ((rsp + delta) & 0xffff);
}

#define PUSH_POP_MEM(B)                                                                       \
    OP_HANDLER(push_m_##B)                                                                    \
    {                                                                                         \
        const uint64_t from = mem_ea(cpu, in, B / 8, MEM_READ);                               \
        op_probe_read_push(cpu, in, from, B / 8);                                             \
        const OP_U(B) v = mem_ld##B(cpu, in, from);                                           \
        stack_push(cpu, in, B / 8, v);                                                        \
        OP_NEXT;                                                                              \
    }                                                                                         \
    OP_HANDLER(pop_m_##B)                                                                     \
    {                                                                                         \
        uint64_t off = mem_ea_offset(cpu, in);                                                \
        if (in->base == REG_RSP) {                                                            \
            off += moved_rsp(cpu, B / 8) - cpu->regs[REG_RSP];                                \
        }                                                                                     \
        const uint64_t from = stack_address(cpu, in, 0, B / 8, MEM_READ);                     \
        const uint64_t lin = op_linear(cpu, in, off & op_address_mask(in), B / 8, MEM_WRITE); \
        if (!op_quick_read(cpu, from, B / 8)) {                                               \
            mem_probe(cpu, in, from, B / 8, MEM_READ | MEM_STACK);                            \
            mem_probe(cpu, in, lin, B / 8, MEM_WRITE);                                        \
        }                                                                                     \
        const OP_U(B) v = mem_ld##B(cpu, in, from);                                           \
        mem_st##B(cpu, in, lin, v);                                                           \
        stack_add(cpu, B / 8);                                                                \
        OP_NEXT;                                                                              \
    }
OP_EACH_V(PUSH_POP_MEM)
OP_FNS_V(PUSH_Ev, push_r, push_m)
OP_FNS_V(POP_Ev, pop_r, pop_m)

/* ---- PUSHA, POPA ---- */

#define PUSH_POP_ALL(B)                                                                     \
    OP_HANDLER(pusha_##B)                                                                   \
    {                                                                                       \
        for (int i = 1; i <= 8; i++) {                                                      \
            op_stack_probe(cpu, in, -i *(B / 8), B / 8);                                    \
        }                                                                                   \
        for (int i = 1; i <= 8; i++) {                                                      \
            op_stack_store(cpu, in, -i *(B / 8), B / 8, reg_get_##B(cpu, (unsigned)i - 1)); \
        }                                                                                   \
        stack_add(cpu, -8 * (B / 8));                                                       \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_HANDLER(popa_##B)                                                                    \
    {                                                                                       \
        OP_U(B) v[8];                                                                       \
        for (int i = 0; i < 8; i++) {                                                       \
            uint64_t lin = stack_address(cpu, in, i * (B / 8), B / 8, MEM_READ);            \
            mem_probe(cpu, in, lin, B / 8, MEM_READ | MEM_STACK);                           \
        }                                                                                   \
        for (int i = 0; i < 8; i++) {                                                       \
            v[i] = (OP_U(B))op_stack_load(cpu, in, i * (B / 8), B / 8);                     \
        }                                                                                   \
        for (unsigned i = 0; i < 8; i++) {                                                  \
            if (7 - i != REG_RSP) {                                                         \
                reg_set_##B(cpu, 7 - i, v[i]);                                              \
            }                                                                               \
        }                                                                                   \
        stack_add(cpu, 8 * (B / 8));                                                        \
        OP_NEXT;                                                                            \
    }
PUSH_POP_ALL(16)
PUSH_POP_ALL(32)
const struct op_fns fns_PUSHA = {.fn = {{NULL, pusha_16, pusha_32}}};
const struct op_fns fns_POPA = {.fn = {{NULL, popa_16, popa_32}}};

/* ---- ENTER, LEAVE ---- */

/* Distance from SP to BP: stack_address() takes it modulo the stack's width. */
static int64_t bp_from_sp(const struct cpu *cpu)
{
    return (int64_t)(cpu->regs[REG_RBP] - cpu->regs[REG_RSP]);
}

#define ENTER_LEAVE(B)                                                                      \
    OP_HANDLER(enter_##B)                                                                   \
    {                                                                                       \
        const int size = B / 8;                                                             \
        const int locals = (int)(in->imm & 0xffff), level = (int)(in->imm >> 16 & 31);      \
        const int pushes = level ? level + 1 : 1;                                           \
        const int64_t bp = bp_from_sp(cpu);                                                 \
        for (int i = 1; i <= pushes; i++) {                                                 \
            op_stack_probe(cpu, in, -i *size, (unsigned)size);                              \
        }                                                                                   \
        for (int i = 1; i < level; i++) {                                                   \
            uint64_t lin = stack_address(cpu, in, bp - i * size, (unsigned)size, MEM_READ); \
            mem_probe(cpu, in, lin, (unsigned)size, MEM_READ | MEM_STACK);                  \
        }                                                                                   \
        op_stack_probe(cpu, in, -pushes *size - locals, (unsigned)size);                    \
        op_stack_store(cpu, in, -size, (unsigned)size, reg_get_##B(cpu, REG_RBP));          \
        const uint64_t frame = cpu->regs[REG_RSP] - (unsigned)size;                         \
        for (int i = 1; i < level; i++) {                                                   \
            uint64_t v = op_stack_load(cpu, in, bp - i * size, (unsigned)size);             \
            op_stack_store(cpu, in, -(i + 1) * size, (unsigned)size, v);                    \
        }                                                                                   \
        if (level) {                                                                        \
            op_stack_store(cpu, in, -pushes *size, (unsigned)size, (OP_U(B))frame);         \
        }                                                                                   \
        reg_set_##B(cpu, REG_RBP, (OP_U(B))frame);                                          \
        stack_add(cpu, -pushes *size - locals);                                             \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_HANDLER(leave_slow_##B)                                                              \
    {                                                                                       \
        const OP_U(B) v = (OP_U(B))op_stack_load(cpu, in, bp_from_sp(cpu), B / 8);          \
        stack_set(cpu, cpu->regs[REG_RBP] + B / 8);                                         \
        reg_set_##B(cpu, REG_RBP, v);                                                       \
        OP_NEXT;                                                                            \
    }                                                                                       \
    OP_HANDLER(leave_##B)                                                                   \
    {                                                                                       \
        if (irq_unlikely(cpu->stack_kind != (B == 64 ? STACK_FLAT64 : STACK_FLAT32))) {     \
            INSN_RETURN leave_slow_##B(cpu, in);                                            \
        }                                                                                   \
        const uint64_t lin = B == 64 ? cpu->regs[REG_RBP] : (uint32_t)cpu->regs[REG_RBP];   \
        OP_U(B) v;                                                                          \
        OP_HOST_AT(B, tag_r, leave_slow_##B)                                                \
        memcpy(&v, host, sizeof(v));                                                        \
        cpu->regs[REG_RSP] = B == 64 ? lin + B / 8 : (uint32_t)(lin + B / 8);               \
        reg_set_##B(cpu, REG_RBP, v);                                                       \
        OP_NEXT;                                                                            \
    }
OP_EACH_V(ENTER_LEAVE)
OP_FNS_REG_V(ENTER, enter)
OP_FNS_REG_V(LEAVE, leave)
