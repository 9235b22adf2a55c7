/*
 * A simulated host for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qom/object_interfaces.h"
#include "system/cpu-timers.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "host-clock-sim.h"

#include <sys/syscall.h>
#include <sys/time.h>

/* What reading a clock costs; it makes two readings differ. */
#define LOOK_NS 20

static struct {
    int64_t raw_ns;
    int64_t mono_ns;
    int64_t real_ns;
    int64_t suspended_ns;
    int slew_ppm;
    int64_t slew_millionths;
    int64_t preempt_ns;
    int preempt_count;
    int64_t set_after_ns;
    int set_after_count;
    bool was_set;
    int64_t early_ns;
    int64_t late_ns;
    int64_t sleep_late_ns;
    /* The main loop's deadline, and how late it will be noticed */
    int64_t deadline_ns;
    int64_t deadline_late_ns;
    unsigned wakeups;
    int64_t busy_ns;
    bool vm_running;
    int64_t virtual_ns;
} sim;

/* Is there a KVM?  Of accel/ nothing is linked */
bool kvm_allowed;

/* What outlives a test, as it does in the core */
static void (*watch_cb)(void);
static bool no_watch;
static CPUClockBase *clock_base;
static bool real_time;

struct timex sim_timex;
int sim_timex_state;

/* Only the test's own thread makes time pass by reading a clock. */
static __thread int64_t look_ns;

/* The clocks */

static void pass(int64_t ns)
{
    sim.raw_ns += ns;
    sim_dev_pass(ns);
    sim.slew_millionths += ns % NANOSECONDS_PER_SECOND * sim.slew_ppm;
    ns += ns / NANOSECONDS_PER_SECOND * sim.slew_ppm * 1000 +
          sim.slew_millionths / 1000000;
    sim.slew_millionths %= 1000000;
    sim.mono_ns += ns;
    sim.real_ns += ns;
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

static int64_t read_realtime(void)
{
    int64_t seen_ns;

    if (sim.preempt_count > 0) {
        sim.preempt_count--;
        pass(sim.preempt_ns);
    }
    seen_ns = sim.real_ns;
    if (sim.set_after_count > 0) {
        sim.set_after_count--;
        sim_set_realtime_quietly(sim.set_after_ns);
    }
    return seen_ns;
}

/* QEMU's own timers, and all else that is linked in, see these, too. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ns;

    if (real_time) {
        return syscall(SYS_clock_gettime, id, ts);
    }
    pass(look_ns);
    switch (id) {
    case CLOCK_REALTIME:
        ns = look_ns ? read_realtime() : sim.real_ns;
        break;
    case CLOCK_MONOTONIC:
        ns = sim.mono_ns;
        break;
    case CLOCK_MONOTONIC_RAW:
        ns = sim.raw_ns;
        break;
    case CLOCK_BOOTTIME:
        ns = sim.mono_ns + sim.suspended_ns;
        break;
    default:
        return syscall(SYS_clock_gettime, id, ts);
    }
    ts->tv_sec = ns / NANOSECONDS_PER_SECOND;
    ts->tv_nsec = ns % NANOSECONDS_PER_SECOND;
    if (ts->tv_nsec < 0) {
        ts->tv_sec--;
        ts->tv_nsec += NANOSECONDS_PER_SECOND;
    }
    return 0;
}

void sim_real_time(bool on)
{
    real_time = on;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

int adjtimex(struct timex *t)
{
    g_assert_cmpuint(t->modes, ==, 0);
    *t = sim_timex;
    return sim_timex_state;
}

void g_usleep(gulong us)
{
    /* One of QEMU's own threads */
    if (!look_ns) {
        usleep(us);
        return;
    }
    pass(us * SCALE_US);
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

void sim_slew(int ppm)
{
    sim.slew_ppm = ppm;
}

void sim_preempt(int64_t ns, int n)
{
    sim.preempt_ns = ns;
    sim.preempt_count = n;
}

/* Steps */

bool host_clock_os_watch(void (*cb)(void))
{
    if (no_watch) {
        return false;
    }
    watch_cb = cb;
    return true;
}

void sim_no_watch(bool on)
{
    no_watch = on;
}

static void announce_step(void)
{
    bool was_set = sim.was_set;

    /* As the kernel has it: what comes while it is told is told again. */
    sim.was_set = false;
    if (was_set && watch_cb && !no_watch) {
        watch_cb();
    }
}

void sim_set_realtime_quietly(int64_t by_ns)
{
    sim.real_ns += by_ns;
    sim.was_set = true;
}

void sim_set_realtime(int64_t by_ns)
{
    sim_set_realtime_quietly(by_ns);
    announce_step();
    sim_main_loop();
}

void sim_set_realtime_after_looks(int64_t by_ns, int n)
{
    sim.set_after_ns = by_ns;
    sim.set_after_count = n;
}

void sim_suspend(int64_t ns, bool devices_go_on)
{
    sim.suspended_ns += ns;
    sim_set_realtime_quietly(ns);
    if (devices_go_on) {
        sim_dev_pass(ns);
    }
}

/* The main loop: QEMU's, but how long it sleeps is up to us */

int64_t sim_sleep_ns(void)
{
    int64_t cost_ns = look_ns, sleep_ns;

    look_ns = 0;
    sleep_ns = timerlistgroup_deadline_ns(&main_loop_tlg);
    look_ns = cost_ns;
    return sleep_ns;
}

/* The deadline has passed, and the main loop has not noticed yet. */
static bool loop_oversleeps(void)
{
    return sim.mono_ns >= sim.deadline_ns &&
           sim.mono_ns < sim.deadline_ns + sim.deadline_late_ns;
}

/* What is left until the main loop wakes up because of a timer */
static int64_t loop_remaining(void)
{
    int64_t sleep_ns;

    if (loop_oversleeps()) {
        return sim.deadline_ns + sim.deadline_late_ns - sim.mono_ns;
    }
    sleep_ns = sim_sleep_ns();
    if (sleep_ns < 0 || sleep_ns > INT64_MAX / 2 - sim.mono_ns) {
        return INT64_MAX;
    }
    /* One deadline is late by the same amount however often it is asked for. */
    if (sim.mono_ns + sleep_ns != sim.deadline_ns) {
        sim.deadline_ns = sim.mono_ns + sleep_ns;
        sim.deadline_late_ns = sim.late_ns ?
                               g_test_rand_int_range(0, sim.late_ns) : 0;
    }
    return sleep_ns + sim.deadline_late_ns -
           (sleep_ns > sim.early_ns ? sim.early_ns : 0);
}

static void loop_run(void)
{
    int64_t begin_ns = sim.mono_ns;

    main_loop_wait(true);
    sim.busy_ns = MAX(sim.busy_ns, sim.mono_ns - begin_ns);
}

void sim_main_loop(void)
{
    /* What one round finds to do may schedule something for the next. */
    for (int i = 0; i < 3; i++) {
        loop_run();
    }
}

void sim_advance(int64_t ns)
{
    int64_t end_ns = sim.mono_ns + ns;

    announce_step();
    while (true) {
        int64_t timer_ns, dev_ns;

        if (!loop_oversleeps()) {
            loop_run();
        }
        timer_ns = loop_remaining();
        dev_ns = sim_dev_remaining();
        if (MIN(timer_ns, dev_ns) > end_ns - sim.mono_ns) {
            break;
        }
        pass(MIN(timer_ns, dev_ns));
        if (dev_ns <= timer_ns) {
            sim_dev_event();
        } else {
            sim.wakeups++;
        }
    }
    pass(MAX(end_ns - sim.mono_ns, 0));
    if (!loop_oversleeps()) {
        sim_main_loop();
    }
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
    unsigned n = 0;

    for (QEMUClockType type = 0; type < QEMU_CLOCK_MAX; type++) {
        n += timerlist_has_timers(main_loop_tlg.tl[type]);
    }
    return n;
}

unsigned sim_wakeups(void)
{
    return sim.wakeups;
}

int64_t sim_busy_ns(void)
{
    return sim.busy_ns;
}

/* The VM, as system/cpu-timers.c has it */

static int64_t base_ns(void)
{
    return clock_base && clock_base->get_ns ?
           clock_base->get_ns(clock_base->clock) : get_clock();
}

int64_t cpus_get_virtual_clock(void)
{
    return sim.virtual_ns + (sim.vm_running ? base_ns() : 0);
}

void cpus_set_virtual_clock(int64_t new_time)
{
    g_assert_not_reached();
}

int64_t cpus_virtual_clock_sleep_ns(int64_t delta_ns)
{
    return clock_base && delta_ns >= 0 ?
           clock_base->sleep_ns(clock_base->clock, delta_ns) : delta_ns;
}

void cpu_set_clock_base(CPUClockBase *base)
{
    sim.virtual_ns = cpus_get_virtual_clock();
    clock_base = base;
    sim.virtual_ns -= sim.vm_running ? base_ns() : 0;
}

int64_t sim_virtual_ns(void)
{
    return cpus_get_virtual_clock();
}

void sim_vm_start(void)
{
    if (!sim.vm_running) {
        sim.virtual_ns -= base_ns();
        sim.vm_running = true;
        qemu_clock_enable(QEMU_CLOCK_VIRTUAL, true);
    }
}

void sim_vm_stop(void)
{
    if (sim.vm_running) {
        sim.virtual_ns += base_ns();
        sim.vm_running = false;
        qemu_clock_enable(QEMU_CLOCK_VIRTUAL, false);
    }
}

/* Objects */

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

int64_t last_step_ns(HostClock *hc)
{
    return hc->generation ?
           hc->steps[hc->generation % ARRAY_SIZE(hc->steps)].step_ns : 0;
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
    sim_vm_stop();
    memset(&sim, 0, sizeof(sim));
    memset(&sim_timex, 0, sizeof(sim_timex));
    sim_timex_state = TIME_OK;
    sim.raw_ns = mono_ns;
    sim.mono_ns = mono_ns;
    sim.real_ns = real_ns;
    sim_dev_reset();
}

bool sim_in_subprocess(void)
{
    if (g_test_subprocess()) {
        return false;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
    return true;
}

void sim_init(void)
{
    look_ns = LOOK_NS;
    qemu_init_main_loop(&error_abort);
    /* A test that starts another process does not need it there. */
    rcu_disable_atfork();
    /* A unit test has no BQL; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
}
