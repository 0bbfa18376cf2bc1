// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: A and D bits cleared in memory: set again after INVLPG; without it nothing is lost (SDM Vol. 3A 4.8 Accessed and Dirty Flags, 4.10.2.3 Details of TLB Use)
#include "guest.inc"

GUEST ad_noinvlpg

FUNC main
    movl $0x87, directory
    movl $pages + 7, directory + 4
    movl $frame + 7, pages
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov $directory, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0

    // A load fills the TLB with D clear; the first store must set D all the
    // same, whatever the TLB holds.
    movl 0x400000, %eax
    CHECK_EQ pages, $(frame + 0x27), "A"
    movl $1, 0x400000
    CHECK_EQ pages, $(frame + 0x67), "D at the first store"

    // Cleared with INVLPG: set again by the next accesses, one by one.
    movl $frame + 7, pages
    invlpg 0x400000
    movl 0x400000, %eax
    CHECK_EQ pages, $(frame + 0x27), "A again"
    movl $2, 0x400000
    CHECK_EQ pages, $(frame + 0x67), "D again"

    // Cleared without INVLPG: whether they come back at once is open, but after
    // INVLPG they do, and the data is right throughout. 200 rounds.
    mov $200, %ebx
1:  andl $~0x60, pages
    mov %ebx, 0x400004
    CHECK_EQ frame + 4, %ebx, "data"
    mov pages, %eax
    and $~0x60, %eax
    CHECK_EQ %eax, $(frame + 7), "other bits"
    dec %ebx
    jnz 1b
    invlpg 0x400000
    movl $3, 0x400000
    CHECK_EQ pages, $(frame + 0x67), "A and D at the end"

    // Read-modify-write and REP set D too; a compare does not.
    movl $frame + 7, pages
    invlpg 0x400000
    cmpl $0, 0x400000
    CHECK_EQ pages, $(frame + 0x27), "CMP sets A alone"
    incl 0x400000
    CHECK_EQ pages, $(frame + 0x67), "INC sets D"
    movl $frame + 7, pages
    invlpg 0x400000
    mov $0x400100, %edi
    mov $16, %ecx
    rep stosb
    CHECK_EQ pages, $(frame + 0x67), "REP STOSB sets D"
    movl $frame + 7, pages
    invlpg 0x400000
    mov $5, %eax
    mov $6, %ecx
    cmpxchg %ecx, 0x400200 // fails, but writes the old value back
    CHECK_EQ pages, $(frame + 0x67), "CMPXCHG sets D"
    PASS
END main

VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame, 4096, 4096

#include "guestlib.inc"
