/*
 * Host clock "rtc": a battery-backed clock of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 s; interpolated to within a millisecond after a minute
 * Epoch:        mono: 0 when it is opened; wall: the RTC's calendar
 * Host suspend: mono and wall go on
 * Step:         mono does not notice it; wall jumps when somebody sets the RTC
 * Privilege:    none; without sysfs, and for interrupts, the device must be
 *               readable, or be given as fd=
 * Failures:     an RTC that is gone, or whose calendar is no date, makes a
 *               holdover
 *
 * One process at a time can have the device open, but any can read its files in
 * sysfs meanwhile, such as hwclock and other VMs; see the kernel's
 * Documentation/ABI/testing/rtc-cdev and Documentation/admin-guide/rtc.rst.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-common.h"
#include "qemu/cutils.h"
#include "qemu/module.h"
#include "host-clock-sampled.h"

#include <sys/ioctl.h>
#include <linux/rtc.h>

#define SECOND_NS   NANOSECONDS_PER_SECOND

#define TYPE_HOST_CLOCK_RTC HOST_CLOCK_PREFIX "rtc"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockRtc, HOST_CLOCK_RTC)

struct HostClockRtc {
    HostClockSampled parent_obj;

    OnOffAuto utc;
    bool is_local;
};

/* The third line of /etc/adjtime; see hwclock(8). */
static bool host_keeps_local_time(void)
{
    char text[256];

    return host_clock_os_read_file("/etc/adjtime", text, sizeof(text)) > 0 &&
           strstr(text, "\nLOCAL");
}

static int read_device(int fd, int64_t *seconds)
{
    struct rtc_time rtc = { };
    int ret = host_clock_os_dev_ioctl(fd, RTC_RD_TIME, &rtc);
    struct tm tm = {
        .tm_sec = rtc.tm_sec, .tm_min = rtc.tm_min, .tm_hour = rtc.tm_hour,
        .tm_mday = rtc.tm_mday, .tm_mon = rtc.tm_mon, .tm_year = rtc.tm_year,
    };

    *seconds = mktimegm(&tm);
    return ret;
}

static int read_sysfs(HostClockSampled *s, int64_t *seconds)
{
    g_autofree char *path = g_strdup_printf("/sys/dev/char/%u:%u/since_epoch",
                                            s->id.major, s->id.minor);
    char text[32];
    ssize_t len = host_clock_os_read_file(path, text, sizeof(text));

    if (len < 0) {
        return len;
    }
    return qemu_strtoi64(g_strstrip(text), NULL, 10, seconds) < 0 ? -EINVAL : 0;
}

/* Where summer time ends an hour comes twice; mktime() takes one of them. */
static int64_t local_to_utc(int64_t local_s)
{
    time_t t = local_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    tm.tm_isdst = -1;
    return mktime(&tm);
}

/* An update of the RTC delays this by 2 ms. */
static int rtc_read(HostClockRtc *r, int fd, HostClockSample *sample)
{
    int64_t s;
    int ret;

    sample->raw_ns[0] = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    ret = fd >= 0 ? read_device(fd, &s) :
                    read_sysfs(HOST_CLOCK_SAMPLED(r), &s);
    sample->raw_ns[1] = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    if (ret < 0) {
        return ret;
    }
    s = r->is_local ? local_to_utc(s) : s;
    if (s < 0 || s > HOST_CLOCK_END_S) {
        return -ERANGE;
    }
    sample->ns[0] = s * SECOND_NS;
    sample->ns[1] = sample->ns[0] + SECOND_NS;
    return 0;
}

static int rtc_sample(HostClockSampled *s, HostClockSample *sample,
                      Error **errp)
{
    HostClockRtc *r = HOST_CLOCK_RTC(s);
    int fd = s->fd;
    int ret = rtc_read(r, fd, sample);

    if (fd < 0 && (ret == -ENOENT || ret == -EACCES)) {
        fd = host_clock_sampled_fd(s, errp);
        if (fd < 0) {
            return fd;
        }
        ret = rtc_read(r, fd, sample);
    }
    HOST_CLOCK(s)->method = fd < 0 ? HOST_CLOCK_METHOD_SYSFS :
                                     HOST_CLOCK_METHOD_SAMPLED;
    if (ret < 0) {
        error_setg(errp, "%s: %s", s->name,
                   ret == -EINVAL ? "has no valid date" :
                   ret == -ERANGE ? "has a date before 1970 or after 2261" :
                   strerror(-ret));
    }
    return ret;
}

static bool rtc_open(HostClock *hc, Error **errp)
{
    ObjectClass *parent = object_class_by_name(TYPE_HOST_CLOCK_SAMPLED);
    HostClockRtc *r = HOST_CLOCK_RTC(hc);

    r->is_local = r->utc == ON_OFF_AUTO_AUTO ? host_keeps_local_time() :
                                               r->utc == ON_OFF_AUTO_OFF;
    return HOST_CLOCK_CLASS(parent)->open(hc, errp);
}

HOST_CLOCK_PROPERTY(HOST_CLOCK_RTC, utc, visit_type_OnOffAuto, (void))

static void rtc_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    HostClockSampledClass *sk = HOST_CLOCK_SAMPLED_CLASS(oc);

    k->description = "battery-backed clock of the host";
    k->rating = 200;
    k->open = rtc_open;
    k->pair = host_clock_sampled_pair;
    sk->default_device = "/dev/rtc0";
    sk->kind = "an RTC";
    sk->driver = "rtc";
    sk->sample = rtc_sample;
    sk->tick_ns = SECOND_NS;
    sk->interval_ns = 4 * SECOND_NS;
    sk->alarm_rate = RTC_IRQP_SET;
    sk->alarm_on = RTC_PIE_ON;
    sk->alarm_off = RTC_PIE_OFF;

    object_class_property_add(oc, "utc", "OnOffAuto", get_utc, set_utc, NULL,
                              NULL);
    object_class_property_set_description(oc, "utc",
        "the RTC keeps UTC (on), local time (off), what /etc/adjtime says");
}

static const TypeInfo rtc_types[] = {
    {
        .name = TYPE_HOST_CLOCK_RTC,
        .parent = TYPE_HOST_CLOCK_SAMPLED,
        .instance_size = sizeof(HostClockRtc),
        .class_init = rtc_class_init,
    },
};
module_obj("host-clock-rtc");

DEFINE_TYPES(rtc_types)
