/*
 * Tests of the host clocks that open devices: what their files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_DEVICE_H
#define HOST_CLOCK_DEVICE_H

#include "host-clock-process.h"
#include "host-clock-reference.h"

/* The id of the object that -clock creates */
#define CLOCK_ID        "host-clock0"

/* Until a source has noticed what happened to its device; nested it is slow. */
#define NOTICE_S        60

/**
 * Kind: a source and its device
 * @source: name of the source
 * @device: default of its property device=
 * @built_in: the emulator knows the source
 * @missing: why this host does not have it, or NULL
 */
typedef struct Kind {
    const char *source;
    const char *device;
    bool built_in;
    const char *missing;
} Kind;

#define is_hpet(kind) g_str_equal((kind)->source, "hpet")

/* Print a line that the lab shows even if all is well. */
void figure(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* What wakes QEMU up with alarm=device; the last comparator is for others */
const char *expected_alarm(Kind *kind);

/**
 * drift: how much further than CLOCK_MONOTONIC a clock moved between two looks
 * @limit_ns: how much it may by what it says of itself
 */
Span drift(Kind *kind, const Look *from, const Look *to, int64_t *limit_ns);
/* The same, checked */
bool check_drift(Kind *kind, const char *what, const Look *from,
                 const Look *to);

/* A difference that is known to lie within an interval */
#define MS_TEXT         "%+.3f ms +- %.3f ms"

double middle_ms(Span s);
double half_ms(Span s);

/* Check that a text has a word in it. */
void assert_says(const char *text, const char *word);

/* A string of query-host-clocks, to be freed; NULL if it is absent */
char *member(Process *p, const char *id, const char *name);

/* Check that a clock runs, and at the right rate. */
void check_running(Kind *kind, Process *p, const char *id);

/* Open it as sources do; -1, with the test failed, if it cannot be opened. */
int open_device(Kind *kind);

#endif
