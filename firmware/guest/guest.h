// SPDX-License-Identifier: MIT
// What the guests that are written in C share: ports, serial output, verdict.
// Goldens are made of assembly guests only; these show that what a compiler
// emits runs too.
#ifndef GUEST_H
#define GUEST_H

#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

// GCC may call these four for what it finds in the source.
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
void *memmove(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *to, const void *from, size_t n)
{
    void *dest = to;

    __asm__ volatile("rep movsb" : "+D"(dest), "+S"(from), "+c"(n) : : "memory");
    return to;
}

void *memset(void *to, int value, size_t n)
{
    void *dest = to;

    __asm__ volatile("rep stosb" : "+D"(dest), "+c"(n) : "a"(value) : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *dest = to;
    const unsigned char *source = from;

    if (dest <= source)
        return memcpy(to, from, n);
    while (n-- > 0)
        dest[n] = source[n];
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *p = a;
    const unsigned char *q = b;

    for (; n > 0; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

static inline void serial_putc(char c)
{
    while ((inb(0x3FD) & 0x20) == 0)
        ;
    outb(0x3F8, (uint8_t)c);
}

static inline void serial_puts(const char *text)
{
    while (*text != '\0')
        serial_putc(*text++);
}

static inline void serial_hex(uint32_t value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        serial_putc("0123456789ABCDEF"[value >> shift & 15]);
}

static inline void serial_init(void)
{
    outb(0x3F9, 0);
    outb(0x3FB, 0x80);
    outb(0x3F8, 1);
    outb(0x3F9, 0);
    outb(0x3FB, 3);
    outb(0x3FA, 0);
    outb(0x3FC, 0x0B);
}

// isa-debug-exit at F4h: status (value << 1) | 1.
static inline void guest_exit(uint32_t value)
{
    outl(0xF4, value);
    for (;;)
        __asm__ volatile("cli; hlt");
}

// Something for a compiler to chew on: a sieve, a sort, a CRC. The same value
// whatever the width of a register.
static inline uint32_t guest_work(void)
{
    static uint8_t sieve[4096];
    static uint16_t primes[600];
    uint32_t crc = 0xFFFFFFFF;
    unsigned count = 0;

    memset(sieve, 1, sizeof sieve);
    for (unsigned i = 2; i < sizeof sieve; i++) {
        if (sieve[i] == 0)
            continue;
        if (count < 600)
            primes[count++] = (uint16_t)(i * 40503u);
        for (unsigned j = i * i; j < sizeof sieve; j += i)
            sieve[j] = 0;
    }
    for (unsigned i = 1; i < count; i++) {
        uint16_t value = primes[i];
        unsigned j = i;

        for (; j > 0 && primes[j - 1] > value; j--)
            primes[j] = primes[j - 1];
        primes[j] = value;
    }
    for (unsigned i = 0; i < count; i++) {
        crc ^= primes[i];
        for (unsigned bit = 0; bit < 16; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
    }
    return crc ^ (uint32_t)((uint64_t)crc * count >> 20) ^ (uint32_t)((int64_t)(int32_t)crc >> 9);
}

#endif
