/*
 * Host clock "rtc": when to look, and what the looks tell
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An RTC tells whole seconds only, so what counts is when a second begins.  An
 * update interrupt says that one has begun; a look just before that time says
 * that it had not.  Both are looks at the calendar for the sampler
 * (host-clock-sampler.h), so an interrupt that is late or lost does no harm.
 *
 * The device has one opener at a time.  So it is open for a few interrupts now
 * and then, unless its alarm is in use; for looks in between, and whenever
 * another process has it, there is sysfs.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "host-clock-rtc.h"
#include "host-clock-rtc-calendar.h"

#include <sys/ioctl.h>
#include <linux/rtc.h>

#define SECOND_NS       NANOSECONDS_PER_SECOND
/* Opening waits for the beginning of a second; on a busy host, of several. */
#define OPEN_LOOK_NS    (2 * SCALE_MS)
#define OPEN_MAX_NS     (10 * SECOND_NS)
/* So many looks, one or two a second, until the rate is well known */
#define FAST_LOOKS      100
#define SLOW_NS         (4 * SECOND_NS)
/* After the RTC was set, for a while: looks for the beginning of its seconds */
#define UNCLEAR_NS      (4 * SCALE_MS)
#define UNCLEAR_LOOKS   500
/* A look closer to the edge than that would hit it anyway */
#define MARGIN_MIN_NS   (100 * SCALE_US)
#define MARGIN_MAX_NS   (SECOND_NS / 4)
/* Update interrupts at a time, and how long from one time to the next */
#define BURST_EDGES     16
#define BURST_NS        (60 * SECOND_NS)
#define BURST_RETRY_NS  (5 * SECOND_NS)

/* Looks, from the main loop */

static int64_t now_raw(void)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
}

static int rtc_take_look(HostClockRtc *r, HostClockLook *look)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    int64_t utc_s;
    int ret;

    look->raw_ns[0] = now_raw();
    ret = rtc_calendar_read(dev->fd, &dev->id, r->is_local, &utc_s);
    look->raw_ns[1] = now_raw();
    if (ret == 0) {
        look->ns[0] = utc_s * SECOND_NS - stat64_get(&r->wall_offset_ns);
        look->ns[1] = look->ns[0] + SECOND_NS;
    }
    return ret;
}

/* While the host is suspended RAW stands still and the RTC does not. */
static void rtc_jumped(HostClockRtc *r, int64_t jump_ns)
{
    if (host_clock_dev_slept(HOST_CLOCK_DEV(r), jump_ns)) {
        host_clock_sampler_skip(&r->sampler, jump_ns);
        host_clock_dev_run_timers(HOST_CLOCK_DEV(r));
        return;
    }
    host_clock_sampler_relabel(&r->sampler, jump_ns);
    stat64_set(&r->wall_offset_ns, stat64_get(&r->wall_offset_ns) + jump_ns);
    host_clock_check_step(HOST_CLOCK(r), true);
}

static void rtc_look(HostClockRtc *r)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    HostClockLook look;
    int64_t jump_ns;
    int ret = rtc_take_look(r, &look);

    if (ret < 0) {
        host_clock_dev_failed(dev, "%s %s", dev->name,
                              rtc_calendar_strerror(ret));
        if (ret == -ENODEV) {
            host_clock_dev_close(dev);
        }
        return;
    }
    switch (host_clock_sampler_look(&r->sampler, &look, &jump_ns)) {
    case HOST_CLOCK_LOOK_JUMPED:
        rtc_jumped(r, jump_ns);
        /* fall through */
    case HOST_CLOCK_LOOK_FITS:
        r->unclear_looks = 0;
        r->looks++;
        host_clock_dev_works(dev);
        break;
    case HOST_CLOCK_LOOK_UNCLEAR:
        r->unclear_looks++;
        break;
    }
}

/*
 * The next beginning of a second that is at least @ahead_ns away, less what a
 * look is usually late by: half of the looks come before it, half after.
 */
static int64_t rtc_plan_edge(HostClockRtc *r, int64_t ahead_ns)
{
    int64_t offset_ns = stat64_get(&r->wall_offset_ns), error_ns, margin_ns;
    int64_t now_ns = host_clock_sampler_now(&r->sampler, &error_ns) + offset_ns;
    int64_t edge_ns = QEMU_ALIGN_UP(now_ns + ahead_ns, SECOND_NS) - offset_ns;

    margin_ns = MIN(MAX(error_ns / 2, MARGIN_MIN_NS), MARGIN_MAX_NS);
    r->plan_after = !r->plan_after;
    if (r->plan_after) {
        margin_ns = -margin_ns;
    }
    return host_clock_sampler_raw_at(&r->sampler, edge_ns) - r->late_ns -
           margin_ns;
}

static void rtc_plan_look(HostClockRtc *r)
{
    int64_t raw_ns = now_raw();

    if (HOST_CLOCK(r)->state != HOST_CLOCK_STATE_RUNNING) {
        r->planned_ns = raw_ns + SECOND_NS;
    } else if (r->unclear_looks) {
        r->planned_ns = raw_ns + (r->unclear_looks < UNCLEAR_LOOKS ?
                                  UNCLEAR_NS : SECOND_NS / 8);
    } else {
        r->planned_ns = rtc_plan_edge(r, r->looks < FAST_LOOKS ?
                                         SECOND_NS / 2 : SLOW_NS);
    }
    host_clock_os_timer_arm(r->timer,
        host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC) +
        MAX(r->planned_ns - raw_ns, SCALE_MS));
}

/* Update interrupts, for a while */

static bool rtc_must_hold(HostClockRtc *r)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    int64_t utc_s;

    return dev->fdname || dev->alarm_ready ||
           rtc_calendar_read(-1, &dev->id, r->is_local, &utc_s) < 0;
}

static void rtc_end_burst(HostClockRtc *r)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);

    r->edges_left = 0;
    if (dev->fd >= 0) {
        host_clock_os_dev_ioctl(dev->fd, RTC_UIE_OFF, NULL);
        if (!rtc_must_hold(r)) {
            host_clock_dev_close(dev);
        }
    }
}

static void rtc_begin_burst(HostClockRtc *r)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    int ret = dev->fd >= 0 ? 0 : host_clock_dev_open(dev, NULL);

    r->next_burst_ns = now_raw() + BURST_NS;
    if (ret < 0) {
        r->method = HOST_CLOCK_METHOD_SYSFS;
        r->next_burst_ns = now_raw() + BURST_RETRY_NS +
                           g_random_int_range(0, SECOND_NS);
        return;
    }
    if (dev->alarm == HOST_CLOCK_ALARM_DEVICE && !dev->alarm_ready) {
        host_clock_dev_start_alarm(dev);
    }
    if (host_clock_os_dev_ioctl(dev->fd, RTC_UIE_ON, NULL) < 0) {
        r->method = HOST_CLOCK_METHOD_SAMPLED;
        rtc_end_burst(r);
        return;
    }
    r->method = HOST_CLOCK_METHOD_UPDATE_INTERRUPTS;
    r->edges_left = BURST_EDGES;
}

/* The low byte is register C; see Documentation/admin-guide/rtc.rst. */
void rtc_interrupt(HostClockDev *dev, unsigned long data)
{
    HostClockRtc *r = HOST_CLOCK_RTC(dev);

    if (!(data & RTC_UF) || !r->edges_left) {
        return;
    }
    rtc_look(r);
    if (--r->edges_left == 0) {
        rtc_end_burst(r);
    }
}

void rtc_timer(void *opaque, bool clock_was_set)
{
    HostClockRtc *r = opaque;
    int64_t raw_ns = now_raw();

    r->late_ns += (MIN(raw_ns - r->planned_ns, MARGIN_MAX_NS) - r->late_ns) / 8;
    if (raw_ns >= r->next_burst_ns) {
        /* Interrupts that do not come must not keep others from theirs. */
        rtc_end_burst(r);
        rtc_begin_burst(r);
    }
    rtc_look(r);
    rtc_plan_look(r);
}

void rtc_start_looks(HostClockRtc *r)
{
    host_clock_dev_works(HOST_CLOCK_DEV(r));
    rtc_begin_burst(r);
    rtc_plan_look(r);
}

/* The first looks, before anybody reads the time */

/* Nobody has read the time yet, so that it can jump to where it should be. */
static void rtc_first_look(HostClockRtc *r, const HostClockLook *look)
{
    int64_t jump_ns;

    switch (host_clock_sampler_look(&r->sampler, look, &jump_ns)) {
    case HOST_CLOCK_LOOK_JUMPED:
        host_clock_sampler_skip(&r->sampler, jump_ns);
        /* fall through */
    case HOST_CLOCK_LOOK_FITS:
        r->unclear_looks = 0;
        break;
    case HOST_CLOCK_LOOK_UNCLEAR:
        r->unclear_looks++;
        break;
    }
}

/* Find the beginning of a second, so that the date is right from the start. */
bool rtc_acquire(HostClockRtc *r, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    int64_t until_ns = now_raw() + OPEN_MAX_NS, closer_ns = INT64_MAX;
    HostClockLook look, last = { };
    bool ticks = false;
    int ret;

    while ((ret = rtc_take_look(r, &look)) == 0 && now_raw() < until_ns) {
        if (!last.raw_ns[1]) {
            stat64_set(&r->wall_offset_ns, look.ns[0]);
            look.ns[0] = 0;
            look.ns[1] = SECOND_NS;
            host_clock_sampler_start(&r->sampler, &look);
        } else if (look.ns[0] != last.ns[0]) {
            ticks = true;
            rtc_first_look(r, &last);
            rtc_first_look(r, &look);
            if (!r->unclear_looks) {
                return true;
            }
            /* The host is busy.  Look without a pause where the next comes. */
            closer_ns = last.raw_ns[0] + SECOND_NS - OPEN_LOOK_NS;
        }
        last = look;
        if (look.raw_ns[1] < closer_ns) {
            host_clock_os_sleep_ns(OPEN_LOOK_NS);
        }
    }
    if (ret < 0) {
        error_setg(errp, "%s %s", dev->name, rtc_calendar_strerror(ret));
    } else if (!ticks) {
        error_setg(errp, "the seconds of %s do not count", dev->name);
    } else {
        host_clock_sampler_settle(&r->sampler);
        r->unclear_looks = 0;
    }
    return ret == 0 && ticks;
}
