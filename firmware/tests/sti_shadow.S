// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: what STI, POPF, CLI and IRET let through, and after which instruction (SDM Vol. 2B STI; Vol. 3A 6.8.1 Masking Maskable Hardware Interrupts)
#include "guest.inc"

GUEST sti_shadow

// Make vector 41h pending with IF=0, run the instructions, and see at which
// address it was taken (0: not at all).
.macro TAKEN_AT want, what, insn
    movl $0, taken
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    \insn
    CHECK_EQ taken, $\want, "\what"
.endm

FUNC main
    GATE 0x41, isr
    LAPIC_ENABLE

    TAKEN_AT after_sti, "sti: after one more instruction", "sti; nop; after_sti: nop; cli"

    // STI;CLI leaves no room; the request stays.
    TAKEN_AT 0, "sti; cli", "sti; cli; nop; nop"
    TAKEN_AT after_second, "a second sti does not extend the shadow", "sti; sti; after_second: nop; nop; cli"

    // STI;RET: the caller is back before the interrupt.
    TAKEN_AT after_call, "sti; ret", "call sti_ret; after_call: nop; cli"

    // POPF has no shadow.
    TAKEN_AT after_popf, "popf", "pushf; orl $0x200, (%esp); popf; after_popf: nop; cli"

    // Nor has IRET.
    TAKEN_AT after_iret, "iret", "pushf; orl $0x200, (%esp); push %cs; push $after_iret; iret; after_iret: nop; cli"

    // STI;HLT: the halted state is entered and left by the interrupt.
    TAKEN_AT after_hlt, "sti; hlt", "sti; hlt; after_hlt: cli"

    // Twenty times STI;CLI in a loop: never taken.
    movl $0, taken
    LAPIC_WRITE LAPIC_ICR_LOW, $0x44041
    mov $20, %ecx
1:  sti
    cli
    loop 1b
    CHECK_EQ taken, $0, "sti; cli loop"
    DELIVER
    CHECK_LOG "ttttttt"

    // The saved flags have IF=1, the handler's are IF=0.
    CHECK_EQ seen_if, $0, "IF in the handler"
    PASS
END main

FUNC sti_ret
    sti
    ret
END sti_ret

FUNC isr
    push %eax
    push %edi
    LOG 't'
    mov 8(%esp), %eax
    mov %eax, taken
    pushf
    pop %eax
    and $0x200, %eax
    or %eax, seen_if
    LAPIC_WRITE LAPIC_EOI, $0
    pop %edi
    pop %eax
    iret
END isr

VAR taken
VAR seen_if

#include "guestlib.inc"
