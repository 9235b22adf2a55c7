/*
 * Host clocks: the views of the machine's clock, and their timers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The vm view is QEMU_CLOCK_VIRTUAL, which counts the host clock's time while
 * the VM runs (see cpu_set_clock_base()).  The others have a list of timers
 * each, and an alarm: one QEMUTimer of the main loop, for when the first of the
 * list is due.  It may come early, as the two clocks need not run at one rate:
 * what is not due yet is armed again, so that no timer ever fires early.
 *
 * With record/replay, and with the system clock under -icount and qtest, all
 * views are QEMU's own clocks.
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "host-clock-internal.h"
#include "trace.h"

/* An alarm is late by no more than this. */
#define LATE_MAX_NS SCALE_MS

typedef struct HostClockViewState {
    HostClockView view;
    QEMUTimerList *timers;
    /* NULL for a view that is a QEMU clock */
    QEMUTimer *alarm;
    /* Serializes computing a deadline and arming the alarm with it. */
    QemuMutex alarm_lock;
    /* Timers are being run; the alarm is armed afterwards, once for all. */
    bool running_timers;
} HostClockViewState;

static HostClockViewState views[HOST_CLOCK_VIEW_TYPE__MAX];
static NotifierList step_notifiers = NOTIFIER_LIST_INITIALIZER(step_notifiers);

HostClockViewType host_clock_view_type(HostClockView *view)
{
    return container_of(view, HostClockViewState, view) - views;
}

/* Timers and alarms */

int64_t host_clock_default_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    /* What is left after the cut is so short that it needs none. */
    int64_t slack_ns = muldiv64(delta_ns, hc->ops->rate_error_ppb,
                                NANOSECONDS_PER_SECOND);

    return slack_ns > LATE_MAX_NS ? delta_ns - slack_ns : delta_ns;
}

int64_t host_clock_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    for (; hc->parent; hc = hc->parent) {
        delta_ns = hc->ops->parent_delta_ns(hc, delta_ns);
    }
    if (delta_ns < 0) {
        return -1;
    }
    return hc->ops->sleep_ns ? hc->ops->sleep_ns(hc, delta_ns) :
                               host_clock_default_sleep_ns(hc, delta_ns);
}

static void view_arm(HostClockViewState *view)
{
    int64_t sleep_ns, now_ns;

    QEMU_LOCK_GUARD(&view->alarm_lock);
    sleep_ns = host_clock_sleep_ns(host_clock_machine(),
                                   timerlist_deadline_ns(view->timers));
    if (sleep_ns < 0) {
        timer_del(view->alarm);
    } else {
        now_ns = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
        timer_mod_ns(view->alarm,
                     now_ns + MIN(sleep_ns, INT64_MAX - now_ns));
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

/* A periodic timer arms itself before its interrupt, which is not to wait. */
static void view_run(HostClockViewState *view)
{
    qatomic_set(&view->running_timers, true);
    timerlist_run_timers(view->timers);
    qatomic_store_release(&view->running_timers, false);
    view_arm(view);
}

static void view_alarm(void *opaque)
{
    HostClockViewState *view = opaque;

    trace_host_clock_alarm(HostClockViewType_str(view - views));
    view_run(view);
}

QEMUTimer *host_clock_view_timer_new_ns(HostClockView *view, QEMUTimerCB *cb,
                                        void *opaque)
{
    QEMUTimer *timer = g_new0(QEMUTimer, 1);

    assert(bql_locked());
    timer_init_on_list(timer,
                       container_of(view, HostClockViewState, view)->timers,
                       SCALE_NS, 0, cb, opaque);
    return timer;
}

void host_clock_views_run(void)
{
    assert(bql_locked());
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (views[i].alarm) {
            view_run(&views[i]);
        }
    }
}

void host_clock_views_arm(void)
{
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (views[i].alarm) {
            view_arm(&views[i]);
        }
    }
}

int64_t host_clock_views_deadline_ns(void)
{
    int64_t next_ns = -1;

    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        if (views[i].alarm) {
            int64_t ns = timerlist_deadline_ns(views[i].timers);

            next_ns = qemu_soonest_timeout(next_ns, ns);
        }
    }
    return next_ns;
}

void host_clock_add_step_notifier(Notifier *notifier)
{
    assert(bql_locked());
    notifier_list_add(&step_notifiers, notifier);
}

void host_clock_views_stepped(int64_t step_ns)
{
    HostClockViewState *view = &views[HOST_CLOCK_VIEW_TYPE_HOST];

    assert(bql_locked());
    if (view->timers) {
        timerlist_run_timers(view->timers);
    }
    notifier_list_notify(&step_notifiers, &step_ns);
    host_clock_views_arm();
}

static void view_init(HostClockViewState *view, HostClockViewType type)
{
    static const QEMUClockType clocks[] = {
        [HOST_CLOCK_VIEW_TYPE_HOST] = QEMU_CLOCK_HOST,
        [HOST_CLOCK_VIEW_TYPE_RT] = QEMU_CLOCK_REALTIME,
        [HOST_CLOCK_VIEW_TYPE_VM] = QEMU_CLOCK_VIRTUAL,
    };

    if (!host_clock_has_own_views() || type == HOST_CLOCK_VIEW_TYPE_VM) {
        view->view.qemu_clock = clocks[type];
        view->timers = main_loop_tlg.tl[clocks[type]];
        return;
    }
    view->view.get_ns = type == HOST_CLOCK_VIEW_TYPE_HOST ?
                        host_clock_machine_wall_ns : host_clock_machine_rt_ns;
    qemu_mutex_init(&view->alarm_lock);
    view->alarm = timer_new_ns(QEMU_CLOCK_REALTIME, view_alarm, view);
    view->timers = timerlist_new_with_clock(view_timers_now,
                                            view_timers_changed, view);
}

HostClockView *host_clock_view(HostClockViewType type)
{
    HostClockViewState *view = &views[type];

    assert(bql_locked());
    if (!view->timers) {
        view_init(view, type);
    }
    return &view->view;
}
