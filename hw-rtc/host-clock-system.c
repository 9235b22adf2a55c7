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
#include "host-clock-source.h"

static int64_t system_mono_ns(HostClock *hc)
{
    return get_clock();
}

static void system_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "QEMU's own clocks (default)";
    k->rating = 500;
    k->is_system = true;
    k->counts_as_qemu = true;
    k->mono_ns = system_mono_ns;
}

static const TypeInfo system_types[] = {
    {
        .name = TYPE_HOST_CLOCK_SYSTEM,
        .parent = TYPE_HOST_CLOCK,
        .class_init = system_class_init,
    },
};

DEFINE_TYPES(system_types)
