// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 32-bit paging: 4 KiB and 4 MiB pages, A and D bits, WP, user pages, INVLPG, error codes (SDM Vol. 3A 4.3 32-Bit Paging, 4.7 Page-Fault Exceptions, 4.8 Accessed and Dirty Flags)
#include "guest.inc"

GUEST paging32

#define WINDOW 0x00C00000 // the window's 4 KiB pages, by the table `pages`

FUNC main
    // 4 MiB pages: 0 and 4 identity, 8 MiB -> 4 MiB; a table at 12 MiB.
    movl $0x87, directory
    movl $0x400083, directory + 4
    movl $0x400083, directory + 8
    movl $pages + 7, directory + 12
    mov $frame_a + 7, %eax
    mov %eax, pages
    movl $frame_b + 5, pages + 4  // user, read-only
    movl $frame_b + 3, pages + 8  // supervisor
    movl $frame_b + 6, pages + 12 // not present
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov $directory, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0

    // Two mappings of the same frame; A and D.
    CHECK_EQ pages, $(frame_a + 7), "A and D clear before use"
    movl WINDOW, %eax
    CHECK_EQ pages, $(frame_a + 0x27), "A after a load"
    movl $0x12345678, WINDOW + 8
    CHECK_EQ pages, $(frame_a + 0x67), "D after a store"
    CHECK_EQ frame_a + 8, $0x12345678, "store through the window"
    mov directory + 12, %eax
    and $0x60, %eax
    CHECK_EQ %eax, $0x20, "A of the directory entry"
    CHECK_EQ directory + 8, $0x400083, "4 MiB page untouched"
    movl $0x55AA, 0x800010
    CHECK_EQ directory + 8, $0x4000E3, "A and D of the 4 MiB page"
    CHECK_EQ 0x400010, $0x55AA, "4 MiB mapping"

    // Supervisor, WP=0: a read-only page is written.
    movl $1, WINDOW + 0x1000
    CHECK_EQ pages + 4, $(frame_b + 0x65), "D of a read-only page, WP=0"
    mov %cr0, %eax
    or $0x10000, %eax
    mov %eax, %cr0
    FAULT 14, 3, "write to a read-only page, WP=1", "movl $2, WINDOW_B"
    CHECK_EQ exc_cr2, $(WINDOW + 0x1000), "CR2"
    CHECK_EQ frame_b, $1, "nothing written"
    FAULT 14, 0, "load, not present", "movl WINDOW_D, %eax"
    CHECK_EQ exc_cr2, $(WINDOW + 0x3004), "CR2 of the load"
    FAULT 14, 2, "store, not present", "movl %eax, WINDOW_D"
    CHECK_EQ pages + 12, $(frame_b + 6), "no A bit in an absent entry"

    // An access over two pages, the second absent: nothing is written.
    movl $0x77, WINDOW + 0x2FFC
    FAULT 14, 2, "store over two pages", "movl %eax, WINDOW_C + 0xFFE"
    CHECK_EQ exc_cr2, $(WINDOW + 0x3000), "CR2 is in the second page"
    CHECK_EQ WINDOW + 0x2FFC, $0x77, "first part not written"

    // A stale translation may stay until INVLPG; after it the new one holds.
    movl $0xBBBB, frame_b
    movl WINDOW, %eax
    movl $frame_b + 7, pages
    invlpg WINDOW
    CHECK_EQ WINDOW, $0xBBBB, "INVLPG"

    // Present after the fault: the instruction is started again.
    GATE 14, pf_isr
    movl $0x99, frame_b + 4
    movl WINDOW + 0x3004, %eax
    CHECK_EQ %eax, $0x99, "restart"
    CHECK_EQ faults, $1, "one fault"
    GATE 14, exc_stubs+14*16

    RUN_USER user, SEL_UCODE32
    PASS
END main

FUNC user
    movl WINDOW + 0x1000, %eax
    FAULT 14, 7, "user write to a read-only page", "movl $2, WINDOW_B"
    FAULT 14, 5, "user load of a supervisor page", "movl WINDOW_C, %eax"
    FAULT 14, 7, "user store to a supervisor page", "movl %eax, WINDOW_C"
    FAULT 14, 4, "user load, not present", "movl WINDOW_E, %eax"
    FAULT 14, 6, "user store, not present", "movl %eax, WINDOW_E"
    int $0x81
END user

FUNC pf_isr
    incl faults
    movl $frame_b + 7, pages + 12
    add $4, %esp
    iret
END pf_isr

    .set WINDOW_B, WINDOW + 0x1000
    .set WINDOW_C, WINDOW + 0x2000
    .set WINDOW_D, WINDOW + 0x3004
    .set WINDOW_E, WINDOW + 0x4000

VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame_a, 4096, 4096
VAR frame_b, 4096, 4096
VAR faults

#include "guestlib.inc"
