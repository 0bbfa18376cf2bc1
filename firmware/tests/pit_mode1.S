// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, OUT is inverted in its mode 1 (hw/timer/i8254_common.c, pit_get_out)
// tests: 82C54 mode 1, hardware retriggerable one-shot, by the gate of channel 2 (82C54 data sheet, Mode 1)
#include "guest.inc"

GUEST pit_mode1

FUNC main
    // Mode 1: OUT high until the gate rises, low for the count, high again.
    OUTB 0x61, 0
    OUTB 0x43, 0xB2
    OUTB 0x42, 0
    OUTB 0x42, 0x10 // 4096 periods: 3.4 ms
    in $0x61, %al
    and $0x20, %eax
    CHECK_EQ %eax, $0x20, "mode 1: OUT before the trigger"
    OUTB 0x61, 1
3:  in $0x61, %al
    test $0x20, %al
    jnz 3b
4:  in $0x61, %al
    test $0x20, %al
    jz 4b

    // A second trigger, and a third in the middle of the pulse.
    // OUT falls with the CLK after the trigger: wait for it, but not for ever.
    OUTB 0x61, 0
    OUTB 0x61, 1
    mov $10000, %ecx
7:  in $0x61, %al
    test $0x20, %al
    jz 8f
    dec %ecx
    jnz 7b
8:  test $0x20, %al
    CHECK_COND z, "OUT low after the second trigger"
    OUTB 0x61, 0
    OUTB 0x61, 1
5:  in $0x61, %al
    test $0x20, %al
    jz 5b
    PASS
END main

#include "guestlib.inc"
