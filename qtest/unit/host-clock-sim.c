/*
 * A simulated host for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "system/cpu-timers.h"
#include "system/runstate.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "host-clock-sim.h"

/* What a look at a clock costs; it makes two looks differ. */
#define LOOK_NS 20

struct HostClockOsTimer {
    HostClockOsId id;
    HostClockOsTimerCB *cb;
    void *opaque;
    int64_t deadline_ns;
    bool was_set;
    QLIST_ENTRY(HostClockOsTimer) next;
};

struct VMChangeStateEntry {
    VMChangeStateHandler *cb;
    void *opaque;
    QLIST_ENTRY(VMChangeStateEntry) next;
};

static QLIST_HEAD(, HostClockOsTimer) timers = QLIST_HEAD_INITIALIZER(timers);
static QLIST_HEAD(, VMChangeStateEntry) vm_handlers =
    QLIST_HEAD_INITIALIZER(vm_handlers);

static struct {
    int64_t raw_ns;
    int64_t mono_ns;
    int64_t real_ns;
    int64_t suspended_ns;
    int slew_ppm;
    int64_t preempt_ns;
    int preempt_count;
    int64_t set_after_ns;
    int set_after_count;
    int64_t early_ns;
    int64_t late_ns;
    int64_t sleep_late_ns;
    unsigned arms;
    bool vm_running;
    int64_t virtual_ns;
    HostClock *machine_clock;
} sim;

/* The clocks */

static void pass(int64_t ns)
{
    sim.raw_ns += ns;
    sim_dev_pass(ns);
    ns += ns / 1000000 * sim.slew_ppm;
    sim.mono_ns += ns;
    sim.real_ns += ns;
    if (sim.vm_running) {
        sim.virtual_ns += ns;
    }
}

int64_t sim_mono_ns(void)
{
    return sim.mono_ns;
}

int64_t sim_real_ns(void)
{
    return sim.real_ns;
}

int64_t sim_raw_ns(void)
{
    return sim.raw_ns;
}

static int64_t look_at_realtime(void)
{
    int64_t seen_ns = sim.real_ns;

    if (sim.set_after_count > 0) {
        sim.set_after_count--;
        sim_set_realtime_quietly(sim.set_after_ns);
    }
    return seen_ns;
}

int64_t host_clock_os_now_ns(HostClockOsId id)
{
    if (id == HOST_CLOCK_OS_REALTIME && sim.preempt_count > 0) {
        sim.preempt_count--;
        pass(sim.preempt_ns);
    }
    pass(LOOK_NS);
    switch (id) {
    case HOST_CLOCK_OS_REALTIME:
        return look_at_realtime();
    case HOST_CLOCK_OS_MONOTONIC_RAW:
        return sim.raw_ns;
    case HOST_CLOCK_OS_BOOTTIME:
        return sim.mono_ns + sim.suspended_ns;
    default:
        return sim.mono_ns;
    }
}

void host_clock_os_sleep_ns(int64_t ns)
{
    pass(ns);
    if (sim.sleep_late_ns) {
        pass(g_test_rand_int_range(0, sim.sleep_late_ns));
    }
}

void sim_sleeps_late(int64_t ns)
{
    sim.sleep_late_ns = ns;
}

void sim_block(int64_t ns)
{
    pass(ns);
}

void sim_suspend(int64_t ns, bool devices_go_on)
{
    sim.suspended_ns += ns;
    sim_set_realtime_quietly(ns);
    if (devices_go_on) {
        sim_dev_pass(ns);
    }
}

int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns)
{
    int64_t best = INT64_MAX;

    for (int i = 0; i < 8 && best > 100 * LOOK_NS; i++) {
        int64_t before = host_clock_os_now_ns(id);
        int64_t real = host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME);
        int64_t after = host_clock_os_now_ns(id);

        if (after - before < best) {
            best = after - before;
            *ns = before + best / 2;
            *real_ns = real;
        }
    }
    return best / 2 + 1;
}

void sim_slew(int ppm)
{
    sim.slew_ppm = ppm;
}

void sim_set_realtime_after_looks(int64_t by_ns, int n)
{
    sim.set_after_ns = by_ns;
    sim.set_after_count = n;
}

void sim_preempt(int64_t ns, int n)
{
    sim.preempt_ns = ns;
    sim.preempt_count = n;
}

/* The timers */

HostClockOsTimer *host_clock_os_timer_new(HostClockOsId id,
                                          HostClockOsTimerCB *cb,
                                          void *opaque, Error **errp)
{
    HostClockOsTimer *timer = g_new0(HostClockOsTimer, 1);

    timer->id = id;
    timer->cb = cb;
    timer->opaque = opaque;
    timer->deadline_ns = INT64_MAX;
    QLIST_INSERT_HEAD(&timers, timer, next);
    return timer;
}

void host_clock_os_timer_free(HostClockOsTimer *timer)
{
    if (timer) {
        QLIST_REMOVE(timer, next);
        g_free(timer);
    }
}

bool host_clock_os_timer_arm(HostClockOsTimer *timer, int64_t deadline_ns)
{
    bool was_set = timer->was_set;

    sim.arms++;
    timer->was_set = false;
    timer->deadline_ns = deadline_ns;
    if (sim.late_ns && deadline_ns != INT64_MAX) {
        timer->deadline_ns += g_test_rand_int_range(0, sim.late_ns);
    }
    return !was_set;
}

const char *host_clock_os_alarm_name(void)
{
    return "simulated";
}

static int64_t timer_remaining(HostClockOsTimer *timer)
{
    int64_t now_ns = timer->id == HOST_CLOCK_OS_REALTIME ? sim.real_ns :
                                                           sim.mono_ns;

    if (timer->deadline_ns == INT64_MAX) {
        return INT64_MAX;
    }
    return MAX(timer->deadline_ns - sim.early_ns - now_ns, 0);
}

static HostClockOsTimer *first_timer(void)
{
    HostClockOsTimer *timer, *first = NULL;

    QLIST_FOREACH(timer, &timers, next) {
        if (!first || timer_remaining(timer) < timer_remaining(first)) {
            first = timer;
        }
    }
    return first;
}

/* What comes first, a timer or a device, happens now. */
static bool next_event(int64_t within_ns)
{
    HostClockOsTimer *timer = first_timer();
    int64_t timer_ns = timer ? timer_remaining(timer) : INT64_MAX;
    int64_t dev_ns = sim_dev_remaining();

    if (MIN(timer_ns, dev_ns) > within_ns) {
        return false;
    }
    pass(MIN(timer_ns, dev_ns));
    if (dev_ns <= timer_ns) {
        sim_dev_event();
    } else {
        timer->deadline_ns = INT64_MAX;
        timer->cb(timer->opaque, false);
    }
    return true;
}

void sim_advance(int64_t ns)
{
    int64_t end_ns = sim.mono_ns + ns;

    while (next_event(end_ns - sim.mono_ns)) {
        /* until there is nothing left on the way */
    }
    if (end_ns > sim.mono_ns) {
        pass(end_ns - sim.mono_ns);
    }
    sim_main_loop();
}

void sim_set_realtime_quietly(int64_t by_ns)
{
    HostClockOsTimer *timer;

    sim.real_ns += by_ns;
    QLIST_FOREACH(timer, &timers, next) {
        timer->was_set = timer->id == HOST_CLOCK_OS_REALTIME;
    }
}

void sim_set_realtime(int64_t by_ns)
{
    HostClockOsTimer *timer, *next;

    sim_set_realtime_quietly(by_ns);
    QLIST_FOREACH_SAFE(timer, &timers, next, next) {
        if (timer->was_set) {
            timer->was_set = false;
            timer->deadline_ns = INT64_MAX;
            timer->cb(timer->opaque, true);
        }
    }
    sim_main_loop();
}

void sim_timers_early(int64_t ns)
{
    sim.early_ns = ns;
}

void sim_timers_late(int64_t ns)
{
    sim.late_ns = ns;
}

unsigned sim_timers(void)
{
    HostClockOsTimer *timer;
    unsigned n = 0;

    QLIST_FOREACH(timer, &timers, next) {
        n++;
    }
    return n;
}

unsigned sim_arms(void)
{
    return sim.arms;
}

/* The VM */

VMChangeStateEntry *qemu_add_vm_change_state_handler_prio(
    VMChangeStateHandler *cb, void *opaque, int priority)
{
    VMChangeStateEntry *entry = g_new0(VMChangeStateEntry, 1);

    entry->cb = cb;
    entry->opaque = opaque;
    QLIST_INSERT_HEAD(&vm_handlers, entry, next);
    return entry;
}

void qemu_del_vm_change_state_handler(VMChangeStateEntry *entry)
{
    QLIST_REMOVE(entry, next);
    g_free(entry);
}

bool runstate_is_running(void)
{
    return sim.vm_running;
}

int64_t cpus_get_virtual_clock(void)
{
    return sim.virtual_ns;
}

void cpus_set_virtual_clock(int64_t new_time)
{
    sim.virtual_ns = new_time;
}

int64_t sim_virtual_ns(void)
{
    return sim.virtual_ns;
}

void sim_virtual_drift(int64_t ns)
{
    sim.virtual_ns += ns;
}

static void sim_vm_set(bool running)
{
    VMChangeStateEntry *entry;

    sim.vm_running = running;
    QLIST_FOREACH(entry, &vm_handlers, next) {
        entry->cb(entry->opaque, running,
                  running ? RUN_STATE_RUNNING : RUN_STATE_PAUSED);
    }
}

void sim_vm_start(void)
{
    sim_vm_set(true);
}

void sim_vm_stop(void)
{
    sim_vm_set(false);
}

/* The machine and the main loop */

HostClock *host_clock_get_machine_default(void)
{
    return sim.machine_clock;
}

bool host_clock_set_machine_default(HostClock *hc, Error **errp)
{
    sim.machine_clock = hc;
    return true;
}

void sim_main_loop(void)
{
    int rounds = 1000;

    while (rounds-- && aio_poll(qemu_get_aio_context(), false)) {
        /*
         * Until there is nothing left to do.  A source that steps whenever
         * somebody looks always has something; the real main loop sees to
         * others as well.
         */
    }
}

Object *sim_object_new(const char *type, const char *id)
{
    Object *obj = object_new(type);
    Error *err = NULL;

    if (id) {
        object_property_add_child(object_get_objects_root(), id, obj);
    }
    if (!user_creatable_complete(USER_CREATABLE(obj), &err)) {
        g_test_message("%s", error_get_pretty(err));
        error_free(err);
        if (id) {
            object_unparent(obj);
        }
        object_unref(obj);
        return NULL;
    }
    return obj;
}

void sim_object_del(Object *obj)
{
    if (obj->parent) {
        object_unparent(obj);
    }
    object_unref(obj);
    sim_main_loop();
}

void sim_reset(int64_t mono_ns, int64_t real_ns)
{
    g_assert_cmpuint(sim_timers(), ==, 0);
    memset(&sim, 0, sizeof(sim));
    sim.raw_ns = mono_ns;
    sim.mono_ns = mono_ns;
    sim.real_ns = real_ns;
    sim_dev_reset();
}

void sim_init(void)
{
    qemu_init_main_loop(&error_abort);
    /* A unit test has no BQL; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
}
