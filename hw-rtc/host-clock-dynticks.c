/*
 * Host clock "dynticks": CLOCK_MONOTONIC and one-shot timers
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
 * See clock_gettime(2) and timerfd_create(2).
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

static bool dynticks_open(HostClock *hc, Error **errp)
{
    return true;
}

static void dynticks_close(HostClock *hc)
{
}

static int dynticks_read(HostClock *hc, HostClockParts parts,
                         HostClockReading *reading)
{
    switch (parts) {
    case HOST_CLOCK_MONO:
        reading->mono_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
        break;
    case HOST_CLOCK_WALL:
        reading->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        break;
    case HOST_CLOCK_BOTH:
        reading->error_ns = host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC,
                                                      &reading->mono_ns,
                                                      &reading->wall_ns);
        break;
    }
    return 0;
}

static int64_t dynticks_read_mono(HostClock *hc)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
}

static void dynticks_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "CLOCK_MONOTONIC, one-shot timers";
    k->rating = 400;
    k->wall_is_realtime = true;
    k->mono_is_trusted = true;
    k->alarm_clock = HOST_CLOCK_OS_MONOTONIC;
    k->open = dynticks_open;
    k->close = dynticks_close;
    k->read = dynticks_read;
    k->read_mono = dynticks_read_mono;
}

static const TypeInfo dynticks_info = {
    .name = TYPE_HOST_CLOCK "-dynticks",
    .parent = TYPE_HOST_CLOCK,
    .class_init = dynticks_class_init,
};

static void dynticks_register_types(void)
{
    type_register_static(&dynticks_info);
}

type_init(dynticks_register_types)
