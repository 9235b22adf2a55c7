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
 * The kernel lets nobody look at the counter who does not have the device open,
 * and that takes a comparator, of which there are few; a mapping keeps the
 * device open (drivers/char/hpet.c).  So the counter is mapped for a look every
 * few seconds, which takes some microseconds, and interpolated in between
 * (host-clock-sampler.h).  Any number of VMs can share it like this.
 *
 * A VM whose alarm is the device, or that reads the counter each time
 * (sampling=off), keeps its comparator; but not the last one.
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

/* While all comparators are taken, by VMs that look, try again. */
#define BUSY_WAIT_NS        (20 * SCALE_MS)
#define OPEN_TRIES          200
/* For so long a look may fail like that before something is wrong. */
#define BUSY_MAX_NS         (60LL * NANOSECONDS_PER_SECOND)
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
    /* CLOCK_MONOTONIC_RAW at the last look, and whether the next was possible */
    int64_t looked_ns;
    bool is_busy;

    /* Highest time handed out with sampling=off */
    Stat64 floor;
};

/* Having the device, for a look or for longer */

static bool hpet_must_hold(HostClockHpet *h)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);

    return dev->fdname || dev->alarm_ready || !h->sampling;
}

static int hpet_attach(HostClockHpet *h, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    int ret = 0;

    if (dev->fd < 0) {
        ret = host_clock_dev_open(dev, errp);
    }
    if (ret == 0 && !h->counter.regs) {
        ret = hpet_counter_map(&h->counter, dev->fd, dev->name, errp);
    }
    return ret;
}

static void hpet_detach(HostClockHpet *h)
{
    hpet_counter_unmap(&h->counter);
    host_clock_dev_close(HOST_CLOCK_DEV(h));
}

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

static void hpet_take_look(HostClockHpet *h)
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
    h->looked_ns = look.raw_ns[1];
}

static void hpet_look(HostClockHpet *h)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    Error *err = NULL;
    int ret = hpet_attach(h, &err);

    h->is_busy = ret == -EBUSY;
    if (ret == 0) {
        hpet_take_look(h);
    } else if (!h->is_busy ||
               host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW) -
               h->looked_ns > BUSY_MAX_NS) {
        host_clock_dev_failed(dev, "%s", error_get_pretty(err));
    }
    error_free(err);
    if (!hpet_must_hold(h)) {
        hpet_detach(h);
    }
}

static void hpet_arm_timer(HostClockHpet *h)
{
    int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    int64_t wait_ns = h->looks < FAST_LOOKS ? FAST_NS : SLOW_NS;

    if (HOST_CLOCK(h)->state != HOST_CLOCK_STATE_RUNNING) {
        wait_ns = FAST_NS;
    } else if (h->is_busy) {
        wait_ns = g_random_int_range(1, BUSY_WAIT_NS);
    }
    host_clock_os_timer_arm(h->timer, now_ns + wait_ns);
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

/* Who takes the last comparator keeps others from looking at the counter. */
static bool hpet_is_last_comparator(HostClockDev *dev)
{
    int fd = host_clock_os_dev_open(dev->name, NULL);

    if (fd >= 0) {
        host_clock_os_dev_close(fd);
    }
    return fd == -EBUSY;
}

/* Keep the device, if that is wanted and does no harm.  fd= takes any. */
static void hpet_hold(HostClockHpet *h)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    bool alarm = dev->alarm == HOST_CLOCK_ALARM_DEVICE;

    if (!dev->fdname && (alarm || !h->sampling) &&
        hpet_is_last_comparator(dev)) {
        host_clock_dev_degrade(dev, "%s cannot be had: %s has one comparator "
                               "left, which other VMs need; fd= would take it",
                               alarm ? "alarm=device" : "sampling=off",
                               dev->name);
        h->sampling = true;
    } else if (alarm) {
        host_clock_dev_start_alarm(dev);
    }
    if (!hpet_must_hold(h)) {
        hpet_detach(h);
    }
}

/* Opening and closing */

static bool hpet_attach_patiently(HostClockHpet *h, Error **errp)
{
    Error *err = NULL;
    int ret, tries = OPEN_TRIES;

    while ((ret = hpet_attach(h, &err)) == -EBUSY && --tries) {
        error_free(err);
        err = NULL;
        host_clock_os_sleep_ns(g_random_int_range(1, BUSY_WAIT_NS));
    }
    if (ret == -EBUSY) {
        error_append_hint(&err, "All comparators of the HPET are in use, or "
                          "the host has none.\n");
    }
    error_propagate(errp, err);
    return ret == 0;
}

static bool hpet_open(HostClock *hc, Error **errp)
{
    HostClockHpet *h = HOST_CLOCK_HPET(hc);
    HostClockLook look;

    h->timer = host_clock_os_timer_new(HOST_CLOCK_OS_MONOTONIC, hpet_timer, h,
                                       errp);
    if (!h->timer) {
        return false;
    }
    if (!hpet_attach_patiently(h, errp) ||
        !hpet_counter_start(&h->counter, HOST_CLOCK_DEV(h)->name, errp)) {
        hpet_detach(h);
        host_clock_os_timer_free(h->timer);
        return false;
    }
    hpet_counter_look(&h->counter, &look);
    host_clock_sampler_start(&h->sampler, &look);
    h->looked_ns = look.raw_ns[1];
    host_clock_dev_works(HOST_CLOCK_DEV(h));
    hpet_hold(h);
    hpet_arm_timer(h);
    return true;
}

static void hpet_close(HostClock *hc)
{
    host_clock_os_timer_free(HOST_CLOCK_HPET(hc)->timer);
    hpet_detach(HOST_CLOCK_HPET(hc));
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
