/*
 * Host clocks: what sources that open a device have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * An alarm made of a device's periodic interrupts is on while a deadline is
 * pending: at each interrupt the views whose time has come run their timers, so
 * an alarm is late by up to one period and never early.  Should the device stop
 * to interrupt, the core's own timer backs it up.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "host-clock-dev.h"

/*
 * The core's timer takes over this long after a deadline: a busy host delays an
 * interrupt by less, and a guest takes no harm from a tick so late.
 */
#define BACKUP_NS   (20 * SCALE_MS)

/* A device that comes and goes is not back, and not worth a message each. */
#define BACK_NS     NANOSECONDS_PER_SECOND

/* BOOTTIME and MONOTONIC are not read at once: this is no suspend yet. */
#define SLEPT_MIN_NS    (100 * SCALE_MS)
/* The kernel measures a suspend with an RTC, in whole seconds. */
#define SLEPT_SLACK_NS  (2 * NANOSECONDS_PER_SECOND)

/*
 * The alarm is switched off after so many interrupts that nobody waited for: to
 * switch it on for each deadline would cost more than to leave it on.
 */
#define IDLE_INTERRUPTS 64

/* State */

void host_clock_dev_degrade(HostClockDev *dev, const char *fmt, ...)
{
    HostClock *hc = HOST_CLOCK(dev);
    g_autofree char *what = NULL;
    va_list ap;

    if (fmt) {
        va_start(ap, fmt);
        what = g_strdup_vprintf(fmt, ap);
        va_end(ap);
    }
    if (g_strcmp0(what, dev->degraded) == 0) {
        return;
    }
    if (what) {
        warn_report("host clock '%s': %s", host_clock_name(hc), what);
    }
    g_free(dev->degraded);
    dev->degraded = g_steal_pointer(&what);
    if (hc->state == HOST_CLOCK_STATE_RUNNING) {
        host_clock_set_state(hc, hc->state, dev->degraded);
    }
}

void host_clock_dev_failed(HostClockDev *dev, const char *fmt, ...)
{
    HostClock *hc = HOST_CLOCK(dev);
    g_autofree char *what = NULL;
    va_list ap;

    dev->failed_at_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    if (hc->state == HOST_CLOCK_STATE_RUNNING) {
        va_start(ap, fmt);
        what = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        host_clock_set_state(hc, HOST_CLOCK_STATE_HOLDOVER, what);
    }
}

/* How long the host has been suspended since it was booted */
static int64_t host_suspended_ns(void)
{
    int64_t ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);

    return host_clock_os_now_ns(HOST_CLOCK_OS_BOOTTIME) - ns;
}

bool host_clock_dev_slept(HostClockDev *dev, int64_t jump_ns)
{
    int64_t slept_ns = host_suspended_ns() - dev->suspended_ns;
    int64_t differ_ns = jump_ns - slept_ns;

    return slept_ns > SLEPT_MIN_NS &&
           ABS(differ_ns) <= SLEPT_SLACK_NS + slept_ns / 100;
}

void host_clock_dev_works(HostClockDev *dev)
{
    HostClock *hc = HOST_CLOCK(dev);

    dev->suspended_ns = host_suspended_ns();
    if (hc->state != HOST_CLOCK_STATE_RUNNING &&
        host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC) - dev->failed_at_ns >=
        BACK_NS) {
        host_clock_set_state(hc, HOST_CLOCK_STATE_RUNNING, dev->degraded);
    }
}

/* The alarm */

void host_clock_dev_run_timers(HostClockDev *dev)
{
    HostClock *hc = HOST_CLOCK(dev);

    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (hc->views[i] && timerlist_expired(hc->views[i]->timers)) {
            host_clock_view_expired(hc->views[i]);
        }
    }
}

static bool any_deadline(HostClockDev *dev)
{
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (dev->deadline_ns[i] != INT64_MAX) {
            return true;
        }
    }
    return false;
}

static int64_t dev_arm(HostClock *hc, HostClockViewType view,
                       int64_t deadline_ns)
{
    HostClockDev *dev = (HostClockDev *)hc;

    QEMU_LOCK_GUARD(&dev->lock);
    dev->deadline_ns[view] = deadline_ns;
    if (dev->alarm_ready && !dev->alarm_on && any_deadline(dev)) {
        /* If this fails the core's timer is the alarm. */
        dev->alarm_on = HOST_CLOCK_DEV_GET_CLASS(dev)->enable(dev, true) == 0;
    }
    return dev->alarm_on ? BACKUP_NS : 0;
}

static void dev_alarm_interrupt(HostClockDev *dev)
{
    host_clock_dev_run_timers(dev);
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        dev->idle_interrupts = any_deadline(dev) ? 0 : dev->idle_interrupts + 1;
        if (dev->alarm_on && dev->idle_interrupts > IDLE_INTERRUPTS) {
            HOST_CLOCK_DEV_GET_CLASS(dev)->enable(dev, false);
            dev->alarm_on = false;
        }
    }
}

static const char *dev_alarm_name(HostClock *hc)
{
    return HOST_CLOCK_DEV(hc)->alarm_ready ? "device interrupts" :
                                             host_clock_os_alarm_name();
}

static const char *dev_device(HostClock *hc)
{
    return HOST_CLOCK_DEV(hc)->name;
}

/* What an ordinary user may have, as a power of two; 0 if nobody knows. */
static uint32_t limit_hz(HostClockDev *dev, char **file)
{
    char buf[32];
    unsigned int hz;

    *file = HOST_CLOCK_DEV_GET_CLASS(dev)->limit_file(dev);
    if (host_clock_os_read_file(*file, buf, sizeof(buf)) <= 0 ||
        qemu_strtoui(g_strstrip(buf), NULL, 10, &hz) < 0) {
        return 0;
    }
    return pow2floor(hz);
}

/* Only switching them on shows whether they can be had. */
static int try_rate(HostClockDev *dev, uint32_t hz)
{
    HostClockDevClass *k = HOST_CLOCK_DEV_GET_CLASS(dev);
    int ret = k->set_rate(dev, hz);

    if (ret == 0) {
        ret = k->enable(dev, true);
    }
    if (ret == 0) {
        k->enable(dev, false);
    }
    return ret;
}

void host_clock_dev_no_alarm(HostClockDev *dev, const char *reason)
{
    host_clock_dev_degrade(dev, "alarm=device: no interrupts from %s (%s); a "
                           "timerfd takes their place", dev->name, reason);
}

void host_clock_dev_start_alarm(HostClockDev *dev)
{
    g_autofree char *file = NULL;
    int ret = try_rate(dev, dev->alarm_hz);

    if (ret == -EACCES) {
        uint32_t hz = limit_hz(dev, &file);

        if (hz && hz < dev->alarm_hz) {
            ret = try_rate(dev, hz);
        }
        if (ret == 0) {
            host_clock_dev_degrade(dev, "alarm-hz=%" PRIu32 " is more than %s "
                                   "lets ordinary users have; the alarm has "
                                   "%" PRIu32 " Hz", dev->alarm_hz, file, hz);
        }
    }
    if (ret < 0) {
        host_clock_dev_no_alarm(dev, strerror(-ret));
        return;
    }
    if (!file) {
        host_clock_dev_degrade(dev, NULL);
    }
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        dev->alarm_ready = true;
    }
}

/* The device */

/* A device that is gone is always readable: do not look at it again. */
static void dev_gone(HostClockDev *dev, ssize_t len)
{
    host_clock_dev_degrade(dev, "reading %s: %s; it has no more interrupts",
                           dev->name, len < 0 ? strerror(-len) : "short read");
    host_clock_dev_close(dev);
}

static void dev_readable(void *opaque)
{
    HostClockDev *dev = opaque;
    HostClockDevClass *k = HOST_CLOCK_DEV_GET_CLASS(dev);
    unsigned long data = 0;
    ssize_t len = host_clock_os_dev_read(dev->fd, &data, sizeof(data));

    if (len == -EAGAIN || len == -EINTR) {
        return;
    }
    if (len != sizeof(data)) {
        dev_gone(dev, len);
        return;
    }
    if (k->interrupt) {
        k->interrupt(dev, data);
    }
    dev_alarm_interrupt(dev);
}

static int dev_check_kind(HostClockDev *dev, const char *path, int fd,
                          Error **errp)
{
    HostClockDevClass *k = HOST_CLOCK_DEV_GET_CLASS(dev);
    const char *option = dev->device ? "device=" : "";
    int ret = host_clock_os_dev_id(path, fd, &dev->id);

    if (ret == 0 && k->is_kind(&dev->id)) {
        return 0;
    }
    if (ret < 0 && ret != -ENOTTY) {
        error_setg_errno(errp, -ret, "%s%s", option, dev->name);
        return ret;
    }
    error_setg(errp, "%s%s is not %s, such as %s", option, dev->name, k->kind,
               k->default_device);
    return -ENODEV;
}

int host_clock_dev_open(HostClockDev *dev, Error **errp)
{
    int fd, ret;

    if (dev->device && dev->fdname) {
        error_setg(errp, "device=%s and fd=%s exclude each other", dev->device,
                   dev->fdname);
        return -EINVAL;
    }
    if (dev->fd_taken) {
        /* It is closed, and its number may be that of another file by now. */
        error_setg(errp, "%s has been used before", dev->name);
        return -EBADF;
    }
    dev->fd_taken = dev->fdname;
    if (!dev->fdname && !strstart(dev->name, "/dev/fdset/", NULL)) {
        ret = dev_check_kind(dev, dev->name, -1, errp);
        if (ret < 0) {
            return ret;
        }
    }
    fd = dev->fdname ? host_clock_os_dev_open_fd(dev->fdname, errp) :
                       host_clock_os_dev_open(dev->name, errp);
    if (fd < 0) {
        return fd;
    }
    /* The path may be that of another file by now. */
    ret = dev_check_kind(dev, NULL, fd, errp);
    if (ret < 0) {
        host_clock_os_dev_close(fd);
        return ret;
    }
    dev->fd = fd;
    host_clock_os_dev_watch(fd, dev_readable, dev);
    return 0;
}

void host_clock_dev_close(HostClockDev *dev)
{
    if (dev->fd < 0) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&dev->lock) {
        if (dev->alarm_on) {
            HOST_CLOCK_DEV_GET_CLASS(dev)->enable(dev, false);
        }
        dev->alarm_ready = false;
        dev->alarm_on = false;
    }
    host_clock_os_dev_watch(dev->fd, NULL, NULL);
    host_clock_os_dev_close(dev->fd);
    dev->fd = -1;
}

/* Properties */

bool host_clock_dev_may_set(HostClockDev *dev, const char *name, Error **errp)
{
    if (HOST_CLOCK(dev)->opened) {
        error_setg(errp, "'%s' cannot be set once the clock is open", name);
        return false;
    }
    return true;
}

static void set_name(HostClockDev *dev, char *name)
{
    g_free(dev->name);
    dev->name = name;
}

static char *get_device(Object *obj, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);

    return g_strdup(dev->device ?: dev->fdname ? "" : dev->name);
}

static void set_device(Object *obj, const char *value, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);

    if (host_clock_dev_may_set(dev, "device", errp)) {
        g_free(dev->device);
        dev->device = g_strdup(value);
        set_name(dev, g_strdup(value));
    }
}

static char *get_fd(Object *obj, Error **errp)
{
    return g_strdup(HOST_CLOCK_DEV(obj)->fdname);
}

static void set_fd(Object *obj, const char *value, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);

    if (host_clock_dev_may_set(dev, "fd", errp)) {
        g_free(dev->fdname);
        dev->fdname = g_strdup(value);
        set_name(dev, g_strdup_printf("fd=%s", value));
    }
}

static int get_alarm(Object *obj, Error **errp)
{
    return HOST_CLOCK_DEV(obj)->alarm;
}

static void set_alarm(Object *obj, int value, Error **errp)
{
    if (host_clock_dev_may_set(HOST_CLOCK_DEV(obj), "alarm", errp)) {
        HOST_CLOCK_DEV(obj)->alarm = value;
    }
}

static void get_alarm_hz(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    visit_type_uint32(v, name, &HOST_CLOCK_DEV(obj)->alarm_hz, errp);
}

static void set_alarm_hz(Object *obj, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);
    uint32_t max = HOST_CLOCK_DEV_GET_CLASS(dev)->alarm_hz_max, hz;

    if (!host_clock_dev_may_set(dev, name, errp) ||
        !visit_type_uint32(v, name, &hz, errp)) {
        return;
    }
    if (hz < 2 || hz > max || !is_power_of_2(hz)) {
        error_setg(errp, "alarm-hz=%" PRIu32 ": not a power of two from 2 to "
                   "%" PRIu32, hz, max);
        return;
    }
    dev->alarm_hz = hz;
}

static void dev_init(Object *obj)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);

    dev->name = g_strdup(HOST_CLOCK_DEV_GET_CLASS(dev)->default_device);
    dev->fd = -1;
    dev->alarm_hz = 1024;
    qemu_mutex_init(&dev->lock);
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        dev->deadline_ns[i] = INT64_MAX;
    }
}

static void dev_finalize(Object *obj)
{
    HostClockDev *dev = HOST_CLOCK_DEV(obj);

    /* The parent's turn, and with it @close, comes after this. */
    g_clear_pointer(&dev->device, g_free);
    g_clear_pointer(&dev->fdname, g_free);
    g_clear_pointer(&dev->name, g_free);
    g_clear_pointer(&dev->degraded, g_free);
}

static void dev_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->alarm_clock = HOST_CLOCK_OS_MONOTONIC;
    k->rate_differs = true;
    k->arm = dev_arm;
    k->alarm_name = dev_alarm_name;
    k->device = dev_device;

    object_class_property_add_str(oc, "device", get_device, set_device);
    object_class_property_set_description(oc, "device", "path of the device");
    object_class_property_add_str(oc, "fd", get_fd, set_fd);
    object_class_property_set_description(oc, "fd",
        "the device as an open file descriptor, in place of its path");
    object_class_property_add_enum(oc, "alarm", "HostClockAlarm",
                                   &HostClockAlarm_lookup, get_alarm,
                                   set_alarm);
    object_class_property_set_description(oc, "alarm",
        "what wakes QEMU up: timerfd, or the device's interrupts");
    object_class_property_add(oc, "alarm-hz", "uint32", get_alarm_hz,
                              set_alarm_hz, NULL, NULL);
    object_class_property_set_description(oc, "alarm-hz",
        "interrupts a second with alarm=device");
}

static const TypeInfo dev_info = {
    .name = TYPE_HOST_CLOCK_DEV,
    .parent = TYPE_HOST_CLOCK,
    .abstract = true,
    .instance_size = sizeof(HostClockDev),
    .instance_init = dev_init,
    .instance_finalize = dev_finalize,
    .class_size = sizeof(HostClockDevClass),
    .class_init = dev_class_init,
};

static void dev_register_types(void)
{
    type_register_static(&dev_info);
}

type_init(dev_register_types)
