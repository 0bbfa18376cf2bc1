// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 32-bit interrupt and trap gates, stack switch through the TSS, INT n and gate privilege, error codes (SDM Vol. 3A 6.12.1 Exception- or Interrupt-Handler Procedures, 6.13 Error Code)
#include "guest.inc"

GUEST int_gates32

FUNC main
    GATE 0x90, gate_isr
    GATE 0x91, gate_isr, GATE_TRAP
    GATE 0x92, user_isr, GATE_INT_USER
    GATE 0x93, gate_isr, 0x8C // a call gate's type
    GATE 0x94, gate_isr
    movw $0, idt + 0x94 * 8 + 2
    GATE 0x95, gate_isr
    movw $SEL_FREE, idt + 0x95 * 8 + 2
    movl $0x0000FFFF, gdt + SEL_FREE // code, not present
    movl $0x00CF1B00, gdt + SEL_FREE + 4
    GATE 0x96, gate_isr
    movw $SEL_DATA, idt + 0x96 * 8 + 2
    GATE 0x97, gate_isr
    GATE_ABSENT 0x97

    // The frame: EFLAGS, CS, EIP on the same stack.
    sti
    mov %esp, %ebx
    int $0x90
after_90:
    CHECK_EQ frame_ip, $after_90, "saved EIP"
    CHECK_EQ frame_cs, $SEL_CODE32, "saved CS"
    sub $12, %ebx
    CHECK_EQ frame_sp, %ebx, "ESP"
    mov frame_flags, %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0x200, "saved IF"
    mov isr_flags, %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0, "interrupt gate clears IF"
    int $0x91
    mov isr_flags, %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0x200, "trap gate keeps IF"
    pushf
    pop %eax
    and $0x200, %eax
    CHECK_EQ %eax, $0x200, "IRET brings IF back"
    cli

    FAULT 13, (0x93 * 8 + 2), "wrong gate type", "int $0x93"
    FAULT 13, 0, "null selector in the gate", "int $0x94"
    FAULT 11, SEL_FREE, "code segment absent", "int $0x95"
    FAULT 13, SEL_DATA, "data selector in the gate", "int $0x96"
    FAULT 11, (0x97 * 8 + 2), "gate absent", "int $0x97"
    movw $0x98 * 8 - 1, idt_pointer
    lidt idt_pointer
    FAULT 13, (0x98 * 8 + 2), "beyond the limit", "int $0x98"

    RUN_USER user, SEL_UCODE32
    PASS
END main

// In ring 3: DPL of the gate, and the frame with SS:ESP on the TSS's stack.
FUNC user
    FAULT 13, (0x90 * 8 + 2), "INT n above the gate's DPL", "int $0x90"
    CHECK_EQ exc_cs, $(SEL_UCODE32 | 3), "CS of ring 3"
    int $0x92
after_92:
    CHECK_EQ frame_ip, $after_92, "EIP of ring 3"
    CHECK_EQ frame_cs, $(SEL_UCODE32 | 3), "CS of ring 3 by gate"
    CHECK_EQ frame_user_sp, $user_stack_top, "ESP of ring 3"
    CHECK_EQ frame_user_ss, $(SEL_UDATA | 3), "SS of ring 3"
    CHECK_EQ frame_sp, $(ring0_stack_top - 20), "ESP from the TSS"
    CHECK_EQ isr_ss, $SEL_DATA, "SS from the TSS"
    FAULT 13, 0, "CLI in ring 3", "cli"
    FAULT 13, 0, "HLT in ring 3", "hlt"
    FAULT 13, 0, "IN in ring 3", "in $0x21, %al"
    FAULT 13, 0, "MOV CR0 in ring 3", "mov %cr0, %eax"
    FAULT 13, 0, "LIDT in ring 3", "lidt idt_pointer"
    FAULT 13, SEL_DATA, "data segment of ring 0", "movw segment_0, %ds"
    int $0x81
END user

FUNC gate_isr
    pushf
    popl isr_flags
    mov %esp, frame_sp
    mov (%esp), %eax
    mov %eax, frame_ip
    mov 4(%esp), %eax
    mov %eax, frame_cs
    mov 8(%esp), %eax
    mov %eax, frame_flags
    iret
END gate_isr

FUNC user_isr
    mov %esp, frame_sp
    mov (%esp), %eax
    mov %eax, frame_ip
    mov 4(%esp), %eax
    mov %eax, frame_cs
    mov 12(%esp), %eax
    mov %eax, frame_user_sp
    mov 16(%esp), %eax
    mov %eax, frame_user_ss
    mov %ss, %eax
    mov %eax, isr_ss
    iret
END user_isr

    .data
segment_0:
    .word SEL_DATA
    .text
VAR frame_ip
VAR frame_cs
VAR frame_flags
VAR frame_sp
VAR frame_user_sp
VAR frame_user_ss
VAR isr_flags
VAR isr_ss

#include "guestlib.inc"
