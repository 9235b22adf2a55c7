/*
 * Host clocks: views and their timers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A view turns the readings of a source into the time that -rtc clock=host, rt
 * or vm asks for, and owns the list of the timers on that time.  An alarm wakes
 * the main loop when the first of them is due.  The alarm may come early: the
 * timer list compares with the view's own time, and what is not due yet is
 * armed again, so that no timer ever fires early.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "system/replay.h"
#include "system/runstate.h"
#include "host-clock-internal.h"
#include "trace.h"

/*
 * Where the alarm's clock and the source's run at different rates, sleep for
 * 7/8 of a long way and look again: at 500 ppm off, what remains below this
 * limit is late by at most 1 ms.
 */
#define LOOK_AGAIN_NS   (2 * NANOSECONDS_PER_SECOND)

/* The host's clock is not set more often than this while an alarm is armed. */
#define ARM_TRIES       4

static HostClockViewState *view_state(HostClockView *view)
{
    return container_of(view, HostClockViewState, view);
}

HostClock *host_clock_view_clock(HostClockView *view)
{
    return view_state(view)->clock;
}

HostClockViewType host_clock_view_type(HostClockView *view)
{
    return view_state(view)->type;
}

/* Time */

static int64_t view_get_host(HostClockView *view)
{
    HostClockReading r;

    host_clock_read(view_state(view)->clock, HOST_CLOCK_WALL, &r);
    return r.wall_ns;
}

/* The system's clock, where there is nothing to check in what it says. */
static int64_t view_get_realtime(HostClockView *view)
{
    return MAX(host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME), 0);
}

static int64_t view_read_mono_ns(HostClock *hc)
{
    HostClockReading r;

    /* There is nothing to check in what a trusted source says. */
    if (hc->ops->mono_is_trusted && !hc->ops->may_fail) {
        hc->ops->read(hc, HOST_CLOCK_MONO, &r);
    } else {
        host_clock_read(hc, HOST_CLOCK_MONO, &r);
    }
    return r.mono_ns;
}

static inline int64_t view_mono_ns(HostClock *hc)
{
    return hc->ops->read_mono ? hc->ops->read_mono(hc) : view_read_mono_ns(hc);
}

static int64_t view_get_rt(HostClockView *view)
{
    return view_mono_ns(view_state(view)->clock);
}

static int64_t view_get_vm(HostClockView *opaque)
{
    HostClockViewState *view = view_state(opaque);
    int64_t offset_ns;
    unsigned seq;
    bool running;

    do {
        seq = seqlock_read_begin(&view->vm_lock);
        running = qatomic_read(&view->vm_running);
        offset_ns = qatomic_read_i64(&view->vm_offset_ns);
    } while (seqlock_read_retry(&view->vm_lock, seq));

    if (!running) {
        return qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    }
    return view_mono_ns(view->clock) + offset_ns;
}

/* Timers and alarms */

static int64_t view_sleep_ns(HostClockViewState *view, int64_t delta_ns)
{
    const HostClockClass *k = view->clock->ops;
    bool exact = view->type == HOST_CLOCK_VIEW_TYPE_HOST ?
                 k->wall_is_realtime : !k->rate_differs;

    if (!exact && delta_ns > LOOK_AGAIN_NS) {
        return delta_ns - delta_ns / 8;
    }
    return delta_ns;
}

static HostClockOsId view_alarm_clock(HostClockViewState *view)
{
    const HostClockClass *k = view->clock->ops;

    if (view->type == HOST_CLOCK_VIEW_TYPE_HOST && k->wall_is_realtime) {
        return HOST_CLOCK_OS_REALTIME;
    }
    return k->alarm_clock;
}

static int64_t add_saturate(int64_t a, int64_t b)
{
    int64_t sum;

    return sadd64_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Let the source arm its own alarm; how much later is ours to back it up? */
static int64_t view_arm_source(HostClockViewState *view)
{
    HostClock *hc = view->clock;
    int64_t delta_ns;

    if (!hc->ops->arm) {
        return 0;
    }
    delta_ns = timerlist_deadline_ns(view->timers);
    return hc->ops->arm(hc, view->type, delta_ns < 0 ? INT64_MAX :
                        add_saturate(host_clock_view_get_ns(&view->view),
                                     delta_ns));
}

static bool view_arm_os_timer(HostClockViewState *view, int64_t later_ns)
{
    int64_t delta_ns = timerlist_deadline_ns(view->timers);
    int64_t deadline_ns = INT64_MAX;

    if (delta_ns >= 0) {
        deadline_ns = add_saturate(
            host_clock_os_now_ns(view_alarm_clock(view)),
            add_saturate(view_sleep_ns(view, delta_ns), later_ns));
    }
    return host_clock_os_timer_arm(view->alarm, deadline_ns);
}

static void view_arm(HostClockViewState *view)
{
    int64_t later_ns;

    QEMU_LOCK_GUARD(&view->alarm_lock);
    later_ns = view_arm_source(view);
    if (later_ns == INT64_MAX) {
        return;
    }
    for (int i = 0; i < ARM_TRIES; i++) {
        if (view_arm_os_timer(view, later_ns)) {
            return;
        }
        host_clock_check_step(view->clock, true);
    }
}

static int64_t view_timers_now(void *opaque)
{
    HostClockViewState *view = opaque;

    return host_clock_view_get_ns(&view->view);
}

/* The first deadline of the list has changed; any thread. */
static void view_timers_changed(void *opaque, QEMUClockType type)
{
    HostClockViewState *view = opaque;

    if (!qatomic_read(&view->running_timers)) {
        view_arm(view);
    }
}

/*
 * A periodic timer arms itself again before it raises its interrupt.  To arm
 * the alarm each time costs a system call, and a trap if the host is a guest
 * itself, and would delay the interrupt; so the caller does it afterwards.
 */
static void view_run_timers(HostClockViewState *view)
{
    qatomic_set(&view->running_timers, true);
    timerlist_run_timers(view->timers);
    qatomic_store_release(&view->running_timers, false);
}

void host_clock_view_expired(HostClockViewState *view)
{
    assert(bql_locked());
    view_run_timers(view);
    view_arm(view);
}

static void view_alarm(void *opaque, bool clock_was_set)
{
    HostClockViewState *view = opaque;

    trace_host_clock_alarm(host_clock_name(view->clock),
                           HostClockViewType_str(view->type), clock_was_set);
    if (clock_was_set) {
        host_clock_check_step(view->clock, true);
    }
    host_clock_view_expired(view);
}

QEMUTimer *host_clock_view_timer_new_ns(HostClockView *view, QEMUTimerCB *cb,
                                        void *opaque)
{
    QEMUTimer *timer = g_new0(QEMUTimer, 1);

    timer_init_on_list(timer, view_state(view)->timers, SCALE_NS, 0, cb,
                       opaque);
    return timer;
}

/* Steps */

void host_clock_view_add_step_notifier(HostClockView *view, Notifier *notifier)
{
    notifier_list_add(&view_state(view)->step_notifiers, notifier);
}

void host_clock_view_stepped(HostClockViewState *view, int64_t step_ns)
{
    assert(bql_locked());
    timerlist_run_timers(view->timers);
    notifier_list_notify(&view->step_notifiers, &step_ns);
    if (view->view.get_ns) {
        view_arm(view);
    }
}

/* The main loop runs the system clock's timers; only steps come this way. */
static void view_system_alarm(void *opaque, bool clock_was_set)
{
    HostClockViewState *view = opaque;

    if (clock_was_set) {
        host_clock_check_step(view->clock, true);
    }
    host_clock_os_timer_arm(view->alarm, INT64_MAX);
}

/* Stopping and starting the VM */

void host_clock_view_add_rebase_notifier(HostClockView *view,
                                         Notifier *notifier)
{
    notifier_list_add(&view_state(view)->rebase_notifiers, notifier);
}

static void view_vm_set(HostClockViewState *view, bool running)
{
    int64_t offset_ns = 0;

    if (running) {
        offset_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) -
                    view_mono_ns(view->clock);
    }
    seqlock_write_begin(&view->vm_lock);
    qatomic_set(&view->vm_running, running);
    qatomic_set_i64(&view->vm_offset_ns, offset_ns);
    seqlock_write_end(&view->vm_lock);
    timerlist_enable(view->timers, running);
}

/*
 * From here on the view is QEMU_CLOCK_VIRTUAL, until the VM starts again; so
 * move what the devices and timers hold by as much as the two have drifted
 * apart.  Nothing that the guest can see changes.
 */
static void view_vm_stop(HostClockViewState *view)
{
    int64_t now_ns = host_clock_view_get_ns(&view->view);
    int64_t drift_ns;

    view_vm_set(view, false);
    drift_ns = now_ns - host_clock_view_get_ns(&view->view);
    trace_host_clock_rebase(host_clock_name(view->clock), drift_ns);
    timerlist_shift(view->timers, -drift_ns);
    notifier_list_notify(&view->rebase_notifiers, &drift_ns);
}

static void view_vm_state_change(void *opaque, bool running, RunState state)
{
    HostClockViewState *view = opaque;

    if (running && !view->vm_running) {
        view_vm_set(view, true);
    } else if (!running && view->vm_running) {
        view_vm_stop(view);
    }
    view_arm(view);
}

/* Life */

static void view_init_system(HostClockViewState *view)
{
    static const QEMUClockType clocks[] = {
        [HOST_CLOCK_VIEW_TYPE_HOST] = QEMU_CLOCK_HOST,
        [HOST_CLOCK_VIEW_TYPE_RT] = QEMU_CLOCK_REALTIME,
        [HOST_CLOCK_VIEW_TYPE_VM] = QEMU_CLOCK_VIRTUAL,
    };

    view->view.system_clock = clocks[view->type];
    view->timers = main_loop_tlg.tl[clocks[view->type]];
    if (view->type == HOST_CLOCK_VIEW_TYPE_HOST &&
        replay_mode == REPLAY_MODE_NONE) {
        /* Where the host has no such timer, steps go unnoticed, as before. */
        view->alarm = host_clock_os_timer_new(HOST_CLOCK_OS_REALTIME,
                                              view_system_alarm, view, NULL);
    }
}

static void view_init_alarm(HostClockViewState *view)
{
    view->timers = timerlist_new_with_clock(view_timers_now,
                                            view_timers_changed, view);
    /* This fails only if QEMU has no file descriptors left. */
    view->alarm = host_clock_os_timer_new(view_alarm_clock(view), view_alarm,
                                          view, &error_fatal);
}

static void view_init_vm(HostClockViewState *view)
{
    view->view.get_ns = view_get_vm;
    seqlock_init(&view->vm_lock);
    view_init_alarm(view);
    view_vm_set(view, runstate_is_running());
    view->vm_state_entry = qemu_add_vm_change_state_handler_prio(
        view_vm_state_change, view, INT_MIN);
}

HostClockView *host_clock_view(HostClock *hc, HostClockViewType type)
{
    HostClockViewState *view = hc->views[type];

    assert(bql_locked());
    if (view) {
        return &view->view;
    }

    view = g_new0(HostClockViewState, 1);
    view->clock = hc;
    view->type = type;
    qemu_mutex_init(&view->alarm_lock);
    notifier_list_init(&view->step_notifiers);
    notifier_list_init(&view->rebase_notifiers);

    if (hc->ops->is_system ||
        (type == HOST_CLOCK_VIEW_TYPE_VM &&
         qemu_clock_virtual_counts_instructions())) {
        view_init_system(view);
    } else if (type == HOST_CLOCK_VIEW_TYPE_VM) {
        view_init_vm(view);
    } else {
        view->view.get_ns = type == HOST_CLOCK_VIEW_TYPE_RT ? view_get_rt :
                            hc->ops->wall_is_realtime && !hc->ops->may_fail ?
                            view_get_realtime : view_get_host;
        view_init_alarm(view);
    }
    hc->views[type] = view;
    return &view->view;
}

void host_clock_view_free(HostClockViewState *view)
{
    if (view->vm_state_entry) {
        qemu_del_vm_change_state_handler(view->vm_state_entry);
    }
    host_clock_os_timer_free(view->alarm);
    if (view->view.get_ns) {
        timerlist_free(view->timers);
    }
    qemu_mutex_destroy(&view->alarm_lock);
    g_free(view);
}
