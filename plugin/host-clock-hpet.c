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
 * The kernel maps the registers to whoever opens the device, which takes a
 * comparator for as long as the file is open, but not for as long as the
 * mapping exists (drivers/char/hpet.c).  So the file is closed once it is
 * mapped, and any number of VMs can share the counter.
 *
 * The counter is looked at every few seconds and interpolated in between
 * (host-clock-sampler.h): a look costs about a microsecond, and tells the time
 * to within that and a tick.  With sampling=off each reading is such a look.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/stats64.h"
#include "qemu/timer.h"
#include "host-clock-dev.h"
#include "host-clock-hpet-counter.h"
#include "host-clock-sampler.h"

#include <sys/ioctl.h>
#include <linux/hpet.h>

#define TYPE_HOST_CLOCK_HPET HOST_CLOCK_PREFIX "hpet"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockHpet, HOST_CLOCK_HPET)

/* Documentation/admin-guide/devices.txt */
#define HPET_MAJOR          10
#define HPET_MINOR          228

/* While all comparators are taken, by VMs that start, try again. */
#define OPEN_TRIES          100
#define OPEN_WAIT_NS        (20 * SCALE_MS)
/* Looks come closer together until the rate is known. */
#define FAST_LOOKS          16
#define FAST_NS             NANOSECONDS_PER_SECOND
#define SLOW_NS             (16LL * NANOSECONDS_PER_SECOND)

/* With sampling=off, more than looks at the same counter can differ by */
#define DIRECT_SLACK_NS     (100 * SCALE_US)

struct HostClockHpet {
    HostClockDev parent_obj;

    bool sampling;

    HpetCounter counter;
    HostClockSampler sampler;
    HostClockOsTimer *timer;
    unsigned looks;

    /* Highest time handed out with sampling=off */
    Stat64 floor;
};

/* Looks, from the main loop */

/*
 * RAW stands still while the host is suspended.  If the counter went on for as
 * long, that is the truth; else it was set, and only RAW knows the time.
 *
 * Returns: by how much what the counter says is to be corrected
 */
static int64_t hpet_jumped(HostClockHpet *h, int64_t jump_ns)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);

    if (host_clock_dev_slept(dev, jump_ns)) {
        host_clock_sampler_skip(&h->sampler, jump_ns);
        host_clock_dev_run_timers(dev);
        return 0;
    }
    host_clock_sampler_relabel(&h->sampler, jump_ns);
    host_clock_dev_failed(dev, "the counter of %s was set or stopped: it is "
                          "%" PRId64 " ms off", dev->name, jump_ns / SCALE_MS);
    return -jump_ns;
}

static void hpet_look(HostClockHpet *h)
{
    HostClockLook look;
    uint64_t count = hpet_counter_look(&h->counter, &look);
    int64_t ns = look.ns[0], jump_ns;

    if (host_clock_sampler_look(&h->sampler, &look, &jump_ns) ==
        HOST_CLOCK_LOOK_JUMPED) {
        ns += hpet_jumped(h, jump_ns);
        h->looks = 0;
    } else {
        host_clock_dev_works(HOST_CLOCK_DEV(h));
        h->looks++;
    }
    hpet_counter_rebase(&h->counter, count, ns, look.raw_ns[0]);
}

static void hpet_arm_timer(HostClockHpet *h)
{
    int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);

    host_clock_os_timer_arm(h->timer, now_ns + (h->looks < FAST_LOOKS ?
                                                FAST_NS : SLOW_NS));
}

static void hpet_timer(void *opaque, bool clock_was_set)
{
    hpet_look(opaque);
    hpet_arm_timer(opaque);
}

/* Readings */

/*
 * The counter, unless it was set or stands still: then it is not where the line
 * says that it must be, which goes on.
 */
static int64_t hpet_read_counter(HostClockHpet *h, int64_t *error_ns)
{
    int64_t line_error_ns;
    int64_t ns = hpet_counter_read(&h->counter, error_ns);
    int64_t line_ns = host_clock_sampler_now(&h->sampler, &line_error_ns);

    if (ns > line_ns + line_error_ns + DIRECT_SLACK_NS ||
        ns < line_ns - line_error_ns - *error_ns - DIRECT_SLACK_NS) {
        ns = line_ns;
        *error_ns = line_error_ns;
    }
    stat64_max(&h->floor, ns);
    return stat64_get(&h->floor);
}

static void hpet_read_both(HostClockHpet *h, HostClockReading *r)
{
    int64_t before_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    int64_t after_ns;

    r->mono_ns = h->sampling ?
                 host_clock_sampler_now(&h->sampler, &r->error_ns) :
                 hpet_read_counter(h, &r->error_ns);
    after_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    r->wall_ns = after_ns;
    r->error_ns += MAX(after_ns - before_ns, 0);
}

static int64_t hpet_read_mono(HostClock *hc)
{
    HostClockHpet *h = (HostClockHpet *)hc;
    int64_t error_ns;

    return h->sampling ? host_clock_sampler_now(&h->sampler, NULL) :
                         hpet_read_counter(h, &error_ns);
}

static int hpet_read(HostClock *hc, HostClockParts parts, HostClockReading *r)
{
    HostClockHpet *h = (HostClockHpet *)hc;

    switch (parts) {
    case HOST_CLOCK_MONO:
        r->mono_ns = h->sampling ? host_clock_sampler_now(&h->sampler, NULL) :
                                   hpet_read_counter(h, &r->error_ns);
        break;
    case HOST_CLOCK_WALL:
        r->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        break;
    case HOST_CLOCK_BOTH:
        hpet_read_both(h, r);
        break;
    }
    return 0;
}

/* The alarm */

static int hpet_set_rate(HostClockDev *dev, uint32_t hz)
{
    return host_clock_os_dev_ioctl(dev->fd, HPET_IRQFREQ,
                                   (void *)(uintptr_t)hz);
}

static int hpet_enable(HostClockDev *dev, bool on)
{
    return host_clock_os_dev_ioctl(dev->fd, on ? HPET_IE_ON : HPET_IE_OFF,
                                   NULL);
}

static char *hpet_limit_file(HostClockDev *dev)
{
    return g_strdup("/proc/sys/dev/hpet/max-user-freq");
}

/*
 * Who takes the last comparator keeps others from starting, as they need one to
 * map the counter.  Whoever wants it all the same can pass it as fd=.
 */
static bool hpet_is_last_comparator(HostClockDev *dev)
{
    int fd;

    if (dev->fdname) {
        return false;
    }
    fd = host_clock_os_dev_open(dev->name, NULL);
    if (fd >= 0) {
        host_clock_os_dev_close(fd);
    }
    return fd == -EBUSY;
}

static void hpet_start_alarm(HostClockDev *dev)
{
    if (hpet_is_last_comparator(dev)) {
        host_clock_dev_no_alarm(dev, "it has one comparator left, which other "
                                "VMs need to start; fd= would take it");
    } else {
        host_clock_dev_start_alarm(dev);
    }
}

/* Opening and closing */

static bool hpet_open_device(HostClockDev *dev, Error **errp)
{
    Error *err = NULL;
    int tries = OPEN_TRIES;

    while (host_clock_dev_open(dev, &err) == -EBUSY && --tries) {
        error_free(err);
        err = NULL;
        host_clock_os_sleep_ns(g_random_int_range(1, OPEN_WAIT_NS));
    }
    if (err && !tries) {
        error_append_hint(&err, "All comparators of the HPET are in use, or "
                          "the host has none.\n");
    }
    error_propagate(errp, err);
    return dev->fd >= 0;
}

static bool hpet_open(HostClock *hc, Error **errp)
{
    HostClockHpet *h = HOST_CLOCK_HPET(hc);
    HostClockDev *dev = HOST_CLOCK_DEV(hc);
    HostClockLook look;

    h->timer = host_clock_os_timer_new(HOST_CLOCK_OS_MONOTONIC, hpet_timer, h,
                                       errp);
    if (!h->timer) {
        return false;
    }
    if (!hpet_open_device(dev, errp) ||
        !hpet_counter_open(&h->counter, dev->fd, dev->name, errp)) {
        host_clock_dev_close(dev);
        host_clock_os_timer_free(h->timer);
        return false;
    }
    hpet_counter_look(&h->counter, &look);
    host_clock_sampler_start(&h->sampler, &look);
    host_clock_dev_works(dev);
    hpet_arm_timer(h);
    if (dev->alarm == HOST_CLOCK_ALARM_DEVICE) {
        hpet_start_alarm(dev);
    }
    if (!dev->alarm_ready) {
        host_clock_dev_close(dev);
    }
    return true;
}

static void hpet_close(HostClock *hc)
{
    HostClockHpet *h = HOST_CLOCK_HPET(hc);

    host_clock_os_timer_free(h->timer);
    hpet_counter_close(&h->counter);
    host_clock_dev_close(HOST_CLOCK_DEV(hc));
}

/* The class */

static HostClockMethod hpet_method(HostClock *hc)
{
    return HOST_CLOCK_HPET(hc)->sampling ? HOST_CLOCK_METHOD_SAMPLED :
                                           HOST_CLOCK_METHOD_DIRECT;
}

static bool hpet_get_sampling(Object *obj, Error **errp)
{
    return HOST_CLOCK_HPET(obj)->sampling;
}

static void hpet_set_sampling(Object *obj, bool value, Error **errp)
{
    if (host_clock_dev_may_set(HOST_CLOCK_DEV(obj), "sampling", errp)) {
        HOST_CLOCK_HPET(obj)->sampling = value;
    }
}

static bool hpet_is_kind(const HostClockOsDevId *id)
{
    return id->major == HPET_MAJOR && id->minor == HPET_MINOR;
}

static void hpet_init(Object *obj)
{
    HOST_CLOCK_HPET(obj)->sampling = true;
}

static void hpet_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);
    HostClockDevClass *dk = HOST_CLOCK_DEV_CLASS(oc);

    k->description = "main counter of the host's HPET";
    k->rating = 300;
    k->wall_is_realtime = true;
    k->mono_is_trusted = true;
    k->open = hpet_open;
    k->close = hpet_close;
    k->read = hpet_read;
    k->read_mono = hpet_read_mono;
    k->method = hpet_method;
    dk->default_device = "/dev/hpet";
    dk->kind = "an HPET";
    dk->alarm_hz_max = 8192;
    dk->is_kind = hpet_is_kind;
    dk->limit_file = hpet_limit_file;
    dk->set_rate = hpet_set_rate;
    dk->enable = hpet_enable;

    object_class_property_add_bool(oc, "sampling", hpet_get_sampling,
                                   hpet_set_sampling);
    object_class_property_set_description(oc, "sampling",
        "interpolate between looks at the device");
}

static const TypeInfo hpet_info = {
    .name = TYPE_HOST_CLOCK_HPET,
    .parent = TYPE_HOST_CLOCK_DEV,
    .instance_size = sizeof(HostClockHpet),
    .instance_init = hpet_init,
    .class_init = hpet_class_init,
};
module_obj("host-clock-hpet");

static void hpet_register_types(void)
{
    type_register_static(&hpet_info);
}

type_init(hpet_register_types)
