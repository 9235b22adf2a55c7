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
 * Time moves by host-clock-advance, which stops at every deadline on the way to
 * run its timers, so that these see the very nanosecond for which they asked.
 * Timers in iothreads are told, but not waited for.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-host-clock.h"
#include "block/aio.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/seqlock.h"
#include "system/rtc.h"
#include "system/runstate.h"
#include "host-clock-internal.h"

#define TYPE_HOST_CLOCK_MANUAL HOST_CLOCK_PREFIX "manual"

OBJECT_DECLARE_SIMPLE_TYPE(HostClockManual, HOST_CLOCK_MANUAL)

struct HostClockManual {
    HostClock parent_obj;

    char *wall;

    /* Written with the BQL, read without */
    QemuSeqLock lock;
    int64_t mono_ns;
    int64_t wall_ns;
};

/* Nothing else can run for so long while time moves. */
#define SLICE_NS    (2 * SCALE_MS)

/* Of all manual clocks one moves at a time.  BQL; the other: any thread */
static bool is_advancing;
static bool is_cancelled;

OBJECT_DEFINE_SIMPLE_TYPE(HostClockManual, host_clock_manual, HOST_CLOCK_MANUAL,
                          HOST_CLOCK)

static void manual_shutdown(Notifier *notifier, void *data)
{
    qatomic_set(&is_cancelled, true);
}

static bool manual_open(HostClock *hc, Error **errp)
{
    ERRP_GUARD();
    static Notifier shutdown_notifier = { .notify = manual_shutdown };
    HostClockManual *m = HOST_CLOCK_MANUAL(hc);
    struct timespec date;

    if (!shutdown_notifier.node.le_prev) {
        qemu_register_shutdown_notifier(&shutdown_notifier);
    }
    if (!m->wall) {
        m->wall_ns = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        return true;
    }
    if (!qemu_parse_rtc_date(m->wall, &date, errp)) {
        error_prepend(errp, "wall=");
        return false;
    }
    if (date.tv_sec < 0 || date.tv_sec >= HOST_CLOCK_END_S) {
        error_setg(errp, "wall=%s: a host clock goes from 1970-01-01 to "
                   "2261-04-11 (UTC)", m->wall);
        return false;
    }
    m->wall_ns = date.tv_sec * NANOSECONDS_PER_SECOND + date.tv_nsec;
    return true;
}

static void manual_pair(HostClock *hc, HostClockReading *reading)
{
    HostClockManual *m = (HostClockManual *)hc;
    unsigned seq;

    reading->error_ns = 0;
    do {
        seq = seqlock_read_begin(&m->lock);
        reading->mono_ns = qatomic_read_i64(&m->mono_ns);
        reading->wall_ns = qatomic_read_i64(&m->wall_ns);
    } while (seqlock_read_retry(&m->lock, seq));
}

static int64_t manual_mono_ns(HostClock *hc)
{
    return qatomic_read_i64(&((HostClockManual *)hc)->mono_ns);
}

/* Deadlines are looked up when time moves, but for what is due already. */
static int64_t manual_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    return delta_ns ? -1 : 0;
}

/* Moving */

static void manual_move(HostClockManual *m, int64_t mono_ns, int64_t wall_ns)
{
    seqlock_write_begin(&m->lock);
    qatomic_set_i64(&m->mono_ns, m->mono_ns + mono_ns);
    qatomic_set_i64(&m->wall_ns, m->wall_ns + wall_ns);
    seqlock_write_end(&m->lock);
}

/* QEMU_CLOCK_VIRTUAL's list of the main loop, and that of its AioContext */
static QEMUTimerList *virtual_list(int i)
{
    return i ? qemu_get_aio_context()->tlg.tl[QEMU_CLOCK_VIRTUAL] :
               main_loop_tlg.tl[QEMU_CLOCK_VIRTUAL];
}

/* How far time can move before a timer is due */
static int64_t manual_next_ns(HostClockManual *m, int64_t at_most_ns)
{
    int64_t next_ns;

    if (!host_clock_is_machines(HOST_CLOCK(m))) {
        return at_most_ns;
    }
    next_ns = host_clock_views_deadline_ns();
    for (int i = 0; i < 2; i++) {
        next_ns = qemu_soonest_timeout(next_ns,
                                       timerlist_deadline_ns(virtual_list(i)));
    }
    return qemu_soonest_timeout(at_most_ns,
        host_clock_until_machine_ns(HOST_CLOCK(m), next_ns));
}

static void manual_run_timers(HostClockManual *m)
{
    if (host_clock_is_machines(HOST_CLOCK(m))) {
        host_clock_views_run();
        for (int i = 0; i < 2; i++) {
            timerlist_run_timers(virtual_list(i));
        }
    }
}

/* Let time pass up to @end_ns, but for no longer than a slice. */
static void manual_walk(HostClockManual *m, int64_t end_ns)
{
    int64_t slice_end_ns = get_clock() + SLICE_NS;

    do {
        int64_t step_ns = manual_next_ns(m, end_ns - m->mono_ns);

        manual_move(m, step_ns, step_ns);
        manual_run_timers(m);
    } while (m->mono_ns < end_ns && get_clock() < slice_end_ns);
    host_clock_mono_jumped(HOST_CLOCK(m));
}

/* How far time can move before one of the times that it drives is too large */
static int64_t manual_left_ns(HostClockManual *m)
{
    int64_t left_ns = HOST_CLOCK_END_NS - MAX(m->mono_ns, m->wall_ns);

    if (host_clock_is_machines(HOST_CLOCK(m))) {
        int64_t vm_ns = HOST_CLOCK_END_NS -
                        qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

        left_ns = MIN(left_ns, host_clock_until_machine_ns(HOST_CLOCK(m),
                                                           MAX(vm_ns, 0)));
    }
    return MAX(left_ns, 0);
}

/* Returns: the monotonic time @ns from now, or -1 with @errp set */
static int64_t manual_end_ns(HostClockManual *m, int64_t ns, Error **errp)
{
    int64_t left_ns = manual_left_ns(m);

    if (!qemu_clock_use_for_deadline(QEMU_CLOCK_VIRTUAL)) {
        error_setg(errp, "with -icount time counts instructions; it cannot be "
                   "advanced");
    } else if (is_advancing) {
        error_setg(errp, "a host clock is being advanced already");
    } else if (ns < 0 || ns > left_ns) {
        error_setg(errp, "ns=%" PRId64 ": time can advance by 0 to %" PRId64
                   " ns", ns, left_ns);
    } else {
        return m->mono_ns + ns;
    }
    return -1;
}

bool host_clock_qtest_step(int64_t ns, Error **errp)
{
    HostClock *hc = host_clock_root(host_clock_machine());
    HostClockManual *m;
    int64_t end_ns;

    if (!object_dynamic_cast(OBJECT(hc), TYPE_HOST_CLOCK_MANUAL)) {
        error_setg(errp, "host clock '%s' moves by itself; clock_step and "
                   "clock_set are for 'manual', or without -clock",
                   host_clock_name(host_clock_machine()));
        return false;
    }
    m = HOST_CLOCK_MANUAL(hc);
    end_ns = manual_end_ns(m, host_clock_until_machine_ns(hc, ns), errp);
    if (end_ns < 0) {
        return false;
    }
    do {
        manual_walk(m, end_ns);
    } while (m->mono_ns < end_ns);
    return true;
}

/* Commands */

static HostClockManual *manual_find(const char *id, Error **errp)
{
    HostClock *hc = host_clock_find("id", id, errp);

    if (hc && !object_dynamic_cast(OBJECT(hc), TYPE_HOST_CLOCK_MANUAL)) {
        error_setg(errp, "host clock '%s' is a %s; only a "
                   TYPE_HOST_CLOCK_MANUAL " moves when told", id,
                   object_get_typename(OBJECT(hc)));
        return NULL;
    }
    return hc ? HOST_CLOCK_MANUAL(hc) : NULL;
}

/* The main loop, and not a nested aio_poll(), goes on with the coroutine. */
static void coroutine_fn yield_to_main_loop(void)
{
    aio_co_schedule(iohandler_get_aio_context(), qemu_coroutine_self());
    qemu_coroutine_yield();
}

void coroutine_fn qmp_host_clock_advance(const char *id, int64_t ns,
                                         Error **errp)
{
    HostClockManual *m = manual_find(id, errp);
    int64_t end_ns = m ? manual_end_ns(m, ns, errp) : -1;

    if (end_ns < 0) {
        return;
    }
    object_ref(OBJECT(m));
    is_advancing = true;
    qatomic_set(&is_cancelled, false);
    do {
        yield_to_main_loop();
        manual_walk(m, end_ns);
    } while (m->mono_ns < end_ns && !qatomic_read(&is_cancelled));
    is_advancing = false;
    if (m->mono_ns < end_ns) {
        error_setg(errp, "cancelled %" PRId64 " ns before the end",
                   end_ns - m->mono_ns);
    }
    object_unref(OBJECT(m));
    aio_co_reschedule_self(qemu_get_aio_context());
}

void qmp_host_clock_advance_cancel(Error **errp)
{
    qatomic_set(&is_cancelled, true);
}

void qmp_host_clock_step(const char *id, int64_t ns, Error **errp)
{
    HostClockManual *m = manual_find(id, errp);

    if (!m) {
        return;
    }
    if (ns < -m->wall_ns || ns > HOST_CLOCK_END_NS - m->wall_ns) {
        error_setg(errp, "ns=%" PRId64 ": wall time can step by %" PRId64
                   " to %" PRId64 " ns", ns, -m->wall_ns,
                   HOST_CLOCK_END_NS - m->wall_ns);
        return;
    }
    manual_move(m, 0, ns);
    /* The core does not take notice of a step below its tolerance. */
    manual_run_timers(m);
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

static void host_clock_manual_init(Object *obj)
{
    seqlock_init(&HOST_CLOCK_MANUAL(obj)->lock);
    HOST_CLOCK(obj)->alarm_name = "when told";
}

static void host_clock_manual_finalize(Object *obj)
{
    g_free(HOST_CLOCK_MANUAL(obj)->wall);
}

static void host_clock_manual_class_init(ObjectClass *oc,
                                         HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "moves only when told, over QMP";
    k->open = manual_open;
    k->mono_ns = manual_mono_ns;
    k->pair = manual_pair;
    k->moves_when_told = true;
    k->time_scale = HOST_CLOCK_TIME_SCALE_UTC;
    k->sleep_ns = manual_sleep_ns;

    object_class_property_add_str(oc, "wall", manual_get_wall,
                                  manual_set_wall);
    object_class_property_set_description(oc, "wall",
        "UTC with which the clock starts, such as 2038-01-19T03:14:00");
}
