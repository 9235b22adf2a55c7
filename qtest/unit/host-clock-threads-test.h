/*
 * A host for tests with many threads: its real time, with wall time set by the
 * test, and sources that can be slow
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_HOST_CLOCK_THREADS_TEST_H
#define TESTS_UNIT_HOST_CLOCK_THREADS_TEST_H

#include "../../hw/rtc/host-clock-internal.h"
#include "../../hw/rtc/host-clock-sampler.h"

#define SEC         NANOSECONDS_PER_SECOND
#define HOUR        (3600 * SEC)
/* CLOCK_REALTIME of the test host at its start */
#define START_REAL  (1790000000 * SEC)

/* By how much CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, in whole seconds */
extern int64_t real_offset_ns;

/* This thread is slow: what it does with a time comes late. */
extern __thread bool is_slow;

/* Of the source "bent", whose wall time is as much ahead as REALTIME's */
extern HostClockSampler sampler;
/* What another thread could see of it while this one was slow */
extern int64_t peeked_ns;
/* Time that passed while RAW stood still */
extern int64_t suspended_ns;

/* A device that is off by up to a millisecond this way or that, all the time */
HostClockSample sample_now(void);

/*
 * Of the source "late": a thread that is slow takes a reading of @late_wall_ns,
 * and then sleeps until @late_is_over.
 */
extern int64_t late_wall_ns;
extern bool late_has_read;
extern bool late_is_over;

/* After g_test_init() */
void threads_test_init(void);

HostClock *open_clock(const char *name, const char *id);
void close_clock(HostClock *hc);
void main_loop(void);

#endif
