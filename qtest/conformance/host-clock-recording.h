/*
 * The conformance suite of host clocks: what happens to a VM, recorded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM is looked at every few ms.  All settings of a source are recorded at
 * the same time, because most of that is waiting; several tests then judge the
 * one Recording.
 */

#ifndef HOST_CLOCK_RECORDING_H
#define HOST_CLOCK_RECORDING_H

#include "host-clock-suite.h"

typedef struct Sample {
    Span when;          /* register C was read, by the RTC's time */
    uint8_t flags;      /* register C */
    bool irq;           /* IRQ 8, just before */
    Span date_when;
    int64_t date;
    Span hpet_when;
    uint64_t hpet;
} Sample;

typedef struct Recording {
    bool told, hpet_told;
    int64_t period_ns;  /* of the periodic interrupt */
    bool gaps;          /* not every period was seen */
    Span set;           /* the date was set to MILLENNIUM */
    Sample start;       /* right after that */
    Moment stop, cont;
    Sample frozen[2];   /* at the beginning and the end of the stop */
    Span save, load;
    GArray *samples;
} Recording;

typedef enum Scenario { RUN, STOP, RESET, MIGRATE, SCENARIO__MAX } Scenario;

/* The destination's wall time is ahead by this much, where that can be told. */
#define MIGRATE_WALL_NS (100 * NS)

Sample *sample(Recording *r, int i);

/* Made when it is asked for the first time */
Recording *recording(Cell *cell, Scenario scenario);

#endif
