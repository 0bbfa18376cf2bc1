/* SPDX-License-Identifier: MIT */
/*
 * Register numbers as instructions encode them. Intel SDM Vol. 2, 2.1.5 "Addressing-Mode Encoding of ModR/M and SIB Bytes".
 */
#ifndef IRQSCOPE_CPU_REGS_H
#define IRQSCOPE_CPU_REGS_H

#include "bus/types.h"

enum reg {
    REG_RAX,
    REG_RCX,
    REG_RDX,
    REG_RBX,
    REG_RSP,
    REG_RBP,
    REG_RSI,
    REG_RDI,
    REG_R8,
    REG_R9,
    REG_R10,
    REG_R11,
    REG_R12,
    REG_R13,
    REG_R14,
    REG_R15,
    REG_ZERO, /* always reads 0: absent base or index */
    REG_RIP,  /* RIP of the running block's first instruction; exact between blocks */
    REG_COUNT,
};

enum segment {
    SEG_ES,
    SEG_CS,
    SEG_SS,
    SEG_DS,
    SEG_FS,
    SEG_GS,
    SEG_COUNT
};

/* EFLAGS. SDM Vol. 1, 3.4.3 "EFLAGS Register". */
#define EFLAGS_CF    0x00000001u
#define EFLAGS_ONE   0x00000002u
#define EFLAGS_PF    0x00000004u
#define EFLAGS_AF    0x00000010u
#define EFLAGS_ZF    0x00000040u
#define EFLAGS_SF    0x00000080u
#define EFLAGS_TF    0x00000100u
#define EFLAGS_IF    0x00000200u
#define EFLAGS_DF    0x00000400u
#define EFLAGS_OF    0x00000800u
#define EFLAGS_IOPL  0x00003000u
#define EFLAGS_NT    0x00004000u
#define EFLAGS_RF    0x00010000u
#define EFLAGS_VM    0x00020000u
#define EFLAGS_AC    0x00040000u
#define EFLAGS_VIF   0x00080000u
#define EFLAGS_VIP   0x00100000u
#define EFLAGS_ID    0x00200000u
#define EFLAGS_ARITH (EFLAGS_CF | EFLAGS_PF | EFLAGS_AF | EFLAGS_ZF | EFLAGS_SF | EFLAGS_OF)

/* Control registers. SDM Vol. 3A, 2.5 "Control Registers". */
#define CR0_PE         0x00000001u
#define CR0_MP         0x00000002u
#define CR0_EM         0x00000004u
#define CR0_TS         0x00000008u
#define CR0_ET         0x00000010u
#define CR0_NE         0x00000020u
#define CR0_WP         0x00010000u
#define CR0_AM         0x00040000u
#define CR0_NW         0x20000000u
#define CR0_CD         0x40000000u
#define CR0_PG         0x80000000u
#define CR4_VME        0x0001u
#define CR4_PVI        0x0002u
#define CR4_TSD        0x0004u
#define CR4_DE         0x0008u
#define CR4_PSE        0x0010u
#define CR4_PAE        0x0020u
#define CR4_MCE        0x0040u
#define CR4_PGE        0x0080u
#define CR4_PCE        0x0100u
#define CR4_OSFXSR     0x0200u
#define CR4_OSXMMEXCPT 0x0400u
#define CR4_UMIP       0x0800u
#define CR4_FSGSBASE   0x10000u
#define CR4_PCIDE      0x20000u
#define CR4_OSXSAVE    0x40000u
#define CR4_SMEP       0x100000u
#define CR4_SMAP       0x200000u

#define EFER_SCE       0x0001u
#define EFER_LME       0x0100u
#define EFER_LMA       0x0400u
#define EFER_NXE       0x0800u

#endif
