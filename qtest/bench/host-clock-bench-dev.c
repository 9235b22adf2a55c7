/*
 * Host clocks: an HPET and an RTC that need no hardware, for host-clock-bench
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stands in for hw/rtc/host-clock-os-dev.c.  Both devices are made of the real
 * clocks of the host, have no interrupts and never fail.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "../../hw/rtc/host-clock-os.h"
#include "../../hw/rtc/host-clock-os-dev.h"

#include <linux/rtc.h>

/* The usual 14.318 MHz */
#define HPET_PERIOD_FS  69841279
#define RTC_MAJOR       254

enum { FD_HPET = 1000, FD_RTC };

int host_clock_os_dev_open(const char *path, Error **errp)
{
    return g_str_equal(path, "/dev/hpet") ? FD_HPET : FD_RTC;
}

int host_clock_os_dev_fd_param(const char *fdname, Error **errp)
{
    error_setg(errp, "no file descriptors here");
    return -ENOENT;
}

void host_clock_os_dev_own_fd(int fd)
{
}

void host_clock_os_dev_close(int fd)
{
}

static int64_t seconds_now(void)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME) /
           NANOSECONDS_PER_SECOND;
}

static int rtc_ioctl_date(struct rtc_time *date)
{
    time_t t = seconds_now();
    struct tm tm;

    gmtime_r(&t, &tm);
    *date = (struct rtc_time) {
        .tm_sec = tm.tm_sec, .tm_min = tm.tm_min, .tm_hour = tm.tm_hour,
        .tm_mday = tm.tm_mday, .tm_mon = tm.tm_mon, .tm_year = tm.tm_year,
    };
    return 0;
}

/* The HPET's information and the RTC's date; above all, no interrupts */
int host_clock_os_dev_ioctl(int fd, unsigned long request, void *arg)
{
    if (request == RTC_RD_TIME) {
        return rtc_ioctl_date(arg);
    }
    return fd == FD_HPET ? 0 : -EINVAL;
}

ssize_t host_clock_os_dev_read(int fd, void *buf, size_t len)
{
    return -EAGAIN;
}

void host_clock_os_dev_watch(int fd, void (*cb)(void *opaque), void *opaque)
{
}

int host_clock_os_dev_map(int fd, size_t len, const void **regs)
{
    static const char page;

    *regs = &page;
    return 0;
}

void host_clock_os_dev_unmap(const void *regs, size_t len)
{
}

uint64_t host_clock_os_dev_load64(const void *regs, size_t offset)
{
    if (offset == 0) {
        return (uint64_t)HPET_PERIOD_FS << 32 | 0x8086a201;
    }
    return muldiv64(host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW), 1000000,
                    HPET_PERIOD_FS);
}

int host_clock_os_dev_id(const char *path, int fd, HostClockOsDevId *id)
{
    bool is_hpet = path ? g_str_equal(path, "/dev/hpet") : fd == FD_HPET;

    *id = is_hpet ? (HostClockOsDevId) { 10, 228 } :
                    (HostClockOsDevId) { RTC_MAJOR, 0 };
    return 0;
}

ssize_t host_clock_os_read_file(const char *path, char *buf, size_t size)
{
    if (g_str_has_suffix(path, "/since_epoch")) {
        return snprintf(buf, size, "%" PRId64 "\n", seconds_now());
    }
    if (g_str_equal(path, "/proc/devices")) {
        return snprintf(buf, size, "Character devices:\n%3d rtc\n", RTC_MAJOR);
    }
    return -ENOENT;
}
