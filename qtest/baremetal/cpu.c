/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cpu.h"

#define PIC_MASTER      0x20
#define PIC_SLAVE       0xa0
#define PIC_EOI         0x20
#define PIC_CASCADE     2
#define PIT_CHANNEL_0   0x40
#define PIT_CONTROL     0x43
/* Nothing is there; an access takes a microsecond on the real machine. */
#define PORT_DELAY      0x80

#define APIC_BASE       0xfee00000u
#define APIC_EOI        0x0b0
#define APIC_SVR        0x0f0
#define APIC_SVR_ENABLE 0x100
#define APIC_LINT0      0x350
#define APIC_MASKED     0x10000
/* Spurious interrupts go where irq_ignore() is; its low four bits are set. */
#define APIC_SPURIOUS   0x2f
#define IOAPIC_BASE     0xfec00000u
#define IOAPIC_DATA     0x10
#define IOAPIC_LINE(n)  (0x10 + 2 * (n))
#define APIC_ICR        0x300
#define APIC_INIT       0x000c4500      /* to all but oneself */
#define APIC_SIPI       0x000c4600      /* the same; low byte: which page */

#define AP_BASE         0x8000          /* as in cpu.S */

#define VECTORS         0x30

struct gate {
    uint16_t low;
    uint16_t selector;
    uint16_t type;
    uint16_t high;
};

static struct gate idt[VECTORS];

static void set_gate(unsigned vector, uint32_t handler)
{
    idt[vector] = (struct gate) {
        .low = handler, .selector = 0x08, .type = 0x8e00,
        .high = handler >> 16,
    };
}

static void load_idt(void)
{
    struct {
        uint16_t limit;
        const void *base;
    } __attribute__((packed)) pointer = { sizeof(idt) - 1, idt };

    __asm__ volatile("lidt %0" : : "m"(pointer) : "memory");
}

static void pic_init(uint16_t port, uint8_t vector, uint8_t cascade)
{
    outb(port, 0x11);
    outb(port + 1, vector);
    outb(port + 1, cascade);
    outb(port + 1, 0x01);
    outb(port + 1, 0xff);
}

void irq_init(void)
{
    load_segments();
    for (unsigned i = IRQ_VECTOR; i < VECTORS; i++) {
        set_gate(i, (uint32_t)irq_ignore);
    }
    load_idt();
    pic_init(PIC_MASTER, IRQ_VECTOR, 1 << PIC_CASCADE);
    pic_init(PIC_SLAVE, IRQ_VECTOR + 8, PIC_CASCADE);
    /* Mode 0 counts down once; then the timer has nothing to wait for. */
    outb(PIT_CONTROL, 0x30);
    outb(PIT_CHANNEL_0, 1);
    outb(PIT_CHANNEL_0, 0);
}

/* By way of the APICs, or of the i8259s */
static bool apic_used;

static void apic_write(uint32_t reg, uint32_t value)
{
    /* What another processor is to find comes first. */
    __asm__ volatile("" : : : "memory");
    /* volatile: a device register */
    *(volatile uint32_t *)(APIC_BASE + reg) = value;
}

static void ioapic_write(uint32_t reg, uint32_t value)
{
    /* volatile: a device register */
    *(volatile uint32_t *)IOAPIC_BASE = reg;
    /* volatile: as above */
    *(volatile uint32_t *)(IOAPIC_BASE + IOAPIC_DATA) = value;
}

void irq_use_apic(void)
{
    apic_write(APIC_SVR, APIC_SVR_ENABLE | APIC_SPURIOUS);
    apic_write(APIC_LINT0, APIC_MASKED);
    apic_used = true;
}

static void pic_unmask(uint16_t port, unsigned line)
{
    outb(port + 1, inb(port + 1) & ~(1 << line));
}

void irq_set(unsigned irq, IrqHandler handler)
{
    set_gate(IRQ_VECTOR + irq, (uint32_t)handler);
    if (apic_used) {
        /* Edge, fixed, to the processor with APIC ID 0; IRQ 0 is line 2. */
        unsigned line = irq ? irq : 2;

        ioapic_write(IOAPIC_LINE(line) + 1, 0);
        ioapic_write(IOAPIC_LINE(line), IRQ_VECTOR + irq);
        return;
    }
    if (irq >= 8) {
        pic_unmask(PIC_SLAVE, irq - 8);
        irq = PIC_CASCADE;
    }
    pic_unmask(PIC_MASTER, irq);
}

void irq_end(unsigned irq)
{
    if (apic_used) {
        apic_write(APIC_EOI, 0);
        return;
    }
    if (irq >= 8) {
        outb(PIC_SLAVE, PIC_EOI);
    }
    outb(PIC_MASTER, PIC_EOI);
}

/* The other processors */

static void (*ap_work)(void);
/* volatile: they change it */
static volatile uint32_t ap_running;

void ap_main(void)
{
    __atomic_add_fetch(&ap_running, 1, __ATOMIC_SEQ_CST);
    ap_work();
}

/* True as soon as so many of them run */
static bool ap_wait(uint32_t others, unsigned us)
{
    while (us-- && ap_running != others) {
        inb(PORT_DELAY);
    }
    return ap_running == others;
}

bool cpu_start_others(uint32_t others, void (*work)(void))
{
    uint8_t *to = (uint8_t *)AP_BASE;

    for (const uint8_t *from = ap_start; from < ap_end; from++) {
        *to++ = *from;
    }
    ap_work = work;
    apic_write(APIC_ICR, APIC_INIT);
    ap_wait(others, 10000);
    apic_write(APIC_ICR, APIC_SIPI | AP_BASE >> 12);
    if (ap_wait(others, 10000)) {
        return true;
    }
    apic_write(APIC_ICR, APIC_SIPI | AP_BASE >> 12);
    return ap_wait(others, 1000000);
}
