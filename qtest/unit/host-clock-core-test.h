/*
 * What the tests of the core have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_HOST_CLOCK_CORE_TEST_H
#define TESTS_UNIT_HOST_CLOCK_CORE_TEST_H

#include "../../hw/rtc/host-clock-internal.h"
#include "host-clock-sim.h"

#define SEC     NANOSECONDS_PER_SECOND
#define MS      ((int64_t)SCALE_MS)
#define US      ((int64_t)SCALE_US)
#define HOUR    (3600 * SEC)
#define DAY     (24 * HOUR)

#define START_MONO  (1000 * SEC)
#define START_REAL  (1790000000 * SEC)

/* Time that the simulated host spends in looking at its clocks */
#define LOOKS   (2 * US)

#define assert_near(a, b) do {                                          \
        int64_t a_ = (a), b_ = (b);                                     \
        g_assert_cmpint(a_, >=, b_ - LOOKS);                            \
        g_assert_cmpint(a_, <=, b_ + LOOKS);                            \
    } while (0)

/*
 * Two sources that are what a test makes of them.  "plain" has the one
 * operation that a source must have: it is @mono_ns when it is opened, and runs
 * fast by @ppb.  "paired" stands still; it is at @mono_ns and @wall_ns.
 */
#define TYPE_PLAIN  HOST_CLOCK_PREFIX "plain"
#define TYPE_PAIRED HOST_CLOCK_PREFIX "paired"

typedef struct Made {
    int64_t mono_ns;
    int64_t wall_ns;
    int64_t error_ns;
    int64_t ppb;
    bool is_busy;
    int opens;
    int closes;
    int was_set;
} Made;

extern Made made;

/* Instead of sim_init() */
void core_test_init(void);

/* A clock with the ID hc0 on a new simulated host */
HostClock *open_clock(const char *name);
HostClock *open_made(const char *name);
/* It gives everything back. */
void close_clock(HostClock *hc);
/* Open one, make it the machine's as -clock does, and start the VM */
HostClock *choose_clock(const char *name);
HostClock *choose_made(const char *name);
void choose(HostClock *hc);

int64_t mono(HostClock *hc);
int64_t wall(HostClock *hc);
int64_t view_ns(HostClockViewType type);

/* A timer on a view of the machine's clock; it asserts that it is not early. */
typedef struct Shot {
    HostClockView *view;
    QEMUTimer *timer;
    int64_t due_ns;
    int fired;
    int order;
    int64_t late_ns;
} Shot;

/* How many of them have fired */
extern int shots_fired;

void shoot(Shot *shot, HostClockViewType type, int64_t in_ns);
void shot_free(Shot *shot);

/* What was announced over QMP, and said to the user */
typedef struct Said {
    int steps;
    /* Of all events; and the last one */
    int64_t step_ns;
    int64_t suspended_ns;
    HostClockStep step;
    int64_t lag_ns;
    HostClockLagReason lag_reason;
    int states;
    HostClockState state;
    char reason[80];
    int failovers;
    char id[20];
    char failed[20];
    int messages;
    char message[200];
} Said;

extern Said said;

/* "/host-clock/NAME/PATH" for each source that reads the host's clocks */
void add_for_sources(const char *path, GTestDataFunc func);

#endif
