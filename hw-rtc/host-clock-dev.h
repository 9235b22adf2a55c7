/*
 * Host clocks: what sources that open a device have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_DEV_H
#define HW_RTC_HOST_CLOCK_DEV_H

#include "qapi/qapi-types-qom.h"
#include "host-clock-internal.h"
#include "host-clock-os-dev.h"

#define TYPE_HOST_CLOCK_DEV HOST_CLOCK_PREFIX "dev"

OBJECT_DECLARE_TYPE(HostClockDev, HostClockDevClass, HOST_CLOCK_DEV)

/**
 * HostClockDevClass: a source that opens a device
 *
 * It has the properties "device", "fd", "alarm" and "alarm-hz".  While no alarm
 * or other interrupt is wanted it may be closed.
 */
struct HostClockDevClass {
    HostClockClass parent_class;

    /** @default_device: path of the device if neither property says another */
    const char *default_device;
    /** @alarm_hz_max: the device has no faster interrupts */
    uint32_t alarm_hz_max;

    /**
     * @is_kind: can this be a device of the source's kind
     *
     * Asked before the device is opened: to open a device of another kind may
     * do something, to a tape or a watchdog for instance.
     */
    bool (*is_kind)(const HostClockOsDevId *id);
    /** @kind: what it should be, for messages, such as "an RTC" */
    const char *kind;

    /** @limit_file: the file that limits the interrupts of ordinary users */
    char *(*limit_file)(HostClockDev *dev);

    /**
     * @set_rate: choose the rate of the alarm's interrupts; 0 or -errno
     * @enable: switch them on or off; any thread; 0 or -errno
     */
    int (*set_rate)(HostClockDev *dev, uint32_t hz);
    int (*enable)(HostClockDev *dev, bool on);

    /**
     * @interrupt: (optional) the device was readable
     * @data: what was read
     */
    void (*interrupt)(HostClockDev *dev, unsigned long data);
};

struct HostClockDev {
    HostClock parent_obj;

    /* Properties */
    char *device;
    char *fdname;
    HostClockAlarm alarm;
    uint32_t alarm_hz;
    /* @device, or @fdname, or the default */
    char *name;

    /* The open device, or -1.  BQL. */
    int fd;
    /* @fdname cannot be opened a second time. */
    bool fd_taken;
    /* Which device that is, or was */
    HostClockOsDevId id;
    /* What cannot be had, for query-host-clocks; NULL if nothing.  BQL. */
    char *degraded;
    /* CLOCK_MONOTONIC when it last failed.  BQL. */
    int64_t failed_at_ns;
    /* How long the host had been suspended when it last worked.  BQL. */
    int64_t suspended_ns;
    /* Interrupts without a deadline to wait for.  BQL. */
    unsigned idle_interrupts;

    /* Protects what follows, which any thread uses. */
    QemuMutex lock;
    bool alarm_ready;
    bool alarm_on;
    int64_t deadline_ns[HOST_CLOCK_VIEW_TYPE__MAX];
};

/**
 * host_clock_dev_open: open the device and watch it; needs the BQL
 * @dev: its @fd is -1
 * @errp: error; it names the device and the reason
 *
 * Returns: 0, or -errno with @errp set
 */
int host_clock_dev_open(HostClockDev *dev, Error **errp);

/**
 * host_clock_dev_close: close the device, if it is open; needs the BQL
 *
 * Its alarm falls back to the core's.
 */
void host_clock_dev_close(HostClockDev *dev);

/**
 * host_clock_dev_start_alarm: use the device's interrupts
 * @dev: an open device with alarm=device; needs the BQL
 *
 * If they cannot be had that is noted as degraded.
 */
void host_clock_dev_start_alarm(HostClockDev *dev);

/**
 * host_clock_dev_degrade: note what cannot be had; needs the BQL
 * @dev: a device
 * @fmt: what, as a sentence without a full stop; NULL: nothing any more
 *
 * Says so once, and in query-host-clocks for as long as it holds.
 */
void G_GNUC_PRINTF(2, 3) host_clock_dev_degrade(HostClockDev *dev,
                                                const char *fmt, ...);

/**
 * host_clock_dev_no_alarm: note that alarm=device cannot be had
 * @dev: a device; needs the BQL
 * @reason: why not
 */
void host_clock_dev_no_alarm(HostClockDev *dev, const char *reason);

/**
 * host_clock_dev_failed: the device does not work; needs the BQL
 * @dev: a device
 * @fmt: what is wrong, as a sentence without a full stop
 *
 * The source's readings go on from its own estimate: it is in holdover.
 */
void G_GNUC_PRINTF(2, 3) host_clock_dev_failed(HostClockDev *dev,
                                               const char *fmt, ...);

/**
 * host_clock_dev_works: the device works; needs the BQL
 * @dev: a device
 *
 * Ends a holdover, unless it failed less than a second ago.
 */
void host_clock_dev_works(HostClockDev *dev);

/**
 * host_clock_dev_slept: was the host suspended; needs the BQL
 * @dev: a device
 * @jump_ns: the device is so far ahead of CLOCK_MONOTONIC_RAW, which stands
 *           still while the host is suspended
 *
 * Returns: true if the host was suspended for about that long since
 * host_clock_dev_works() was last called
 */
bool host_clock_dev_slept(HostClockDev *dev, int64_t jump_ns);

/**
 * host_clock_dev_run_timers: run what is due; needs the BQL, main loop only
 * @dev: a device
 *
 * For a source whose time has jumped forward, where the alarms do not know it.
 */
void host_clock_dev_run_timers(HostClockDev *dev);

/**
 * host_clock_dev_may_set: can a property be set now
 * @dev: a device
 * @name: the property
 * @errp: error
 *
 * Returns: true; false with @errp set once the clock is open
 */
bool host_clock_dev_may_set(HostClockDev *dev, const char *name, Error **errp);

#endif /* HW_RTC_HOST_CLOCK_DEV_H */
