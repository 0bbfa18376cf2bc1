// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: no, 7.2 reports reserved bits without P (target/i386/tcg/sysemu/excp_helper.c, do_fault_rsvd), and W=0 for read-modify-write
// tests: reserved bits in page-table entries give RSVD and P, in PAE paging (SDM Vol. 3A 4.7 Page-Fault Exceptions)
#include "guest.inc"

GUEST paging_rsvd

FUNC main
    movl $directory + 1, pointers
    movl $0x87, directory
    movl $pages + 7, directory + 8
    movl $frame + 7, pages
    movl $0x40000000, pages + 4 // bit 62
    movl $frame + 6, pages + 8  // not present: other bits are ignored
    movl $0x40000000, pages + 12
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $pointers, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0
    FAULT 14, 9, "load", "mov 0x200000, %eax"
    FAULT 14, 11, "store", "mov %eax, 0x200000"
    FAULT 14, 0, "not present", "mov 0x201000, %eax"
    CHECK_EQ pages, $(frame + 7), "no A bit"

    // A read-modify-write is a write from its first access on.
    FAULT 14, 2, "ADD to an absent page", "addl $1, 0x201000"
    FAULT 14, 2, "INC of an absent page", "incb 0x201000"
    FAULT 14, 2, "BTS of an absent page", "btsl $1, 0x201000"
    FAULT 14, 2, "XCHG of an absent page", "xchgl %eax, 0x201000"
    PASS
END main

VAR pointers, 32, 32
VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame, 4096, 4096

#include "guestlib.inc"
