/*
 * Host clocks: sources that sample a device
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A device that is slow to read, or that one process at a time can have, is
 * sampled every few seconds from the main loop, and interpolated in between
 * (host-clock-sampler.h).  It is open for no longer than a sample takes, so
 * that any number of VMs can share it; unless the user gave it as fd=, or asked
 * for its interrupts.  A source says how to take one sample.
 */

#ifndef HW_RTC_HOST_CLOCK_SAMPLED_H
#define HW_RTC_HOST_CLOCK_SAMPLED_H

#include "qapi/qapi-types-qom.h"
#include "qemu/stats64.h"
#include "host-clock-source.h"
#include "host-clock-os-dev.h"
#include "host-clock-sampler.h"

#define TYPE_HOST_CLOCK_SAMPLED HOST_CLOCK_PREFIX "sampled"

OBJECT_DECLARE_TYPE(HostClockSampled, HostClockSampledClass, HOST_CLOCK_SAMPLED)

/**
 * HostClockSampledClass: a source that samples a device
 *
 * With HostClockClass.pair = host_clock_sampled_pair, for a device that keeps
 * UTC, wall time steps when that is set.  Without, wall time is CLOCK_REALTIME,
 * and a device that was set has failed.  In either case monotonic time goes on
 * over a suspend of the host if the device did.
 */
struct HostClockSampledClass {
    HostClockClass parent_class;

    /** @default_device: path of the device if no property says another */
    const char *default_device;
    /** @kind: what it should be, for messages, such as "an RTC" */
    const char *kind;
    /**
     * @driver: its name in /proc/devices, if its number is not fixed
     * @number: else its number; looked at before it is opened, which may do
     * something to a tape or a watchdog
     */
    const char *driver;
    HostClockOsDevId number;

    /**
     * @sample: read the device once
     *
     * Called from the main loop, with the BQL, for up to 2 ms.  If it needs the
     * device open, host_clock_sampled_fd() opens it; the caller closes it.
     * Time is in ns from an epoch that does not change; UTC since 1970 if the
     * device keeps it.
     *
     * Returns: 0, or -errno with @errp set; the error names the device.
     * -EBUSY: others have it, it is tried again soon; -ENODEV: it is gone
     */
    int (*sample)(HostClockSampled *s, HostClockSample *sample, Error **errp);

    /** @tick_ns: a tick so long that samples are taken where it begins; or 0 */
    int64_t tick_ns;
    /** @interval_ns: between samples, once the rate is known, while in use */
    int64_t interval_ns;
    /** @alarm_rate, @alarm_on, @alarm_off: ioctls of interrupts; rate in Hz */
    unsigned long alarm_rate, alarm_on, alarm_off;
    /** @is_shared: several can have it open; alarm=device leaves one place */
    bool is_shared;
};

/* Where nothing else is said, a field is the main loop's, with the BQL. */
struct HostClockSampled {
    HostClock parent_obj;

    /* Properties; @name is one of the first two, or the default. */
    char *device;
    char *fdname;
    HostClockAlarm alarm;
    uint32_t alarm_hz;
    char *name;

    /* The open device, or -1, is it ours to close, and which one was it */
    int fd;
    bool fd_is_ours;
    HostClockOsDevId id;

    HostClockSampler sampler;
    /* Continuity offset: the device's time less monotonic time.  Any thread. */
    Stat64 offset_ns;

    QEMUTimer *timer;
    /* While it is opened: when to give up, and when to sample closely */
    struct {
        HostClockSample last;
        int64_t until_ns;
        int64_t closer_ns;
        unsigned busy;
    } acquire;
    bool is_acquired;
    /* Has been read since the last sample.  Any thread. */
    bool is_used;
    /* Samples since it failed or stepped, one for a tick; in search of one */
    unsigned good;
    unsigned ambiguous;
    bool is_busy;
    /* RAW at the last sample, and for when the next one is planned */
    int64_t sampled_ns;
    int64_t planned_ns;
    /* How late it usually is */
    int64_t late_ns;
    /* The beginning of a tick that is to be seen, in monotonic time */
    int64_t edge_ns;
    /* How long the host had been suspended when a sample was consistent */
    int64_t suspended_ns;

    /* Interrupts: can be had; are on, for any thread; came for nothing */
    bool alarm_ready;
    bool alarm_on;
    unsigned idle_interrupts;
    Notifier poll_notifier;
};

/*
 * The open device's descriptor, for HostClockSampledClass.sample, which does
 * not close it; or -errno with @errp set, which names the device
 */
int host_clock_sampled_fd(HostClockSampled *s, Error **errp);

void host_clock_sampled_pair(HostClock *hc, HostClockReading *reading);

/* Is there a device of the right kind?  fd= and /dev/fdset/N are opened. */
bool host_clock_sampled_identify(HostClockSampled *s, Error **errp);
/* It is: take over fd=, and use the interrupts, if that is wanted. */
void host_clock_sampled_hold(HostClockSampled *s);
/* Until something that the main loop waits for on its time; -1: nothing */
int64_t host_clock_sampled_deadline_ns(HostClockSampled *s);
/* Let others have the device, unless it is held for one of these */
void host_clock_sampled_release(HostClockSampled *s, bool always);
void host_clock_sampled_dev_class_init(HostClockClass *k);

#endif /* HW_RTC_HOST_CLOCK_SAMPLED_H */
