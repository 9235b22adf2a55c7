/*
 * Host clocks: the operating system's clocks and timers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one seam between the host clocks and the host.  Unit tests link a
 * simulated host in place of host-clock-os.c.
 */

#ifndef HW_RTC_HOST_CLOCK_OS_H
#define HW_RTC_HOST_CLOCK_OS_H

/**
 * HostClockOsId:
 * @HOST_CLOCK_OS_MONOTONIC: never set; slewed together with REALTIME
 * @HOST_CLOCK_OS_REALTIME: UTC; can be set
 * @HOST_CLOCK_OS_MONOTONIC_RAW: never set and never slewed; not for timers
 * @HOST_CLOCK_OS_BOOTTIME: MONOTONIC, and goes on over suspend; not for timers
 *
 * See clock_gettime(2).
 */
typedef enum HostClockOsId {
    HOST_CLOCK_OS_MONOTONIC,
    HOST_CLOCK_OS_REALTIME,
    HOST_CLOCK_OS_MONOTONIC_RAW,
    HOST_CLOCK_OS_BOOTTIME,
} HostClockOsId;

typedef struct HostClockOsTimer HostClockOsTimer;

/**
 * HostClockOsTimerCB:
 * @opaque: what host_clock_os_timer_new() was given
 * @clock_was_set: the timer was woken because somebody set CLOCK_REALTIME
 *
 * Called from the main loop with the BQL.
 */
typedef void HostClockOsTimerCB(void *opaque, bool clock_was_set);

/**
 * host_clock_os_now_ns: read a clock of the host
 * @id: which
 *
 * Thread-safe, never blocks, cannot fail.
 *
 * Returns: the time in ns
 */
int64_t host_clock_os_now_ns(HostClockOsId id);

/**
 * host_clock_os_now_pair_ns: read two clocks at one instant
 * @id: one of them
 * @ns: its time in ns
 * @real_ns: CLOCK_REALTIME in ns
 *
 * REALTIME is read between two looks at @id; if these are far apart,
 * because the thread was preempted, it is tried again a few times and the
 * closest pair is taken.  Thread-safe.
 *
 * Returns: half-width in ns of the interval within which both were read
 */
int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns);

/**
 * host_clock_os_sleep_ns: do nothing for a while
 * @ns: for how long; it may well be longer
 *
 * Only for opening a source, which blocks.
 */
void host_clock_os_sleep_ns(int64_t ns);

/**
 * host_clock_os_timer_new: create a one-shot timer, not armed
 * @id: the clock on which it runs; a timer on HOST_CLOCK_OS_REALTIME also fires
 *      when that clock is set
 * @cb: called when it fires
 * @opaque: passed to @cb
 * @errp: error
 *
 * Needs the BQL.
 *
 * Returns: the timer, or NULL with @errp set
 */
HostClockOsTimer *host_clock_os_timer_new(HostClockOsId id,
                                          HostClockOsTimerCB *cb,
                                          void *opaque, Error **errp);

/**
 * host_clock_os_timer_free: disarm and free a timer; needs the BQL
 * @timer: a timer, or NULL
 */
void host_clock_os_timer_free(HostClockOsTimer *timer);

/**
 * host_clock_os_timer_arm: arm a timer
 * @timer: a timer
 * @deadline_ns: time on the timer's clock in ns; what is in the past fires at
 *               once, INT64_MAX never fires but still notices when the clock
 *               is set
 *
 * Thread-safe.
 *
 * Returns: true; false if the clock was set since the timer was last armed,
 * so that @deadline_ns may be wrong: the timer is armed, compute it again
 */
bool host_clock_os_timer_arm(HostClockOsTimer *timer, int64_t deadline_ns);

/**
 * host_clock_os_alarm_name: what timers are made of, for query-host-clocks
 */
const char *host_clock_os_alarm_name(void);

#endif /* HW_RTC_HOST_CLOCK_OS_H */
