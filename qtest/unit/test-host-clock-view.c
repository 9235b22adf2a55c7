/*
 * Host clocks: the views of the machine's clock, and their alarms
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU's timers and main loop are the real ones, on a simulated host.
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "host-clock-core-test.h"

#define HOST    HOST_CLOCK_VIEW_TYPE_HOST
#define RT      HOST_CLOCK_VIEW_TYPE_RT
#define VM      HOST_CLOCK_VIEW_TYPE_VM
#define VIEWS   HOST_CLOCK_VIEW_TYPE__MAX

/* Time */

static void test_time(const void *name)
{
    int64_t rt0;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    rt0 = view_ns(RT);
    assert_near(view_ns(HOST), START_REAL);
    assert_near(view_ns(VM), 0);
    sim_advance(HOUR);
    assert_near(view_ns(HOST), START_REAL + HOUR);
    assert_near(view_ns(RT), rt0 + HOUR);
    assert_near(view_ns(VM), HOUR);
    sim_set_realtime(DAY);
    assert_near(view_ns(HOST), START_REAL + HOUR + DAY);
    assert_near(view_ns(RT), rt0 + HOUR);
    assert_near(view_ns(VM), HOUR);
    g_assert_cmpint(view_ns(VM), <=, sim_virtual_ns());
    for (int i = 0; i < VIEWS; i++) {
        g_assert_cmpint(host_clock_view_type(host_clock_view(i)), ==, i);
        g_assert_true(host_clock_view(i) == host_clock_view(i));
    }
}

/* While the VM is stopped its time is, and the others' goes on. */
static void test_stop(const void *name)
{
    int64_t before, rt0;
    Shot shot, rt;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    sim_advance(5 * SEC);
    shoot(&shot, VM, SEC);
    shoot(&rt, RT, SEC);
    sim_vm_stop();
    before = view_ns(VM);
    rt0 = view_ns(RT);
    g_assert_cmpint(before, ==, sim_virtual_ns());
    sim_advance(HOUR);
    g_assert_cmpint(view_ns(VM), ==, before);
    assert_near(view_ns(RT), rt0 + HOUR);
    g_assert_cmpint(shot.fired, ==, 0);
    g_assert_cmpint(rt.fired, ==, 1);
    sim_vm_start();
    sim_advance(SEC - 2 * LOOKS);
    g_assert_cmpint(shot.fired, ==, 0);
    sim_advance(4 * LOOKS);
    g_assert_cmpint(shot.fired, ==, 1);
    shot_free(&shot);
    shot_free(&rt);
}

static void test_host_before_1970(void)
{
    Shot shot;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("dynticks");
    host_clock_view(HOST);
    sim_set_realtime(-START_REAL - HOUR);
    g_assert_cmpint(view_ns(HOST), ==, 0);
    shoot(&shot, HOST, 10 * SEC);
    g_assert_cmpint(shot.due_ns, ==, 10 * SEC);
    sim_advance(HOUR);
    g_assert_cmpint(shot.fired, ==, 0);
    assert_near(view_ns(HOST), sim_real_ns());
    sim_advance(11 * SEC);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_cmpint(shot.late_ns, <, LOOKS);
    shot_free(&shot);
}

/* Timers */

static void test_due(const void *name)
{
    Shot shot[VIEWS];

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    for (int v = 0; v < VIEWS; v++) {
        shoot(&shot[v], v, 10 * SEC);
    }
    sim_advance(10 * SEC - 2 * LOOKS);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(shot[v].fired, ==, 0);
    }
    sim_advance(4 * LOOKS);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(shot[v].fired, ==, 1);
        shot_free(&shot[v]);
    }
    /* Nothing to wait for: no alarm is armed. */
    sim_main_loop();
    g_assert_cmpint(sim_sleep_ns(), ==, -1);
}

/* The main loop wakes up early, and so do the alarms; the callback asserts. */
static int64_t half_ns(HostClock *hc, int64_t delta_ns)
{
    return (delta_ns + 1) / 2;
}

static void test_never_early(void)
{
    Shot shot[VIEWS];
    unsigned wakeups;
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_made("plain");
    HOST_CLOCK_GET_CLASS(hc)->sleep_ns = half_ns;
    choose(hc);
    sim_timers_early(3 * MS);
    for (int v = 0; v < VIEWS; v++) {
        shoot(&shot[v], v, SEC + v * 10 * MS);
    }
    wakeups = sim_wakeups();
    for (int v = 0; v < VIEWS; v++) {
        sim_advance(shot[v].due_ns - view_ns(v) - MS);
        g_assert_cmpint(shot[v].fired, ==, 0);
        sim_advance(MS + LOOKS);
        g_assert_cmpint(shot[v].fired, ==, 1);
        shot_free(&shot[v]);
    }
    g_assert_cmpuint(sim_wakeups() - wakeups, >=, 2 * VIEWS);
}

/* The first of the list changes, in both directions. */
static void test_moved(void)
{
    Shot early, late;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("raw");
    for (int v = 0; v < VIEWS; v++) {
        shoot(&late, v, 10 * SEC);
        shoot(&early, v, 5 * SEC);
        early.due_ns += 7 * SEC;
        timer_mod(early.timer, early.due_ns);
        late.due_ns -= 9 * SEC;
        timer_mod(late.timer, late.due_ns);
        sim_advance(SEC + LOOKS);
        g_assert_cmpint(late.fired, ==, 1);
        sim_advance(10 * SEC);
        g_assert_cmpint(early.fired, ==, 0);
        sim_advance(SEC);
        g_assert_cmpint(early.fired, ==, 1);
        timer_mod(early.timer, early.due_ns + SEC);
        timer_del(early.timer);
        sim_advance(2 * SEC);
        g_assert_cmpint(early.fired, ==, 1);
        shot_free(&early);
        shot_free(&late);
    }
}

static void test_equal_deadlines(void)
{
    Shot shot[16];

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("boottime");
    for (int v = 0; v < VIEWS; v++) {
        int64_t due_ns;

        shots_fired = 0;
        for (int i = 0; i < 16; i++) {
            shoot(&shot[i], v, SEC);
        }
        due_ns = shot[0].due_ns + SEC;
        for (int i = 0; i < 16; i++) {
            /* In another order than they were created */
            Shot *s = &shot[i * 5 % 16];

            s->due_ns = due_ns;
            timer_mod(s->timer, due_ns);
        }
        sim_advance(3 * SEC);
        for (int i = 0; i < 16; i++) {
            g_assert_cmpint(shot[i * 5 % 16].order, ==, i + 1);
            shot_free(&shot[i]);
        }
    }
}

static void test_far(const void *name)
{
    unsigned wakeups;
    Shot shot[VIEWS];

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    for (int v = 0; v < VIEWS; v++) {
        shoot(&shot[v], v, SEC);
        timer_mod(shot[v].timer, INT64_MAX);
        timer_mod(shot[v].timer, INT64_MAX - 1);
    }
    wakeups = sim_wakeups();
    sim_advance(3650 * DAY);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(shot[v].fired, ==, 0);
        g_assert_true(timer_pending(shot[v].timer));
        shot_free(&shot[v]);
    }
    g_assert_cmpuint(sim_wakeups() - wakeups, <, 40);
}

/* A timer that arms itself again, as a periodic interrupt does */
static int64_t period_due_ns;
static int periods;

static void period_cb(void *opaque)
{
    QEMUTimer **timer = opaque;

    g_assert_cmpint(view_ns(RT), >=, period_due_ns);
    g_assert_cmpint(view_ns(RT), <, period_due_ns + LOOKS);
    periods++;
    period_due_ns += MS;
    timer_mod(*timer, period_due_ns);
}

static void test_periodic(void)
{
    QEMUTimer *timer;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("boottime");
    timer = host_clock_view_timer_new_ns(host_clock_view(RT), period_cb,
                                         &timer);
    period_due_ns = view_ns(RT) + MS;
    timer_mod(timer, period_due_ns);
    sim_advance(SEC + MS / 2);
    g_assert_cmpint(periods, ==, 1000);
    timer_free(timer);
}

/* The host is suspended */

/* An iothread sleeps for a timer list of its own. */
static unsigned iothread_woken;

static void wake_iothread(void *opaque, QEMUClockType type)
{
    iothread_woken++;
}

/*
 * Of two timers on each view one becomes due meanwhile.  It fires as soon as
 * the host says that it is back; the other, which is not due yet, in time.
 */
static void test_suspend(const void *name)
{
    bool goes_on = g_str_equal(name, "boottime");
    Shot due[VIEWS], left[VIEWS];
    int64_t rt0;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    for (int v = 0; v < VIEWS; v++) {
        shoot(&due[v], v, 60 * SEC);
        shoot(&left[v], v, HOUR + 60 * SEC);
    }
    rt0 = view_ns(RT);
    timerlist_new(QEMU_CLOCK_VIRTUAL, wake_iothread, NULL);
    sim_suspend(HOUR, false);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(due[v].fired, ==, 0);
    }
    sim_advance(LOOKS);
    assert_near(view_ns(RT), rt0 + LOOKS + (goes_on ? HOUR : 0));
    g_assert_cmpuint(iothread_woken, ==, 1);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(due[v].fired, ==, v == HOST || goes_on);
        g_assert_cmpint(left[v].fired, ==, 0);
    }
    sim_advance(60 * SEC - 3 * LOOKS);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(left[v].fired, ==, 0);
    }
    sim_advance(4 * LOOKS);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(due[v].fired, ==, 1);
        g_assert_cmpint(left[v].fired, ==, v == HOST || goes_on);
    }
    sim_advance(HOUR);
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(left[v].fired, ==, 1);
        shot_free(&due[v]);
        shot_free(&left[v]);
    }
}

/* All at once, at random: no timer is early, and none is forgotten. */

static bool vm_runs = true;

static void disturb(int what)
{
    int64_t ns = 1LL << g_test_rand_int_range(0, 45);

    switch (what) {
    case 0:
        sim_advance(ns);
        break;
    case 1:
        sim_set_realtime_quietly(g_test_rand_int_range(0, 2) ||
                                 sim_real_ns() < START_REAL ? ns : -ns);
        break;
    case 2:
        sim_suspend(ns, false);
        break;
    case 3:
        sim_vm_stop();
        vm_runs = false;
        break;
    case 4:
        sim_block(ns / SEC);
        break;
    default:
        sim_vm_start();
        vm_runs = true;
    }
}

static void test_random(const void *name)
{
    Shot shot[4 * VIEWS];
    int fired = 0;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    for (int i = 0; i < ARRAY_SIZE(shot); i++) {
        shoot(&shot[i], i % VIEWS, g_test_rand_int());
    }
    for (int n = 0; n < 20000; n++) {
        disturb(g_test_rand_int_range(0, 8));
        sim_advance(0);
        for (int i = 0; i < ARRAY_SIZE(shot); i++) {
            int64_t now = view_ns(i % VIEWS);

            if (shot[i].fired) {
                fired++;
                shot[i].fired = 0;
                shot[i].due_ns = now + (1LL << g_test_rand_int_range(0, 45));
                timer_mod(shot[i].timer, shot[i].due_ns);
            } else if (i % VIEWS != VM || vm_runs) {
                g_assert_cmpint(now, <, shot[i].due_ns + 10 * LOOKS);
            }
        }
    }
    g_assert_cmpint(fired, >, 5000);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

    add_for_sources("view/time", test_time);
    add_for_sources("view/stop", test_stop);
    add_for_sources("view/due", test_due);
    add_for_sources("view/far", test_far);
    add_for_sources("view/suspend", test_suspend);
    add_for_sources("view/random", test_random);
    /* A source whose epoch is later than that of QEMU's clock */
    g_test_add_data_func("/host-clock/made/view/far", "plain", test_far);
#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("core/view/before-1970", test_host_before_1970);
    ADD("core/view/never-early", test_never_early);
    ADD("core/view/moved", test_moved);
    ADD("core/view/equal-deadlines", test_equal_deadlines);
    ADD("core/view/periodic", test_periodic);
    return g_test_run();
}
