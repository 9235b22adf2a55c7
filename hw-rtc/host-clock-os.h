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

#include "qapi/qapi-types-host-clock.h"

/* See clock_gettime(2). */
typedef enum HostClockOsId {
    /* Never set; slewed together with REALTIME */
    HOST_CLOCK_OS_MONOTONIC,
    /* UTC; can be set */
    HOST_CLOCK_OS_REALTIME,
    /* Never set and never slewed */
    HOST_CLOCK_OS_MONOTONIC_RAW,
    /* MONOTONIC, and goes on while the host is suspended */
    HOST_CLOCK_OS_BOOTTIME,
} HostClockOsId;

/*
 * The time in ns.  Any thread; never blocks, cannot fail.  A host that lacks
 * @id has the next best clock in its place.
 */
int64_t host_clock_os_now_ns(HostClockOsId id);

/*
 * Read @id and CLOCK_REALTIME at one instant; any thread.
 *
 * Returns: half-width in ns of the interval within which both were read
 */
int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns);

/* What the kernel knows of CLOCK_REALTIME; see adjtimex(2) */
typedef struct HostClockOsStatus {
    HostClockStatus status;
    HostClockLeap leap;
    int64_t maxerror_ns;
    int64_t esterror_ns;
    /* By how many seconds TAI is ahead of UTC; 0: not set */
    int tai_offset_s;
} HostClockOsStatus;

/* Any thread.  Returns: false if this host does not tell */
bool host_clock_os_status(HostClockOsStatus *os);

/* How long the host has been suspended since it was booted; any thread */
int64_t host_clock_os_suspended_ns(void);

/* Do nothing for so long, or longer: for opening a source at start-up */
void host_clock_os_sleep_ns(int64_t ns);

/*
 * Have @cb called from the main loop, with the BQL, soon after CLOCK_REALTIME
 * was set or the host has been suspended.  Once a process; needs the BQL.
 *
 * Returns: false if the host cannot tell, or has no descriptor left
 */
bool host_clock_os_watch(void (*cb)(void));

#endif /* HW_RTC_HOST_CLOCK_OS_H */
