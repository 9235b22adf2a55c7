/*
 * Host clocks: what the files of the core know of each other
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_INTERNAL_H
#define HW_RTC_HOST_CLOCK_INTERNAL_H

#include "host-clock-source.h"

/**
 * host_clock_chosen: the clock that was chosen for the machine
 *
 * Returns: NULL if there was no choice
 */
HostClock *host_clock_chosen(void);

/**
 * host_clock_next: iterate over the open host clocks; needs the BQL
 * @hc: the previous one, or NULL for the first
 */
HostClock *host_clock_next(HostClock *hc);

/**
 * host_clock_wall_ns: wall time alone; any thread
 * @hc: an open host clock
 *
 * Returns: UTC in ns since 1970
 */
int64_t host_clock_wall_ns(HostClock *hc);

/**
 * host_clock_sleep_ns: how long to sleep until so much time has passed
 * @hc: an open host clock; any thread
 * @delta_ns: time of @hc in ns; negative: for ever
 *
 * Returns: ns of CLOCK_MONOTONIC, or -1 to sleep until something happens.  An
 * alarm that is set like this and looks at the clock again whenever it fires
 * is late by at most a millisecond.
 */
int64_t host_clock_sleep_ns(HostClock *hc, int64_t delta_ns);

/**
 * host_clock_views_run: run the timers that are due; needs the BQL, main loop
 *
 * Of the views that have a list of their own; QEMU runs its own lists.
 */
void host_clock_views_run(void);

/**
 * host_clock_views_stepped: tell the host view that wall time has jumped
 * @step_ns: by how much; needs the BQL, main loop only
 */
void host_clock_views_stepped(int64_t step_ns);

/**
 * host_clock_views_deadline_ns: when is the next timer due; needs the BQL
 *
 * Of the views that have a list of their own.
 *
 * Returns: ns from now, or -1
 */
int64_t host_clock_views_deadline_ns(void);

/**
 * host_clock_views_arm: look at the deadlines again; any thread
 */
void host_clock_views_arm(void);

#endif /* HW_RTC_HOST_CLOCK_INTERNAL_H */
