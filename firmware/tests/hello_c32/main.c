// SPDX-License-Identifier: MIT
// build: -m32
// status: 33
// qemu: same
// expect: hello_c32: ok
// tests: what a compiler emits for i386, with PIT ticks in between (8259A data sheet; 82C54 data sheet, Mode 2)
#include "guest.h"

void main(void);
void tick(void);
void tick_entry(void);

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t type;
    uint16_t offset_high;
};

struct idt_pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed));

static struct gate idt[256];
static volatile unsigned ticks;

void tick(void)
{
    ticks = ticks + 1;
    outb(0x20, 0x20);
}

void main(void)
{
    const struct idt_pointer pointer = {sizeof idt - 1, (uint32_t)idt};
    const uint32_t entry = (uint32_t)tick_entry;
    uint32_t first;
    uint32_t second;

    serial_init();
    outb(0x43, 0x30);
    outb(0x20, 0x11);
    outb(0xA0, 0x11);
    outb(0x21, 0x20);
    outb(0xA1, 0x28);
    outb(0x21, 4);
    outb(0xA1, 2);
    outb(0x21, 1);
    outb(0xA1, 1);
    outb(0x21, 0xFE);
    outb(0xA1, 0xFF);
    idt[0x20] = (struct gate){(uint16_t)entry, 8, 0x8E00, (uint16_t)(entry >> 16)};
    __asm__ volatile("lidt %0" : : "m"(pointer));

    first = guest_work();
    outb(0x43, 0x34);
    outb(0x40, 100);
    outb(0x40, 0);
    __asm__ volatile("sti");
    second = guest_work();
    while (ticks < 3)
        __asm__ volatile("hlt");
    __asm__ volatile("cli");
    serial_puts("work ");
    serial_hex(first);
    serial_puts("\n");
    serial_puts(first == second ? "hello_c32: ok\n" : "hello_c32: FAIL ticks disturb\n");
    guest_exit(first == second ? 0x10 : 0x11);
}
