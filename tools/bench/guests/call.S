// SPDX-License-Identifier: MIT
// Recursive Fibonacci numbers, WORK calls or a few less.
#include "bench.inc"

GUEST call

FUNC main
    // fib(20) makes 21891 calls.
    movl $WORK / 21891, M(count)
1:  mov $20, %edi
    call fib
    CHECK_EQ %eax, $6765, "fib(20)"
    decl M(count)
    jnz 1b
    DONE
END main

// EDI -> EAX.
FUNC fib
    cmp $2, %edi
    jae 1f
    mov %edi, %eax
    ret
1:  push %rbx
    push %rdi
    dec %edi
    call fib
    mov %eax, %ebx
    pop %rdi
    sub $2, %edi
    call fib
    add %ebx, %eax
    pop %rbx
    ret
END fib

#include "guestlib.inc"
