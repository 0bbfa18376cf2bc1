// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: an instruction over two pages: second page absent, then remapped to other bytes (SDM Vol. 3A 4.10.4 Invalidation of TLBs)
#include "guest.inc"

GUEST page_cross_code

// At 400FFEh: MOV EAX, imm32 (5 bytes: two here, three on the next page), RET.
FUNC main
    movl $0x87, directory
    movl $pages + 7, directory + 4
    movl $frame_a + 7, pages
    movw $0x11B8, frame_a + 0xFFE
    movl $0xC3443322, frame_b
    movl $0xC3776655, frame_c
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov $directory, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0
    mov $0x400FFE, %ebx

    // Absent: the fault is on the second page, the saved EIP on the first.
    movl $back, exc_resume
    call *%ebx
back:
    pop %eax
    CHECK_EQ exc_vector, $14, "vector"
    CHECK_EQ exc_error, $0, "error code"
    CHECK_EQ exc_cr2, $0x401000, "CR2"
    CHECK_EQ exc_ip, $0x400FFE, "saved EIP"

    mov $100, %esi
1:  movl $frame_b + 7, pages + 4
    invlpg 0x401000
    call *%ebx
    CHECK_EQ %eax, $0x44332211, "first mapping"
    movl $frame_c + 7, pages + 4
    invlpg 0x401000
    call *%ebx
    CHECK_EQ %eax, $0x77665511, "second mapping"
    incb frame_c + 1
    call *%ebx
    CHECK_EQ %eax, $0x77675511, "second page written"
    decb frame_c + 1
    movb $0x12, frame_a + 0xFFF
    call *%ebx
    CHECK_EQ %eax, $0x77665512, "first page written"
    movb $0x11, frame_a + 0xFFF
    dec %esi
    jnz 1b

    // Gone again.
    movl $0, pages + 4
    invlpg 0x401000
    movl $back_2, exc_resume
    call *%ebx
back_2:
    pop %eax
    CHECK_EQ exc_cr2, $0x401000, "CR2 when gone"
    PASS
END main

VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame_a, 4096, 4096
VAR frame_b, 4096, 4096
VAR frame_c, 4096, 4096

#include "guestlib.inc"
