/*
 * Host clocks: steps of wall time, and suspends of the host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/qapi-events-host-clock.h"
#include "block/aio.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
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
/* Not more than one event of a clock in this time: steps are summed */
#define EVENT_NS            (100 * SCALE_MS)

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
        host_clock_read_pair(root, r);
    } else {
        r->error_ns = host_clock_os_now_pair_ns(root->ops->step_reference,
                                                &r->mono_ns, &r->wall_ns);
    }
}

/* What happened to @sum, if anything, and then @step */
static void add_step(HostClockStep *sum, const HostClockStep *step)
{
    int64_t step_ns = sum->step_ns + step->step_ns;
    int64_t suspended_ns = sum->suspended_ns + step->suspended_ns;

    *sum = *step;
    sum->step_ns = step_ns;
    sum->suspended_ns = suspended_ns;
}

static void note_step(HostClock *hc, HostClockStep *step)
{
    HostClockReading r;

    host_clock_read_pair(hc, &r);
    qatomic_set(&hc->generation, hc->generation + 1);
    step->generation = hc->generation;
    step->mono_ns = r.mono_ns;
    step->wall_ns = MAX(r.wall_ns, 0);
    hc->steps[step->generation % ARRAY_SIZE(hc->steps)] = *step;
    add_step(&hc->pending, step);
}

/* The kernel inserts a second by setting the clock back, and deletes one so. */
static bool is_leap(int64_t step_ns)
{
    HostClockOsStatus os;

    if (ABS(ABS(step_ns) - NANOSECONDS_PER_SECOND) > STEP_MIN_NS ||
        !host_clock_os_status(&os)) {
        return false;
    }
    return step_ns > 0 ? os.leap == HOST_CLOCK_LEAP_POST_NEG :
                         os.leap == HOST_CLOCK_LEAP_POS ||
                         os.leap == HOST_CLOCK_LEAP_POST_POS;
}

static HostClockStepReason step_reason(HostClock *root, const HostClockStep *s)
{
    return root->ops->moves_when_told ? HOST_CLOCK_STEP_REASON_MANUAL :
           s->suspended_ns ? HOST_CLOCK_STEP_REASON_SUSPEND :
           is_leap(s->step_ns) ? HOST_CLOCK_STEP_REASON_LEAP :
                                 HOST_CLOCK_STEP_REASON_SET;
}

/* @r was read when CLOCK_MONOTONIC was @os_ns. */
static void note_look(HostClock *hc, const HostClockReading *r, int64_t os_ns)
{
    hc->wall_offset_ns = r->wall_ns - r->mono_ns;
    hc->wall_offset_at_ns = r->mono_ns;
    hc->wall_offset_os_ns = os_ns;
}

/*
 * How long the host was suspended since that was last told.  A clock that goes
 * on meanwhile, but has not noticed yet, tells it when it has.
 */
static int64_t suspended_ns(HostClock *hc, HostClock *root, bool stepped,
                            const HostClockReading *r, int64_t os_ns)
{
    int64_t ns = host_clock_os_suspended_ns() - hc->suspended_ns;
    int64_t more_ns = r->mono_ns - hc->wall_offset_at_ns -
                      (os_ns - hc->wall_offset_os_ns);

    if (root->ops->moves_when_told || ns <= HOST_CLOCK_SUSPEND_MIN_NS ||
        (!stepped && more_ns < ns / 2)) {
        return 0;
    }
    hc->suspended_ns += ns;
    return ns;
}

/* From here on the rate of @hc is measured. */
static void begin_rate(HostClock *hc)
{
    hc->rate_raw_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    hc->rate_mono_ns = hc->ops->mono_ns(hc);
}

/* The reading is taken with the lock, so that readings are noted in order. */
static bool note_wall_offset(HostClock *hc, bool announced)
{
    HostClock *root = host_clock_root(hc);
    int64_t change_ns, tolerance_ns, os_ns;
    HostClockStep step = {};
    HostClockReading r;
    bool stepped;

    QEMU_LOCK_GUARD(&hc->lock);
    os_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
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
        return false;
    }
    step.step_ns = stepped ? change_ns : 0;
    step.suspended_ns = suspended_ns(hc, root, stepped, &r, os_ns);
    note_look(hc, &r, os_ns);
    if (step.suspended_ns) {
        begin_rate(hc);
    }
    if (!step.step_ns && !step.suspended_ns) {
        return false;
    }
    step.reason = step_reason(root, &step);
    note_step(hc, &step);
    return true;
}

void host_clock_forget_steps(HostClock *hc)
{
    note_wall_offset(hc, true);
    hc->suspended_ns = host_clock_os_suspended_ns();
    hc->open_suspended_ns = hc->suspended_ns;
    hc->generation = 0;
    hc->pending = (HostClockStep) {};
    begin_rate(hc);
}

void host_clock_check_step(HostClock *hc, bool announced)
{
    /* What the guest sees of a step must be recorded, so there is none. */
    if (replay_mode == REPLAY_MODE_NONE && note_wall_offset(hc, announced)) {
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
    HostClock *hc = NULL;

    while ((hc = host_clock_next(hc))) {
        if (hc->ops->clock_was_set) {
            hc->ops->clock_was_set(hc);
        }
        host_clock_check_step(hc, true);
    }
    host_clock_mono_jumped(host_clock_machine());
}

void host_clock_watch_steps(void)
{
    static bool is_watching;

    if (!is_watching && replay_mode == REPLAY_MODE_NONE) {
        is_watching = host_clock_os_watch(host_clock_os_was_set);
    }
}

/* Telling */

void host_clock_tell_steps(void *opaque)
{
    HostClock *hc = opaque;
    HostClockStepEvent event = { .id = (char *)host_clock_id(hc) };

    if (event.id || hc == host_clock_machine()) {
        *qapi_HostClockStepEvent_base(&event) = hc->untold;
        qapi_event_send_host_clock_step(&event);
    }
    timer_del(hc->event_timer);
    hc->untold = (HostClockStep) {};
    hc->told_at_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

static void tell_children(HostClock *hc)
{
    HostClock *child = NULL;

    while ((child = host_clock_next(child))) {
        if (child->parent == hc) {
            host_clock_check_step(child, true);
            host_clock_deliver_events(child);
        }
    }
}

void host_clock_deliver_steps(HostClock *hc)
{
    HostClockStep step;
    int64_t now_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        step = hc->pending;
        hc->pending = (HostClockStep) {};
    }
    if (!step.generation) {
        return;
    }
    trace_host_clock_step(host_clock_name(hc), step.step_ns);
    add_step(&hc->untold, &step);
    if ((uint64_t)(now_ns - hc->told_at_ns) < EVENT_NS) {
        timer_mod_ns(hc->event_timer, hc->told_at_ns + EVENT_NS);
    } else {
        host_clock_tell_steps(hc);
    }
    if (hc == host_clock_machine()) {
        host_clock_views_stepped(step.step_ns);
    }
    tell_children(hc);
}

void host_clock_switched(HostClock *hc, int64_t step_ns)
{
    HostClockStep step = {
        .step_ns = step_ns,
        .reason = HOST_CLOCK_STEP_REASON_SWITCH,
    };

    if (!step_ns) {
        host_clock_views_stepped(0);
        return;
    }
    WITH_QEMU_LOCK_GUARD(&hc->lock) {
        note_step(hc, &step);
    }
    host_clock_deliver_events(hc);
}
