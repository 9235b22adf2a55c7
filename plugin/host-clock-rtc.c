/*
 * Host clock "rtc": a battery-backed clock of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 s; interpolated to within a millisecond after a minute
 * Epoch:        mono: 0 when it is opened; wall: the RTC's calendar
 * Host suspend: mono and wall go on
 * Step:         mono does not notice it; wall jumps when somebody sets the RTC
 * Privilege:    sysfs is enough for the time; for update interrupts the device
 *               must be readable, or be given as fd=
 * Failures:     an RTC that is gone, or whose calendar is no date, makes a
 *               holdover
 *
 * How it is looked at is in host-clock-rtc-looks.c.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "host-clock-rtc.h"
#include "host-clock-rtc-calendar.h"

#include <sys/ioctl.h>
#include <linux/rtc.h>

/* Readings */

static int rtc_read(HostClock *hc, HostClockParts parts, HostClockReading *rd)
{
    HostClockRtc *r = (HostClockRtc *)hc;
    int64_t *error_ns = parts == HOST_CLOCK_BOTH ? &rd->error_ns : NULL;

    rd->mono_ns = host_clock_sampler_now(&r->sampler, error_ns);
    rd->wall_ns = rd->mono_ns + stat64_get(&r->wall_offset_ns);
    return 0;
}

static int64_t rtc_read_mono(HostClock *hc)
{
    return host_clock_sampler_now(&((HostClockRtc *)hc)->sampler, NULL);
}

/* The alarm */

static int rtc_set_rate(HostClockDev *dev, uint32_t hz)
{
    return host_clock_os_dev_ioctl(dev->fd, RTC_IRQP_SET,
                                   (void *)(uintptr_t)hz);
}

static int rtc_enable(HostClockDev *dev, bool on)
{
    return host_clock_os_dev_ioctl(dev->fd, on ? RTC_PIE_ON : RTC_PIE_OFF,
                                   NULL);
}

static char *rtc_limit_file(HostClockDev *dev)
{
    return rtc_calendar_attribute(&dev->id, "max_user_freq");
}

/* Opening and closing */

/* Without the device there may be sysfs. */
static bool rtc_open_device(HostClockRtc *r, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(r);
    Error *err = NULL;
    int64_t utc_s;
    int ret = host_clock_dev_open(dev, &err);

    if (ret == 0) {
        return true;
    }
    if ((ret != -EBUSY && ret != -EACCES && ret != -EPERM) ||
        rtc_calendar_read(-1, &dev->id, false, &utc_s) == -ENOENT) {
        error_propagate(errp, err);
        return false;
    }
    error_free(err);
    if (dev->alarm == HOST_CLOCK_ALARM_DEVICE) {
        host_clock_dev_no_alarm(dev, strerror(-ret));
    }
    return true;
}

static bool rtc_open(HostClock *hc, Error **errp)
{
    HostClockRtc *r = HOST_CLOCK_RTC(hc);
    HostClockDev *dev = HOST_CLOCK_DEV(hc);

    r->is_local = r->utc == ON_OFF_AUTO_AUTO ? rtc_calendar_is_local() :
                                               r->utc == ON_OFF_AUTO_OFF;
    r->timer = host_clock_os_timer_new(HOST_CLOCK_OS_MONOTONIC, rtc_timer, r,
                                       errp);
    if (!r->timer) {
        return false;
    }
    if (!rtc_open_device(r, errp) || !rtc_acquire(r, errp)) {
        host_clock_dev_close(dev);
        host_clock_os_timer_free(r->timer);
        return false;
    }
    rtc_start_looks(r);
    return true;
}

static void rtc_close(HostClock *hc)
{
    host_clock_os_timer_free(HOST_CLOCK_RTC(hc)->timer);
    host_clock_dev_close(HOST_CLOCK_DEV(hc));
}

/* The class */

static HostClockMethod rtc_method(HostClock *hc)
{
    return HOST_CLOCK_RTC(hc)->method;
}

static int rtc_get_utc(Object *obj, Error **errp)
{
    return HOST_CLOCK_RTC(obj)->utc;
}

static void rtc_set_utc(Object *obj, int value, Error **errp)
{
    if (host_clock_dev_may_set(HOST_CLOCK_DEV(obj), "utc", errp)) {
        HOST_CLOCK_RTC(obj)->utc = value;
    }
}

static void rtc_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    HostClockDevClass *dk = HOST_CLOCK_DEV_CLASS(oc);

    k->description = "battery-backed clock of the host";
    k->rating = 200;
    k->mono_is_trusted = true;
    k->open = rtc_open;
    k->close = rtc_close;
    k->read = rtc_read;
    k->read_mono = rtc_read_mono;
    k->method = rtc_method;
    dk->default_device = "/dev/rtc0";
    dk->kind = "an RTC";
    dk->alarm_hz_max = 8192;
    dk->is_kind = rtc_calendar_is_rtc;
    dk->limit_file = rtc_limit_file;
    dk->set_rate = rtc_set_rate;
    dk->enable = rtc_enable;
    dk->interrupt = rtc_interrupt;

    object_class_property_add_enum(oc, "utc", "OnOffAuto", &OnOffAuto_lookup,
                                   rtc_get_utc, rtc_set_utc);
    object_class_property_set_description(oc, "utc",
        "the RTC keeps UTC (on), local time (off), what /etc/adjtime says");
}

static const TypeInfo rtc_info = {
    .name = TYPE_HOST_CLOCK_RTC,
    .parent = TYPE_HOST_CLOCK_DEV,
    .instance_size = sizeof(HostClockRtc),
    .class_init = rtc_class_init,
};
module_obj("host-clock-rtc");

static void rtc_register_types(void)
{
    type_register_static(&rtc_info);
}

type_init(rtc_register_types)
