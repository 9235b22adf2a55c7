/*
 * Host clock "rtc": the calendar
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_RTC_CALENDAR_H
#define HW_RTC_HOST_CLOCK_RTC_CALENDAR_H

#include "host-clock-os-dev.h"

/**
 * rtc_calendar_is_rtc: is a device the file of an RTC
 * @id: a device
 */
bool rtc_calendar_is_rtc(const HostClockOsDevId *id);

/**
 * rtc_calendar_attribute: the path of a sysfs file of an RTC
 * @id: the RTC
 * @name: such as "since_epoch"
 *
 * See Documentation/ABI/testing/rtc-cdev and Documentation/admin-guide/rtc.rst
 * of the kernel.  The files can be read while another process has the device
 * open.
 *
 * Returns: the path, which the caller frees
 */
char *rtc_calendar_attribute(const HostClockOsDevId *id, const char *name);

/**
 * rtc_calendar_is_local: does the host keep local time in its RTC
 *
 * Returns: true if the third line of /etc/adjtime says so; see hwclock(8)
 */
bool rtc_calendar_is_local(void);

/**
 * rtc_calendar_read: what second is it
 * @fd: the open device; or -1 to read it by way of sysfs
 * @id: the device
 * @is_local: the calendar is in the host's time zone
 * @utc_s: seconds of UTC since 1970
 *
 * This may take as long as the RTC's update, 2 ms.
 *
 * Returns: 0, or -errno: -EINVAL if it is no date, -ERANGE if it is before 1970
 * or after 2262, where nanoseconds since 1970 overflow
 */
int rtc_calendar_read(int fd, const HostClockOsDevId *id, bool is_local,
                      int64_t *utc_s);

/**
 * rtc_calendar_strerror: what is wrong with the calendar
 * @ret: what rtc_calendar_read() returned
 *
 * Returns: an end for a sentence that begins with the RTC's name
 */
const char *rtc_calendar_strerror(int ret);

#endif /* HW_RTC_HOST_CLOCK_RTC_CALENDAR_H */
