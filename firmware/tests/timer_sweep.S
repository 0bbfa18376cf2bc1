// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// tests: a LAPIC deadline at each instruction of a program of 200: the result does not depend on where it hits (SDM Vol. 3A 6.6 Program or Task Restart)
#include "guest.inc"

GUEST timer_sweep

FUNC main
    GATE 0x40, timer_isr
    LAPIC_ENABLE
    LAPIC_WRITE LAPIC_TIMER_DIVIDE, $0xB
    LAPIC_WRITE LAPIC_LVT_TIMER, $0x40
    call program // twice, for the memory that it leaves
    call program
    mov %eax, reference
    mov $1, %ebp
1:  movl $0, isr_count
    LAPIC_WRITE LAPIC_TIMER_INIT, %ebp
    sti
    call program
    mov reference, %ecx
    CHECK_EQ %eax, %ecx, "result"
2:  cmpl $0, isr_count
    je 2b
    cli
    CHECK_EQ isr_count, $1, "one interrupt"
    inc %ebp
    cmp $330, %ebp
    jbe 1b
    PUTS "checksum "
    mov reference, %eax
    call serial_hex
    PUTS "\n"
    PASS
END main

// Each eight instructions use flags, memory, stack and strings. EAX the result.
FUNC program
    mov $1, %eax
    mov $0x12345, %ebx
    mov $words, %edi
    cld
    .set step, 0
    .rept 24
    add %ebx, %eax
    adc $0x1357, %ebx
    push %eax
    .if step % 4 == 1
    mov $5, %ecx
    rep stosl
    sub $20, %edi
    .elseif step % 4 == 2
    mov %eax, step * 4(%edi)
    xor step * 2(%edi), %ebx
    .elseif step % 4 == 3
    pushf
    rol $7, %ebx
    popf
    .endif
    sbb %eax, %ebx
    cmovc %ebx, %eax
    pop %ecx
    lea 3(%eax, %ecx, 2), %eax
    .set step, step + 1
    .endr
    xor (%edi), %eax
    ret
END program

FUNC timer_isr
    push %eax
    push %edi
    xor %eax, %eax // the flags of the program come back by IRET
    incl isr_count
    LAPIC_WRITE LAPIC_EOI, $0
    pop %edi
    pop %eax
    iret
END timer_isr

VAR reference
VAR words, 512, 16

#include "guestlib.inc"
