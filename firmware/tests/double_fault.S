// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: #DF from #PF and contributory exceptions, on an IST stack (SDM Vol. 3A 6.15 Interrupt 8 - Double Fault Exception)
#define GUEST64
#include "guest.inc"

GUEST double_fault

.macro DOUBLE char, insn
    mov %rsp, M(resume_sp)
    movl $.Lresume\@, M(resume_ip)
    \insn
    FAIL "no fault"
.Lresume\@:
    CHECK_LOG \char
.endm

FUNC main
    GATE 8, df_isr, GATE_INT, 1
    movl $ist1_top, M(tss + 0x24)

    // #PF, then #NP in its delivery.
    GATE_ABSENT 14
    DOUBLE "D", "movl $0, 0x40000000"
    GATE 14, pf_isr

    // #GP, then #NP.
    GATE_ABSENT 13
    movabs $0x800000000000, %rax
    DOUBLE "D", "mov (%rax), %eax"

    // #PF, whose frame causes #PF.
    DOUBLE "D", "mov $0x50000000, %esp; push %rax"

    // #DE, then #PF is not a double fault: #PF is served (on IST 2).
    GATE 14, pf_isr, GATE_INT, 2
    movl $ist2_top, M(tss + 0x2C)
    xor %edx, %edx
    xor %ecx, %ecx
    DOUBLE "P", "mov $0x50000000, %esp; div %ecx"
    PASS
END main

FUNC df_isr
    LOG 'D'
    cmpl $0, (%rsp)
    jne bad
    cmp $ist1_top - 48, %esp
    jne bad
    mov M(resume_sp), %rsp
    jmp *M(resume_ip)
END df_isr

FUNC pf_isr
    LOG 'P'
    mov M(resume_sp), %rsp
    jmp *M(resume_ip)
END pf_isr

FUNC bad
    FAIL "error code or stack of the double fault"
END bad

VAR resume_sp, 8, 8
VAR resume_ip, 8, 8
VAR ist1, 1024, 16
VAR ist1_top, 16, 16
VAR ist2, 1024, 16
VAR ist2_top, 16, 16

#include "guestlib.inc"
