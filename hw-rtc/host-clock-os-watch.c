/*
 * Host clocks: being told when CLOCK_REALTIME is set, on Linux
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A timer that never fires, but is cancelled when the clock is set, which the
 * end of a suspend does, too.  See timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "host-clock-os.h"

#include <sys/timerfd.h>

static int watch_fd = -1;
static void (*watch_cb)(void);

/* Also if this says ECANCELED, as the clock was set just now, it is armed. */
static void watch_arm(void)
{
    struct itimerspec never = {
        .it_value.tv_sec = INT64_MAX / NANOSECONDS_PER_SECOND,
    };

    timerfd_settime(watch_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                    &never, NULL);
}

static void watch_readable(void *opaque)
{
    uint64_t expirations;

    /* ECANCELED, and with it the descriptor is not readable any more */
    (void)RETRY_ON_EINTR(read(watch_fd, &expirations, sizeof(expirations)));
    watch_arm();
    watch_cb();
}

bool host_clock_os_watch(void (*cb)(void))
{
    assert(watch_fd < 0);
    watch_fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (watch_fd < 0) {
        return false;
    }
    watch_cb = cb;
    qemu_set_fd_handler(watch_fd, watch_readable, NULL, NULL);
    /* From now on the kernel remembers whether the clock was set. */
    watch_arm();
    return true;
}
