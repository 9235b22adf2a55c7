/*
 * Host clocks: the device of a source that samples, and its interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * With alarm=device the periodic interrupts of the device wake the emulator up:
 * they are on while the main loop waits for something on the host clock's time.
 * It sleeps a little longer then, so that an alarm is late by up to one period
 * and never early; the end of the sleep is a backup.  An iothread, which the
 * device cannot wake up, sleeps exactly.  An aio_poll() that is nested in the
 * main loop is not woken up either, and waits for the backup.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-visit-host-clock-types.h"
#include "block/aio.h"
#include "qemu/ctype.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "host-clock-internal.h"
#include "host-clock-sampled.h"

#define ALARM_HZ_MAX    8192
/* A busy host delays an interrupt by less; a guest can take a tick so late. */
#define BACKUP_NS       (20 * SCALE_MS)
/* So many in vain cost less than to switch them on for each deadline. */
#define IDLE_INTERRUPTS 64

/* Opening and closing */

static bool is_kind(HostClockSampledClass *k, const HostClockOsDevId *id)
{
    /* A line is "MAJOR NAME". */
    g_autofree char *line = g_strdup_printf("\n%3u %s\n", id->major,
                                            k->driver ?: "");
    char text[4096];

    return k->driver ?
           host_clock_os_read_file("/proc/devices", text, sizeof(text)) > 0 &&
           strstr(text, line) :
           id->major == k->number.major && id->minor == k->number.minor;
}

static int check_kind(HostClockSampled *s, const char *path, int fd,
                      Error **errp)
{
    HostClockSampledClass *k = HOST_CLOCK_SAMPLED_GET_CLASS(s);
    const char *option = s->device ? "device=" : "";
    HostClockOsDevId id;
    int ret = host_clock_os_dev_id(path, fd, &id);

    if (ret < 0 && ret != -ENOTTY) {
        error_setg_errno(errp, -ret, "%s%s", option, s->name);
        return ret;
    }
    if (ret == 0 && id.major == s->id.major && id.minor == s->id.minor) {
        return 0;
    }
    if (ret < 0 || !is_kind(k, &id)) {
        error_setg(errp, "%s%s is not %s, such as %s", option, s->name, k->kind,
                   k->default_device);
        return -EINVAL;
    }
    s->id = id;
    return 0;
}

static bool can_be_looked_up(HostClockSampled *s)
{
    return !s->fdname && !strstart(s->name, "/dev/fdset/", NULL);
}

static int open_device(HostClockSampled *s, Error **errp)
{
    if (s->fdname) {
        if (s->id.major) {
            /* It was closed, and its number may be another file's by now. */
            error_setg(errp, "%s is gone", s->name);
            return -ENODEV;
        }
        /* A number may be of anything QEMU has open; a name is ours now. */
        s->fd_is_ours = !qemu_isdigit(s->fdname[0]);
        return host_clock_os_dev_fd_param(s->fdname, errp);
    }
    s->fd_is_ours = true;
    return (can_be_looked_up(s) ? check_kind(s, s->name, -1, errp) : 0) ?:
           host_clock_os_dev_open(s->name, errp);
}

int host_clock_sampled_fd(HostClockSampled *s, Error **errp)
{
    int ret = 0;

    if (s->fd < 0) {
        s->fd = open_device(s, errp);
        /* The path may be that of another file by now. */
        ret = s->fd < 0 ? s->fd : check_kind(s, NULL, s->fd, errp);
    }
    if (ret < 0) {
        host_clock_sampled_release(s, true);
    }
    return ret ?: s->fd;
}

bool host_clock_sampled_identify(HostClockSampled *s, Error **errp)
{
    if (s->device && s->fdname) {
        error_setg(errp, "device=%s and fd=%s exclude each other", s->device,
                   s->fdname);
        return false;
    }
    if (s->alarm_hz < 2 || s->alarm_hz > ALARM_HZ_MAX ||
        !is_power_of_2(s->alarm_hz)) {
        error_setg(errp, "alarm-hz=%" PRIu32 ": not a power of two from 2 to "
                   "%d", s->alarm_hz, ALARM_HZ_MAX);
        return false;
    }
    s->name = s->fdname ? g_strconcat("fd=", s->fdname, NULL) :
              g_strdup(s->device ?:
                       HOST_CLOCK_SAMPLED_GET_CLASS(s)->default_device);
    HOST_CLOCK(s)->device = s->name;
    return can_be_looked_up(s) ? check_kind(s, s->name, -1, errp) == 0 :
                                 host_clock_sampled_fd(s, errp) >= 0;
}

static void alarm_switch(HostClockSampled *s, bool on)
{
    HostClockSampledClass *k = HOST_CLOCK_SAMPLED_GET_CLASS(s);

    if (on != s->alarm_on &&
        host_clock_os_dev_ioctl(s->fd, on ? k->alarm_on : k->alarm_off,
                                NULL) >= 0) {
        qatomic_set(&s->alarm_on, on);
        s->idle_interrupts = 0;
    }
}

void host_clock_sampled_release(HostClockSampled *s, bool always)
{
    if (!always && (s->fdname || s->alarm_ready)) {
        return;
    }
    if (s->alarm_ready) {
        alarm_switch(s, false);
        host_clock_os_dev_watch(s->fd, NULL, NULL);
        main_loop_poll_remove_notifier(&s->poll_notifier);
        s->alarm_ready = false;
        HOST_CLOCK(s)->alarm_name = "main loop";
        qatomic_set(&s->alarm_on, false);
    }
    if (s->fd >= 0 && s->fd_is_ours) {
        host_clock_os_dev_close(s->fd);
    }
    s->fd = -1;
}

/* Interrupts */

static int64_t sampled_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    HostClockSampled *s = (HostClockSampled *)hc;
    int64_t sleep_ns = host_clock_default_sleep_ns(hc, delta_ns);

    /* Only the last of several sleeps */
    return sleep_ns == delta_ns && qatomic_read(&s->alarm_on) &&
           qemu_get_current_aio_context() == qemu_get_aio_context() ?
           delta_ns + BACKUP_NS : sleep_ns;
}

int64_t host_clock_sampled_deadline_ns(HostClockSampled *s)
{
    int64_t ns;

    if (!host_clock_is_machines(HOST_CLOCK(s))) {
        return -1;
    }
    ns = host_clock_views_deadline_ns();
    if (host_clock_drives_vm()) {
        ns = qemu_soonest_timeout(ns,
            timerlist_deadline_ns(main_loop_tlg.tl[QEMU_CLOCK_VIRTUAL]));
    }
    return host_clock_until_machine_ns(HOST_CLOCK(s), ns);
}

static bool is_awaited(HostClockSampled *s)
{
    return host_clock_sampled_deadline_ns(s) >= 0;
}

/* A device that is gone is always readable: do not watch it any longer. */
static void device_readable(void *opaque)
{
    HostClockSampled *s = opaque;
    unsigned long data;
    ssize_t len = host_clock_os_dev_read(s->fd, &data, sizeof(data));

    if (len == -EAGAIN) {
        return;
    }
    if (len != sizeof(data)) {
        host_clock_report_degraded(HOST_CLOCK(s), "reading %s: %s; it has no "
                                   "more interrupts", s->name, len < 0 ?
                                   strerror(-len) : "short read");
        host_clock_sampled_release(s, true);
        return;
    }
    s->idle_interrupts = is_awaited(s) ? 0 : s->idle_interrupts + 1;
    if (s->idle_interrupts > IDLE_INTERRUPTS) {
        alarm_switch(s, false);
    }
    /* The main loop runs its own timers whenever it has woken up. */
    host_clock_views_run();
}

static void main_loop_polls(Notifier *notifier, void *data)
{
    HostClockSampled *s = container_of(notifier, HostClockSampled,
                                       poll_notifier);

    if (((MainLoopPoll *)data)->state == MAIN_LOOP_POLL_FILL && is_awaited(s)) {
        alarm_switch(s, true);
    }
}

/* Only switching them on shows whether they can be had. */
static int set_rate(HostClockSampled *s)
{
    HostClockSampledClass *k = HOST_CLOCK_SAMPLED_GET_CLASS(s);
    uint32_t hz = s->alarm_hz;
    int ret;

    do {
        ret = host_clock_os_dev_ioctl(s->fd, k->alarm_rate,
                                      (void *)(uintptr_t)hz) ?:
              host_clock_os_dev_ioctl(s->fd, k->alarm_on, NULL);
    } while (ret == -EACCES && (hz /= 2) >= 2);

    host_clock_os_dev_ioctl(s->fd, k->alarm_off, NULL);
    if (ret == 0 && hz < s->alarm_hz) {
        host_clock_report_degraded(HOST_CLOCK(s), "alarm-hz=%" PRIu32 " is "
                                   "more than the kernel lets ordinary users "
                                   "have of %s; the alarm has %" PRIu32 " Hz",
                                   s->alarm_hz, s->name, hz);
    }
    return ret;
}

/* fd= takes the last place, too: somebody has kept it for us. */
static bool is_last_place(HostClockSampled *s)
{
    int fd = -1;

    if (HOST_CLOCK_SAMPLED_GET_CLASS(s)->is_shared && !s->fdname) {
        fd = host_clock_os_dev_open(s->name, NULL);
    }
    if (fd >= 0) {
        host_clock_os_dev_close(fd);
    }
    return fd == -EBUSY;
}

static bool start_alarm(HostClockSampled *s)
{
    const char *reason = "others need the last place, which fd= would take";
    int ret = host_clock_sampled_fd(s, NULL);

    if (ret < 0 || !is_last_place(s)) {
        ret = ret < 0 ? ret : set_rate(s);
        if (ret >= 0) {
            return true;
        }
        reason = strerror(-ret);
    }
    host_clock_report_degraded(HOST_CLOCK(s), "alarm=device: no interrupts "
                               "from %s (%s); the main loop wakes up by itself",
                               s->name, reason);
    return false;
}

void host_clock_sampled_hold(HostClockSampled *s)
{
    if (s->fdname) {
        host_clock_os_dev_own_fd(s->fd);
        s->fd_is_ours = true;
    }
    if (s->alarm == HOST_CLOCK_ALARM_DEVICE && start_alarm(s)) {
        s->alarm_ready = true;
        HOST_CLOCK(s)->alarm_name = "device interrupts";
        host_clock_os_dev_watch(s->fd, device_readable, s);
        s->poll_notifier.notify = main_loop_polls;
        main_loop_poll_add_notifier(&s->poll_notifier);
    }
    host_clock_sampled_release(s, false);
}

/* Properties */

HOST_CLOCK_PROPERTY(HOST_CLOCK_SAMPLED, device, visit_type_str, g_free)
HOST_CLOCK_PROPERTY(HOST_CLOCK_SAMPLED, fdname, visit_type_str, g_free)
HOST_CLOCK_PROPERTY(HOST_CLOCK_SAMPLED, alarm, visit_type_HostClockAlarm,
                    (void))
HOST_CLOCK_PROPERTY(HOST_CLOCK_SAMPLED, alarm_hz, visit_type_uint32, (void))

void host_clock_sampled_dev_class_init(HostClockClass *k)
{
    ObjectClass *oc = OBJECT_CLASS(k);

    k->sleep_ns = sampled_sleep_ns;

    object_class_property_add(oc, "device", "string", get_device, set_device,
                              NULL, NULL);
    object_class_property_set_description(oc, "device", "path of the device");
    object_class_property_add(oc, "fd", "string", get_fdname, set_fdname,
                              NULL, NULL);
    object_class_property_set_description(oc, "fd",
        "the device as an open file descriptor, in place of its path");
    object_class_property_add(oc, "alarm", "HostClockAlarm", get_alarm,
                              set_alarm, NULL, NULL);
    object_class_property_set_description(oc, "alarm",
        "what wakes QEMU up: its main loop, or the device's interrupts");
    object_class_property_add(oc, "alarm-hz", "uint32", get_alarm_hz,
                              set_alarm_hz, NULL, NULL);
    object_class_property_set_description(oc, "alarm-hz",
        "interrupts a second with alarm=device");
}
