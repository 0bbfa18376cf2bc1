// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: boot by multiboot 1 in 32-bit flat mode and polled serial output (PC16550D "Line Status Register")
#include "guest.inc"

GUEST hello32

FUNC main
    PUTS "hello from 32-bit protected mode\n"
    mov %cs, %eax
    CHECK_EQ %eax, $SEL_CODE32, "cs"
    mov %cr0, %eax
    and $0x80000001, %eax
    CHECK_EQ %eax, $1, "cr0"
    PASS
END main

#include "guestlib.inc"
