/*
 * Host clock "scaled": how long QEMU sleeps, and steps of wall time, on a
 * simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-change-test.h"

/* Sleeps */

#define SHOTS   60

typedef struct Sleep {
    const char *path;
    const char *parent;
    uint32_t num, den;
    /* How often QEMU wakes up for a timer */
    int wakeups;
} Sleep;

/* No timer is early (the shots see to it), or late by more than a ms. */
static void check_shots(Shot *shots, const Sleep *c)
{
    for (int i = 0; i < SHOTS; i++) {
        g_assert_cmpint(shots[i].fired, ==, 1);
        g_assert_cmpint(shots[i].late_ns / c->num * c->den, <=, MS);
        shot_free(&shots[i]);
    }
}

static void test_sleeps(const void *opaque)
{
    const Sleep *c = opaque;
    Shot shots[SHOTS];
    HostClock *hc;
    unsigned wakeups;

    if (sim_in_subprocess()) {
        return;
    }
    hc = choose_scaled(c->parent, "clock=hc0");
    set_rate(hc, c->num, c->den);
    for (int i = 0; i < SHOTS; i++) {
        int64_t ns = (int64_t)any_size() << 2;

        shoot(&shots[i], i % HOST_CLOCK_VIEW_TYPE__MAX,
              (__int128)ns * c->num / c->den);
    }
    wakeups = sim_wakeups();
    sim_advance(20 * SEC);
    wakeups = sim_wakeups() - wakeups;
    g_test_message("%u wake-ups", wakeups);
    g_assert_cmpuint(wakeups, <=, SHOTS * c->wakeups);
    check_shots(shots, c);
    /* Whoever has no timer sleeps on. */
    g_assert_cmpint(sim_sleep_ns(), ==, -1);
}

/* Who sleeps when the rate is set sleeps for as long as it takes then. */
static void test_sleeps_on(void)
{
    Shot shots[HOST_CLOCK_VIEW_TYPE__MAX];
    unsigned wakeups;
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    hc = choose_scaled("dynticks", "clock=hc0,rate=1/100");
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        shoot(&shots[i], i, 10 * SEC);
    }
    sim_advance(100 * SEC);
    set_rate(hc, 100, 1);
    sim_advance(80 * MS);
    set_rate(hc, 1, 4);
    wakeups = sim_wakeups();
    /* 9 s are left, less 8. */
    sim_advance(3900 * MS);
    g_assert_cmpuint(sim_wakeups(), ==, wakeups);
    sim_advance(101 * MS);
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        g_assert_cmpint(shots[i].fired, ==, 1);
        shot_free(&shots[i]);
    }
}

/* Wall time */

static void check_step(HostClock *hc, int n, int64_t step_ns)
{
    g_assert_cmpuint(hc->generation, ==, n);
    assert_near(last_step_ns(hc), step_ns);
}

/* A step passes on down the chain: once, and as large as it is. */
static void check_steps_pass(const char *name, int slew_ppm)
{
    static const int64_t steps[] = { HOUR, -HOUR, 20 * MS, -3650 * DAY };
    HostClock *parent = open_clock(name);
    HostClock *fast = scale("fast", "clock=hc0,rate=100,offset-ns=1000000000");
    HostClock *slow = scale("slow", "clock=fast,rate=1/1000");
    int64_t total_ns = 0;

    sim_slew(slew_ppm);
    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        HostClockReading r;
        int64_t mono_ns;

        sim_advance(HOUR);
        memset(&said, 0, sizeof(said));
        mono_ns = mono(slow);
        sim_set_realtime(steps[i]);
        sim_advance(MS);
        total_ns += steps[i];
        check_step(parent, i + 1, steps[i]);
        check_step(fast, i + 1, steps[i]);
        check_step(slow, i + 1, steps[i]);
        g_assert_cmpint(said.steps, ==, 3);
        g_assert_cmpint(said.step.reason, ==, HOST_CLOCK_STEP_REASON_SET);
        g_assert_cmpint(mono(slow) - mono_ns, <=, MS);
        host_clock_read(fast, &r);
        assert_near(r.wall_ns - r.mono_ns, START_REAL + SEC + total_ns);
    }
    sim_object_del(OBJECT(slow));
    sim_object_del(OBJECT(fast));
    close_clock(parent);
}

static void test_steps_pass(const void *name)
{
    check_steps_pass(name, 0);
}

/* What the parent drifts meanwhile is no part of the step. */
static void test_steps_pass_slewed(void)
{
    check_steps_pass("dynticks", 500);
}

static void test_drift(void)
{
    HostClock *parent = open_clock("raw");
    HostClock *hc = scale("s", "clock=hc0");

    sim_slew(100);
    sim_advance(DAY);
    sim_set_realtime(HOUR);
    check_step(parent, 1, HOUR);
    check_step(hc, 1, HOUR);
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* The host does not tell: the parent's own look passes on what it sees. */
static void test_step_of_parent(void)
{
    HostClock *parent = open_made("paired"), *hc;

    hc = scale("s", "clock=hc0,rate=7");
    made.wall_ns -= 50 * US;
    host_clock_check_step(parent, true);
    g_assert_cmpuint(hc->generation, ==, 0);
    sim_main_loop();
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(last_step_ns(hc), ==, -50 * US);
    g_assert_cmpint(said.steps, ==, 2);
    g_assert_cmpint(said.step_ns, ==, -100 * US);
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* A thread that loses the CPU must not see a step, at any rate. */
static void test_preempted(void)
{
    HostClock *parent = open_clock("dynticks");
    HostClock *hc = scale("s", "clock=hc0");

    for (int i = 1; i < 60; i++) {
        set_rate(hc, i % 3 ? 1 : 100, i % 3 == 2 ? 100 : 1);
        sim_preempt(20 * MS, 1);
        host_clock_check_step(hc, i % 2);
        g_assert_cmpuint(hc->generation, ==, 0);
    }
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* boottime goes on while the host is suspended, and what is made of it, too. */
static void test_suspend(void)
{
    HostClock *boottime = open_clock("boottime"), *dynticks, *fast, *still;
    int64_t fast_ns, still_ns, wall_ns, passed_ns;

    dynticks = HOST_CLOCK(sim_object_new(HOST_CLOCK_PREFIX "dynticks", "hc1"));
    fast = scale("fast", "clock=hc0,rate=3/2");
    still = scale("still", "clock=hc1,rate=3/2");
    fast_ns = mono(fast);
    still_ns = mono(still);
    wall_ns = wall(fast);
    sim_suspend(HOUR, true);
    sim_advance(LOOKS);
    passed_ns = mono(fast) - fast_ns;
    g_assert_cmpint(passed_ns, >=, HOUR * 3 / 2);
    g_assert_cmpint(passed_ns, <=, HOUR * 3 / 2 + MS);
    assert_near(wall(fast) - wall_ns, mono(fast) - fast_ns);
    check_step(fast, 1, 0);
    g_assert_cmpint(mono(still) - still_ns, <=, MS);
    check_step(still, 1, HOUR);
    g_assert_cmpint(still->steps[1].reason, ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    g_assert_cmpint(fast->steps[1].reason, ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    /* Each of the four was told once. */
    g_assert_cmpint(said.steps, ==, 4);
    sim_object_del(OBJECT(still));
    sim_object_del(OBJECT(fast));
    sim_object_del(OBJECT(dynticks));
    close_clock(boottime);
}

int main(int argc, char **argv)
{
    static const Sleep sleeps[] = {
        { "3-2", "dynticks", 3, 2, 1 }, { "1-4", "dynticks", 1, 4, 1 },
        { "100", "dynticks", 100, 1, 1 }, { "1-100", "dynticks", 1, 100, 1 },
        { "10000", "dynticks", 10000, 1, 1 },
        { "1-10000", "dynticks", 1, 10000, 1 },
        /* Of which the rate is not that of CLOCK_MONOTONIC */
        { "raw-100", "raw", 100, 1, 2 }, { "raw-1-100", "raw", 1, 100, 2 },
    };


    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/scaled/" path, fn)
    for (int i = 0; i < ARRAY_SIZE(sleeps); i++) {
        g_autofree char *path = g_strconcat("/host-clock/scaled/sleeps/",
                                            sleeps[i].path, NULL);

        g_test_add_data_func(path, &sleeps[i], test_sleeps);
    }
    ADD("sleeps-on", test_sleeps_on);
    g_test_add_data_func("/host-clock/scaled/step/dynticks", "dynticks",
                         test_steps_pass);
    g_test_add_data_func("/host-clock/scaled/step/raw", "raw",
                         test_steps_pass);
    ADD("step/slewed", test_steps_pass_slewed);
    ADD("step/drift", test_drift);
    ADD("step/of-parent", test_step_of_parent);
    ADD("step/preempted", test_preempted);
    ADD("suspend", test_suspend);
    return g_test_run();
}
