/*
 * Host clocks "system", "dynticks", "raw", "boottime" and "unix":
 * clock_gettime()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns
 * Epoch:        mono: boot of the host, for unix 1970; wall: 1970, UTC
 * Host suspend: mono stands still, with boottime it goes on; wall goes on
 * Step:         mono does not notice it; wall jumps, and the kernel says so;
 *               a suspend is one, but not with boottime, whose mono moves, too
 * Privilege:    none
 * Failures:     none
 *
 * Each is a row of the table below.  See clock_gettime(2).
 *
 * unix is CLOCK_REALTIME less its steps.  The kernel keeps CLOCK_REALTIME as
 * CLOCK_MONOTONIC plus an offset, which is all that setting the clock, a leap
 * second and a suspend change (wall_to_monotonic in kernel/time/timekeeping.c).
 * So without its steps it is CLOCK_MONOTONIC plus the offset at the start.
 *
 * raw is neither slewed nor set, so a guest that disciplines its own clock does
 * not chase the host's corrections.  It is off by what the host's crystal is.
 */

#include "qemu/osdep.h"
#include "qemu/module.h"
#include "host-clock-source.h"

#define TYPE_HOST_CLOCK_POSIX HOST_CLOCK_PREFIX "posix"

OBJECT_DECLARE_TYPE(HostClockPosix, HostClockPosixClass, HOST_CLOCK_POSIX)

typedef struct HostClockPosixRow {
    const char *description;
    int rating;
    bool is_system;
    /* CLOCK_MONOTONIC by default */
    HostClockOsId id;
    uint32_t rate_error_ppb;
    /* mono begins where CLOCK_REALTIME is when the clock is opened */
    bool epoch_is_1970;
} HostClockPosixRow;

struct HostClockPosixClass {
    HostClockClass parent_class;

    const HostClockPosixRow *row;
};

struct HostClockPosix {
    HostClock parent_obj;

    HostClockOsId id;
    /* Added to what the host's clock says */
    int64_t epoch_ns;
};

static bool posix_open(HostClock *hc, Error **errp)
{
    HostClockPosix *p = HOST_CLOCK_POSIX(hc);
    const HostClockPosixRow *row = HOST_CLOCK_POSIX_GET_CLASS(hc)->row;
    int64_t mono_ns, real_ns;

    p->id = row->id;
    if (row->epoch_is_1970) {
        host_clock_os_now_pair_ns(row->id, &mono_ns, &real_ns);
        p->epoch_ns = real_ns - mono_ns;
    }
    return true;
}

static int64_t posix_mono_ns(HostClock *hc)
{
    /* A QOM cast costs as much as reading the clock; hc is known to be ours. */
    HostClockPosix *p = (HostClockPosix *)hc;

    return host_clock_os_now_ns(p->id) + p->epoch_ns;
}

static void posix_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    const HostClockPosixRow *row = data;

    HOST_CLOCK_POSIX_CLASS(oc)->row = row;
    k->description = row->description;
    k->rating = row->rating;
    k->is_system = row->is_system;
    k->rate_error_ppb = row->rate_error_ppb;
    k->counts_as_qemu = row->id == HOST_CLOCK_OS_MONOTONIC;
    k->step_reference = row->id == HOST_CLOCK_OS_BOOTTIME ?
                        HOST_CLOCK_OS_BOOTTIME : HOST_CLOCK_OS_MONOTONIC;
    k->open = posix_open;
    k->mono_ns = posix_mono_ns;
}

#define POSIX_TYPE(NAME, ...) {                                              \
        .name = HOST_CLOCK_PREFIX NAME,                                      \
        .parent = TYPE_HOST_CLOCK_POSIX,                                     \
        .class_init = posix_class_init,                                      \
        .class_data = (void *)&(const HostClockPosixRow) { __VA_ARGS__ },    \
    }

static const TypeInfo posix_types[] = {
    {
        .name = TYPE_HOST_CLOCK_POSIX,
        .parent = TYPE_HOST_CLOCK,
        .abstract = true,
        .instance_size = sizeof(HostClockPosix),
        .class_size = sizeof(HostClockPosixClass),
    },
    POSIX_TYPE("system",
        .description = "QEMU's own clocks (default)",
        .rating = 500,
        .is_system = true,
    ),
#ifdef CONFIG_POSIX
    POSIX_TYPE("dynticks",
        .description = "CLOCK_MONOTONIC",
        .rating = 400,
    ),
    POSIX_TYPE("unix",
        .description = "CLOCK_REALTIME, less its steps",
        .rating = 100,
        .epoch_is_1970 = true,
    ),
#endif
#ifdef CONFIG_LINUX
    POSIX_TYPE("boottime",
        .description = "CLOCK_BOOTTIME, goes on while the host is suspended",
        .rating = 90,
        .id = HOST_CLOCK_OS_BOOTTIME,
    ),
    POSIX_TYPE("raw",
        .description = "CLOCK_MONOTONIC_RAW, not disciplined",
        .rating = 50,
        .id = HOST_CLOCK_OS_MONOTONIC_RAW,
        .rate_error_ppb = 500000,
    ),
#endif
};

DEFINE_TYPES(posix_types)
