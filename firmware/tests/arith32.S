// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: results and defined flags of the integer instructions, 8 to 32 bits, as a checksum (SDM Vol. 1 Appendix A EFLAGS Cross-Reference)
#include "guest.inc"

GUEST arith32

#include "arith.inc"

#include "guestlib.inc"
