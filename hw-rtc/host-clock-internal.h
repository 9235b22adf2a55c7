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

/* The built-in clock "system"; needs the BQL */
HostClock *host_clock_system(void);

/* Is @hc the machine's clock, or is that made of it?  Needs the BQL */
bool host_clock_is_machines(HostClock *hc);

/**
 * host_clock_until_machine_ns: how far a clock has to go; needs the BQL
 * @hc: a clock with host_clock_is_machines()
 * @delta_ns: until the machine's has moved by so much; -1: for ever
 *
 * Returns: ns of @hc, -1 for -1
 */
int64_t host_clock_until_machine_ns(HostClock *hc, int64_t delta_ns);

/* What the views host and rt show; any thread */
int64_t host_clock_machine_wall_ns(void);
int64_t host_clock_machine_rt_ns(void);

/* Have these timers of their own, or are they QEMU's clocks? */
bool host_clock_has_own_views(void);

/* Start with the clock that was chosen; returns: false with @errp set */
bool host_clock_begin(Error **errp);

/* Has that been done?  From then on nothing may block. */
bool host_clock_has_begun(void);

/* The object's ID; NULL for the built-in clock */
const char *host_clock_id(HostClock *hc);

/* One reading, without a look for steps; any thread */
void host_clock_read_pair(HostClock *hc, HostClockReading *r);

/* @hc has become the machine's, and wall time jumped by @step_ns; needs BQL */
void host_clock_switched(HostClock *hc, int64_t step_ns);

/**
 * host_clock_open: create a source by its name, and open it; needs the BQL
 * @name: as in -clock NAME
 * @id: of the new object, or NULL to give it none
 * @errp: error
 *
 * Returns: a reference that the caller owns, or NULL with @errp set
 */
Object *host_clock_open(const char *name, const char *id, Error **errp);

/* What failover can go on to: names of sources, the first of them now in use */
void host_clock_failover_list(char **names);

/* host_clock_begin() has begun; returns: false with @errp set */
bool host_clock_failover_begin(Error **errp);

/* The state of the machine's clock has changed; needs the BQL, main loop */
void host_clock_failover_look(void);

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
