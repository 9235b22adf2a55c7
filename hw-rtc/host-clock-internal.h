/*
 * Host clocks: what the files of the core know of each other
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where nothing else is said, these need the BQL.
 */

#ifndef HW_RTC_HOST_CLOCK_INTERNAL_H
#define HW_RTC_HOST_CLOCK_INTERNAL_H

#include "host-clock-source.h"

/* The clock that was chosen for the machine, or NULL */
HostClock *host_clock_chosen(void);
/* The built-in clock "system" */
HostClock *host_clock_system(void);
/* Is @hc the machine's clock, or is that made of it? */
bool host_clock_is_machines(HostClock *hc);
/* The clock that @hc is made of in the end, or @hc itself; any thread */
HostClock *host_clock_root(HostClock *hc);
/* The next of the open clocks; NULL: the first */
HostClock *host_clock_next(HostClock *hc);
/* The object's ID; NULL for the built-in clock */
const char *host_clock_id(HostClock *hc);

/* Start with the clock that was chosen; returns: false with @errp set */
bool host_clock_begin(Error **errp);
/* Has that been done?  From then on nothing may block. */
bool host_clock_has_begun(void);
/* What has been until now was no step */
void host_clock_forget_steps(HostClock *hc);
/* Learn of steps as soon as the host tells of them */
void host_clock_watch_steps(void);
/* Carry out the steps that have been noticed; main loop only */
void host_clock_deliver_steps(HostClock *hc);
/* Send the event that is due; a QEMUTimerCB */
void host_clock_tell_steps(void *opaque);
/* @hc has become the machine's, and wall time jumped by @step_ns */
void host_clock_switched(HostClock *hc, int64_t step_ns);

/*
 * Create a source by its name, as in -clock NAME, and open it.  @id is that of
 * the new object, NULL gives it none.
 *
 * Returns: a reference that the caller owns, or NULL with @errp set
 */
Object *host_clock_open(const char *name, const char *id, Error **errp);

/* What failover can go on to: names of sources, the first of them now in use */
void host_clock_failover_list(char **names);
/* The state of the machine's clock has changed; main loop only */
void host_clock_failover_look(void);

/* One reading, without a look for steps; any thread */
void host_clock_read_pair(HostClock *hc, HostClockReading *r);
/* Wall time alone: UTC in ns since 1970; any thread */
int64_t host_clock_wall_ns(HostClock *hc);

/*
 * How far @hc, with host_clock_is_machines(), has to go until the machine's
 * clock has moved by @delta_ns; -1, for ever, stays -1
 */
int64_t host_clock_until_machine_ns(HostClock *hc, int64_t delta_ns);

/*
 * How long to sleep until @delta_ns of @hc, negative: for ever, have passed;
 * any thread.  An alarm that is set like this and looks at the clock again
 * whenever it fires is late by at most a millisecond.
 *
 * Returns: ns of CLOCK_MONOTONIC, or -1 to sleep until something happens
 */
int64_t host_clock_sleep_ns(HostClock *hc, int64_t delta_ns);

/*
 * For a seqlock's writer: a reader that has not seen the lock has read @hc
 * before.  A CPU may still look at the lock before it reads the TSC, but not by
 * as long as the first reading here takes.
 */
static inline int64_t host_clock_mono_locked(HostClock *hc)
{
    smp_mb(); /* shows the lock; paired with the one in seqlock_read_retry() */
    hc->ops->mono_ns(hc);
    return hc->ops->mono_ns(hc);
}

/* What the views host and rt show; any thread */
int64_t host_clock_machine_wall_ns(void);
int64_t host_clock_machine_rt_ns(void);
/* Have these timers of their own, or are they QEMU's clocks? */
bool host_clock_has_own_views(void);

/* Of the views that have a list of their own: run timers; main loop only */
void host_clock_views_run(void);
/* When is the next of these due, in ns from now; or -1 */
int64_t host_clock_views_deadline_ns(void);
/* Look at the deadlines again; any thread */
void host_clock_views_arm(void);
/* Wall time has jumped by @step_ns, see step notifiers; main loop only */
void host_clock_views_stepped(int64_t step_ns);

#endif /* HW_RTC_HOST_CLOCK_INTERNAL_H */
