// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: 82C54 modes, read-back, counter latch, gate and OUT of channel 2 at port 61h (82C54 data sheet, Mode Definitions, Read-Back Command)
#include "guest.inc"

GUEST pit_modes

FUNC main
    // The status byte gives the control word back (its lower six bits).
    mov $0, %ebx
1:  mov %ebx, %eax
    shl $1, %eax
    or $0xB0, %eax // channel 2, low and high byte
    out %al, $0x43
    OUTB 0x43, 0xE8 // read-back: status of channel 2
    in $0x42, %al
    and $0x3F, %eax
    mov %ebx, %ecx
    shl $1, %ecx
    or $0x30, %ecx
    CHECK_EQ %eax, %ecx, "mode in the status byte"
    inc %ebx
    cmp $6, %ebx
    jb 1b

    // Mode 0: gate on, OUT low until the count has run out.
    OUTB 0x61, 1
    OUTB 0x43, 0xB0
    in $0x61, %al
    and $0x20, %eax
    CHECK_EQ %eax, $0, "mode 0: OUT low after the control word"
    OUTB 0x42, 100
    OUTB 0x42, 0
2:  in $0x61, %al
    test $0x20, %al
    jz 2b

    // Mode 3: OUT keeps changing; mode 2 and 3: gate off holds OUT high.
    OUTB 0x43, 0xB6
    OUTB 0x42, 0x00
    OUTB 0x42, 0x02
    mov $3, %ebx
5:  in $0x61, %al
    test $0x20, %al
    jnz 5b
6:  in $0x61, %al
    test $0x20, %al
    jz 6b
    dec %ebx
    jnz 5b

    // The latch holds one count for both bytes; the counter only goes down.
    OUTB 0x43, 0xB0
    OUTB 0x42, 0xFF
    OUTB 0x42, 0xFF
    // The count is loaded by the next CLK: read-back tells when (NULL COUNT).
8:  OUTB 0x43, 0xE8
    in $0x42, %al
    test $0x40, %al
    jnz 8b
    call latch_count
    mov %eax, %ebx
7:  call latch_count
    cmp %ebx, %eax
    je 7b
    CHECK_COND b, "the counter goes down"

    // Read-back latches count and status: status is read first.
    OUTB 0x43, 0xC8
    in $0x42, %al
    and $0x3F, %eax
    CHECK_EQ %eax, $0x30, "status before count"
    in $0x42, %al
    mov %al, %bl
    in $0x42, %al
    mov %al, %bh
    movzwl %bx, %eax
    cmp $0xFFFF, %eax
    CHECK_COND b, "count after status"
    PASS
END main

FUNC latch_count
    OUTB 0x43, 0x80
    in $0x42, %al
    mov %al, %cl
    in $0x42, %al
    mov %al, %ch
    movzwl %cx, %eax
    ret
END latch_count

#include "guestlib.inc"
