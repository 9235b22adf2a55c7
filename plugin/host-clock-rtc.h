/*
 * Host clock "rtc": what the source and its looks know of each other
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_RTC_H
#define HW_RTC_HOST_CLOCK_RTC_H

#include "qemu/stats64.h"
#include "host-clock-dev.h"
#include "host-clock-sampler.h"

#define TYPE_HOST_CLOCK_RTC HOST_CLOCK_PREFIX "rtc"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockRtc, HOST_CLOCK_RTC)

struct HostClockRtc {
    HostClockDev parent_obj;

    OnOffAuto utc;
    bool is_local;

    HostClockSampler sampler;
    /* wall_ns - mono_ns; changes when the RTC is set */
    Stat64 wall_offset_ns;

    HostClockOsTimer *timer;
    HostClockMethod method;
    unsigned looks;
    unsigned unclear_looks;
    /* For when the next look was planned, and how late they usually are; RAW */
    int64_t planned_ns;
    int64_t late_ns;
    bool plan_after;
    unsigned edges_left;
    int64_t next_burst_ns;
};

/**
 * rtc_acquire: find the beginning of a second, so that the date is right
 * @r: an RTC that nobody reads yet; with its device open, or sysfs to read
 * @errp: error
 *
 * Blocks for up to a second, on a busy host for some seconds.
 *
 * Returns: true; false with @errp set if the RTC cannot be read
 */
bool rtc_acquire(HostClockRtc *r, Error **errp);

/**
 * rtc_start_looks: look at the RTC from now on; needs the BQL
 */
void rtc_start_looks(HostClockRtc *r);

/**
 * rtc_timer: take a look, and plan the next; a HostClockOsTimerCB
 */
void rtc_timer(void *opaque, bool clock_was_set);

/**
 * rtc_interrupt: the device was readable; see HostClockDevClass
 */
void rtc_interrupt(HostClockDev *dev, unsigned long data);

#endif /* HW_RTC_HOST_CLOCK_RTC_H */
