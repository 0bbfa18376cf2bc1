// SPDX-License-Identifier: MIT
// build: -m32
// run: --limit-insns=2000000
// status: 8
// qemu: no, it never ends
// tests: an IDT whose #PF gate faults by #PF into a handler that is not mapped: no instruction ever retires
#define GUEST64
#include "guest.inc"

GUEST idt_loop

FUNC main
    PUTS "idt_loop: ok\n"
    UART_DRAIN
    mov $0x60000000, %eax // not mapped: each fetch faults again
    mov $14, %edi
    mov $GATE_INT << 8 | 1, %edx
    call set_gate
    movl $ist1_top, M(tss + 0x24)
    movl $0, 0x60000000
    FAIL "went on"
END main

VAR ist1, 1024, 16
VAR ist1_top, 16, 16

#include "guestlib.inc"
