/*
 * Host clocks: the operating system's clocks and timers, on Linux
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "host-clock-os.h"

#include <sys/timerfd.h>

/* Hosts other than Linux may lack these; MONOTONIC is the next best. */
#ifndef CLOCK_MONOTONIC_RAW
#define CLOCK_MONOTONIC_RAW CLOCK_MONOTONIC
#endif
#ifndef CLOCK_BOOTTIME
#define CLOCK_BOOTTIME CLOCK_MONOTONIC
#endif

/* Two looks at a clock this close together were not interrupted. */
#define PAIR_GOOD_NS    2000
/* A busy host interrupts more than once, but hardly so often. */
#define PAIR_TRIES      8

struct HostClockOsTimer {
    int fd;
    HostClockOsId id;
    HostClockOsTimerCB *cb;
    void *opaque;
};

static clockid_t os_clockid(HostClockOsId id)
{
    switch (id) {
    case HOST_CLOCK_OS_REALTIME:
        return CLOCK_REALTIME;
    case HOST_CLOCK_OS_MONOTONIC_RAW:
        return CLOCK_MONOTONIC_RAW;
    case HOST_CLOCK_OS_BOOTTIME:
        return CLOCK_BOOTTIME;
    default:
        return CLOCK_MONOTONIC;
    }
}

int64_t host_clock_os_now_ns(HostClockOsId id)
{
    struct timespec ts;

    clock_gettime(os_clockid(id), &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < PAIR_TRIES && best > PAIR_GOOD_NS; i++) {
        int64_t before = host_clock_os_now_ns(id);
        int64_t real = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        int64_t after = host_clock_os_now_ns(id);

        if (after - before < best) {
            best = after - before;
            *ns = before + best / 2;
            *real_ns = real;
        }
    }
    return best / 2 + 1;
}

void host_clock_os_sleep_ns(int64_t ns)
{
    g_usleep(DIV_ROUND_UP(ns, SCALE_US));
}

static void os_timer_readable(void *opaque)
{
    HostClockOsTimer *timer = opaque;
    uint64_t expirations;
    ssize_t len = RETRY_ON_EINTR(read(timer->fd, &expirations,
                                      sizeof(expirations)));

    if (len == sizeof(expirations)) {
        timer->cb(timer->opaque, false);
    } else if (errno == ECANCELED) {
        timer->cb(timer->opaque, true);
    }
    /* EAGAIN: it was armed again after it had become readable */
}

HostClockOsTimer *host_clock_os_timer_new(HostClockOsId id,
                                          HostClockOsTimerCB *cb,
                                          void *opaque, Error **errp)
{
    HostClockOsTimer *timer;
    int fd = timerfd_create(os_clockid(id), TFD_NONBLOCK | TFD_CLOEXEC);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot create a timerfd");
        return NULL;
    }
    timer = g_new0(HostClockOsTimer, 1);
    timer->fd = fd;
    timer->id = id;
    timer->cb = cb;
    timer->opaque = opaque;
    qemu_set_fd_handler(fd, os_timer_readable, NULL, timer);
    /* From now on the kernel remembers whether REALTIME was set. */
    host_clock_os_timer_arm(timer, INT64_MAX);
    return timer;
}

void host_clock_os_timer_free(HostClockOsTimer *timer)
{
    if (timer) {
        qemu_set_fd_handler(timer->fd, NULL, NULL, NULL);
        close(timer->fd);
        g_free(timer);
    }
}

bool host_clock_os_timer_arm(HostClockOsTimer *timer, int64_t deadline_ns)
{
    /* All zeroes would disarm the timer; 1 ns is as much in the past as 0. */
    int64_t ns = MAX(deadline_ns, 1);
    struct itimerspec its = {
        .it_value.tv_sec = ns / NANOSECONDS_PER_SECOND,
        .it_value.tv_nsec = ns % NANOSECONDS_PER_SECOND,
    };
    int flags = TFD_TIMER_ABSTIME;

    if (timer->id == HOST_CLOCK_OS_REALTIME) {
        flags |= TFD_TIMER_CANCEL_ON_SET;
    }
    /* ECANCELED: armed, but the clock was set in between (fs/timerfd.c) */
    return timerfd_settime(timer->fd, flags, &its, NULL) == 0;
}

const char *host_clock_os_alarm_name(void)
{
    return "timerfd";
}
