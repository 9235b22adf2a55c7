/*
 * What the tests of scaled clocks, and of the change from one clock to another,
 * have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TESTS_UNIT_HOST_CLOCK_CHANGE_TEST_H
#define TESTS_UNIT_HOST_CLOCK_CHANGE_TEST_H

#include "host-clock-core-test.h"

/* A clock; @props as on the command line.  NULL with @errp set */
HostClock *try_add(const char *name, const char *id, const char *props,
                   Error **errp);
HostClock *add(const char *name, const char *id, const char *props);
HostClock *scale(const char *id, const char *props);
/* "scaled" over hc0, which is @parent; it is the machine's. */
HostClock *choose_scaled(const char *parent, const char *props);
void set_rate(HostClock *hc, uint32_t num, uint32_t den);

/* Time of "paired" passes. */
void pass_paired(int64_t ns);

/* At least 1; as often of one order of magnitude as of another */
uint32_t any_size(void);
/* A rate that is allowed */
void any_rate(uint32_t *num, uint32_t *den);

#endif
