/*
 * Helpers for the tests of the HPET
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Register names and section numbers in these tests are those of the IA-PC
 * HPET specification, revision 1.0a.  All tests run on qtest's clock, so that
 * every time in them is exact.
 */

#ifndef HPET_UTIL_H
#define HPET_UTIL_H

#include "libqtest.h"
#include "hw/timer/hpet.h"

#define TICK_NS         HPET_CLK_PERIOD
#define SECOND_NS       1000000000LL

/* I/O APIC inputs that q35 and pc connect */
#define Q35_ROUTES      0xff0104
#define PC_ROUTES       0x4

/* Legacy replacement, section 2.3.5 */
#define LEGACY_IRQ_0    0
#define LEGACY_IRQ_1    8

/* An input of the I/O APIC that nothing else uses */
#define ROUTE           20
#define EDGE_ON_ROUTE   (HPET_TN_ENABLE | ROUTE << HPET_TN_INT_ROUTE_SHIFT)
#define LEVEL_ON_ROUTE  (EDGE_ON_ROUTE | HPET_TN_TYPE_LEVEL)

/* The machine under test; there is one at a time. */
extern QTestState *qts;

void hpet_start(const char *args);
void hpet_stop(void);

uint64_t hpet_read(unsigned int reg);
void hpet_write(unsigned int reg, uint64_t value);

/* The address of a register of a timer */
static inline unsigned int hpet_tn(int timer, unsigned int reg)
{
    return 0x100 + 0x20 * timer + reg;
}

void hpet_step_ns(int64_t ns);
void hpet_step_ticks(int64_t ticks);

uint64_t hpet_counter(void);
void hpet_enable(unsigned int more);
void hpet_halt(void);

/* An input of the I/O APIC */
bool hpet_irq(int n);
/* The timer's bit in the status register, and how to clear it */
bool hpet_status(int timer);
void hpet_ack(int timer);

void hpet_set_one_shot(int timer, unsigned int cfg, uint64_t when);
/* To be used while the counter is halted */
void hpet_set_periodic(int timer, unsigned int cfg, uint64_t first,
                       uint64_t period);

/*
 * Check that exactly the bits @writable of a register can be written, all at
 * once and by halves; the others have to stay as they are.
 */
void hpet_check_writable(unsigned int reg, uint64_t writable);

/*
 * Nobody sees a pulse on an I/O APIC input afterwards; but the 8259s, in their
 * default edge-triggered mode, keep it in the request register.
 */
void pic_reset(void);
bool pic_saw_edge(int n);

/* hpet-timers.c, hpet-halves.c, hpet-irqs.c, hpet-state.c */
void add_timer_tests(void);
void add_halves_tests(void);
void add_irq_tests(void);
void add_state_tests(void);

#endif
