// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 4-level paging: 4 KiB and 2 MiB pages, NX, global pages, accesses over two pages, user pages (SDM Vol. 3A 4.5 4-Level Paging, 4.10.2.4 Global Pages)
#define GUEST64
#include "guest.inc"

GUEST paging64

FUNC main
    // 40000000h: a table of 4 KiB pages.
    movl $directory + 7, M(page_dir_ptr + 8)
    movl $pages + 7, M(directory)
    movl $0x400087, M(directory + 8) // 40200000h: a 2 MiB page
    movl $frame_a + 7, M(pages)
    movl $frame_b + 7, M(pages + 8)
    movl $0x80000000, M(pages + 12) // NX
    movl $frame_b + 0x107, M(pages + 16) // global
    mov $0xC0000080, %ecx
    rdmsr
    or $0x800, %eax
    wrmsr
    mov %cr4, %rax
    or $0x80, %eax
    mov %rax, %cr4
    mov %cr0, %rax
    or $0x10000, %eax
    mov %rax, %cr0
    mov $0x40000000, %ebx

    // Over two pages, frames apart.
    movabs $0x1122334455667788, %rax
    mov %rax, 0xFFD(%rbx)
    CHECK_EQ M(frame_b + 1), $0x11223344, "second part"
    cmpb $0x88, M(frame_a + 0xFFD)
    CHECK_COND e, "first part"
    cmp %rax, 0xFFD(%rbx)
    CHECK_COND e, "load over two pages"
    CHECK_EQ M(pages), $(frame_a + 0x67), "A and D, first"
    CHECK_EQ M(pages + 8), $(frame_b + 0x67), "A and D, second"

    // The page behind is absent: no part is written, no register changed.
    mov 0x2FF0(%rbx), %rcx
    movq $0, 0x2FF8(%rbx)
    FAULT 14, 2, "store over the edge", "mov %rax, 0x2FFC(%rbx)"
    CHECK_EQ M(exc_cr2), $0x40003000, "CR2"
    CHECK_EQ 0x2FFC(%rbx), $0, "first part not written"
    FAULT 14, 0, "load over the edge", "mov 0x2FFC(%rbx), %rcx"
    cmp 0xFFD(%rbx), %rax
    CHECK_COND e, "RAX after the faults"

    // NX.
    movb $0xC3, 0x10(%rbx)
    lea 0x10(%rbx), %rax
    call *%rax
    movb $0xC3, 0x1010(%rbx)
    add $0x1000, %rax
    movl $back, M(exc_resume)
    push %rbx
    jmp *%rax
back:
    pop %rbx
    CHECK_EQ M(exc_vector), $14, "fetch of a no-execute page"
    CHECK_EQ M(exc_error), $0x11, "error code"

    // MOV CR3 drops all but global pages; INVLPG and CR4.PGE drop those too.
    mov 0x2000(%rbx), %eax
    mov (%rbx), %eax
    movl $0xAAAA, M(frame_a)
    movl $0xBBBB, M(frame_b)
    movl $frame_b + 7, M(pages)
    movl $frame_a + 0x107, M(pages + 16)
    mov %cr3, %rax
    mov %rax, %cr3
    CHECK_EQ (%rbx), $0xBBBB, "after MOV CR3"
    invlpg 0x2000(%rbx)
    CHECK_EQ 0x2000(%rbx), $0xAAAA, "global page after INVLPG"
    movl $frame_b + 0x107, M(pages + 16)
    mov %cr4, %rax
    and $~0x80, %eax
    mov %rax, %cr4
    CHECK_EQ 0x2000(%rbx), $0xBBBB, "global page after CR4.PGE"

    // 2 MiB page.
    movl $0x5A5A, 0x200000(%rbx)
    CHECK_EQ 0x400000, $0x5A5A, "2 MiB page"
    mov M(directory + 8), %eax
    CHECK_EQ %eax, $0x4000E7, "A and D of the 2 MiB page"

    // User.
    movl $frame_a + 3, M(pages + 24)
    movl $frame_a + 5, M(pages + 32)
    RUN_USER user, SEL_UCODE64
    PASS
END main

FUNC user
    mov $0x40000000, %ebx
    FAULT 14, 5, "user load, supervisor page", "mov 0x3000(%rbx), %eax"
    FAULT 14, 7, "user store, read-only page", "mov %eax, 0x4000(%rbx)"
    FAULT 14, 6, "user store, absent page", "mov %eax, 0x5000(%rbx)"
    mov 0x4000(%rbx), %eax
    int $0x81
END user

VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame_a, 4096, 4096
VAR frame_b, 4096, 4096

#include "guestlib.inc"
