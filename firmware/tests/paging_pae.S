// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: PAE paging: PDPTEs, 2 MiB and 4 KiB pages, NX (SDM Vol. 3A 4.4 PAE Paging, 4.6 Access Rights)
#include "guest.inc"

GUEST paging_pae

FUNC main
    movl $directory + 1, pointers
    movl $0x87, directory
    movl $pages + 7, directory + 8 // 2 MiB: a table
    movl $0x400087, directory + 16 // 4 MiB: identity
    movl $0x400087, directory + 24 // 6 MiB: the same frame
    movl $0x80000000, directory + 28 // NX
    movl $frame + 7, pages
    movl $frame + 7, pages + 8
    movl $0x80000000, pages + 12 // NX
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xC0000080, %ecx
    rdmsr
    or $0x800, %eax
    wrmsr
    mov $pointers, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0

    movl $0xC3C3C3C3, 0x200000
    CHECK_EQ frame, $0xC3C3C3C3, "4 KiB page"
    CHECK_EQ pages, $(frame + 0x67), "A and D"
    movl $0xC3C3C3C3, 0x600000
    CHECK_EQ 0x400000, $0xC3C3C3C3, "2 MiB page"
    mov $0x200000, %eax
    call *%eax
    mov $0x400000, %eax
    call *%eax
    movl $back, exc_resume
    mov $0x201000, %eax
    jmp *%eax
back:
    CHECK_EQ exc_vector, $14, "fetch of a no-execute page"
    CHECK_EQ exc_error, $0x11, "error code: instruction fetch"
    CHECK_EQ exc_ip, $0x201000, "saved EIP"
    movl $back_2m, exc_resume
    mov $0x600000, %eax
    jmp *%eax
back_2m:
    CHECK_EQ exc_error, $0x11, "no-execute 2 MiB page"
    FAULT 14, 0, "third GiB absent", "mov 0x80000000, %eax"

    // The PDPTEs are held in the CPU: a change counts from the next MOV CR3.
    movl $directory + 1, pointers + 16
    mov %cr3, %eax
    mov %eax, %cr3
    CHECK_EQ 0x80200000, $0xC3C3C3C3, "new PDPTE after MOV CR3"
    PASS
END main

VAR pointers, 32, 32
VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame, 4096, 4096

#include "guestlib.inc"
