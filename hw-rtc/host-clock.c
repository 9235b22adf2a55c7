/*
 * Host clocks: the sources' life, readings, steps and holdover
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

/*
 * Whatever changes the distance of wall and monotonic time faster than this is
 * a step.  The kernel slews by no more for NTP and adjtime(); the tick length
 * can be set to 10 % off, which is not done to a clock in use.
 */
#define SLEW_MAX_PPM        500
/* No smaller change counts as a step unless the host announced it. */
#define STEP_MIN_NS         (10 * SCALE_MS)
/* An announced step may be tiny, but two readings differ by some noise. */
#define STEP_ANNOUNCED_NS   SCALE_US
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
        return;
    }
    before_ns = k->mono_ns(hc);
    r->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    after_ns = k->mono_ns(hc);
    r->mono_ns = before_ns + (after_ns - before_ns) / 2;
    r->error_ns = (after_ns - before_ns) / 2 + 1;
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

/* Steps */

/* A clock that is made of another one takes that one's steps. */
HostClock *host_clock_root(HostClock *hc)
{
    while (hc->parent) {
        hc = hc->parent;
    }
    return hc;
}

/*
 * Steps of CLOCK_REALTIME are measured against a clock that the kernel slews
 * alike, whereas a source with a crystal of its own drifts.
 */
static void read_for_steps(HostClock *root, HostClockReading *r)
{
    if (root->ops->pair) {
        root->ops->pair(root, r);
    } else {
        r->error_ns = host_clock_os_now_pair_ns(root->ops->step_reference,
                                                &r->mono_ns, &r->wall_ns);
    }
}

static void note_step(HostClock *hc, int64_t step_ns,
                      HostClockStepReason reason)
{
    qatomic_set(&hc->generation, hc->generation + 1);
    hc->last_step_ns = step_ns;
    hc->pending_step_ns += step_ns;
    hc->step_reason = reason;
}

/* The reading is taken with the lock, so that readings are noted in order. */
static int64_t note_wall_offset(HostClock *hc, bool announced)
{
    HostClock *root = host_clock_root(hc);
    HostClockStepReason reason = HOST_CLOCK_STEP_REASON_SET;
    int64_t change_ns, tolerance_ns, suspended_ns;
    HostClockReading r;
    bool stepped;

    QEMU_LOCK_GUARD(&hc->lock);
    read_for_steps(root, &r);
    change_ns = r.wall_ns - r.mono_ns - hc->wall_offset_ns;
    tolerance_ns = r.error_ns + STEP_ANNOUNCED_NS;
    if (!announced) {
        int64_t elapsed_ns = r.mono_ns - hc->wall_offset_at_ns;

        tolerance_ns += STEP_MIN_NS + elapsed_ns / 1000000 * SLEW_MAX_PPM;
    }
    stepped = hc->state != HOST_CLOCK_STATE_ACQUIRING &&
              (change_ns > tolerance_ns || change_ns < -tolerance_ns);
    if (!stepped && !announced && !root->ops->pair) {
        /* The host may yet announce it, so what is known stays. */
        return 0;
    }
    suspended_ns = host_clock_os_suspended_ns();
    if (root->ops->moves_when_told) {
        reason = HOST_CLOCK_STEP_REASON_MANUAL;
    } else if (suspended_ns - hc->suspended_ns > HOST_CLOCK_SUSPEND_MIN_NS) {
        reason = HOST_CLOCK_STEP_REASON_SUSPEND;
    }
    hc->wall_offset_ns += change_ns;
    hc->wall_offset_at_ns = r.mono_ns;
    hc->suspended_ns = suspended_ns;
    if (!stepped) {
        return 0;
    }
    note_step(hc, change_ns, reason);
    return change_ns;
}

/* What has been until now was no step. */
static void forget_steps(HostClock *hc)
{
    note_wall_offset(hc, true);
    hc->generation = 0;
    hc->last_step_ns = 0;
    hc->pending_step_ns = 0;
}

void host_clock_check_step(HostClock *hc, bool announced)
{
    /* What the guest sees of a step must be recorded, so there is none. */
    int64_t step_ns = replay_mode == REPLAY_MODE_NONE ?
                      note_wall_offset(hc, announced) : 0;

    if (step_ns) {
        trace_host_clock_step(host_clock_name(hc), step_ns);
        qemu_bh_schedule(hc->event_bh);
    }
}

void host_clock_mono_jumped(HostClock *hc)
{
    assert(bql_locked());
    if (host_clock_is_machines(hc)) {
        host_clock_views_arm();
        qemu_clock_notify(QEMU_CLOCK_VIRTUAL);
    }
}

/* CLOCK_REALTIME was set, or the host was suspended. */
static void host_clock_os_was_set(void)
{
    HostClock *hc;

    QLIST_FOREACH(hc, &open_clocks, next) {
        if (hc->ops->clock_was_set) {
            hc->ops->clock_was_set(hc);
        }
        host_clock_check_step(hc, true);
    }
    host_clock_mono_jumped(host_clock_machine());
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
    forget_steps(hc);
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

static void tell_children(HostClock *hc)
{
    HostClock *child;

    QLIST_FOREACH(child, &open_clocks, next) {
        if (child->parent == hc) {
            host_clock_check_step(child, true);
            host_clock_deliver_events(child);
        }
    }
}

void host_clock_deliver_events(HostClock *hc)
{
    g_autofree char *failure = NULL;
    HostClockStepReason reason;
    HostClockState state;
    uint32_t generation;
    bool state_changed;
    int64_t step_ns;

    assert(bql_locked());
    if (!hc->opened) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        state = hc->state;
        state_changed = hc->state_changed;
        hc->state_changed = false;
        failure = g_strdup(hc->failure);
        step_ns = hc->pending_step_ns;
        hc->pending_step_ns = 0;
        generation = hc->generation;
        reason = hc->step_reason;
    }
    if (step_ns) {
        if (host_clock_id(hc) || hc == host_clock_machine()) {
            qapi_event_send_host_clock_step(host_clock_id(hc), step_ns,
                                            generation, reason);
        }
        if (hc == host_clock_machine()) {
            host_clock_views_stepped(step_ns);
        }
        tell_children(hc);
    }
    if (state_changed) {
        report_state(hc, state, failure);
        if (hc == host_clock_machine()) {
            host_clock_failover_look();
        }
    }
}

void host_clock_switched(HostClock *hc, int64_t step_ns)
{
    if (!step_ns) {
        host_clock_views_arm();
        return;
    }
    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        note_step(hc, step_ns, HOST_CLOCK_STEP_REASON_SWITCH);
    }
    host_clock_deliver_events(hc);
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
    static bool is_watching;
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
    if (k->open && !k->open(hc, errp)) {
        return;
    }
    if (hc->parent) {
        object_ref(OBJECT(hc->parent));
        hc->parent->n_children++;
    }
    if (!is_watching && replay_mode == REPLAY_MODE_NONE) {
        is_watching = host_clock_os_watch(host_clock_os_was_set);
    }
    forget_steps(hc);
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
