/* SPDX-License-Identifier: MIT */
/*
 * What a PC BIOS leaves behind when it has started an operating system, without a BIOS having run.
 *
 * IBM PC/AT Technical Reference (order no. 6280070), "System BIOS": interrupt vectors, BIOS data area, 8259 vectors; MultiProcessor
 * Specification 1.4 (order no. 242016), 3.6.2.2 "Virtual Wire Mode".
 *
 * Modelled: chips (LAPIC: SVR=1FFh, LINT0=8700h, LINT1=8400h; 8259s at 08h and 70h with masks B8h and 8Eh; PIT channel 0 in mode 2, count 0), the
 * fields of the BIOS data area that kernels read, and real-mode vectors: hardware interrupts are ended at the 8259s; equipment (11h) and memory size (12h) are answered; disk (13h), system (15h)
 * and time (1Ah) services report "not supported" (CF=1, AH=86h); keyboard (16h) reports no key (ZF=1); everything else just returns.
 * Not modelled: every other BIOS service, above all video (10h) and memory map (15h, E820h); ACPI, SMBIOS, PCI BIOS.
 * Deviations: the timer interrupt keeps no tick count at 40:6Ch.
 */
#include "firmware/pc_board.h"

#define BIOS_SEGMENT 0xf000u
#define STUB_SIZE    16u
#define STUB_BASE    0xe000u /* offset of the first stub in the segment */

enum bios_stub {
    STUB_RETURN,
    STUB_IRQ_MASTER,
    STUB_IRQ_SLAVE,
    STUB_UNSUPPORTED,
    STUB_NO_KEY,
    STUB_EQUIPMENT,
    STUB_MEMORY,
    STUB_COUNT,
};

#define EQUIPMENT  0x0220u /* one serial port, 80x25 colour */
#define MEMORY_KIB 639u
#define EBDA       0x9fc0u /* segment */

static const uint8_t stubs[STUB_COUNT][STUB_SIZE] = {
    [STUB_RETURN] = {0xcf},                                                    /* iret */
    [STUB_IRQ_MASTER] = {0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf},            /* EOI to 20h */
    [STUB_IRQ_SLAVE] = {0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf}, /* to A0h and 20h */
    [STUB_UNSUPPORTED] = {0x55, 0x89, 0xe5,        /* push bp; mov bp, sp */
                          0x80, 0x4e, 0x06, 0x01,  /* or byte [bp+6], CF */
                          0xb4, 0x86, 0x5d, 0xcf}, /* mov ah, 86h; pop bp; iret */
    [STUB_NO_KEY] = {0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x40, 0x5d, 0xcf}, /* or byte [bp+6], ZF */
    [STUB_EQUIPMENT] = {0xb8, EQUIPMENT & 0xff, EQUIPMENT >> 8, 0xcf},
    [STUB_MEMORY] = {0xb8, MEMORY_KIB & 0xff, MEMORY_KIB >> 8, 0xcf},
};

static void poke(struct pc_board *board, gpa_t gpa, uint16_t value, unsigned size)
{
    uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    bus_copy_to(&board->bus, gpa, bytes, size);
}

static enum bios_stub stub_of(unsigned vector)
{
    switch (vector) {
    case 0x08 ... 0x0f:
        return STUB_IRQ_MASTER;
    case 0x70 ... 0x77:
        return STUB_IRQ_SLAVE;
    case 0x11:
        return STUB_EQUIPMENT;
    case 0x12:
        return STUB_MEMORY;
    case 0x13:
    case 0x15:
    case 0x1a:
        return STUB_UNSUPPORTED;
    case 0x16:
        return STUB_NO_KEY;
    default:
        return STUB_RETURN;
    }
}

static void set_vectors(struct pc_board *board)
{
    bus_copy_to(&board->bus, BIOS_SEGMENT * 16 + STUB_BASE, stubs, sizeof(stubs));
    for (unsigned vector = 0; vector < 256; vector++) {
        poke(board, 4 * vector, (uint16_t)(STUB_BASE + STUB_SIZE * stub_of(vector)), 2);
        poke(board, 4 * vector + 2, BIOS_SEGMENT, 2);
    }
}

/* "BIOS Data Area": what kernels read after boot. */
static void set_data_area(struct pc_board *board)
{
    poke(board, 0x400, BOARD_UART0, 2); /* COM1 */
    poke(board, 0x40e, EBDA, 2);        /* extended BIOS data area */
    poke(board, 0x410, EQUIPMENT, 2);
    poke(board, 0x413, MEMORY_KIB, 2); /* below it */
    poke(board, 0x449, 3, 1);          /* video mode */
    poke(board, 0x44a, 80, 2);         /* columns */
    poke(board, 0x463, 0x3d4, 2);      /* CRT controller's port */
    poke(board, 0x484, 24, 1);         /* rows - 1 */
    poke(board, EBDA * 16, 1, 1);      /* its size in KiB */
}

void board_set_bios_state(struct pc_board *board)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } pic_init[] = {
        {0x20, 0x11},
        {0xa0, 0x11}, /* ICW1: cascade, ICW4 follows */
        {0x21, 0x08},
        {0xa1, 0x70}, /* ICW2: vectors 08h and 70h */
        {0x21, 0x04},
        {0xa1, 0x02}, /* ICW3: slave at IR2 */
        {0x21, 0x01},
        {0xa1, 0x01}, /* ICW4: 8086 mode */
        {0x21, 0xb8},
        {0xa1, 0x8e}, /* IMR: timer, keyboard, cascade, floppy; RTC, mouse, coprocessor, disk */
    };
    struct bus_attrs attrs = {.requester = IRQ_REQ_LOADER};
    /* Before the 8259s: mode 2 raises OUT, and ICW1 forgets that edge as a BIOS long served it. */
    pit8254_set_bios_state(&board->pit);
    for (size_t i = 0; i < irq_array_size(pic_init); i++) {
        bus_port_write(&board->bus, pic_init[i].port, 1, pic_init[i].value, &attrs);
    }
    if (board->cpu[0]->model->f1_edx & BOARD_CPUID_APIC) {
        lapic_set_bios_state(&board->lapic[0]);
    }
    set_vectors(board);
    set_data_area(board);
}
