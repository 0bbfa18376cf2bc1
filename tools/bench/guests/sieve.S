// SPDX-License-Identifier: MIT
// WORK passes of the sieve of Eratosthenes over 8 MiB, one byte a number.
#include "bench.inc"

GUEST sieve

FUNC main
    movl $WORK, M(count)
    mov $BUFFER, %rdi
1:  // All are prime to begin with.
    mov $0x0101010101010101, %rax
    mov $(8 << 20) / 8, %ecx
    xor %edx, %edx
2:  mov %rax, (%rdi,%rdx,8)
    inc %edx
    cmp %ecx, %edx
    jne 2b
    mov $2, %esi
3:  cmpb $0, (%rdi,%rsi)
    je 5f
    mov %esi, %edx
    imul %edx, %edx
4:  movb $0, (%rdi,%rdx)
    add %esi, %edx
    cmp $8 << 20, %edx
    jb 4b
5:  inc %esi
    cmp $2897, %esi // the square is beyond the end
    jb 3b
    decl M(count)
    jnz 1b
    // 564163 primes below 2^23, and 0 and 1, which no pass strikes out.
    xor %eax, %eax
    xor %edx, %edx
6:  movzbl (%rdi,%rdx), %ecx
    add %ecx, %eax
    inc %edx
    cmp $8 << 20, %edx
    jb 6b
    CHECK_EQ %eax, $564163 + 2, "primes"
    DONE
END main

#include "guestlib.inc"
