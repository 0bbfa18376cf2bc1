// SPDX-License-Identifier: MIT
// build: -m32
// status: 12
// qemu: no, it has the instruction
// tests: an instruction that is not modelled ends the run with a message, never with a silent #UD or a wrong result
#include "guest.inc"

GUEST unmodelled

FUNC main
    PUTS "unmodelled: ok\n"
    // SSE is allowed by CR4.OSFXSR, and the CPU model has it.
    mov %cr4, %eax
    or $0x200, %eax
    mov %eax, %cr4
    .byte 0x0F, 0x28, 0xC1 // movaps %xmm1, %xmm0
    FAIL "went on"
END main

#include "guestlib.inc"
