// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 64-bit gates: aligned stack, SS and RSP always pushed, IST, ring 3 and back by IRETQ (SDM Vol. 3A 6.14.2 64-Bit Mode Stack Frame, 6.14.4 Stack Switching in IA-32e Mode, 6.14.5 Interrupt Stack Table)
#define GUEST64
#include "guest.inc"

GUEST int_gates64

FUNC main
    GATE 0x90, gate_isr
    GATE 0x91, gate_isr, GATE_TRAP
    GATE 0x92, gate_isr, GATE_INT_USER
    GATE 0x93, gate_isr, GATE_INT_USER, 3
    movl $ist3_top, M(tss + 0x34)

    // Same privilege: RSP is aligned to 16 before the five words are pushed.
    sti
    sub $8, %rsp
    mov %rsp, %rbx
    int $0x90
after_90:
    CHECK_EQ M(frame_ip), $after_90, "saved RIP"
    CHECK_EQ M(frame_cs), $SEL_CODE64, "saved CS"
    CHECK_EQ M(frame_user_sp), %ebx, "saved RSP"
    CHECK_EQ M(frame_user_ss), $SEL_DATA, "saved SS"
    and $-16, %ebx
    sub $40, %ebx
    CHECK_EQ M(frame_sp), %ebx, "aligned RSP"
    mov M(isr_flags), %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0, "interrupt gate clears IF"
    int $0x91
    mov M(isr_flags), %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0x200, "trap gate keeps IF"
    int $0x93
    CHECK_EQ M(frame_sp), $(ist3_top - 40), "IST 3 in ring 0"
    cli
    add $8, %rsp

    RUN_USER user, SEL_UCODE64

    // A null SS is legal for ring 0 in 64-bit mode; IRETQ accepts it.
    xor %eax, %eax
    mov %eax, %ss
    int $0x90
    CHECK_EQ M(frame_user_ss), $0, "null SS"
    mov $SEL_DATA, %eax
    mov %eax, %ss
    PASS
END main

FUNC user
    int $0x92
after_92:
    CHECK_EQ M(frame_ip), $after_92, "RIP of ring 3"
    CHECK_EQ M(frame_cs), $(SEL_UCODE64 | 3), "CS of ring 3"
    CHECK_EQ M(frame_user_sp), $user_stack_top, "RSP of ring 3"
    CHECK_EQ M(frame_user_ss), $(SEL_UDATA | 3), "SS of ring 3"
    CHECK_EQ M(frame_sp), $(ring0_stack_top - 40), "RSP0"
    CHECK_EQ M(isr_ss), $0, "null SS after the switch"
    int $0x93
    CHECK_EQ M(frame_sp), $(ist3_top - 40), "IST 3 from ring 3"
    int $0x81
END user

FUNC gate_isr
    mov %rsp, M(frame_sp)
    mov (%rsp), %rax
    mov %rax, M(frame_ip)
    mov 8(%rsp), %rax
    mov %rax, M(frame_cs)
    mov 24(%rsp), %rax
    mov %rax, M(frame_user_sp)
    mov 32(%rsp), %rax
    mov %rax, M(frame_user_ss)
    mov %ss, %eax
    mov %eax, M(isr_ss)
    pushf
    pop %rax
    mov %rax, M(isr_flags)
    iretq
END gate_isr

VAR frame_ip, 8, 8
VAR frame_cs, 8, 8
VAR frame_sp, 8, 8
VAR frame_user_sp, 8, 8
VAR frame_user_ss, 8, 8
VAR isr_flags, 8, 8
VAR isr_ss
VAR ist3, 1024, 16
VAR ist3_top, 16, 16

#include "guestlib.inc"
