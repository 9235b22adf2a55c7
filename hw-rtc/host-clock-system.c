/*
 * Host clock "system": QEMU's own clocks, the default
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns monotonic; 1 us wall (gettimeofday)
 * Epoch:        mono: boot of the host; wall: 1970, UTC
 * Host suspend: mono stands still, wall goes on
 * Step:         mono does not notice it; wall jumps
 * Privilege:    none
 * Failures:     none
 *
 * The views of this source are QEMU_CLOCK_HOST, QEMU_CLOCK_REALTIME and
 * QEMU_CLOCK_VIRTUAL with the main loop's own timer lists, so that icount,
 * record/replay and qtest work as they do without any host clock.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

static bool system_open(HostClock *hc, Error **errp)
{
    return true;
}

static void system_close(HostClock *hc)
{
}

static int system_read(HostClock *hc, HostClockParts parts,
                       HostClockReading *reading)
{
    /* The recorded clocks are for the guest; this is for information. */
    if (parts & HOST_CLOCK_MONO) {
        reading->mono_ns = get_clock();
    }
    if (parts & HOST_CLOCK_WALL) {
        reading->wall_ns = get_clock_realtime();
        reading->error_ns = SCALE_US;
    }
    return 0;
}

static const char *system_alarm_name(HostClock *hc)
{
    return "main loop";
}

static void system_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "QEMU's own clocks (default)";
    k->rating = 500;
    k->is_system = true;
    k->wall_is_realtime = true;
    k->mono_is_trusted = true;
    k->open = system_open;
    k->close = system_close;
    k->read = system_read;
    k->alarm_name = system_alarm_name;
}

static const TypeInfo system_info = {
    .name = TYPE_HOST_CLOCK_SYSTEM,
    .parent = TYPE_HOST_CLOCK,
    .class_init = system_class_init,
};

static void system_register_types(void)
{
    type_register_static(&system_info);
}

type_init(system_register_types)
