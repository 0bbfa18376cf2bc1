// SPDX-License-Identifier: MIT
// build: -m64
// status: 33
// qemu: same
// expect: hello_c64: ok
// tests: an ELF64 that boots by its PVH note (Xen, "x86/HVM direct boot ABI"); what a compiler emits for x86-64
#include "guest.h"

void main(const uint32_t *start_info);
void soft(void);
void soft_entry(void);

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t type;
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t reserved;
};

struct idt_pointer {
    uint16_t limit;
    uint64_t base;
} __attribute__((packed));

static struct gate idt[256];
static volatile unsigned calls;

void soft(void)
{
    calls = calls + 1;
}

void main(const uint32_t *start_info)
{
    const struct idt_pointer pointer = {sizeof idt - 1, (uint64_t)idt};
    const uint64_t entry = (uint64_t)soft_entry;
    const char *verdict = "hello_c64: ok\n";
    uint32_t value;

    serial_init();
    idt[0x80] = (struct gate){(uint16_t)entry,         8, 0x8E00, (uint16_t)(entry >> 16),
                              (uint32_t)(entry >> 32), 0};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    value = guest_work();
    for (int i = 0; i < 10; i++)
        __asm__ volatile("int $0x80" : : : "memory");
    serial_puts("work ");
    serial_hex(value);
    serial_puts("\n");
    if (start_info[0] != 0x336EC578) // XEN_HVM_START_MAGIC_VALUE
        verdict = "hello_c64: FAIL no start information\n";
    else if (calls != 10)
        verdict = "hello_c64: FAIL calls\n";
    else if (value != guest_work())
        verdict = "hello_c64: FAIL work\n";
    serial_puts(verdict);
    guest_exit(verdict[11] == 'o' ? 0x10 : 0x11);
}
