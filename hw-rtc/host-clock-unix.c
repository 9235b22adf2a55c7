/*
 * Host clock "unix": CLOCK_REALTIME, with its steps taken out
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns
 * Epoch:        1970, UTC; mono keeps the epoch it had when it was opened
 * Host suspend: counts as a step
 * Step:         wall jumps, and the kernel says so; mono does not notice it
 * Privilege:    none
 * Failures:     none
 *
 * The kernel keeps CLOCK_REALTIME as CLOCK_MONOTONIC plus an offset: both are
 * slewed alike, and whoever sets the clock, a leap second and a suspend change
 * nothing but the offset (Documentation/timers/timekeeping.rst, and
 * wall_to_monotonic in kernel/time/timekeeping.c).  So CLOCK_REALTIME without
 * its steps is CLOCK_MONOTONIC plus the offset that there was at the start.
 * What sets this source apart from dynticks is its epoch, and that its alarms
 * are timers on CLOCK_REALTIME, which are armed anew whenever that is set.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

#define TYPE_HOST_CLOCK_UNIX TYPE_HOST_CLOCK "-unix"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockUnix, HOST_CLOCK_UNIX)

struct HostClockUnix {
    HostClock parent_obj;

    /* CLOCK_REALTIME - CLOCK_MONOTONIC when the clock was opened */
    int64_t start_offset_ns;
};

static bool unix_open(HostClock *hc, Error **errp)
{
    int64_t mono_ns, real_ns;

    host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC, &mono_ns, &real_ns);
    HOST_CLOCK_UNIX(hc)->start_offset_ns = real_ns - mono_ns;
    return true;
}

static void unix_close(HostClock *hc)
{
}

static int unix_read(HostClock *hc, HostClockParts parts,
                     HostClockReading *reading)
{
    /* A QOM cast costs as much as reading the clock; hc is known to be ours. */
    HostClockUnix *u = (HostClockUnix *)hc;

    switch (parts) {
    case HOST_CLOCK_MONO:
        reading->mono_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
        break;
    case HOST_CLOCK_WALL:
        reading->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        return 0;
    case HOST_CLOCK_BOTH:
        reading->error_ns = host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC,
                                                      &reading->mono_ns,
                                                      &reading->wall_ns);
        break;
    }
    reading->mono_ns += u->start_offset_ns;
    return 0;
}

static int64_t unix_read_mono(HostClock *hc)
{
    HostClockUnix *u = (HostClockUnix *)hc;

    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC) + u->start_offset_ns;
}

static void unix_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "CLOCK_REALTIME, steps taken out of monotonic time";
    k->rating = 100;
    k->wall_is_realtime = true;
    k->mono_is_trusted = true;
    k->alarm_clock = HOST_CLOCK_OS_REALTIME;
    k->open = unix_open;
    k->close = unix_close;
    k->read = unix_read;
    k->read_mono = unix_read_mono;
}

static const TypeInfo unix_info = {
    .name = TYPE_HOST_CLOCK_UNIX,
    .parent = TYPE_HOST_CLOCK,
    .instance_size = sizeof(HostClockUnix),
    .class_init = unix_class_init,
};

static void unix_register_types(void)
{
    type_register_static(&unix_info);
}

type_init(unix_register_types)
