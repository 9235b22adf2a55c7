/*
 * Counters of a PC beside the HPET's: the ACPI PM timer and the PIT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * All of them count QEMU_CLOCK_VIRTUAL, at rates of their own.
 */

#ifndef HOST_CLOCK_COUNTERS_H
#define HOST_CLOCK_COUNTERS_H

#include "host-clock-util.h"

/* Where pm_enable() puts the registers of the PIIX4's power management */
#define PM_PORT         0x600

/**
 * Counter:
 * @name: what it is
 * @hz: ticks a second
 * @wrap: at how many ticks it starts again at 0
 * @read: how many there have been since it was started, modulo @wrap
 */
typedef struct Counter {
    const char *name;
    int64_t hz;
    int64_t wrap;
    int64_t (*read)(VM *vm);
} Counter;

extern const Counter pm_timer;
/* Channel 2, which interrupts nobody */
extern const Counter pit;

/* A reading of a counter between two readings of the HPET's */
typedef struct CounterLook {
    Span hpet;          /* in ticks of the HPET */
    Span when;          /* by vm_hpet_now() */
    int64_t ticks;
} CounterLook;

void pm_enable(VM *vm);

/* Enable the HPET, the PM timer and the PIT, which begins at 0. */
void counters_start(VM *vm);

/* One reading, as close to the HPET's as can be had */
CounterLook counter_look(VM *vm, const Counter *c);

/**
 * counter_gain: how much further than the HPET a counter has moved
 *
 * Returns: in ns, modulo its wrap, the value closest to 0
 */
Span counter_gain(const Counter *c, const CounterLook *from,
                  const CounterLook *to);

/* Check that it may be none. */
void check_alike(const Counter *c, const CounterLook *from,
                 const CounterLook *to);

/* What a counter that was started at @ns = 0 says @ns later */
int64_t counter_expect(const Counter *c, int64_t ns);

#endif
