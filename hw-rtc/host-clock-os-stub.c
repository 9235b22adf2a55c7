/*
 * Host clocks: a host without timerfd has QEMU's own clocks only
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "host-clock-os.h"

int64_t host_clock_os_now_ns(HostClockOsId id)
{
    return id == HOST_CLOCK_OS_REALTIME ? get_clock_realtime() : get_clock();
}

int64_t host_clock_os_now_pair_ns(int64_t *mono_ns, int64_t *real_ns)
{
    *mono_ns = get_clock();
    *real_ns = get_clock_realtime();
    return (get_clock() - *mono_ns) / 2 + SCALE_US;
}

HostClockOsTimer *host_clock_os_timer_new(HostClockOsId id,
                                          HostClockOsTimerCB *cb,
                                          void *opaque, Error **errp)
{
    error_setg(errp, "this host has no timerfd");
    return NULL;
}

void host_clock_os_timer_free(HostClockOsTimer *timer)
{
}

bool host_clock_os_timer_arm(HostClockOsTimer *timer, int64_t deadline_ns)
{
    return true;
}

const char *host_clock_os_alarm_name(void)
{
    return "none";
}
