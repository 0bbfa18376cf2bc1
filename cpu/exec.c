/* SPDX-License-Identifier: MIT */
/*
 * The execution loop: due clock events, one interrupt, a block, and again.
 *
 * Nothing becomes deliverable inside a block: blocks end after every instruction that can change deliverability, time, mode or
 * translation, and are clipped where the budget ends (next deadline or the caller's limit). So an interrupt is taken at the same
 * instruction whatever the block length, with the cache or without. SDM Vol. 3A, 6.7 "Nonmaskable Interrupt (NMI)", 6.8.1 "Masking
 * Maskable Hardware Interrupts" and table 6-2 "Priority Among Concurrent Events" give the order; cpu/interrupt.c holds it.
 *
 * The budget counts instructions to `time_end`. A block is charged at its entry; leaving early refunds. Handlers hand on by tail calls and
 * blocks link to each other the same way, so the loop below is reached only when there is something to look at.
 */
#include "cpu/exec.h"

#include "bus/assert.h"
#include "cpu/block.h"
#include "cpu/exception.h"
#include "cpu/mem.h"
#include "cpu/mmu.h"

#define BUDGET_MAX (1ll << 40)

void cpu_sync(struct cpu *cpu, const struct insn *in)
{
    vtime_t now = cpu_now(cpu, in);
    if (now > cpu->clock->now) {
        clock_advance(cpu->clock, now);
    }
}

struct bus_attrs cpu_attrs(struct cpu *cpu, const struct insn *in)
{
    cpu_sync(cpu, in);
    return (struct bus_attrs){
        .requester = cpu->index,
        .cause = cpu->cur_cause,
        .rip = in ? insn_rip(cpu, in) : cpu->rip,
    };
}

/* Time beyond time_end passed while the CPU did not run (HLT): it retires nothing. */
uint64_t cpu_insns(const struct cpu *cpu)
{
    vtime_t now = cpu->clock->now;
    return now >= cpu->time_end ? cpu->insns_end : cpu->insns_end - (cpu->time_end - now);
}

/* ---- leaving a block ---- */

/* Undo the part of the running block from `in` on: RIP and time are those before `in`. */
static void unwind_to(struct cpu *cpu, const struct insn *in)
{
    cpu->budget += insn_block(in)->n - in->index;
    cpu->rip = insn_rip(cpu, in);
    if (cpu->code_bits != 64) {
        cpu->rip &= 0xffffffffu;
    }
}

void cpu_leave(struct cpu *cpu, const struct insn *in)
{
    cpu->fault_in = in;
    cpu->one_insn = true;
    cpu->probed = NULL;
    longjmp(cpu->jmp, JUMP_LEAVE);
}

void cpu_leave_unless_last(struct cpu *cpu, const struct insn *in)
{
    struct block *b = (struct block *)(uintptr_t)insn_block(in);
    if (in->index + 1 == b->n) {
        return;
    }
    if (b != cpu->scratch) {
        /* Refund what is cut off: unwind_to() counts to the new end. */
        cpu->budget += b->n - (in->index + 1);
        block_split(b, in->index);
    }
    cpu_leave(cpu, in);
}

/* ---- chaining ---- */

/* The code TLB entry that the running block came from, if it still stands. */
static const struct itlb_entry *standing_entry(const struct cpu *cpu, uint64_t lin)
{
    const struct itlb_entry *e = &cpu->itlb[(lin >> 12) & (TLB_SIZE - 1)];
    return e->tag == ((lin & ~0xfffull) | cpu->tlb_key) ? e : NULL;
}

/* May the block that `in` stands in link to a block at lin? Only inside one page, and where RIP cannot wrap. */
static bool may_link(const struct cpu *cpu, const struct block *from, gpa_t pa)
{
    return from != cpu->scratch && !cpu->no_cache && !from->dead && !from->crosses &&
           ((from->pa ^ pa) & ~0xfffull) == 0;
}

static bool may_chain(const struct cpu *cpu)
{
    return cpu->attention == 0 &&
           ((cpu->mode_key & KEY_CODE_MASK) == KEY_CODE64 ||
            (cpu->mode_key & (KEY_CODE_MASK | KEY_FLAT)) == (KEY_CODE32 | KEY_FLAT));
}

/* The block at cpu->rip, linked to the running one where that is allowed; NULL: back to the loop. */
static __attribute__((noinline)) const struct block *find_successor(struct cpu *cpu,
                                                                    const struct insn *in,
                                                                    unsigned slot)
{
    struct block *from = (struct block *)(uintptr_t)insn_block(in);
    if (!may_chain(cpu)) {
        return NULL;
    }
    const struct itlb_entry *e = standing_entry(cpu, cpu->rip);
    if (!e) {
        return NULL;
    }
    gpa_t pa = (e->pa & ~0xfffull) | (cpu->rip & 0xfff);
    struct block *to = block_find(cpu, pa);
    if (!to || to->crosses || cpu->budget < to->n) {
        return NULL;
    }
    if (may_link(cpu, from, pa)) {
        block_links(from)->to[slot] = to;
    }
    return to;
}

/* Charge a block and go to its first instruction. */
#define ENTER_BLOCK(cpu, to)                     \
    do {                                         \
        (cpu)->budget -= (to)->n;                \
        INSN_RETURN INSN_GOTO(cpu, (to)->insns); \
    } while (0)

/*
 * The slow half of chaining is a function of its own that the fast half calls in tail position, so that a linked successor is entered
 * without a stack frame. A tail call needs a handler's signature, hence one function a slot.
 */
#define CHAIN_SLOW(slot)                                                         \
    static __attribute__((noinline))                                             \
    const struct insn *chain_slow_##slot(struct cpu *cpu, const struct insn *in) \
    {                                                                            \
        const struct block *to = find_successor(cpu, in, slot);                  \
        if (!to) {                                                               \
            return INSN_LEAVE;                                                   \
        }                                                                        \
        ENTER_BLOCK(cpu, to);                                                    \
    }
CHAIN_SLOW(0)
CHAIN_SLOW(1)

#define CHAIN(cpu, in, links, slot)                                           \
    do {                                                                      \
        const struct block *to = (links)->to[slot];                           \
        if (irq_unlikely(!to || (cpu)->attention || (cpu)->budget < to->n)) { \
            INSN_RETURN chain_slow_##slot(cpu, in);                           \
        }                                                                     \
        ENTER_BLOCK(cpu, to);                                                 \
    } while (0)

const struct insn *exec_chain_0(struct cpu *cpu, const struct insn *in)
{
    CHAIN(cpu, in, insn_links(in), 0);
}

const struct insn *exec_chain_1(struct cpu *cpu, const struct insn *in)
{
    CHAIN(cpu, in, insn_links(in), 1);
}

static struct jump_entry *jump_slot(struct cpu *cpu, uint64_t lin)
{
    return &cpu->jump[(lin ^ lin >> 12) & (JUMP_CACHE_SIZE - 1)];
}

const struct insn *exec_chain_indirect(struct cpu *cpu, const struct insn *in)
{
    (void)in;
    uint64_t lin = cpu->rip;
    const struct itlb_entry *e = &cpu->itlb[(lin >> 12) & (TLB_SIZE - 1)];
    const struct jump_entry *j = jump_slot(cpu, lin);
    if (irq_likely(j->rip == lin && j->version == e->version &&
                   e->tag == ((lin & ~0xfffull) | cpu->tlb_key) && j->key == cpu->mode_key &&
                   may_chain(cpu) && cpu->budget >= j->block->n)) {
        ENTER_BLOCK(cpu, j->block);
    }
    return INSN_LEAVE;
}

/* RIP goes on behind the block. EIP wraps at 4 GiB. */
static inline void pass_block(struct cpu *cpu, const struct insn *in)
{
    cpu->rip += in->end;
    if (cpu->code_bits != 64) {
        cpu->rip &= 0xffffffffu;
    }
}

const struct insn *exec_term_chain(struct cpu *cpu, const struct insn *in)
{
    pass_block(cpu, in);
    CHAIN(cpu, in, (const struct block_links *)(const void *)(in + 1), 0);
}

const struct insn *exec_term_leave(struct cpu *cpu, const struct insn *in)
{
    pass_block(cpu, in);
    return INSN_LEAVE;
}

/* ---- the loop ---- */

/* The block at cpu->rip. May fault. */
static struct block *find_block(struct cpu *cpu)
{
    uint64_t lin = cpu->rip;
    if (cpu->code_bits != 64) {
        lin = (cpu->rip + cpu->seg[SEG_CS].base) & 0xffffffffu;
    }
    const struct itlb_entry *e = mmu_code(cpu, lin);
    struct jump_entry *j = jump_slot(cpu, lin);
    if (j->rip == lin && j->version == e->version && j->key == cpu->mode_key) {
        return j->block;
    }
    gpa_t pa = (e->pa & ~0xfffull) | (lin & 0xfff);
    struct block *b = cpu->no_cache ? NULL : block_find(cpu, pa);
    if (b && b->crosses && !block_crossing_valid(cpu, b, lin)) {
        block_drop(cpu, b);
        b = NULL;
    }
    if (!b) {
        b = block_build(cpu, lin, pa);
    }
    /*
     * A crossing block is found the long way each time: its bytes are compared. One that is not in the cache (cap 0: no_cache,
     * not RAM, no host memory) lives only until the next is built.
     */
    if (b->cap != 0 && !b->crosses) {
        e = mmu_code(cpu, lin);
        *j = (struct jump_entry){
            .rip = lin, .key = cpu->mode_key, .version = e->version, .block = b};
    }
    return b;
}

/* Instructions of b that lie inside CS's limit; #GP(0) if the first does not. SDM Vol. 3A, 5.3 "Limit Checking". */
static unsigned inside_limit(struct cpu *cpu, const struct block *b, unsigned n)
{
    uint64_t limit = cpu->seg[SEG_CS].limit;
    if (cpu->code_bits == 64 || cpu->rip + b->bytes - 1 <= limit) {
        return n;
    }
    unsigned k = 0;
    while (k < n && cpu->rip + b->insns[k].end - 1 <= limit) {
        k++;
    }
    if (k == 0) {
        cpu_fault_err(cpu, NULL, VEC_GP, 0);
    }
    return k;
}

static uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

#ifdef IRQ_CHECKS
/* What decides whether something is deliverable; must not change inside a block. */
struct deliverable {
    uint32_t request, key;
    uint32_t eflags_if;
    bool shadow, nmi_blocked, halted;
    vtime_t next;
};

static struct deliverable deliverable_now(const struct cpu *cpu)
{
    struct deliverable d;
    memset(&d, 0, sizeof(d));
    d.request = cpu->interrupt_request;
    d.key = cpu->mode_key;
    d.eflags_if = cpu->eflags & (EFLAGS_IF | EFLAGS_TF | EFLAGS_VM | EFLAGS_IOPL);
    d.shadow = cpu->shadow;
    d.nmi_blocked = cpu->nmi_blocked;
    d.halted = cpu->halted;
    d.next = cpu->clock->next;
    return d;
}
#endif

static void run_insns(struct cpu *cpu, const struct block *run)
{
#ifdef IRQ_NO_TAILCALL
    const struct insn *in = run->insns;
    while (in) {
#ifdef IRQ_CHECKS
        const struct block *b = insn_block(in);
        bool last = in->index + 1 >= b->n;
        struct deliverable before = deliverable_now(cpu);
        in = in->fn(cpu, in);
        struct deliverable after = deliverable_now(cpu);
        irq_assert(last || memcmp(&before, &after, sizeof(before)) == 0);
        irq_assert(cpu->regs[REG_ZERO] == 0);
#else
        in = in->fn(cpu, in);
#endif
    }
#else
    run->insns[0].fn(cpu, run->insns);
#endif
}

/* INT n and friends clear TF on their way in: no single-step trap after them. SDM Vol. 3A, 18.3.1.4 "Single-Step Exception Condition". */
static bool traps_after(const struct cpu *cpu, unsigned op)
{
    if (op == OP_INTO) {
        return cpu->eflags & EFLAGS_TF; /* not taken */
    }
    return op != OP_INT && op != OP_INT3 && op != OP_INT1 && op != OP_SYSCALL && op != OP_SYSENTER;
}

/* Set the budget to the next thing that may need a look: the next deadline or the limit. At least one instruction. */
static void set_budget(struct cpu *cpu)
{
    vtime_t now = cpu->clock->now;
    vtime_t end = cpu->clock->next < cpu->exec_until ? cpu->clock->next : cpu->exec_until;
    int64_t budget = 1;
    if (end > now) {
        budget = end - now > (vtime_t)BUDGET_MAX ? BUDGET_MAX : (int64_t)(end - now);
    }
    cpu->insns_end = cpu_insns(cpu) + (uint64_t)budget;
    cpu->time_end = now + (vtime_t)budget;
    cpu->budget = budget;
}

/* A delivery costs one instruction of time: there must be one left. */
static void ensure_budget(struct cpu *cpu)
{
    cpu_sync(cpu, NULL);
    if (cpu->budget <= 0) {
        set_budget(cpu);
    }
}

/* Run one block (or a part of it). Precondition: budget > 0. */
static void run_block(struct cpu *cpu)
{
    struct block *b = find_block(cpu);
    unsigned n = b->n;
    bool shadow = cpu->shadow;
    bool tf = cpu->mode_key & KEY_TF;
    if (irq_unlikely(shadow || cpu->one_insn || tf)) {
        n = 1;
    }
    if (irq_unlikely(cpu->clip_state != 0)) {
        n = 1 + next_random(&cpu->clip_state) % n;
    }
    if ((int64_t)n > cpu->budget) {
        n = (unsigned)cpu->budget;
    }
    if (!(cpu->mode_key & KEY_FLAT)) {
        n = inside_limit(cpu, b, n);
    }
    unsigned op = b->insns[0].op;
    const struct block *run = n < b->n ? block_clip(cpu, b, n) : b;
    cpu->one_insn = false;
    if (shadow) {
        cpu->in_shadow = true;
        cpu->in_shadow_ss = cpu->shadow_ss;
        cpu->shadow = false;
        cpu->shadow_ss = false;
    }
    cpu->budget -= n;
    run_insns(cpu, run);
    if (shadow) {
        cpu->in_shadow = false;
        cpu_update_attention(cpu);
    }
    /*
     * A load of SS puts its trap off to the boundary behind the next instruction. SDM Vol. 3A, 6.8.3 "Masking Exceptions and Interrupts
     * When Switching Stacks".
     */
    if (irq_unlikely(tf) && !cpu->shadow_ss && traps_after(cpu, op)) {
        ensure_budget(cpu);
        cpu_debug_trap(cpu, 1u << 14);
    }
}

/* Something asks for a look between blocks. Returns true if the loop shall poll again before the next block. */
static bool look(struct cpu *cpu)
{
    cpu->device_accessed = false;
    if (cpu->blocks_dropped) {
        block_free_dropped(cpu);
        cpu_update_attention(cpu);
    }
    return x86_exec_interrupt(cpu);
}

/* Freeze the count of instructions: from here on time may pass without the CPU. */
static enum cpu_stop stop_running(struct cpu *cpu, enum cpu_stop stop)
{
    cpu->insns_end = cpu_insns(cpu);
    cpu->time_end = cpu->clock->now;
    cpu->budget = 0;
    return stop;
}

/* A longjmp brought us back: make RIP, time and the shadow what they are before (or at) the instruction that left. */
static void come_back(struct cpu *cpu, int jump)
{
    if (cpu->fault_in) {
        unwind_to(cpu, cpu->fault_in);
        cpu->fault_in = NULL;
    }
    if (cpu->in_shadow) {
        cpu->in_shadow = false;
        cpu->shadow = jump == JUMP_LEAVE;
        cpu->shadow_ss = cpu->shadow && cpu->in_shadow_ss;
        cpu_update_attention(cpu);
    }
    ensure_budget(cpu);
    if (jump == JUMP_FAULT) {
        cpu_handle_fault(cpu);
    }
}

enum cpu_stop cpu_exec(struct cpu *cpu, vtime_t until)
{
    cpu->stop = CPU_STOP_NONE;
    cpu->exec_until = until;
    cpu->time_end = cpu->clock->now;
    cpu->budget = 0;
    int jump = setjmp(cpu->jmp);
    if (jump != 0) {
        come_back(cpu, jump);
    }
    while (cpu->stop == CPU_STOP_NONE) {
        cpu_sync(cpu, NULL);
        if (cpu->clock->now >= cpu->exec_until) {
            return stop_running(cpu, CPU_STOP_LIMIT);
        }
        if (cpu->clock->next <= cpu->clock->now) {
            clock_run_due(cpu->clock);
        }
        set_budget(cpu);
        if (cpu->attention && look(cpu)) {
            continue;
        }
        if (cpu->stop != CPU_STOP_NONE) {
            break;
        }
        if (cpu->halted) {
            return stop_running(cpu, CPU_STOP_HALTED);
        }
        run_block(cpu);
    }
    cpu_sync(cpu, NULL);
    return stop_running(cpu, cpu->stop);
}
