/*
 * Host clock "rtc": the calendar
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "host-clock-rtc-calendar.h"

#include <sys/ioctl.h>
#include <linux/rtc.h>

/* Sums of wall time and of what passes while QEMU runs stay in range. */
#define UTC_MAX_S   (INT64_MAX / NANOSECONDS_PER_SECOND - 365 * 86400LL)

bool rtc_calendar_is_rtc(const HostClockOsDevId *id)
{
    return host_clock_os_dev_is_driver(id, "rtc");
}

char *rtc_calendar_attribute(const HostClockOsDevId *id, const char *name)
{
    return g_strdup_printf("/sys/dev/char/%u:%u/%s", id->major, id->minor,
                           name);
}

bool rtc_calendar_is_local(void)
{
    char text[256];
    g_auto(GStrv) lines = NULL;

    if (host_clock_os_read_file("/etc/adjtime", text, sizeof(text)) <= 0) {
        return false;
    }
    lines = g_strsplit(text, "\n", 4);
    return g_strv_length(lines) >= 3 &&
           g_str_equal(g_strstrip(lines[2]), "LOCAL");
}

static int read_device(int fd, int64_t *seconds)
{
    struct rtc_time rtc = { };
    struct tm tm = { };
    int ret = host_clock_os_dev_ioctl(fd, RTC_RD_TIME, &rtc);

    if (ret < 0) {
        return ret;
    }
    tm.tm_sec = rtc.tm_sec;
    tm.tm_min = rtc.tm_min;
    tm.tm_hour = rtc.tm_hour;
    tm.tm_mday = rtc.tm_mday;
    tm.tm_mon = rtc.tm_mon;
    tm.tm_year = rtc.tm_year;
    *seconds = mktimegm(&tm);
    return 0;
}

static int read_sysfs(const HostClockOsDevId *id, int64_t *seconds)
{
    g_autofree char *path = rtc_calendar_attribute(id, "since_epoch");
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

int rtc_calendar_read(int fd, const HostClockOsDevId *id, bool is_local,
                      int64_t *utc_s)
{
    int ret = fd >= 0 ? read_device(fd, utc_s) : read_sysfs(id, utc_s);

    if (ret < 0) {
        return ret;
    }
    if (is_local) {
        *utc_s = local_to_utc(*utc_s);
    }
    return *utc_s < 0 || *utc_s > UTC_MAX_S ? -ERANGE : 0;
}

const char *rtc_calendar_strerror(int ret)
{
    switch (ret) {
    case -EINVAL:
        return "has no valid date";
    case -ERANGE:
        return "has a date before 1970 or after 2261";
    case -ENOENT:
    case -ENODEV:
    case -ENXIO:
        return "is gone";
    default:
        return strerror(-ret);
    }
}
