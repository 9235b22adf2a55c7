/*
 * Host clock "unix": CLOCK_REALTIME, with its steps taken out
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns
 * Epoch:        1970, UTC; mono keeps the epoch it had when it was opened
 * Host suspend: counts as a step
 * Step:         wall jumps, and the kernel says so; mono does not, because the
 *               step is measured and taken out
 * Privilege:    none
 * Failures:     none
 *
 * The witness is CLOCK_MONOTONIC.  The kernel slews both clocks alike
 * (Documentation/core-api/timekeeping.rst), so their distance changes by steps
 * and leap seconds alone.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

#define TYPE_HOST_CLOCK_UNIX TYPE_HOST_CLOCK "-unix"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockUnix, HOST_CLOCK_UNIX)

/*
 * The two clocks cannot be read at one instant; a smaller change of their
 * distance may be due to that.  The core keeps mono_ns from going back by it.
 */
#define NOISE_NS    (50 * SCALE_US)

struct HostClockUnix {
    HostClock parent_obj;

    /* REALTIME - MONOTONIC, as of the last step */
    Stat64 offset_ns;
    /* The same when the clock was opened */
    int64_t start_offset_ns;
};

static bool unix_open(HostClock *hc, Error **errp)
{
    HostClockUnix *u = HOST_CLOCK_UNIX(hc);
    int64_t mono_ns, real_ns;

    host_clock_os_now_pair_ns(&mono_ns, &real_ns);
    u->start_offset_ns = real_ns - mono_ns;
    stat64_init(&u->offset_ns, u->start_offset_ns);
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
    int64_t offset_ns, mono_ns, real_ns, change_ns;

    if (parts == HOST_CLOCK_WALL) {
        reading->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        return 0;
    }

    offset_ns = stat64_get(&u->offset_ns);
    mono_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    real_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    change_ns = real_ns - mono_ns - offset_ns;
    if (change_ns > NOISE_NS || change_ns < -NOISE_NS ||
        (parts & HOST_CLOCK_WALL)) {
        /* A step, or this thread was interrupted between the two: look well. */
        reading->error_ns = host_clock_os_now_pair_ns(&mono_ns, &real_ns);
        change_ns = real_ns - mono_ns - offset_ns;
        if (change_ns > NOISE_NS + reading->error_ns ||
            change_ns < -NOISE_NS - reading->error_ns) {
            offset_ns += change_ns;
            stat64_set(&u->offset_ns, offset_ns);
        }
    }
    reading->mono_ns = real_ns - offset_ns + u->start_offset_ns;
    reading->wall_ns = real_ns;
    return 0;
}

static void unix_class_init(ObjectClass *oc, void *data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "CLOCK_REALTIME, steps taken out of monotonic time";
    k->rating = 100;
    k->wall_is_realtime = true;
    k->alarm_clock = HOST_CLOCK_OS_REALTIME;
    k->open = unix_open;
    k->close = unix_close;
    k->read = unix_read;
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
