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

int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns)
{
    *ns = get_clock();
    *real_ns = get_clock_realtime();
    return (get_clock() - *ns) / 2 + SCALE_US;
}

void host_clock_os_sleep_ns(int64_t ns)
{
    g_usleep(DIV_ROUND_UP(ns, SCALE_US));
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
