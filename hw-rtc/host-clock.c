/*
 * Host clocks: the sources' life, checked readings, steps and holdover
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-events-host-clock.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "system/replay.h"
#include "host-clock-internal.h"
#include "trace.h"

/*
 * Whatever changes the distance of wall and monotonic time faster than this is
 * a step.  The kernel slews by at most 500 ppm for NTP and adjtime(); the tick
 * length can be set to 10 % off, which nobody does to a clock in use.
 */
#define SLEW_MAX_PPM        500
/* No smaller change counts as a step unless the host announced it. */
#define STEP_MIN_NS         (10 * SCALE_MS)
/* An announced step may be tiny, but two readings differ by some noise. */
#define STEP_ANNOUNCED_NS   SCALE_US
/* A source that comes and goes is not back, and not worth a message each. */
#define BACK_NS             NANOSECONDS_PER_SECOND

static QLIST_HEAD(, HostClock) open_clocks =
    QLIST_HEAD_INITIALIZER(open_clocks);

const char *host_clock_name(HostClock *hc)
{
    return object_get_typename(OBJECT(hc)) + strlen(HOST_CLOCK_PREFIX);
}

HostClock *host_clock_next(HostClock *hc)
{
    return hc ? QLIST_NEXT(hc, next) : QLIST_FIRST(&open_clocks);
}

const HostClockReading *host_clock_start(HostClock *hc)
{
    return &hc->start;
}

/* Steps */

static void note_wall_offset(HostClock *hc, const HostClockReading *r,
                             bool announced)
{
    int64_t offset = r->wall_ns - r->mono_ns;
    int64_t tolerance, change;
    bool stepped;

    qemu_spin_lock(&hc->lock);
    change = offset - hc->wall_offset_ns;
    tolerance = r->error_ns + STEP_ANNOUNCED_NS;
    if (!announced) {
        int64_t elapsed = r->mono_ns - hc->wall_offset_at_ns;

        tolerance += STEP_MIN_NS + elapsed / 1000000 * SLEW_MAX_PPM;
    }
    stepped = change > tolerance || change < -tolerance;
    if (stepped) {
        qatomic_set(&hc->generation, hc->generation + 1);
        hc->last_step_ns = change;
        hc->pending_step_ns += change;
    }
    hc->wall_offset_ns = offset;
    hc->wall_offset_at_ns = r->mono_ns;
    qemu_spin_unlock(&hc->lock);

    if (stepped) {
        trace_host_clock_step(host_clock_name(hc), change);
        qemu_bh_schedule(hc->event_bh);
    }
}

/*
 * Steps of CLOCK_REALTIME are measured against CLOCK_MONOTONIC: the kernel
 * slews both alike, whereas a source with a crystal of its own drifts.
 */
static int read_for_steps(HostClock *hc, HostClockReading *r)
{
    int ret = 0;

    if (hc->ops->wall_is_realtime) {
        r->error_ns = host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC,
                                                &r->mono_ns, &r->wall_ns);
    } else {
        ret = hc->ops->read(hc, HOST_CLOCK_BOTH, r);
        r->mono_ns += hc->mono_splice_ns;
    }
    return ret;
}

void host_clock_check_step(HostClock *hc, bool announced)
{
    HostClockReading r = { .error_ns = 0 };

    if (read_for_steps(hc, &r) == 0) {
        note_wall_offset(hc, &r, announced);
    }
}

/* Not only the host view's alarm, which need not exist, learns of a step. */
static void step_watch_cb(void *opaque, bool clock_was_set)
{
    HostClock *hc = opaque;

    host_clock_check_step(hc, true);
    host_clock_os_timer_arm(hc->step_watch, INT64_MAX);
}

/* State */

void host_clock_set_state(HostClock *hc, HostClockState state,
                          const char *message)
{
    char *new_message = g_strdup(message);
    g_autofree char *old_message = NULL;
    bool changed;

    qemu_spin_lock(&hc->lock);
    changed = hc->state != state;
    hc->state = state;
    hc->state_changed |= changed;
    old_message = hc->message;
    hc->message = new_message;
    qemu_spin_unlock(&hc->lock);

    if (changed) {
        qemu_bh_schedule(hc->event_bh);
    }
}

static void report_state(HostClock *hc)
{
    const char *id = object_get_canonical_path_component(OBJECT(hc));
    g_autofree char *message = NULL;
    HostClockState state;

    qemu_spin_lock(&hc->lock);
    state = hc->state;
    message = g_strdup(hc->message);
    hc->state_changed = false;
    qemu_spin_unlock(&hc->lock);

    trace_host_clock_state(host_clock_name(hc), HostClockState_str(state),
                           message ?: "");
    qapi_event_send_host_clock_state_change(id, state, message);
    if (state == HOST_CLOCK_STATE_HOLDOVER) {
        warn_report("host clock '%s' failed (%s): time goes on at the rate of "
                    "CLOCK_MONOTONIC", host_clock_name(hc),
                    message ?: "no reason given");
    } else {
        info_report("host clock '%s' is back", host_clock_name(hc));
    }
}

void host_clock_deliver_events(HostClock *hc)
{
    HostClockViewState *view = hc->views[HOST_CLOCK_VIEW_TYPE_HOST];
    uint32_t generation;
    bool state_changed;
    int64_t step_ns;

    qemu_spin_lock(&hc->lock);
    state_changed = hc->state_changed;
    step_ns = hc->pending_step_ns;
    hc->pending_step_ns = 0;
    generation = hc->generation;
    qemu_spin_unlock(&hc->lock);

    if (step_ns) {
        qapi_event_send_host_clock_step(
            object_get_canonical_path_component(OBJECT(hc)), step_ns,
            generation);
        if (view) {
            host_clock_view_stepped(view, step_ns);
        }
    }
    if (state_changed) {
        report_state(hc);
    }
}

static void host_clock_event_bh(void *opaque)
{
    host_clock_deliver_events(opaque);
}

/* Readings */

/* Carry on from the last good reading; see host_clock_read(). */
static void hold_over(HostClock *hc, int64_t now_ns, HostClockReading *r)
{
    qemu_spin_lock(&hc->lock);
    r->mono_ns = hc->good_mono_ns + now_ns - hc->good_at_ns;
    r->wall_ns = r->mono_ns + hc->wall_offset_ns;
    qemu_spin_unlock(&hc->lock);
    if (hc->ops->wall_is_realtime) {
        r->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
    }
}

static void note_failure(HostClock *hc, int err, HostClockReading *r)
{
    int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);

    hold_over(hc, now_ns, r);
    stat64_set(&hc->failed_at_ns, now_ns);
    if (!qatomic_xchg(&hc->held_over, true)) {
        host_clock_set_state(hc, HOST_CLOCK_STATE_HOLDOVER, strerror(-err));
    }
}

/* Remember a good reading; after a holdover, continue where that got to. */
static void note_good(HostClock *hc, HostClockReading *r)
{
    int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    bool back = qatomic_read(&hc->held_over);

    if (back && now_ns - (int64_t)stat64_get(&hc->failed_at_ns) < BACK_NS) {
        hold_over(hc, now_ns, r);
        return;
    }
    qemu_spin_lock(&hc->lock);
    if (back) {
        hc->mono_splice_ns = hc->good_mono_ns + now_ns - hc->good_at_ns -
                             r->mono_ns;
    }
    r->mono_ns += hc->mono_splice_ns;
    hc->good_mono_ns = r->mono_ns;
    hc->good_at_ns = now_ns;
    qemu_spin_unlock(&hc->lock);

    if (back && qatomic_xchg(&hc->held_over, false)) {
        host_clock_set_state(hc, HOST_CLOCK_STATE_RUNNING, NULL);
    }
}

/* Half of the range is 146 years of uptime; sums of two stay in range. */
static bool reading_is_sane(const HostClockReading *r)
{
    return r->mono_ns >= 0 && r->mono_ns <= INT64_MAX / 2 && r->wall_ns >= 0;
}

void host_clock_read(HostClock *hc, HostClockParts parts, HostClockReading *r)
{
    const HostClockClass *k = hc->ops;
    int ret;

    /* A reading that may become the last good one needs its monotonic part. */
    if (k->may_fail) {
        parts |= HOST_CLOCK_MONO;
    }
    r->wall_ns = 0;
    r->error_ns = 0;
    ret = k->read(hc, parts, r);
    if (k->may_fail && ret == 0 && !reading_is_sane(r)) {
        ret = -ERANGE;
    }
    if (unlikely(ret < 0)) {
        note_failure(hc, ret, r);
    } else if (k->may_fail) {
        note_good(hc, r);
    }

    if ((parts & HOST_CLOCK_MONO) && !k->mono_is_trusted) {
        stat64_max(&hc->mono_floor, MAX(r->mono_ns, 0));
        r->mono_ns = stat64_get(&hc->mono_floor);
    }
    if (parts == HOST_CLOCK_BOTH && ret == 0) {
        if (k->wall_is_realtime) {
            host_clock_check_step(hc, false);
        } else {
            note_wall_offset(hc, r, false);
        }
    }
    r->wall_ns = MAX(r->wall_ns, 0);
    r->generation = qatomic_read(&hc->generation);
}

/* Life */

HostClock *host_clock_use(HostClock *own)
{
    HostClock *hc = own ?: host_clock_get_default();

    assert(bql_locked());
    object_ref(OBJECT(hc));
    hc->users++;
    return hc;
}

void host_clock_unuse(HostClock *hc)
{
    assert(bql_locked());
    assert(hc->users > 0);
    hc->users--;
    object_unref(OBJECT(hc));
}

static bool host_clock_can_be_deleted(UserCreatable *uc)
{
    HostClock *hc = HOST_CLOCK(uc);

    return !hc->users && host_clock_get_machine_default() != hc;
}

static void host_clock_complete(UserCreatable *uc, Error **errp)
{
    HostClock *hc = HOST_CLOCK(uc);
    const HostClockClass *k = hc->ops;
    HostClockReading r = { .error_ns = 0 };
    int ret;

    if (replay_mode != REPLAY_MODE_NONE && !k->is_system) {
        error_setg(errp, "host clock '%s' cannot be used with record/replay",
                   host_clock_name(hc));
        error_append_hint(errp, "Only 'system' is recorded and replayed.\n");
        return;
    }
    if (!k->open(hc, errp)) {
        return;
    }
    ret = k->read(hc, HOST_CLOCK_BOTH, &r);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "host clock '%s' gives no reading",
                         host_clock_name(hc));
        k->close(hc);
        return;
    }
    hc->start = r;
    if (k->is_system) {
        /* The guest's date depends on it, so it has to be recorded. */
        hc->start.wall_ns = qemu_clock_get_ns(QEMU_CLOCK_HOST);
    }
    hc->good_mono_ns = r.mono_ns;
    hc->good_at_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    if (read_for_steps(hc, &r) == 0) {
        hc->wall_offset_ns = r.wall_ns - r.mono_ns;
        hc->wall_offset_at_ns = r.mono_ns;
    }
    hc->event_bh = qemu_bh_new(host_clock_event_bh, hc);
    if (k->wall_is_realtime && !k->is_system) {
        /* Without it steps are noticed when somebody asks. */
        hc->step_watch = host_clock_os_timer_new(HOST_CLOCK_OS_REALTIME,
                                                 step_watch_cb, hc, NULL);
    }
    hc->opened = true;
    QLIST_INSERT_HEAD(&open_clocks, hc, next);
    trace_host_clock_open(host_clock_name(hc), r.mono_ns, r.wall_ns);
}

static void host_clock_init(Object *obj)
{
    HostClock *hc = HOST_CLOCK(obj);

    hc->ops = HOST_CLOCK_GET_CLASS(obj);
    qemu_spin_init(&hc->lock);
}

static void host_clock_finalize(Object *obj)
{
    HostClock *hc = HOST_CLOCK(obj);

    if (hc->opened) {
        trace_host_clock_close(host_clock_name(hc));
        QLIST_REMOVE(hc, next);
        for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
            if (hc->views[i]) {
                host_clock_view_free(hc->views[i]);
            }
        }
        host_clock_os_timer_free(hc->step_watch);
        hc->ops->close(hc);
        qemu_bh_delete(hc->event_bh);
    }
    g_free(hc->message);
}

static void host_clock_class_init(ObjectClass *oc, HostClockClassData data)
{
    UserCreatableClass *ucc = USER_CREATABLE_CLASS(oc);

    ucc->complete = host_clock_complete;
    ucc->can_be_deleted = host_clock_can_be_deleted;
}

static const TypeInfo host_clock_info = {
    .name = TYPE_HOST_CLOCK,
    .parent = TYPE_OBJECT,
    .abstract = true,
    .instance_size = sizeof(HostClock),
    .instance_init = host_clock_init,
    .instance_finalize = host_clock_finalize,
    .class_size = sizeof(HostClockClass),
    .class_init = host_clock_class_init,
    .interfaces = (InterfaceInfo[]) {
        { TYPE_USER_CREATABLE },
        { }
    }
};

static void host_clock_register_types(void)
{
    type_register_static(&host_clock_info);
}

type_init(host_clock_register_types)
