/*
 * Host clocks: the operating system's clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The one seam between the host clocks and the host.  Unit tests link a
 * simulated host in its place.
 */

#ifndef HW_RTC_HOST_CLOCK_OS_H
#define HW_RTC_HOST_CLOCK_OS_H

/**
 * HostClockOsId:
 * @HOST_CLOCK_OS_MONOTONIC: never set; slewed together with REALTIME
 * @HOST_CLOCK_OS_REALTIME: UTC; can be set
 * @HOST_CLOCK_OS_MONOTONIC_RAW: never set and never slewed
 * @HOST_CLOCK_OS_BOOTTIME: MONOTONIC, and goes on while the host is suspended
 *
 * See clock_gettime(2).
 */
typedef enum HostClockOsId {
    HOST_CLOCK_OS_MONOTONIC,
    HOST_CLOCK_OS_REALTIME,
    HOST_CLOCK_OS_MONOTONIC_RAW,
    HOST_CLOCK_OS_BOOTTIME,
} HostClockOsId;

/**
 * host_clock_os_now_ns: read a clock of the host
 * @id: which
 *
 * Thread-safe, never blocks, cannot fail.  A host that lacks @id has the next
 * best clock in its place.
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
 * REALTIME is read between two readings of @id; if these are far apart,
 * because the thread was preempted, it is tried again a few times and the
 * closest pair is taken.  Thread-safe.
 *
 * Returns: half-width in ns of the interval within which both were read
 */
int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns);

/**
 * host_clock_os_suspended_ns: how long the host has been suspended since it was
 * booted; thread-safe
 */
int64_t host_clock_os_suspended_ns(void);

/**
 * host_clock_os_sleep_ns: do nothing for a while
 * @ns: for how long; it may well be longer
 *
 * Only for opening a source at start-up, which blocks.
 */
void host_clock_os_sleep_ns(int64_t ns);

/**
 * host_clock_os_watch: be told when CLOCK_REALTIME is set
 * @cb: called from the main loop, with the BQL, soon after the clock was set or
 *      the host has been suspended
 *
 * Once a process; needs the BQL.
 *
 * Returns: false if the host cannot tell, or has no descriptor left
 */
bool host_clock_os_watch(void (*cb)(void));

#endif /* HW_RTC_HOST_CLOCK_OS_H */
