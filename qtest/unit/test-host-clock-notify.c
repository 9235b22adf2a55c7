/*
 * Host clocks: telling of steps of wall time, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "host-clock-core-test.h"

#define HOST    HOST_CLOCK_VIEW_TYPE_HOST
#define RT      HOST_CLOCK_VIEW_TYPE_RT

static struct {
    Notifier notifiers[2];
    int count;
    int64_t total_ns;
    /* What has to have fired, or not, when a notifier is called */
    Shot *due;
    Shot *not_due;
    int64_t step_again_ns;
} stepped;

static void note_step(Notifier *notifier, void *data)
{
    g_assert_true(bql_locked());
    stepped.count++;
    stepped.total_ns += *(int64_t *)data;
    if (stepped.due) {
        g_assert_cmpint(stepped.due->fired, ==, 1);
        g_assert_cmpint(stepped.not_due->fired, ==, 0);
    }
    if (stepped.step_again_ns) {
        int64_t ns = stepped.step_again_ns;

        stepped.step_again_ns = 0;
        sim_set_realtime_quietly(ns);
    }
}

/* One notifier, or two */
static void note_steps(int n)
{
    for (int i = 0; i < n; i++) {
        stepped.notifiers[i].notify = note_step;
        host_clock_add_step_notifier(&stepped.notifiers[i]);
    }
}

/* First the timers that it has made expire, then the devices */
static void test_forward(const void *name)
{
    Shot host, later, rt;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    shoot(&host, HOST, 60 * SEC);
    shoot(&later, HOST, HOUR + 60 * SEC);
    shoot(&rt, RT, 60 * SEC);
    stepped.due = &host;
    stepped.not_due = &later;
    note_steps(2);
    sim_set_realtime(HOUR);
    g_assert_cmpint(host.fired, ==, 1);
    g_assert_cmpint(rt.fired, ==, 0);
    g_assert_cmpint(stepped.count, ==, 2);
    assert_near(stepped.total_ns, 2 * HOUR);
    /* The alarm is set to what is due now. */
    sim_advance(60 * SEC - 2 * LOOKS);
    g_assert_cmpint(later.fired, ==, 0);
    g_assert_cmpint(rt.fired, ==, 0);
    sim_advance(4 * LOOKS);
    g_assert_cmpint(later.fired, ==, 1);
    g_assert_cmpint(rt.fired, ==, 1);
    g_assert_cmpint(host.fired, ==, 1);
    g_assert_cmpint(stepped.count, ==, 2);
    shot_free(&host);
    shot_free(&later);
    shot_free(&rt);
}

static void test_backward(const void *name)
{
    Shot host, rt;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock(name);
    shoot(&host, HOST, 60 * SEC);
    shoot(&rt, RT, 60 * SEC);
    note_steps(1);
    sim_set_realtime(-HOUR);
    assert_near(stepped.total_ns, -HOUR);
    sim_advance(61 * SEC);
    g_assert_cmpint(rt.fired, ==, 1);
    g_assert_cmpint(host.fired, ==, 0);
    sim_advance(HOUR - SEC - 2 * LOOKS);
    g_assert_cmpint(host.fired, ==, 0);
    sim_advance(4 * LOOKS);
    g_assert_cmpint(host.fired, ==, 1);
    shot_free(&host);
    shot_free(&rt);
}

/* The clock is set while a timer is being armed, after each of many looks. */
static void test_while_arming(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("raw");
    for (int n = 0; n < 12; n++) {
        int64_t step_ns = n % 2 ? HOUR : -HOUR;
        Shot host, rt;

        shoot(&host, HOST, HOUR + 20 * SEC);
        shoot(&rt, RT, 10 * SEC);
        if (n < 2) {
            sim_set_realtime_quietly(step_ns);
        } else {
            sim_set_realtime_after_looks(step_ns, n / 2);
        }
        timer_mod(rt.timer, rt.due_ns);
        timer_mod(host.timer, host.due_ns);
        /* At the latest one of these looks was the last of so many. */
        for (int i = 0; i < n; i++) {
            view_ns(HOST);
        }
        sim_set_realtime_after_looks(0, 0);
        sim_advance(11 * SEC);
        g_assert_cmpint(rt.fired, ==, 1);
        g_assert_cmpint(rt.late_ns, <, LOOKS);
        sim_advance(10 * SEC);
        g_assert_cmpint(host.fired, ==, step_ns > 0);
        if (step_ns < 0) {
            sim_advance((3 + n / 2) * HOUR);
            g_assert_cmpint(host.fired, ==, 1);
            g_assert_cmpint(host.late_ns, <, LOOKS);
        }
        shot_free(&host);
        shot_free(&rt);
    }
}

/* Several steps before the main loop runs: one call, with the sum */
static void test_sum(void)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    hc = choose_made("paired");
    note_steps(1);
    for (int i = 0; i < 5; i++) {
        made.wall_ns += HOUR;
        host_clock_check_step(hc, i % 2);
    }
    g_assert_cmpuint(hc->generation, ==, 5);
    g_assert_cmpint(stepped.count, ==, 0);
    sim_main_loop();
    g_assert_cmpint(stepped.count, ==, 1);
    g_assert_cmpint(stepped.total_ns, ==, 5 * HOUR);
    g_assert_cmpint(said.steps, ==, 1);
    g_assert_cmpuint(said.step.generation, ==, 5);
    sim_main_loop();
    g_assert_cmpint(stepped.count, ==, 1);
    /* Without waiting for the main loop, and not twice */
    made.wall_ns -= HOUR;
    host_clock_check_step(hc, true);
    host_clock_deliver_events(hc);
    g_assert_cmpint(stepped.count, ==, 2);
    sim_main_loop();
    g_assert_cmpint(stepped.count, ==, 2);
}

/* It is set while the devices are being told. */
static void test_in_notifier(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("dynticks");
    note_steps(1);
    stepped.step_again_ns = -DAY;
    sim_set_realtime(HOUR);
    g_assert_cmpint(stepped.count, ==, 1);
    sim_advance(MS);
    g_assert_cmpint(stepped.count, ==, 2);
    assert_near(stepped.total_ns, HOUR - DAY);
}

/* A clock that is not the machine's steps: an event, and no device cares. */
static void test_other_clock(void)
{
    HostClock *hc;
    Shot shot;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("dynticks");
    memset(&made, 0, sizeof(made));
    hc = HOST_CLOCK(sim_object_new(TYPE_PAIRED, "hc1"));
    note_steps(1);
    shoot(&shot, HOST, 60 * SEC);
    made.wall_ns += HOUR;
    host_clock_check_step(hc, true);
    sim_main_loop();
    g_assert_cmpint(said.steps, ==, 1);
    g_assert_cmpint(stepped.count, ==, 0);
    g_assert_cmpint(shot.fired, ==, 0);
    shot_free(&shot);
}

/* A device on the system clock learns of steps, too. */
static void test_system_clock(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    sim_reset(START_MONO, START_REAL);
    g_assert_true(host_clock_configure(NULL, NULL));
    host_clock_view(HOST);
    note_steps(1);
    sim_set_realtime(-HOUR);
    g_assert_cmpint(stepped.count, ==, 1);
    assert_near(stepped.total_ns, -HOUR);
}

/*
 * A vCPU's thread, or a device that waits for its disk, polls the main
 * AioContext; the devices must not be told there.
 */
static void test_nested_poll(void)
{
    HostClock *hc;
    Shot host, rt;

    if (sim_in_subprocess()) {
        return;
    }
    hc = choose_made("paired");
    shoot(&host, HOST, SEC);
    shoot(&rt, RT, SEC);
    note_steps(1);
    made.wall_ns += HOUR;
    host_clock_check_step(hc, true);
    host_clock_report_failure(hc, "gone");
    for (int i = 0; i < 5; i++) {
        aio_poll(qemu_get_aio_context(), false);
        g_assert_cmpint(stepped.count, ==, 0);
        g_assert_cmpint(host.fired, ==, 0);
        g_assert_cmpint(said.steps, ==, 0);
        g_assert_cmpint(said.states, ==, 0);
    }
    main_loop_wait(true);
    g_assert_cmpint(stepped.count, ==, 1);
    g_assert_cmpint(host.fired, ==, 1);
    g_assert_cmpint(rt.fired, ==, 0);
    g_assert_cmpint(said.steps, ==, 1);
    g_assert_cmpint(said.states, ==, 1);
    shot_free(&host);
    shot_free(&rt);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

    add_for_sources("step/forward", test_forward);
    add_for_sources("step/backward", test_backward);
#define ADD(path, fn) g_test_add_func("/host-clock/core/step/" path, fn)
    ADD("while-arming", test_while_arming);
    ADD("sum", test_sum);
    ADD("in-notifier", test_in_notifier);
    ADD("other-clock", test_other_clock);
    ADD("system-clock", test_system_clock);
    ADD("nested-poll", test_nested_poll);
    return g_test_run();
}
