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
 * The counter is looked at every few seconds, and interpolated in between; with
 * sampling=off it is read each time.  See host-clock-hpet-looks.c.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "host-clock-hpet.h"

#include <sys/ioctl.h>
#include <linux/hpet.h>

/* Documentation/admin-guide/devices.txt */
#define HPET_MAJOR          10
#define HPET_MINOR          228

/* With sampling=off, more than looks at the same counter can differ by */
#define DIRECT_SLACK_NS     (100 * SCALE_US)

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
    hpet_detach_unless_held(h);
}

/* Opening and closing */

static bool hpet_open(HostClock *hc, Error **errp)
{
    HostClockHpet *h = HOST_CLOCK_HPET(hc);

    h->timer = host_clock_os_timer_new(HOST_CLOCK_OS_MONOTONIC, hpet_timer, h,
                                       errp);
    if (!h->timer) {
        return false;
    }
    if (!hpet_start_looks(h, errp)) {
        host_clock_os_timer_free(h->timer);
        return false;
    }
    hpet_hold(h);
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
