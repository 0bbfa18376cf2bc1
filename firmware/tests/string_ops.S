// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: REP MOVS, STOS, LODS, CMPS, SCAS: directions, counts, sizes, a fault in the middle and restart (SDM Vol. 2B REP/REPE/REPZ/REPNE/REPNZ)
#include "guest.inc"

GUEST string_ops

FUNC main
    // 400000h and 401000h: mapped; 402000h: absent.
    movl $0x87, directory
    movl $pages + 7, directory + 4
    movl $frame_a + 7, pages
    movl $frame_b + 7, pages + 4
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov $directory, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80010000, %eax
    mov %eax, %cr0

    // Fill over two pages, copy down, overlapping copy.
    mov $0x400FF0, %edi
    mov $0x11223344, %eax
    mov $8, %ecx
    rep stosl
    CHECK_EQ %edi, $0x401010, "EDI after STOSD"
    CHECK_EQ %ecx, $0, "ECX after STOSD"
    CHECK_EQ frame_b + 12, $0x11223344, "last double word"
    mov $0x400FF0, %esi
    mov $0x400FF1, %edi
    movb $0x7E, (%esi)
    mov $31, %ecx
    rep movsb // forward over itself: the first byte spreads
    CHECK_EQ frame_a + 0xFFC, $0x7E7E7E7E, "spread, first page"
    CHECK_EQ frame_b + 12, $0x7E7E7E7E, "spread, second page"
    std
    mov $0x40100F, %esi
    mov $0x40100E, %edi
    movb $0x21, (%esi)
    mov $31, %ecx
    rep movsb
    cld
    CHECK_EQ %edi, $0x400FEF, "EDI, backward"
    CHECK_EQ frame_a + 0xFF0, $0x21212121, "spread backward"

    // A fault in the middle: what was done stays, registers tell where.
    mov $0x400000, %esi
    mov $0x401FF0, %edi
    mov $32, %ecx
    FAULT 14, 2, "REP MOVSB", "rep movsb"
    CHECK_EQ %ecx, $16, "ECX at the fault"
    CHECK_EQ %esi, $0x400010, "ESI at the fault"
    CHECK_EQ %edi, $0x402000, "EDI at the fault"
    CHECK_EQ exc_cr2, $0x402000, "CR2"
    mov $0x402001, %edi
    mov $0x400000, %esi
    mov $4, %ecx
    FAULT 14, 2, "REP MOVSL at the first", "rep movsl"
    CHECK_EQ %ecx, $4, "ECX unchanged"
    mov $0x401FFE, %edi
    mov $2, %ecx
    FAULT 14, 2, "STOSL over the edge", "rep stosl"
    CHECK_EQ %edi, $0x401FFE, "EDI unchanged"

    // Restart: the handler maps the page.
    GATE 14, pf_isr
    mov $0x401FF8, %edi
    mov $4, %ecx
    mov $0xCAFE, %eax
    rep stosl
    CHECK_EQ frame_a + 4, $0xCAFE, "restart"
    CHECK_EQ faults, $1, "one fault"

    // Count zero changes nothing, not even flags.
    xor %ecx, %ecx
    mov $0x400000, %edi
    cmp %ecx, %ecx
    repne scasb
    CHECK_COND e, "flags after count zero"
    CHECK_EQ %edi, $0x400000, "EDI after count zero"

    // SCAS and CMPS stop at the right place.
    mov $text, %edi
    mov $'e', %al
    mov $100, %ecx
    repne scasb
    CHECK_COND e, "found"
    CHECK_EQ %edi, $(text + 5), "place"
    CHECK_EQ %ecx, $95, "rest"
    mov $text, %esi
    mov $text2, %edi
    mov $12, %ecx
    repe cmpsb
    CHECK_COND b, "t is below x"
    CHECK_EQ %ecx, $1, "rest of CMPS"
    mov $text, %edi
    mov $'a', %al
    mov $4, %ecx
    repe scasb
    CHECK_COND e, "all equal"
    CHECK_EQ %ecx, $0, "all looked at"

    // Words, and 16-bit addresses (only CX and DI count).
    mov $0x12340004, %ecx
    mov $0x00010600, %edi
    movl $0, 0x600
    mov $0x5566, %eax
    addr16 rep stosw
    CHECK_EQ %ecx, $0x12340000, "CX alone"
    CHECK_EQ %edi, $0x00010608, "DI alone"
    CHECK_EQ 0x604, $0x55665566, "16-bit address"
    mov $0x604, %esi
    mov $1, %ecx
    xor %eax, %eax
    rep lodsw
    CHECK_EQ %eax, $0x5566, "LODSW"
    PASS
END main

FUNC pf_isr
    incl faults
    movl $frame_a + 7, pages + 8
    add $4, %esp
    iret
END pf_isr

    .section .rodata
text:
    .ascii "aaaaeeee.atz"
text2:
    .ascii "aaaaeeee.axz"

VAR directory, 4096, 4096
VAR pages, 4096, 4096
VAR frame_a, 4096, 4096
VAR frame_b, 4096, 4096
VAR faults

#include "guestlib.inc"
