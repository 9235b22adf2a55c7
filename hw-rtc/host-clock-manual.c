/*
 * Host clock "manual": moves only when told, over QMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Resolution:   1 ns
 * Epoch:        mono: 0 when created; wall: property "wall", or else the
 *               host's UTC at that moment
 * Host suspend: no effect
 * Step:         when told; mono does not notice it
 * Privilege:    none
 * Failures:     none
 *
 * For tests, time travel and co-simulation.  Time moves by host-clock-advance,
 * which stops at every deadline on the way and runs its timers there, so that
 * these see the very nanosecond for which they asked.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-clock.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "host-clock-internal.h"

#define TYPE_HOST_CLOCK_MANUAL TYPE_HOST_CLOCK "-manual"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockManual, HOST_CLOCK_MANUAL)

struct HostClockManual {
    HostClock parent_obj;

    char *wall;

    /* Written with the BQL, read without */
    QemuSeqLock lock;
    int64_t mono_ns;
    int64_t wall_ns;
};

static bool parse_wall(const char *str, int64_t *wall_ns, Error **errp)
{
    g_autofree char *utc = g_strconcat(str, "Z", NULL);
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(utc, NULL);
    int64_t seconds = date ? g_date_time_to_unix(date) : -1;

    if (seconds < 0 || seconds > INT64_MAX / NANOSECONDS_PER_SECOND) {
        error_setg(errp, "wall=%s: not a date from 1970-01-01T00:00:00 to "
                   "2262-04-11T23:47:16 (UTC)", str);
        return false;
    }
    *wall_ns = seconds * NANOSECONDS_PER_SECOND;
    return true;
}

static bool manual_open(HostClock *hc, Error **errp)
{
    HostClockManual *m = HOST_CLOCK_MANUAL(hc);

    seqlock_init(&m->lock);
    m->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    return !m->wall || parse_wall(m->wall, &m->wall_ns, errp);
}

static void manual_close(HostClock *hc)
{
}

static int manual_read(HostClock *hc, HostClockParts parts,
                       HostClockReading *reading)
{
    HostClockManual *m = (HostClockManual *)hc;
    unsigned seq;

    do {
        seq = seqlock_read_begin(&m->lock);
        reading->mono_ns = m->mono_ns;
        reading->wall_ns = m->wall_ns;
    } while (seqlock_read_retry(&m->lock, seq));
    return 0;
}

/* Deadlines are looked up when time moves. */
static int64_t manual_arm(HostClock *hc, HostClockViewType view,
                          int64_t deadline_ns)
{
    return INT64_MAX;
}

static const char *manual_alarm_name(HostClock *hc)
{
    return "when told";
}

static void manual_move(HostClockManual *m, int64_t mono_ns, int64_t wall_ns)
{
    seqlock_write_begin(&m->lock);
    m->mono_ns += mono_ns;
    m->wall_ns += wall_ns;
    seqlock_write_end(&m->lock);
}

/* How far time can move before a timer of any view is due */
static int64_t manual_next_ns(HostClock *hc, int64_t at_most_ns)
{
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        int64_t delta_ns = hc->views[i] ?
                           timerlist_deadline_ns(hc->views[i]->timers) : -1;

        if (delta_ns >= 0) {
            at_most_ns = MIN(at_most_ns, delta_ns);
        }
    }
    return at_most_ns;
}

static void manual_run_timers(HostClock *hc)
{
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (hc->views[i]) {
            host_clock_view_expired(hc->views[i]);
        }
    }
}

static HostClockManual *manual_find(const char *id, Error **errp)
{
    HostClock *hc = host_clock_find(id, errp);

    if (hc && !object_dynamic_cast(OBJECT(hc), TYPE_HOST_CLOCK_MANUAL)) {
        error_setg(errp, "host clock '%s' is a %s; only a "
                   TYPE_HOST_CLOCK_MANUAL " moves when told", id,
                   object_get_typename(OBJECT(hc)));
        return NULL;
    }
    return hc ? HOST_CLOCK_MANUAL(hc) : NULL;
}

void qmp_host_clock_advance(const char *id, int64_t ns, Error **errp)
{
    HostClockManual *m = manual_find(id, errp);
    int64_t sum;

    if (!m) {
        return;
    }
    if (ns < 0 || sadd64_overflow(m->mono_ns, ns, &sum) ||
        sadd64_overflow(m->wall_ns, ns, &sum)) {
        error_setg(errp, "ns=%" PRId64 ": time cannot advance by that much",
                   ns);
        return;
    }
    do {
        int64_t step_ns = manual_next_ns(HOST_CLOCK(m), ns);

        manual_move(m, step_ns, step_ns);
        manual_run_timers(HOST_CLOCK(m));
        ns -= step_ns;
    } while (ns > 0);
}

void qmp_host_clock_step(const char *id, int64_t ns, Error **errp)
{
    HostClockManual *m = manual_find(id, errp);
    int64_t sum;

    if (!m) {
        return;
    }
    if (sadd64_overflow(m->wall_ns, ns, &sum) || sum < 0) {
        error_setg(errp, "ns=%" PRId64 ": wall time cannot step there", ns);
        return;
    }
    manual_move(m, 0, ns);
    /* The core does not take notice of a step below its tolerance. */
    manual_run_timers(HOST_CLOCK(m));
    host_clock_check_step(HOST_CLOCK(m), true);
    host_clock_deliver_events(HOST_CLOCK(m));
}

static char *manual_get_wall(Object *obj, Error **errp)
{
    return g_strdup(HOST_CLOCK_MANUAL(obj)->wall);
}

static void manual_set_wall(Object *obj, const char *value, Error **errp)
{
    HostClockManual *m = HOST_CLOCK_MANUAL(obj);

    if (HOST_CLOCK(obj)->opened) {
        error_setg(errp, "'wall' cannot be set now; use host-clock-step");
        return;
    }
    g_free(m->wall);
    m->wall = g_strdup(value);
}

static void manual_finalize(Object *obj)
{
    g_free(HOST_CLOCK_MANUAL(obj)->wall);
}

static void manual_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "moves only when told, over QMP";
    k->rating = 0;
    k->mono_is_trusted = true;
    k->open = manual_open;
    k->close = manual_close;
    k->read = manual_read;
    k->arm = manual_arm;
    k->alarm_name = manual_alarm_name;

    object_class_property_add_str(oc, "wall", manual_get_wall,
                                  manual_set_wall);
    object_class_property_set_description(oc, "wall",
        "UTC with which the clock starts, such as 2038-01-19T03:14:00");
}

static const TypeInfo manual_info = {
    .name = TYPE_HOST_CLOCK_MANUAL,
    .parent = TYPE_HOST_CLOCK,
    .instance_size = sizeof(HostClockManual),
    .instance_finalize = manual_finalize,
    .class_init = manual_class_init,
};

static void manual_register_types(void)
{
    type_register_static(&manual_info);
}

type_init(manual_register_types)
