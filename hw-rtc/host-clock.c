/*
 * Host clocks: the sources' life, readings and holdover
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-events-host-clock.h"
#include "block/aio.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "system/replay.h"
#include "host-clock-internal.h"
#include "trace.h"

/* A source that comes and goes has not recovered. */
#define RECOVERY_NS         NANOSECONDS_PER_SECOND

static QLIST_HEAD(, HostClock) open_clocks =
    QLIST_HEAD_INITIALIZER(open_clocks);

const char *host_clock_name(HostClock *hc)
{
    return object_get_typename(OBJECT(hc)) + strlen(HOST_CLOCK_PREFIX);
}

const char *host_clock_id(HostClock *hc)
{
    return object_get_canonical_path_component(OBJECT(hc));
}

HostClock *host_clock_next(HostClock *hc)
{
    return hc ? QLIST_NEXT(hc, next) : QLIST_FIRST(&open_clocks);
}

const HostClockReading *host_clock_start(HostClock *hc)
{
    return &hc->start;
}

/* Readings.  What a source leaves out has its default here, and only here. */

void host_clock_read_pair(HostClock *hc, HostClockReading *r)
{
    const HostClockClass *k = hc->ops;
    int64_t before_ns, after_ns;

    if (k->pair) {
        k->pair(hc, r);
    } else {
        before_ns = k->mono_ns(hc);
        r->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        after_ns = k->mono_ns(hc);
        r->mono_ns = before_ns + (after_ns - before_ns) / 2;
        r->error_ns = (after_ns - before_ns) / 2 + 1;
    }
    if (k->error_ns) {
        r->error_ns += k->error_ns(hc);
    }
}

int64_t host_clock_wall_ns(HostClock *hc)
{
    HostClockReading r;

    if (!hc->ops->pair) {
        return MAX(host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME), 0);
    }
    hc->ops->pair(hc, &r);
    return MAX(r.wall_ns, 0);
}

void host_clock_read(HostClock *hc, HostClockReading *r)
{
    host_clock_check_step(hc, false);
    host_clock_read_pair(hc, r);
    r->wall_ns = MAX(r->wall_ns, 0);
    r->generation = qatomic_read(&hc->generation);
}

/* State */

void host_clock_report_failure(HostClock *hc, const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    va_start(ap, fmt);
    what = g_strdup_vprintf(fmt, ap);
    va_end(ap);

    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        hc->failed_at_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
        if (hc->state == HOST_CLOCK_STATE_HOLDOVER) {
            return;
        }
        hc->state = HOST_CLOCK_STATE_HOLDOVER;
        hc->state_changed = true;
        g_free(hc->failure);
        hc->failure = g_steal_pointer(&what);
    }
    qemu_bh_schedule(hc->event_bh);
}

void host_clock_report_ok(HostClock *hc)
{
    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);

        /* What has not been announced has not ended. */
        if (hc->state == HOST_CLOCK_STATE_RUNNING || hc->state_changed ||
            (hc->state == HOST_CLOCK_STATE_HOLDOVER &&
             now_ns - hc->failed_at_ns < RECOVERY_NS)) {
            return;
        }
        hc->state = HOST_CLOCK_STATE_RUNNING;
        hc->state_changed = true;
    }
    qemu_bh_schedule(hc->event_bh);
}

void host_clock_report_acquired(HostClock *hc)
{
    assert(bql_locked());
    host_clock_forget_steps(hc);
    host_clock_report_ok(hc);
}

void host_clock_report_degraded(HostClock *hc, const char *fmt, ...)
{
    g_autofree char *what = NULL;
    va_list ap;

    if (fmt) {
        va_start(ap, fmt);
        what = g_strdup_vprintf(fmt, ap);
        va_end(ap);
    }
    assert(bql_locked());
    QEMU_LOCK_GUARD(&hc->lock);
    if (g_strcmp0(what, hc->degraded) == 0) {
        return;
    }
    if (what) {
        warn_report("host clock '%s': %s", host_clock_name(hc), what);
    }
    g_free(hc->degraded);
    hc->degraded = g_steal_pointer(&what);
}

static void report_state(HostClock *hc, HostClockState state,
                         const char *failure)
{
    const char *name = host_clock_name(hc);

    if (state == HOST_CLOCK_STATE_HOLDOVER) {
        warn_report("host clock '%s' failed (%s): time goes on at the rate of "
                    "CLOCK_MONOTONIC_RAW", name, failure);
    } else {
        info_report("host clock '%s' %s", name,
                    failure ? "has recovered" : "is running");
        failure = NULL;
    }
    trace_host_clock_state(name, HostClockState_str(state), failure ?: "");
    qapi_event_send_host_clock_state_change(host_clock_id(hc), state, failure);
}

void host_clock_deliver_events(HostClock *hc)
{
    g_autofree char *failure = NULL;
    HostClockState state;
    bool state_changed;

    assert(bql_locked());
    if (!hc->opened) {
        return;
    }
    host_clock_deliver_steps(hc);
    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        state = hc->state;
        state_changed = hc->state_changed;
        hc->state_changed = false;
        failure = g_strdup(hc->failure);
    }
    if (state_changed) {
        report_state(hc, state, failure);
        if (hc == host_clock_machine()) {
            host_clock_failover_look();
        }
    }
}

static void host_clock_event_bh(void *opaque)
{
    host_clock_deliver_events(opaque);
}

/* Life */

OBJECT_DEFINE_TYPE_EXTENDED(HostClock, host_clock, HOST_CLOCK, OBJECT, true,
                            { TYPE_USER_CREATABLE }, { })

static bool host_clock_can_be_deleted(UserCreatable *uc)
{
    HostClock *hc = HOST_CLOCK(uc);

    return hc != host_clock_machine() && !hc->n_children;
}

bool host_clock_may_set(Object *obj, const char *name, Error **errp)
{
    if (HOST_CLOCK(obj)->opened) {
        error_setg(errp, "'%s' cannot be set once the clock is open", name);
        return false;
    }
    return true;
}

static void host_clock_complete(UserCreatable *uc, Error **errp)
{
    HostClock *hc = HOST_CLOCK(uc);
    const HostClockClass *k = hc->ops;

    if (replay_mode != REPLAY_MODE_NONE && !k->is_system) {
        error_setg(errp, "host clock '%s' cannot be used with record/replay",
                   host_clock_name(hc));
        error_append_hint(errp, "Only 'system' is recorded and replayed.\n");
        return;
    }
    /*
     * A nested aio_poll(), on a vCPU's thread for one, runs the bottom halves
     * of the main AioContext; those of this one are the main loop's alone.
     */
    hc->event_bh = aio_bh_new(iohandler_get_aio_context(),
                              host_clock_event_bh, hc);
    hc->event_timer = timer_new_ns(QEMU_CLOCK_REALTIME, host_clock_tell_steps,
                                   hc);
    if (k->open && !k->open(hc, errp)) {
        return;
    }
    if (hc->parent) {
        object_ref(OBJECT(hc->parent));
        hc->parent->n_children++;
    }
    host_clock_watch_steps();
    host_clock_forget_steps(hc);
    host_clock_read_pair(hc, &hc->start);
    if (k->is_system) {
        /* The guest's date depends on it, so it has to be recorded. */
        hc->start.wall_ns = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    }
    hc->base = (CPUClockBase) {
        .get_ns = k->mono_ns,
        .sleep_ns = host_clock_sleep_ns,
        .clock = hc,
    };
    hc->opened = true;
    QLIST_INSERT_HEAD(&open_clocks, hc, next);
    trace_host_clock_open(host_clock_name(hc), hc->start.mono_ns,
                          hc->start.wall_ns);
}

static void host_clock_init(Object *obj)
{
    HostClock *hc = HOST_CLOCK(obj);

    hc->ops = HOST_CLOCK_GET_CLASS(obj);
    hc->alarm_name = "main loop";
    qemu_mutex_init(&hc->lock);
}

static void host_clock_close(HostClock *hc)
{
    if (!hc->opened) {
        return;
    }
    trace_host_clock_close(host_clock_name(hc));
    hc->opened = false;
    QLIST_REMOVE(hc, next);
    timer_del(hc->event_timer);
    if (hc->parent) {
        hc->parent->n_children--;
    }
    if (hc->ops->close) {
        hc->ops->close(hc);
    }
}

/* What stays in memory is closed, too, unless it is in use to the end. */
static void host_clock_unparent(Object *obj)
{
    if (!host_clock_is_machines(HOST_CLOCK(obj))) {
        host_clock_close(HOST_CLOCK(obj));
    }
}

static void host_clock_finalize(Object *obj)
{
    HostClock *hc = HOST_CLOCK(obj);

    host_clock_close(hc);
    object_unref(OBJECT(hc->parent));
    if (hc->event_bh) {
        qemu_bh_delete(hc->event_bh);
    }
    timer_free(hc->event_timer);
    qemu_mutex_destroy(&hc->lock);
    g_free(hc->failure);
    g_free(hc->degraded);
}

static void host_clock_class_init(ObjectClass *oc, HostClockClassData data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    oc->unparent = host_clock_unparent;
    ucc->complete = host_clock_complete;
    ucc->can_be_deleted = host_clock_can_be_deleted;
}
