/*
 * Host clock "raw": CLOCK_MONOTONIC_RAW, the counter that nobody disciplines
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns
 * Epoch:        mono: boot of the host; wall: 1970, UTC
 * Host suspend: mono stands still, wall goes on
 * Step:         mono does not notice it; wall jumps, and the kernel says so
 * Privilege:    none
 * Failures:     none
 *
 * Neither NTP nor adjtime() changes the rate of this clock, so a guest that
 * disciplines its own clock does not chase the corrections of the host's.  In
 * return it is off by what the host's crystal is off, up to 500 ppm against
 * CLOCK_REALTIME as far as NTP corrects at all.
 *
 * See clock_gettime(2).  This is the worked example of the documentation for
 * developers, docs/devel/writing-host-clocks.rst.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

static bool raw_open(HostClock *hc, Error **errp)
{
    return true;
}

static void raw_close(HostClock *hc)
{
}

static int raw_read(HostClock *hc, HostClockParts parts,
                    HostClockReading *reading)
{
    switch (parts) {
    case HOST_CLOCK_MONO:
        reading->mono_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
        break;
    case HOST_CLOCK_WALL:
        reading->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        break;
    case HOST_CLOCK_BOTH:
        reading->error_ns =
            host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC_RAW,
                                      &reading->mono_ns, &reading->wall_ns);
        break;
    }
    return 0;
}

static int64_t raw_read_mono(HostClock *hc)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
}

static void raw_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "CLOCK_MONOTONIC_RAW, a rate that nobody corrects";
    k->rating = 50;
    k->wall_is_realtime = true;
    k->mono_is_trusted = true;
    /* No timer of the kernel runs on the raw counter. */
    k->alarm_clock = HOST_CLOCK_OS_MONOTONIC;
    k->rate_differs = true;
    k->open = raw_open;
    k->close = raw_close;
    k->read = raw_read;
    k->read_mono = raw_read_mono;
}

static const TypeInfo raw_info = {
    .name = TYPE_HOST_CLOCK "-raw",
    .parent = TYPE_HOST_CLOCK,
    .class_init = raw_class_init,
};

static void raw_register_types(void)
{
    type_register_static(&raw_info);
}

type_init(raw_register_types)
