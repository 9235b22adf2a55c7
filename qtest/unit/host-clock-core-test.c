/*
 * What the tests of the core have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-events-host-clock.h"
#include "monitor/monitor.h"
#include "qemu/config-file.h"
#include "qemu/error-report.h"
#include "qemu/option.h"
#include "../../hw/rtc/host-clock-sampled.h"
#include "host-clock-core-test.h"

/* Made-up sources */

Made made;

static bool made_open(HostClock *hc, Error **errp)
{
    if (made.is_busy) {
        error_setg(errp, "/dev/made is busy");
        return false;
    }
    made.opens++;
    return true;
}

static void made_close(HostClock *hc)
{
    made.closes++;
}

static void made_was_set(HostClock *hc)
{
    made.was_set++;
}

static int64_t plain_mono_ns(HostClock *hc)
{
    int64_t passed_ns = sim_mono_ns() - START_MONO;

    return made.mono_ns + passed_ns +
           (int64_t)((__int128)passed_ns * made.ppb / NANOSECONDS_PER_SECOND);
}

static int64_t paired_mono_ns(HostClock *hc)
{
    return made.mono_ns;
}

static void paired_pair(HostClock *hc, HostClockReading *r)
{
    r->mono_ns = made.mono_ns;
    r->wall_ns = made.wall_ns;
    r->error_ns = made.error_ns;
}

static void plain_class_init(ObjectClass *oc, HostClockClassData data)
{
    HOST_CLOCK_CLASS(oc)->description = "test";
    HOST_CLOCK_CLASS(oc)->mono_ns = plain_mono_ns;
}

static void paired_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "test";
    k->open = made_open;
    k->close = made_close;
    k->clock_was_set = made_was_set;
    k->mono_ns = paired_mono_ns;
    k->pair = paired_pair;
}

static const TypeInfo made_types[] = {
    {
        .name = TYPE_PLAIN,
        .parent = TYPE_HOST_CLOCK,
        .class_init = plain_class_init,
    },
    {
        .name = TYPE_PAIRED,
        .parent = TYPE_HOST_CLOCK,
        .class_init = paired_class_init,
    },
};

/* Opening and choosing */

HostClock *open_clock(const char *name)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj;

    sim_reset(START_MONO, START_REAL);
    memset(&said, 0, sizeof(said));
    obj = sim_object_new(type, "hc0");
    g_assert_nonnull(obj);
    return HOST_CLOCK(obj);
}

HostClock *open_made(const char *name)
{
    memset(&made, 0, sizeof(made));
    made.mono_ns = 5 * SEC;
    made.wall_ns = START_REAL;
    return open_clock(name);
}

void close_clock(HostClock *hc)
{
    sim_object_del(OBJECT(hc));
    /* The machine's clock may have something to tell. */
    sim_advance(100 * MS);
    g_assert_cmpuint(sim_timers(), ==, 0);
}

void choose(HostClock *hc)
{
    g_assert_true(host_clock_choose(hc, &error_abort));
    g_assert_true(host_clock_configure(NULL, &error_abort));
    sim_vm_start();
}

HostClock *choose_clock(const char *name)
{
    HostClock *hc = open_clock(name);

    choose(hc);
    return hc;
}

HostClock *choose_made(const char *name)
{
    HostClock *hc = open_made(name);

    choose(hc);
    return hc;
}

/* Time */

int64_t mono(HostClock *hc)
{
    HostClockReading r;

    host_clock_read(hc, &r);
    return r.mono_ns;
}

int64_t wall(HostClock *hc)
{
    HostClockReading r;

    host_clock_read(hc, &r);
    return r.wall_ns;
}

int64_t view_ns(HostClockViewType type)
{
    return host_clock_view_get_ns(host_clock_view(type));
}

/* Timers */

int shots_fired;

static void shot_cb(void *opaque)
{
    Shot *shot = opaque;

    shot->late_ns = host_clock_view_get_ns(shot->view) - shot->due_ns;
    g_assert_cmpint(shot->late_ns, >=, 0);
    shot->fired++;
    shot->order = ++shots_fired;
}

void shoot(Shot *shot, HostClockViewType type, int64_t in_ns)
{
    *shot = (Shot) { .view = host_clock_view(type) };
    shot->timer = host_clock_view_timer_new_ns(shot->view, shot_cb, shot);
    shot->due_ns = host_clock_view_get_ns(shot->view) + in_ns;
    timer_mod(shot->timer, shot->due_ns);
}

void shot_free(Shot *shot)
{
    timer_free(shot->timer);
}

/* Events and messages, which the linker finds here first */

Said said;

void qapi_event_send_host_clock_step(HostClockStepEvent *event)
{
    /* The system clock's, which comes to be when it is asked for */
    if (!event->id) {
        return;
    }
    said.steps++;
    said.step_ns += event->step_ns;
    said.suspended_ns += event->suspended_ns;
    said.step = *qapi_HostClockStepEvent_base(event);
}

void qapi_event_send_host_clock_lag(const char *device, int64_t lag_ns,
                                    HostClockLagReason reason)
{
    said.lag_ns = lag_ns;
    said.lag_reason = reason;
}

void qapi_event_send_host_clock_state_change(const char *id,
                                             HostClockState state,
                                             const char *reason)
{
    said.states++;
    said.state = state;
    g_strlcpy(said.reason, reason ? reason : "", sizeof(said.reason));
}

void qapi_event_send_host_clock_failover(const char *id, const char *failed,
                                         const char *reason)
{
    said.failovers++;
    g_strlcpy(said.id, id, sizeof(said.id));
    g_strlcpy(said.failed, failed, sizeof(said.failed));
    g_strlcpy(said.reason, reason, sizeof(said.reason));
}

/* A line comes in pieces, with a newline at the end. */
int error_vprintf(const char *fmt, va_list ap)
{
    static GString *line;
    g_autofree char *text = g_strdup_vprintf(fmt, ap);

    if (!line) {
        line = g_string_new(NULL);
    }
    g_string_append(line, text);
    if (g_str_has_suffix(text, "\n")) {
        g_test_message("%s", g_strchomp(line->str));
        g_strlcpy(said.message, line->str, sizeof(said.message));
        said.messages++;
        g_string_truncate(line, 0);
    }
    return strlen(text);
}

int error_vprintf_unless_qmp(const char *fmt, va_list ap)
{
    return error_vprintf(fmt, ap);
}

/* The program */

static QemuOptsList global_opts = {
    .name = "global",
    .head = QTAILQ_HEAD_INITIALIZER(global_opts.head),
    .desc = { { } },
};

void core_test_init(void)
{
    sim_init();
    qemu_add_opts(&global_opts);
    type_register_static_array(made_types, ARRAY_SIZE(made_types));
}

void add_for_sources(const char *path, GTestDataFunc func)
{
    g_autoptr(GSList) classes = object_class_get_list_sorted(TYPE_HOST_CLOCK,
                                                             false);

    for (GSList *item = classes; item; item = item->next) {
        const char *name = object_class_get_name(item->data);
        g_autofree char *full = NULL;

        if (HOST_CLOCK_CLASS(item->data)->is_system ||
            object_class_dynamic_cast(item->data, TYPE_HOST_CLOCK_SAMPLED) ||
            g_str_equal(name, TYPE_PLAIN) || g_str_equal(name, TYPE_PAIRED)) {
            continue;
        }
        name += strlen(HOST_CLOCK_PREFIX);
        full = g_strdup_printf("/host-clock/%s/%s", name, path);
        g_test_add_data_func(full, name, func);
    }
}
