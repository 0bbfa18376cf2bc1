// SPDX-License-Identifier: MIT
// build: -m32
// run: --limit-insns=2000000
// status: 8
// qemu: no, it takes years
// tests: REP LODSB of 2^63 bytes: each iteration costs time, the limit ends it
#define GUEST64
#include "guest.inc"

GUEST rep_forever

FUNC main
    PUTS "rep_forever: ok\n"
    UART_DRAIN
    // The first GiB is mapped, so it takes 10^9 bytes until a page is missing:
    // the limit comes first.
    movabs $0x8000000000000000, %rcx
    mov $0x100000, %esi
    rep lodsb
    FAIL "went on"
END main

#include "guestlib.inc"
