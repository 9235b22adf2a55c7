/*
 * Host clock "hpet": what the source and its looks know of each other
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_HPET_H
#define HW_RTC_HOST_CLOCK_HPET_H

#include "qemu/stats64.h"
#include "host-clock-dev.h"
#include "host-clock-hpet-counter.h"
#include "host-clock-sampler.h"

#define TYPE_HOST_CLOCK_HPET HOST_CLOCK_PREFIX "hpet"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockHpet, HOST_CLOCK_HPET)

struct HostClockHpet {
    HostClockDev parent_obj;

    bool sampling;

    HpetCounter counter;
    HostClockSampler sampler;
    HostClockOsTimer *timer;
    unsigned looks;
    /* CLOCK_MONOTONIC_RAW at the last look; the next could not be had */
    int64_t looked_ns;
    bool is_busy;

    /* Highest time handed out with sampling=off */
    Stat64 floor;
};

/**
 * hpet_start_looks: open the device, take a first look, and more from now on
 * @h: an HPET with a timer; needs the BQL
 * @errp: error
 *
 * Blocks while all comparators are taken, for some seconds at most.  The device
 * is attached afterwards.
 *
 * Returns: true; false with @errp set
 */
bool hpet_start_looks(HostClockHpet *h, Error **errp);

/**
 * hpet_detach_unless_held: let others have the device; needs the BQL
 *
 * Unless it is needed all the time, for readings or alarms, or could not be had
 * again.
 */
void hpet_detach_unless_held(HostClockHpet *h);

/**
 * hpet_detach: let go of the device; needs the BQL, and nobody reads it
 */
void hpet_detach(HostClockHpet *h);

/**
 * hpet_timer: take a look, and plan the next; a HostClockOsTimerCB
 */
void hpet_timer(void *opaque, bool clock_was_set);

#endif /* HW_RTC_HOST_CLOCK_HPET_H */
