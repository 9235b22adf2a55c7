/*
 * Faults of time: what their tests share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_FAULT_H
#define HOST_CLOCK_FAULT_H

#include "host-clock-util.h"

/* 2001-09-09 01:46:40: nothing rolls over for a while */
#define DATE            1000000000LL
#define HOUR            3600LL
#define YEARS_10        (3652 * 24 * HOUR)

#define ALL_IRQS        (REG_B_PIE | REG_B_UIE | REG_B_AIE)
#define ALL_FLAGS       (REG_C_PF | REG_C_UF | REG_C_AF)
#define DONT_CARE       0xc0

#define RATE_MIN        3
#define RATE_MAX        15
/* Enough to see a burst or a gap, also at 2 Hz */
#define PERIODS         16

/*
 * What a step may cost the emulator.  A busy host can make any single figure
 * look bad, so it is the best of some.
 */
#define STALL_NS        MS
#define STALL_TRIES     20

typedef struct Case {
    const char *source;
    Setting setting;
    int64_t step_s;
    const char *args;
} Case;

typedef void CaseTest(const Case *c);

/* Where the guest's date is after a wall step */
int64_t moved(const Case *c);

VM *start(const Case *c);

/* All three interrupts on; the alarm goes off every second. */
void arm_all(VM *vm, uint8_t rate);

/* In ns; @n times the period of a @rate, times 1/8 */
int64_t eighths(uint8_t rate, int64_t n);

/* How far the test has moved the time */
int64_t told(VM *vm);

/* host-clock-fault-migrate.c */
void test_step_in_migration(const Case *c);
void test_late_migration(const Case *c);
void test_stall(const Case *c);

#endif
