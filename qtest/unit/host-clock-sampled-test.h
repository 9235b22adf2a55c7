/*
 * What the tests of the sources that sample a device have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A test knows the devices' true time, which the sources can only sample.  So
 * besides what each test is about, check() asks at every step whether the
 * source keeps its two promises: monotonic time does not go back, and the true
 * time is within error_ns of what it says.
 */

#ifndef TESTS_UNIT_HOST_CLOCK_SAMPLED_TEST_H
#define TESTS_UNIT_HOST_CLOCK_SAMPLED_TEST_H

#include "../../hw/rtc/host-clock-internal.h"
#include "../../hw/rtc/host-clock-sampled.h"
#include "host-clock-sim.h"

#define SEC     NANOSECONDS_PER_SECOND
#define MS      ((int64_t)SCALE_MS)
#define US      ((int64_t)SCALE_US)
#define MINUTE  (60 * SEC)
#define HOUR    (3600 * SEC)
#define DAY     (24 * HOUR)

/* The time of the device when its clock was opened, less what the clock said */
typedef struct Clock {
    HostClock *hc;
    /* Its wall time, if it has one of its own */
    int64_t (*wall_ns)(void);
    int64_t epoch_ns;
    int64_t epoch_error_ns;
    int64_t last_ns;
} Clock;

/* A new simulated host */
void reset(void);

/* The same, with a PTP clock; it can be read in this way, and the worse ones */
void reset_ptp(void);
void ptp_has_only(HostClockMethod way);
Clock open_ptp(void);

/* An object with these properties, NULL at the end; NULL if that fails */
HostClock *open_object(const char *name, const char *first, ...);
/* What it takes to check one; it must not be NULL */
Clock clock_of(HostClock *hc);
Clock open_clock(const char *name);
/* It gives everything back. */
void close_clock(Clock *c);

/* Opening fails, with these words in the message, and gives everything back. */
void check_refused(const char *name, const char *prop, const char *value,
                   const char *what);

/* What it says; monotonic time does not go back. */
int64_t said_ns(Clock *c, int64_t *error_ns);
/* By how much is it wrong?  In any case by no more than it admits. */
int64_t check(Clock *c);
/* Let @ns pass in steps of up to @step_ns at random; the largest error. */
int64_t run(Clock *c, int64_t ns, int64_t step_ns);
/* Time goes on at the rate it had, whatever the device does. */
void check_goes_on(Clock *c, int64_t ns);

/*
 * The one step of @c is a suspend of @ns, told when time had gone on by that:
 * what is told is right, within a second.
 */
void check_suspend_told(Clock *c, int64_t ns);

HostClockState state(Clock *c);
HostClockMethod method(Clock *c);

#endif
