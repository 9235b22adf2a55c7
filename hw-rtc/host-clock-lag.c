/*
 * Host clocks: RTCs that have fallen behind
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/qapi-events-host-clock.h"
#include "system/replay.h"
#include "host-clock-internal.h"

/* Less than this is not told. */
#define LAG_MIN_NS  NANOSECONDS_PER_SECOND

/* How far the date is ahead of the host view; a year 9999 is too far for ns. */
static void read_ahead(int64_t date_s, int64_t ns, int64_t *ahead_s,
                       int64_t *ahead_ns)
{
    int64_t wall_ns =
        host_clock_view_get_ns(host_clock_view(HOST_CLOCK_VIEW_TYPE_HOST));

    *ahead_s = date_s - wall_ns / NANOSECONDS_PER_SECOND;
    *ahead_ns = ns - wall_ns % NANOSECONDS_PER_SECOND;
}

void host_clock_lag_begin(HostClockLag *lag, int64_t date_s, int64_t ns)
{
    /* Reading wall time is recorded, so there is none to spare. */
    if (replay_mode == REPLAY_MODE_NONE) {
        read_ahead(date_s, ns, &lag->ahead_s, &lag->ahead_ns);
    }
}

void host_clock_lag_tell(HostClockLag *lag, Object *rtc, int64_t date_s,
                         int64_t ns)
{
    int64_t ahead_s, ahead_ns, lag_s, lag_ns;

    if (replay_mode != REPLAY_MODE_NONE) {
        return;
    }
    read_ahead(date_s, ns, &ahead_s, &ahead_ns);
    lag_ns = lag->ahead_ns - ahead_ns;
    lag_s = lag->ahead_s - ahead_s + lag_ns / NANOSECONDS_PER_SECOND;
    lag_ns %= NANOSECONDS_PER_SECOND;
    lag_ns += MIN(lag_s, HOST_CLOCK_END_S) * NANOSECONDS_PER_SECOND;
    if (lag_s >= 0 && lag_ns > LAG_MIN_NS) {
        g_autofree char *path = object_get_canonical_path(rtc);

        qapi_event_send_host_clock_lag(path, lag_ns, lag->is_loaded ?
                                       HOST_CLOCK_LAG_REASON_LOAD :
                                       HOST_CLOCK_LAG_REASON_STOP);
    }
    lag->is_loaded = false;
}
