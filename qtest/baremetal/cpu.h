/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts and a second processor, for the guests that want them.
 *
 * Interrupts come by way of the two i8259s, as SeaBIOS leaves the local APIC
 * in virtual wire mode, unless a guest asks for the APICs.  IRQ n is vector
 * IRQ_VECTOR + n.
 */
#ifndef BAREMETAL_CPU_H
#define BAREMETAL_CPU_H

#include "io.h"

#define IRQ_VECTOR  0x20
#define IRQ_TIMER   0
#define IRQ_RTC     8

/* gcc's own: saves all registers and ends with IRET */
#define INTERRUPT   __attribute__((interrupt))
struct interrupt_frame;
typedef void (*IrqHandler)(struct interrupt_frame *);

/*
 * A GDT and an IDT of the guest's own, both i8259s with every line masked, and
 * the i8254 stopped, so that nothing ticks but what the guest starts.
 */
void irq_init(void);

/* From here on interrupts come by way of IOAPIC and local APIC. */
void irq_use_apic(void);

/* Sends an IRQ to a handler, which ends with irq_end(); unmasks its line. */
void irq_set(unsigned irq, IrqHandler handler);
void irq_end(unsigned irq);

/*
 * Starts all @others, 7 at most (INIT, SIPI, SIPI), which call @work and halt
 * when that returns.  Returns false if there are fewer.
 */
bool cpu_start_others(uint32_t others, void (*work)(void));

/* Waits for an interrupt; none that comes between the two is missed. */
static inline void wait_for_irq(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* Takes an interrupt that waits, if there is one. */
static inline void take_irq(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

/* CPUID, for an instruction that is seen from outside */
static inline void cpu_id(void)
{
    uint32_t a = 0, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
}

/* Between cpu.c and cpu.S */
void load_segments(void);
void irq_ignore(void);
void ap_main(void);
extern const uint8_t ap_start[], ap_end[];

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

#endif
