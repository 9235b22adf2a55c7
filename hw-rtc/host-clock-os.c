/*
 * Host clocks: the operating system's clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "host-clock-os.h"

#ifdef CONFIG_LINUX
#include <sys/timex.h>
#endif

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

bool host_clock_os_status(HostClockOsStatus *os)
{
    static const HostClockLeap leaps[] = {
        [TIME_INS] = HOST_CLOCK_LEAP_PRE_POS,
        [TIME_DEL] = HOST_CLOCK_LEAP_PRE_NEG,
        [TIME_OOP] = HOST_CLOCK_LEAP_POS,
        [TIME_WAIT] = HOST_CLOCK_LEAP_POST_POS,
        [TIME_ERROR] = HOST_CLOCK_LEAP_NONE,
    };
    struct timex t = {};
    int state = adjtimex(&t);

    if (state < 0) {
        return false;
    }
    *os = (HostClockOsStatus) {
        .status = t.status & STA_CLOCKERR ? HOST_CLOCK_STATUS_UNRELIABLE :
                  t.status & STA_UNSYNC ? HOST_CLOCK_STATUS_UNKNOWN :
                                          HOST_CLOCK_STATUS_SYNCHRONIZED,
        .leap = state == TIME_WAIT && t.status & STA_DEL ?
                HOST_CLOCK_LEAP_POST_NEG : leaps[state],
        .maxerror_ns = t.maxerror * SCALE_US,
        .esterror_ns = t.esterror * SCALE_US,
        .tai_offset_s = t.tai,
    };
    return true;
}
#else
bool host_clock_os_status(HostClockOsStatus *os)
{
    return false;
}

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
