// SPDX-License-Identifier: MIT
// WORK copies of 1 MiB: -DMOVSB, -DMOVSQ, or a loop of byte moves.
#include "bench.inc"

GUEST memcpy

FUNC main
    movl $WORK, M(count)
    movl $0x600DC0DE, BUFFER + 0xFFFFC
1:  mov $BUFFER, %esi
    mov $BUFFER2, %edi
#if defined(MOVSB)
    mov $1 << 20, %ecx
    rep movsb
#elif defined(MOVSQ)
    mov $(1 << 20) / 8, %ecx
    rep movsq
#else
    xor %ecx, %ecx
2:  movb (%rsi,%rcx), %al
    movb %al, (%rdi,%rcx)
    inc %rcx
    cmp $1 << 20, %rcx
    jne 2b
#endif
    decl M(count)
    jnz 1b
    CHECK_EQ BUFFER2 + 0xFFFFC, $0x600DC0DE, "the last bytes"
    DONE
END main

#include "guestlib.inc"
