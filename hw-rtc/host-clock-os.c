/*
 * Host clocks: the operating system's clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "host-clock-os.h"

/* Two readings this close together were not interrupted: else read again. */
#define PAIR_GOOD_NS    2000
/* A busy host interrupts more than once, but hardly so often. */
#define PAIR_TRIES      8

#ifdef CONFIG_LINUX
int64_t host_clock_os_now_ns(HostClockOsId id)
{
    static const clockid_t clocks[] = {
        [HOST_CLOCK_OS_MONOTONIC] = CLOCK_MONOTONIC,
        [HOST_CLOCK_OS_REALTIME] = CLOCK_REALTIME,
        [HOST_CLOCK_OS_MONOTONIC_RAW] = CLOCK_MONOTONIC_RAW,
        [HOST_CLOCK_OS_BOOTTIME] = CLOCK_BOOTTIME,
    };
    struct timespec ts;

    clock_gettime(clocks[id], &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}
#else
int64_t host_clock_os_now_ns(HostClockOsId id)
{
    return id == HOST_CLOCK_OS_REALTIME ? get_clock_realtime() : get_clock();
}
#endif

int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns)
{
    int64_t best_ns = INT64_MAX;

    for (int i = 0; i < PAIR_TRIES && best_ns > PAIR_GOOD_NS; i++) {
        int64_t before_ns = host_clock_os_now_ns(id);
        int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        int64_t after_ns = host_clock_os_now_ns(id);

        if (after_ns - before_ns < best_ns) {
            best_ns = after_ns - before_ns;
            *ns = before_ns + best_ns / 2;
            *real_ns = now_ns;
        }
    }
    return best_ns / 2 + 1;
}

int64_t host_clock_os_suspended_ns(void)
{
    int64_t ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);

    return host_clock_os_now_ns(HOST_CLOCK_OS_BOOTTIME) - ns;
}

void host_clock_os_sleep_ns(int64_t ns)
{
    g_usleep(DIV_ROUND_UP(ns, SCALE_US));
}
