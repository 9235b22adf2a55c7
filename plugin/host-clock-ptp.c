/*
 * Host clock "ptp": a PTP hardware clock (PHC), as network cards have it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   that of the PHC
 * Epoch:        mono: 0 when it is opened; wall: 1970, UTC, by the PHC
 * Host suspend: if the PHC goes on, so do mono and wall
 * Step:         mono does not notice it; wall jumps when the PHC is set
 * Privilege:    the device must be readable, or be given as fd=
 * Failures:     no PHC, no TAI offset or no date from 1970 on: a holdover
 *
 * The kernel reads it and a clock of its own together, for any number of
 * processes, in up to three ways; see include/uapi/linux/ptp_clock.h.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-host-clock-types.h"
#include "qemu/module.h"
#include "host-clock-sampled.h"

#include <linux/ptp_clock.h>

#define SECOND_NS       NANOSECONDS_PER_SECOND
/* Hyper-V's counts by 100 ns, those of network cards by some ns. */
#define RESOLUTION_NS   100
/* The kernel reads it so often for a sample; the closest reading counts. */
#define READINGS        5
/* Drivers that are known to say UTC */
#define SAY_UTC         "^(KVM virtual PTP|hyperv|vmclock[0-9]+)$"

#define TYPE_HOST_CLOCK_PTP HOST_CLOCK_PREFIX "ptp"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockPtp, HOST_CLOCK_PTP)

struct HostClockPtp {
    HostClockSampled parent_obj;

    HostClockPtpTimeScale time_scale;
    /* What its driver calls it */
    char name[64];
};

/* The best way first */
static const unsigned long requests[] = {
    [HOST_CLOCK_METHOD_PRECISE] = PTP_SYS_OFFSET_PRECISE,
    [HOST_CLOCK_METHOD_EXTENDED] = PTP_SYS_OFFSET_EXTENDED,
    [HOST_CLOCK_METHOD_PLAIN] = PTP_SYS_OFFSET,
};

static int64_t to_ns(const struct ptp_clock_time *t)
{
    return MIN(MAX(t->sec, -1), INT64_MAX / SECOND_NS - 5) * SECOND_NS +
           t->nsec;
}

/* @best->raw_ns is RAW only if @method is PRECISE, and else REALTIME. */
static int read_way(int fd, HostClockMethod method, HostClockSample *best)
{
    union {
        struct ptp_sys_offset_precise precise;
        struct ptp_sys_offset_extended extended;
        struct ptp_sys_offset plain;
    } o = { .extended.n_samples = READINGS };
    int ret = host_clock_os_dev_ioctl(fd, requests[method], &o);

    if (method == HOST_CLOCK_METHOD_PRECISE) {
        best->raw_ns[0] = best->raw_ns[1] = to_ns(&o.precise.sys_monoraw);
        best->ns[0] = to_ns(&o.precise.device);
        return ret;
    }
    for (int i = 0; i < READINGS; i++) {
        const struct ptp_clock_time *t = method == HOST_CLOCK_METHOD_EXTENDED ?
                                         o.extended.ts[i] : &o.plain.ts[2 * i];
        int64_t ns = to_ns(&t[2]) - to_ns(&t[0]);

        if (i == 0 || ns < best->raw_ns[1] - best->raw_ns[0]) {
            best->raw_ns[0] = to_ns(&t[0]);
            best->ns[0] = to_ns(&t[1]);
            best->raw_ns[1] = to_ns(&t[2]);
        }
    }
    return ret;
}

/* If REALTIME is set meanwhile the window is wider, up to all that it took. */
static int read_phc(int fd, HostClockMethod method, HostClockSample *w)
{
    int64_t raw_ns[2], real_ns[2], error_ns[2];
    int ret;

    error_ns[0] = host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC_RAW,
                                            &raw_ns[0], &real_ns[0]);
    ret = read_way(fd, method, w);
    error_ns[1] = host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC_RAW,
                                            &raw_ns[1], &real_ns[1]);
    if (method != HOST_CLOCK_METHOD_PRECISE) {
        w->raw_ns[0] += MIN(raw_ns[0] - real_ns[0] - error_ns[0],
                            raw_ns[1] - real_ns[1] - error_ns[1]);
        w->raw_ns[1] += MAX(raw_ns[0] - real_ns[0] + error_ns[0],
                            raw_ns[1] - real_ns[1] + error_ns[1]);
    }
    w->raw_ns[0] = MAX(w->raw_ns[0], raw_ns[0] - error_ns[0]);
    w->raw_ns[1] = MIN(w->raw_ns[1], raw_ns[1] + error_ns[1]);
    return ret < 0 ? ret : w->raw_ns[0] > w->raw_ns[1] ? -EBUSY : 0;
}

/* Which one /dev/ptp0 is, is a matter of luck if there are several. */
static bool has_others(void)
{
    HostClockOsDevId id;
    bool found = false;

    for (int i = 1; i < 16 && !found; i++) {
        g_autofree char *path = g_strdup_printf("/dev/ptp%d", i);

        found = host_clock_os_dev_id(path, -1, &id) == 0;
    }
    return found;
}

/* What to subtract for UTC, or -errno; the device may be another by now. */
static int64_t offset_from_utc(HostClockSampled *s, Error **errp)
{
    HostClockPtp *p = HOST_CLOCK_PTP(s);
    bool is_tai = p->time_scale == HOST_CLOCK_PTP_TIME_SCALE_TAI;
    HostClockOsStatus os = {};
    g_autofree char *path = g_strdup_printf("/sys/dev/char/%u:%u/clock_name",
                                            s->id.major, s->id.minor);

    if (is_tai) {
        host_clock_os_status(&os);
    }
    if (host_clock_os_read_file(path, p->name, sizeof(p->name)) < 0) {
        *p->name = 0;
    }
    HOST_CLOCK(s)->clock_name = *g_strstrip(p->name) ? p->name : NULL;
    if ((!s->is_acquired && !s->device && !s->fdname && has_others()) ||
        (p->time_scale == HOST_CLOCK_PTP_TIME_SCALE_AUTO &&
         !g_regex_match_simple(SAY_UTC, p->name, 0, 0))) {
        error_setg(errp, "%s is '%s': say which PTP clock, and of which scale, "
                   "with -object host-clock-ptp,id=ID,device=/dev/ptpN,"
                   "time-scale=utc|tai", s->name, p->name);
    } else if (is_tai && os.tai_offset_s <= 0) {
        error_setg(errp, "%s keeps TAI, and the kernel's TAI offset is not "
                   "set; ptp4l, phc2sys or chronyd set it", s->name);
    } else {
        return os.tai_offset_s * SECOND_NS;
    }
    return -EINVAL;
}

/* The best way that works now: one may fail for once. */
static int ptp_sample(HostClockSampled *s, HostClockSample *sample,
                      Error **errp)
{
    int fd = host_clock_sampled_fd(s, errp), ret;
    int64_t offset_ns = fd < 0 ? fd : offset_from_utc(s, errp);
    HostClockMethod *method = &HOST_CLOCK(s)->method;

    if (offset_ns < 0) {
        return offset_ns;
    }
    *method = HOST_CLOCK_METHOD_PRECISE;
    while ((ret = read_phc(fd, *method, sample)) < 0 &&
           *method < HOST_CLOCK_METHOD_PLAIN) {
        ++*method;
    }
    sample->ns[0] -= offset_ns;
    sample->ns[1] = sample->ns[0] + RESOLUTION_NS;
    if (ret < 0) {
        error_setg_errno(errp, -ret, "reading %s", s->name);
    } else if ((uint64_t)sample->ns[0] > HOST_CLOCK_END_NS) {
        error_setg(errp, "%s: a date before 1970 or after 2261", s->name);
        return -ERANGE;
    }
    return ret;
}

/* The class */

HOST_CLOCK_PROPERTY(HOST_CLOCK_PTP, time_scale,
                    visit_type_HostClockPtpTimeScale, (void))

static void ptp_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    HostClockSampledClass *sk = HOST_CLOCK_SAMPLED_CLASS(oc);

    k->description = "PTP hardware clock of the host";
    k->rating = 350;
    k->pair = host_clock_sampled_pair;
    k->time_scale = HOST_CLOCK_TIME_SCALE_UTC;
    sk->default_device = "/dev/ptp0";
    sk->kind = "a PTP clock";
    sk->driver = "ptp";
    sk->sample = ptp_sample;
    sk->interval_ns = SECOND_NS;

    object_class_property_add(oc, "time-scale", "HostClockPtpTimeScale",
                              get_time_scale, set_time_scale, NULL, NULL);
    object_class_property_set_description(oc, "time-scale",
        "the PHC keeps utc, or tai, or what its driver is known for (auto)");
}

static const TypeInfo ptp_types[] = {
    {
        .name = TYPE_HOST_CLOCK_PTP,
        .parent = TYPE_HOST_CLOCK_SAMPLED,
        .instance_size = sizeof(HostClockPtp),
        .class_init = ptp_class_init,
    },
};
module_obj("host-clock-ptp");

DEFINE_TYPES(ptp_types)
