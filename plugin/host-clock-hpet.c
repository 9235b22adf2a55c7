/*
 * Host clock "hpet": the main counter of the host's HPET
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   one tick: 70 ns at the usual 14.318 MHz, 100 ns at most
 * Epoch:        mono: 0 when it is opened; wall: 1970, UTC, CLOCK_REALTIME
 * Host suspend: if the counter goes on, so does mono; if it is reset, mono
 *               stands still
 * Step:         mono does not notice it; wall jumps, and the kernel says so
 * Privilege:    /dev/hpet must be readable, or be given as fd=
 * Failures:     a counter that stands still, or is set, makes a holdover
 *
 * To read the counter takes having the device open, and that a comparator, of
 * which there are few; a mapping keeps it open (drivers/char/hpet.c).  So it is
 * mapped for a sample, which takes some microseconds.
 *
 * See the IA-PC HPET specification 1.0a, section 2.3: General Capabilities and
 * ID Register (2.3.4), Main Counter Register (2.3.7).
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "host-clock-sampled.h"

#include <sys/ioctl.h>
#include <linux/hpet.h>

/* Documentation/admin-guide/devices.txt */
#define HPET_MAJOR          10
#define HPET_MINOR          228

#define REG_CAPABILITIES    0x00
#define REG_COUNTER         0xf0
#define CAP_COUNTER_64      (1 << 13)
#define PERIOD_MIN_FS       100000
#define PERIOD_MAX_FS       100000000
#define FS_PER_NS           1000000
/* Decades; what is further off was set, and by how much does not matter */
#define TICKS_MAX           (1LL << 53)

/* A reading that was interrupted is taken again. */
#define READ_TRIES          5
#define READ_GOOD_NS        5000

#define TYPE_HOST_CLOCK_HPET HOST_CLOCK_PREFIX "hpet"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockHpet, HOST_CLOCK_HPET)

struct HostClockHpet {
    HostClockSampled parent_obj;

    uint32_t period_fs;
    /* It has 64 bits, and they can be read at once. */
    bool is_64;
    /* The counter at the last sample, how far it had come, and when */
    uint64_t count;
    int64_t ticks;
    int64_t raw_ns;
};

static uint64_t read_counter(HostClockHpet *h, const void *regs)
{
    uint64_t count = host_clock_os_dev_load64(regs, REG_COUNTER);

    return h->is_64 ? count : (uint32_t)count;
}

/* RAW tells how often a counter of 32 bits has wrapped since. */
static int64_t ticks_since_last(HostClockHpet *h, uint64_t count,
                                int64_t raw_ns)
{
    int64_t ticks = count - h->count;

    if (!h->is_64) {
        int64_t expected = muldiv64(raw_ns - h->raw_ns, FS_PER_NS,
                                    h->period_fs);

        ticks = (uint32_t)ticks;
        ticks += ROUND_DOWN(MAX(expected - ticks, 0) + INT32_MAX, 1LL << 32);
    }
    return MIN(MAX(ticks, -TICKS_MAX), TICKS_MAX);
}

static int64_t ticks_to_ns(HostClockHpet *h, int64_t ticks)
{
    return ticks < 0 ? -muldiv64(-ticks, h->period_fs, FS_PER_NS) :
                       muldiv64(ticks, h->period_fs, FS_PER_NS);
}

static void hpet_read(HostClockHpet *h, const void *regs, HostClockSample *best)
{
    int64_t best_ns = INT64_MAX;
    /* The first access to a new mapping takes longer than the rest. */
    uint64_t best_count = read_counter(h, regs);

    for (int i = 0; i < READ_TRIES && best_ns > READ_GOOD_NS; i++) {
        int64_t before_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
        uint64_t count = read_counter(h, regs);
        int64_t after_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);

        if (after_ns - before_ns < best_ns) {
            best_ns = after_ns - before_ns;
            best_count = count;
            best->raw_ns[0] = before_ns;
            best->raw_ns[1] = after_ns;
        }
    }
    if (h->raw_ns) {
        h->ticks += ticks_since_last(h, best_count, best->raw_ns[0]);
    }
    h->count = best_count;
    h->raw_ns = best->raw_ns[0];
    best->ns[0] = ticks_to_ns(h, h->ticks);
    best->ns[1] = ticks_to_ns(h, h->ticks + 1) + 1;
}

static int hpet_check(HostClockHpet *h, const void *regs, Error **errp)
{
    uint64_t cap = host_clock_os_dev_load64(regs, REG_CAPABILITIES);

    h->period_fs = cap >> 32;
    h->is_64 = sizeof(void *) == 8 && (cap & CAP_COUNTER_64);
    if (h->period_fs < PERIOD_MIN_FS || h->period_fs > PERIOD_MAX_FS) {
        error_setg(errp, "%s is not an HPET: its period is %" PRIu32 " fs, not "
                   "%d to %d", HOST_CLOCK_SAMPLED(h)->name, h->period_fs,
                   PERIOD_MIN_FS, PERIOD_MAX_FS);
        return -EINVAL;
    }
    return 0;
}

static int hpet_map(HostClockSampled *s, size_t len, const void **regs,
                    Error **errp)
{
    ERRP_GUARD();
    struct hpet_info info;
    int fd = host_clock_sampled_fd(s, errp), ret;

    if (fd < 0) {
        if (fd == -EBUSY) {
            error_append_hint(errp, "All comparators of the HPET are in use, "
                              "or the host has none.\n");
        }
        return fd;
    }
    ret = host_clock_os_dev_ioctl(fd, HPET_INFO, &info);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "%s is not an HPET", s->name);
        return ret;
    }
    ret = host_clock_os_dev_map(fd, len, regs);
    if (ret == -EACCES || ret == -ENOSYS) {
        error_setg(errp, "the kernel does not let %s be mapped: hpet_mmap=1 on "
                   "its command line would allow it", s->name);
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot map %s", s->name);
    }
    return ret;
}

static int hpet_sample(HostClockSampled *s, HostClockSample *sample,
                       Error **errp)
{
    size_t len = qemu_real_host_page_size();
    const void *regs;
    int ret = hpet_map(s, len, &regs, errp);

    if (ret < 0) {
        return ret;
    }
    ret = hpet_check(HOST_CLOCK_HPET(s), regs, errp);
    if (ret == 0) {
        hpet_read(HOST_CLOCK_HPET(s), regs, sample);
    }
    host_clock_os_dev_unmap(regs, len);
    return ret;
}

static void hpet_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    HostClockSampledClass *sk = HOST_CLOCK_SAMPLED_CLASS(oc);

    k->description = "main counter of the host's HPET";
    k->rating = 300;
    sk->default_device = "/dev/hpet";
    sk->kind = "an HPET";
    sk->number = (HostClockOsDevId) { HPET_MAJOR, HPET_MINOR };
    sk->sample = hpet_sample;
    sk->interval_ns = 16 * NANOSECONDS_PER_SECOND;
    sk->alarm_rate = HPET_IRQFREQ;
    sk->alarm_on = HPET_IE_ON;
    sk->alarm_off = HPET_IE_OFF;
    sk->is_shared = true;
}

static const TypeInfo hpet_types[] = {
    {
        .name = TYPE_HOST_CLOCK_HPET,
        .parent = TYPE_HOST_CLOCK_SAMPLED,
        .instance_size = sizeof(HostClockHpet),
        .class_init = hpet_class_init,
    },
};
module_obj("host-clock-hpet");

DEFINE_TYPES(hpet_types)
