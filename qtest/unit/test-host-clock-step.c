/*
 * Host clocks: steps of wall time, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "host-clock-core-test.h"

/* What is a step */

static void test_sizes(const void *name)
{
    static const int64_t steps[] = {
        SEC, -SEC, HOUR, -HOUR, 3650 * DAY, -3650 * DAY, 20 * MS, -20 * MS,
        10 * US, -10 * US,
    };
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc) - sim_mono_ns(), total_ns = 0;

    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        sim_set_realtime_quietly(steps[i]);
        total_ns += steps[i];
        /* A vCPU that reads first changes nothing in what is announced. */
        if (i % 2) {
            assert_near(mono(hc), mono0 + sim_mono_ns());
            assert_near(wall(hc), START_REAL - START_MONO + total_ns +
                                  sim_mono_ns());
        }
        sim_advance(100 * MS + LOOKS);
        g_assert_cmpuint(hc->generation, ==, i + 1);
        assert_near(last_step_ns(hc), steps[i]);
        assert_near(said.step_ns, total_ns);
        g_assert_cmpint(said.steps, ==, i + 1);
        g_assert_cmpuint(said.step.generation, ==, i + 1);
        assert_near(mono(hc), mono0 + sim_mono_ns());
    }
    close_clock(hc);
}

/* The kernel slews by at most 500 ppm, for as long as it likes. */
static void test_slew(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int ppm = -500; ppm <= 500; ppm += 1000) {
        int64_t last = mono(hc);

        sim_slew(ppm);
        for (int i = 0; i < 1000; i++) {
            sim_advance(SEC);
            host_clock_check_step(hc, i % 2);
            g_assert_cmpint(mono(hc), >, last);
            last = mono(hc);
        }
        sim_advance(DAY);
        host_clock_check_step(hc, false);
    }
    g_assert_cmpuint(hc->generation, ==, 0);
    g_assert_cmpint(said.steps, ==, 0);
    close_clock(hc);
}

/* A thread that loses the CPU between two looks must not see a step. */
static void test_preempted(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int n = 1; n < 12; n++) {
        sim_preempt(20 * MS, n);
        host_clock_check_step(hc, n % 2);
        g_assert_cmpuint(hc->generation, ==, 0);
    }
    close_clock(hc);
}

/* Nobody said anything, so it has to be more than noise and slew. */
static void test_unannounced(void)
{
    HostClock *hc = open_made("paired");

    made.wall_ns += 9 * MS;
    host_clock_check_step(hc, false);
    made.mono_ns += 1000 * SEC;
    made.wall_ns += 1000 * SEC + 500 * MS;
    host_clock_check_step(hc, false);
    made.mono_ns += 1000 * SEC;
    made.wall_ns += 1000 * SEC - 500 * MS;
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 0);
    made.wall_ns += 11 * MS;
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(last_step_ns(hc), ==, 11 * MS);
    made.mono_ns += 1000 * SEC;
    made.wall_ns += 1000 * SEC - 600 * MS;
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 2);
    g_assert_cmpint(last_step_ns(hc), ==, -600 * MS);
    /* Once it has been told it is none any more. */
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 2);
    sim_main_loop();
    g_assert_cmpint(said.steps, ==, 1);
    g_assert_cmpint(said.step_ns, ==, -589 * MS);
    close_clock(hc);
}

/* If somebody said that it was set, all but noise is a step. */
static void test_announced(void)
{
    HostClock *hc = open_made("paired");

    made.wall_ns += US / 2;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 0);
    made.wall_ns += 3 * US;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(last_step_ns(hc), ==, 3 * US);
    /* What the source does not know it cannot have seen change. */
    made.error_ns = 50 * MS;
    made.wall_ns += 50 * MS;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 1);
    made.wall_ns += 52 * MS;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 2);
    close_clock(hc);
}

/* Who notices it */

/* Nobody reads the time, as with -rtc clock=vm: a step is noticed, once. */
static void test_unread(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int i = 1; i <= 3; i++) {
        sim_set_realtime(-HOUR);
        g_assert_cmpuint(hc->generation, ==, i);
        assert_near(last_step_ns(hc), -HOUR);
        sim_advance(DAY);
    }
    g_assert_cmpint(said.steps, ==, 3);
    close_clock(hc);
}

/* All that are open, and each source is told before it is asked. */
static int64_t stepping_ns;

static void step_when_told(HostClock *hc)
{
    made.was_set++;
    made.wall_ns += stepping_ns;
}

static void test_all_clocks(void)
{
    HostClock *hc = open_made("paired"), *other;

    HOST_CLOCK_GET_CLASS(hc)->clock_was_set = step_when_told;
    other = HOST_CLOCK(sim_object_new(HOST_CLOCK_PREFIX "raw", "hc1"));
    made.was_set = 0;
    stepping_ns = 5 * SEC;
    sim_set_realtime(HOUR);
    g_assert_cmpint(made.was_set, ==, 1);
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(last_step_ns(hc), ==, 5 * SEC);
    g_assert_cmpuint(other->generation, ==, 1);
    assert_near(last_step_ns(other), HOUR);
    g_assert_cmpint(said.steps, ==, 2);
    sim_object_del(OBJECT(other));
    close_clock(hc);
}

/*
 * A host that does not tell, or that has no descriptor left: the next look
 * notices it, if it is no slew.  The next clock tries again.
 */
static void test_no_watch(void)
{
    HostClock *hc, *other;

    if (sim_in_subprocess()) {
        return;
    }
    sim_no_watch(true);
    hc = open_clock("dynticks");
    choose(hc);
    sim_set_realtime(HOUR);
    g_assert_cmpuint(hc->generation, ==, 0);
    assert_near(wall(hc), START_REAL + HOUR);
    g_assert_cmpuint(hc->generation, ==, 1);
    sim_main_loop();
    g_assert_cmpint(said.steps, ==, 1);
    sim_no_watch(false);
    sim_set_realtime(HOUR);
    g_assert_cmpuint(hc->generation, ==, 1);
    other = HOST_CLOCK(sim_object_new(HOST_CLOCK_PREFIX "raw", "hc1"));
    sim_set_realtime(HOUR);
    g_assert_cmpuint(other->generation, ==, 1);
    g_assert_cmpuint(hc->generation, ==, 2);
    assert_near(last_step_ns(hc), 2 * HOUR);
}

/* It is set again while the core looks, after each of many looks. */
static void test_quick_succession(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int n = 1; n < 12; n++) {
        sim_set_realtime_after_looks(n % 3 ? HOUR : -DAY, n);
        sim_set_realtime(SEC);
        /* At the latest one of these looks was the last of the n. */
        for (int i = 0; i < n; i++) {
            wall(hc);
        }
        sim_advance(100 * MS);
        assert_near(said.step_ns, sim_real_ns() - sim_mono_ns() -
                                  (START_REAL - START_MONO));
        assert_near(wall(hc), sim_real_ns());
        g_assert_cmpuint(said.step.generation, ==, hc->generation);
    }
    g_assert_cmpint(sim_real_ns() - START_REAL, <, -2 * DAY);
    close_clock(hc);
}

/* What it is told as */

/* boottime goes on meanwhile: wall time does not step, but the host slept. */
static void test_suspend(const void *name)
{
    bool goes_on = g_str_equal(name, "boottime");
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc);

    for (int i = 1; i <= 3; i++) {
        sim_suspend(HOUR, true);
        sim_advance(SEC);
        /* A second look finds nothing new. */
        host_clock_check_step(hc, true);
        sim_advance(SEC);
        g_assert_cmpint(said.steps, ==, i);
        g_assert_cmpint(said.step.reason, ==, HOST_CLOCK_STEP_REASON_SUSPEND);
        assert_near(said.step.suspended_ns, HOUR);
        assert_near(said.step.step_ns, goes_on ? 0 : HOUR);
        assert_near(said.step.wall_ns, sim_real_ns() - 2 * SEC);
        assert_near(said.step.mono_ns - mono0,
                    (goes_on ? i * HOUR : 0) + 2 * (i - 1) * SEC);
        g_assert_cmpuint(said.step.generation, ==, i);
    }
    /* A stop of the disk's heads is none. */
    sim_suspend(HOST_CLOCK_SUSPEND_MIN_NS / 2, true);
    sim_advance(SEC);
    g_assert_cmpint(said.suspended_ns, <, 3 * HOUR + MS);
    close_clock(hc);
}

static HostClockStepReason reason_of(int64_t step_ns, int state, int status)
{
    sim_timex.status = status;
    sim_timex_state = state;
    memset(&said, 0, sizeof(said));
    sim_set_realtime(step_ns);
    sim_advance(SEC);
    g_assert_cmpint(said.steps, ==, 1);
    return said.step.reason;
}

static void test_leap(const void *name)
{
    static const struct {
        int64_t step_ns;
        int state;
        int status;
        bool is_leap;
    } cases[] = {
        { -SEC, TIME_OOP, STA_INS, true }, { -SEC, TIME_WAIT, STA_INS, true },
        { SEC, TIME_WAIT, STA_DEL, true },
        /* It was set while there is a leap second, or another day. */
        { SEC, TIME_WAIT, STA_INS }, { -SEC, TIME_WAIT, STA_DEL },
        { -SEC, TIME_INS, STA_INS }, { SEC, TIME_DEL, STA_DEL },
        { -SEC, TIME_OK }, { SEC, TIME_OK }, { -SEC, TIME_ERROR, STA_UNSYNC },
        { -2 * SEC, TIME_OOP, STA_INS }, { -SEC + 11 * MS, TIME_OOP, STA_INS },
        { -SEC, -1 },
    };
    HostClock *hc = open_clock(name);

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        HostClockStepReason wanted = HOST_CLOCK_STEP_REASON_SET;

        if (cases[i].is_leap) {
            wanted = HOST_CLOCK_STEP_REASON_LEAP;
        }
        g_assert_cmpint(reason_of(cases[i].step_ns, cases[i].state,
                                  cases[i].status), ==, wanted);
    }
    close_clock(hc);
}

/* Many steps are few events, and none is lost.  The first is told at once. */
static void test_limit(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t total_ns = 0;

    for (int i = 1; i <= 1000; i++) {
        int64_t step_ns = i % 7 ? i * SEC : -i * HOUR;

        sim_set_realtime(step_ns);
        total_ns += step_ns;
        if (i == 1) {
            g_assert_cmpint(said.steps, ==, 1);
        }
        sim_advance(MS);
    }
    g_assert_cmpint(said.steps, >=, 10);
    sim_advance(SEC);
    g_assert_cmpint(said.steps, <=, 12);
    g_assert_cmpuint(said.step.generation, ==, 1000);
    assert_near(said.step_ns, total_ns);
    g_assert_cmpint(said.step.reason, ==, HOST_CLOCK_STEP_REASON_SET);
    close_clock(hc);
}

/* RTCs that have fallen behind */

static int64_t lag_after(HostClockLag *lag, int64_t wall_ns, int64_t date_s,
                         int64_t ns)
{
    said.lag_ns = 0;
    made.wall_ns = wall_ns;
    host_clock_lag_tell(lag, OBJECT(host_clock_machine()), date_s, ns);
    return said.lag_ns;
}

static void test_lag(void)
{
    /* Of years 1, 1970, 2026 and 9999 */
    static const int64_t dates[] = {
        -62135596800, 0, START_REAL / SEC, 253402300799,
    };
    const int64_t wall_ns = START_REAL + 900 * MS;

    if (sim_in_subprocess()) {
        return;
    }
    choose_made("paired");
    for (int i = 0; i < ARRAY_SIZE(dates); i++) {
        int64_t date_s = dates[i];
        HostClockLag lag = {};

        made.wall_ns = wall_ns;
        host_clock_lag_begin(&lag, date_s, 5 * SEC + 300 * MS);
        date_s += 5;
        /* It goes with wall time. */
        g_assert_cmpint(lag_after(&lag, wall_ns, date_s, 300 * MS), ==, 0);
        g_assert_cmpint(lag_after(&lag, wall_ns + DAY, date_s + DAY / SEC,
                                  300 * MS), ==, 0);
        /* It is ahead, or a second behind. */
        g_assert_cmpint(lag_after(&lag, wall_ns - HOUR, date_s, 300 * MS), ==,
                        0);
        g_assert_cmpint(lag_after(&lag, wall_ns + SEC, date_s, 300 * MS), ==,
                        0);
        g_assert_cmpint(lag_after(&lag, wall_ns + SEC, date_s, 300 * MS - 1),
                        ==, SEC + 1);
        g_assert_cmpint(lag_after(&lag, wall_ns + HOUR, date_s + 1, -DAY), ==,
                        HOUR + DAY - SEC + 300 * MS);
        g_assert_cmpint(said.lag_reason, ==, HOST_CLOCK_LAG_REASON_STOP);
        lag.is_loaded = true;
        g_assert_cmpint(lag_after(&lag, wall_ns + 3 * SEC, date_s, 0), ==,
                        3 * SEC + 300 * MS);
        g_assert_cmpint(said.lag_reason, ==, HOST_CLOCK_LAG_REASON_LOAD);
        g_assert_cmpint(lag_after(&lag, wall_ns + 3 * SEC, date_s, 0), >, 0);
        g_assert_cmpint(said.lag_reason, ==, HOST_CLOCK_LAG_REASON_STOP);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

    add_for_sources("step/sizes", test_sizes);
    add_for_sources("step/slew", test_slew);
    add_for_sources("step/preempted", test_preempted);
    add_for_sources("step/unread", test_unread);
    add_for_sources("step/quick-succession", test_quick_succession);
    add_for_sources("step/suspend", test_suspend);
    add_for_sources("step/leap", test_leap);
    add_for_sources("step/limit", test_limit);
#define ADD(path, fn) g_test_add_func("/host-clock/core/step/" path, fn)
    ADD("unannounced", test_unannounced);
    ADD("announced", test_announced);
    ADD("all-clocks", test_all_clocks);
    ADD("no-watch", test_no_watch);
    g_test_add_func("/host-clock/core/lag", test_lag);
    return g_test_run();
}
