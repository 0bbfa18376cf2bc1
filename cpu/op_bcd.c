/* SPDX-License-Identifier: MIT */
/*
 * Decimal arithmetic: DAA, DAS, AAA, AAS, AAM, AAD. Not in 64-bit mode.
 *
 * Intel SDM Vol. 2 (325383), the instructions' own pages, section "Operation".
 *
 * Undefined flags: DAA and DAS clear OF. AAA and AAS take SF, ZF and PF from AL and clear OF. AAM
 * and AAD clear CF, OF and AF.
 *
 * Not modelled: nothing known.
 * Deviations: none known.
 */
#include "cpu/op_template.h"

#define REG_AL 0 /* byte offsets in cpu->regs */
#define REG_AH 1

/* SF, ZF and PF from al; CF and AF as told. */
static void decimal_flags(struct cpu *cpu, uint8_t al, bool cf, bool af)
{
    cc_set(cpu, CC_PART8, al, (cf ? EFLAGS_CF : 0) | (af ? EFLAGS_AF : 0));
}

OP_HANDLER(daa)
{
    const uint32_t flags = cc_compute(&cpu->cc);
    const uint8_t old = reg_get_8(cpu, REG_AL);
    const bool adjust = (old & 15) > 9 || (flags & EFLAGS_AF);
    const bool carry = old > 0x99 || (flags & EFLAGS_CF);
    const uint8_t al = (uint8_t)(old + (adjust ? 6 : 0) + (carry ? 0x60 : 0));

    reg_set_8(cpu, REG_AL, al);
    decimal_flags(cpu, al, carry, adjust);
    OP_NEXT;
}

OP_HANDLER(das)
{
    const uint32_t flags = cc_compute(&cpu->cc);
    const uint8_t old = reg_get_8(cpu, REG_AL);
    const bool adjust = (old & 15) > 9 || (flags & EFLAGS_AF);
    const bool high = old > 0x99 || (flags & EFLAGS_CF);
    const uint8_t al = (uint8_t)(old - (adjust ? 6 : 0) - (high ? 0x60 : 0));

    reg_set_8(cpu, REG_AL, al);
    /* The borrow of the low digit counts too. */
    decimal_flags(cpu, al, high || (adjust && old < 6), adjust);
    OP_NEXT;
}

OP_HANDLER(aaa)
{
    const bool adjust = (reg_get_8(cpu, REG_AL) & 15) > 9 || (cc_compute(&cpu->cc) & EFLAGS_AF);
    const uint16_t ax = (uint16_t)(reg_get_16(cpu, REG_RAX) + (adjust ? 0x106 : 0));

    reg_set_16(cpu, REG_RAX, ax & 0xff0f);
    decimal_flags(cpu, ax & 0x0f, adjust, adjust);
    OP_NEXT;
}

OP_HANDLER(aas)
{
    const bool adjust = (reg_get_8(cpu, REG_AL) & 15) > 9 || (cc_compute(&cpu->cc) & EFLAGS_AF);
    const uint16_t ax = (uint16_t)(reg_get_16(cpu, REG_RAX) - (adjust ? 0x106 : 0));

    reg_set_16(cpu, REG_RAX, ax & 0xff0f);
    decimal_flags(cpu, ax & 0x0f, adjust, adjust);
    OP_NEXT;
}

OP_HANDLER(aam)
{
    const uint8_t base = (uint8_t)in->imm, al = reg_get_8(cpu, REG_AL);

    if (base == 0) {
        INSN_RETURN op_fault_de(cpu, in);
    }
    reg_set_8(cpu, REG_AH, al / base);
    reg_set_8(cpu, REG_AL, al % base);
    decimal_flags(cpu, al % base, false, false);
    OP_NEXT;
}

OP_HANDLER(aad)
{
    const uint8_t al =
        (uint8_t)(reg_get_8(cpu, REG_AL) + reg_get_8(cpu, REG_AH) * (uint8_t)in->imm);

    reg_set_16(cpu, REG_RAX, al);
    decimal_flags(cpu, al, false, false);
    OP_NEXT;
}

OP_FNS_ONE(DAA, daa)
OP_FNS_ONE(DAS, das)
OP_FNS_ONE(AAA, aaa)
OP_FNS_ONE(AAS, aas)
OP_FNS_ONE(AAM, aam)
OP_FNS_ONE(AAD, aad)
