// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: self-modifying code at each distance of 0 to 64 bytes ahead, by MOV, by REP, and through another mapping (SDM Vol. 3A 12.6 Self-Modifying Code)
#include "guest.inc"

GUEST smc32

// The stub in memory: a store of CL to the byte at EDI, then 80 times INC EAX
// (40h), then RET. A store of 48h (DEC EAX) at distance d makes the sum 78.
FUNC main
    movl $0x87, directory
    movl $0x87, directory + 4 // 4 MiB: the first 4 MiB again
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov $directory, %eax
    mov %eax, %cr3
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0

    movl $0, round
next_round:
    xor %ebp, %ebp // distance
next_distance:
    call build
    mov $80, %esi
    xor %eax, %eax
    // Run it once unchanged, so that it is decoded already.
    mov $scratch, %edi
    mov $0x48, %edx
    mov $scratch, %ebx
    mov $1, %ecx
    call run
    CHECK_EQ %eax, $80, "unchanged"
    // Now the store hits the code itself.
    mov $code, %edi
    add code_length, %edi
    add %ebp, %edi
    cmpl $3, round
    jne 1f
    add $0x400000, %edi // the same bytes through the other mapping
1:  mov $1, %ecx
    xor %eax, %eax
    call run
    CHECK_EQ %eax, $78, "changed ahead"
    // Once more, now that the byte is there: the same.
    mov $1, %ecx
    xor %eax, %eax
    mov $scratch, %edi
    call run
    CHECK_EQ %eax, $78, "changed before"
    inc %ebp
    cmp $64, %ebp
    jbe next_distance
    incl round
    cmpl $4, round
    jb next_round
    PASS
END main

// Writes the stub of this round into code.
FUNC build
    mov $code, %edi
    mov round, %eax
    mov heads(, %eax, 4), %esi
    mov lengths(, %eax, 4), %ecx
    mov %ecx, code_length
    rep movsb
    mov $0x40, %al
    mov $80, %ecx
    rep stosb
    movb $0xC3, (%edi)
    movl $0x48484848, source
    ret
END build

// EDI the target; EAX counts; the stubs use EDX, ECX, ESI.
FUNC run
    xor %eax, %eax
    mov $source, %esi
    mov $code, %ebx
    jmp *%ebx
END run

    .section .rodata
head_mov:
    movb %dl, (%edi)
end_mov:
head_stos:
    mov %edx, %eax
    rep stosb
    xor %eax, %eax
end_stos:
head_movs:
    rep movsb
end_movs:
    .balign 4
heads:
    .long head_mov, head_stos, head_movs, head_mov
lengths:
    .long end_mov - head_mov, end_stos - head_stos, end_movs - head_movs, end_mov - head_mov

VAR directory, 4096, 4096
VAR code, 256, 64
VAR code_length
VAR source
VAR scratch
VAR round

#include "guestlib.inc"
