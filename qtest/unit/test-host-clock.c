/*
 * Host clocks: readings and holdover, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-core-test.h"

/* Readings */

static void test_rate(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc), wall0 = wall(hc);

    assert_near(wall0, sim_real_ns());
    sim_advance(DAY);
    assert_near(mono(hc) - mono0, DAY);
    assert_near(wall(hc) - wall0, DAY);
    g_assert_cmpuint(hc->generation, ==, 0);
    close_clock(hc);
}

/* NTP does its work: all but the raw counter run with CLOCK_REALTIME. */
static void test_slewed(const void *name)
{
    bool is_raw = g_str_equal(name, "raw");

    for (int ppm = -500; ppm <= 500; ppm += 1000) {
        HostClock *hc = open_clock(name);
        int64_t mono0 = mono(hc);

        sim_slew(ppm);
        sim_advance(HOUR);
        sim_slew(0);
        assert_near(mono(hc) - mono0,
                    is_raw ? sim_raw_ns() - START_MONO :
                             sim_mono_ns() - START_MONO);
        g_assert_cmpint(llabs(sim_raw_ns() - sim_mono_ns()), >, SEC);
        close_clock(hc);
    }
}

/* A thread loses the CPU between two looks: the error says so. */
static void test_preempted(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int n = 1; n < 8; n++) {
        int64_t before_ns, after_ns;
        HostClockReading r;

        /* The look for a step bears them all, as it looks again. */
        sim_preempt(20 * MS, n);
        before_ns = sim_real_ns();
        host_clock_read(hc, &r);
        after_ns = sim_real_ns();
        g_assert_cmpint(r.wall_ns, >=, before_ns);
        g_assert_cmpint(r.wall_ns, <=, after_ns);
        g_assert_cmpint(r.error_ns, <, LOOKS);
        /* It looks eight times; the ninth hits the reading. */
        sim_preempt(20 * MS, 9);
        host_clock_read(hc, &r);
        g_assert_cmpint(llabs(r.wall_ns - sim_real_ns()), <,
                        r.error_ns + LOOKS);
        g_assert_cmpint(r.error_ns, >=, 10 * MS);
        g_assert_cmpuint(hc->generation, ==, 0);
    }
    close_clock(hc);
}

static void test_epoch(void)
{
    HostClock *hc = open_clock("unix");

    assert_near(host_clock_start(hc)->mono_ns, START_REAL);
    sim_set_realtime(HOUR);
    assert_near(mono(hc), sim_real_ns() - HOUR);
    close_clock(hc);
}

/* The host is suspended: only boottime goes on. */
static void test_suspend(const void *name)
{
    bool goes_on = g_str_equal(name, "boottime");
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc);

    sim_suspend(HOUR, false);
    sim_advance(SEC);
    assert_near(mono(hc) - mono0, SEC + (goes_on ? HOUR : 0));
    assert_near(wall(hc), START_REAL + HOUR + SEC);
    close_clock(hc);
}

/* The reading when it was opened is an instant, and stays what it was. */
static void test_start(const void *name)
{
    HostClock *hc = open_clock(name);
    HostClockReading start = *host_clock_start(hc);

    assert_near(start.wall_ns, START_REAL);
    g_assert_cmpuint(start.generation, ==, 0);
    sim_advance(HOUR);
    sim_set_realtime(DAY);
    g_assert_cmpmem(&start, sizeof(start), host_clock_start(hc), sizeof(start));
    assert_near(mono(hc) - start.mono_ns, HOUR);
    close_clock(hc);
}

/* What a source leaves out */

static int64_t plain_error_ns(HostClock *hc)
{
    return made.error_ns;
}

static int64_t plain_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    return delta_ns / 2 - 1;
}

static void test_default_pair(void)
{
    HostClock *hc = open_made("plain");
    HostClockReading r;

    host_clock_read(hc, &r);
    g_assert_cmpint(r.mono_ns, >=, 5 * SEC);
    assert_near(r.mono_ns, 5 * SEC + sim_mono_ns() - START_MONO);
    assert_near(r.wall_ns, sim_real_ns());
    g_assert_cmpint(r.error_ns, >, 0);
    g_assert_cmpint(r.error_ns, <, LOOKS);
    /* Wall time is read between the two. */
    sim_preempt(20 * MS, 9);
    host_clock_read(hc, &r);
    g_assert_cmpint(llabs(r.mono_ns - (sim_mono_ns() - START_MONO + 5 * SEC) +
                          10 * MS), <, LOOKS);
    g_assert_cmpint(r.error_ns, >=, 10 * MS);
    close_clock(hc);
}

static void test_default_error(void)
{
    HostClock *hc = open_made("plain");
    HostClockClass *k = HOST_CLOCK_GET_CLASS(hc);
    HostClockReading r;

    k->error_ns = plain_error_ns;
    made.error_ns = 3 * MS;
    host_clock_read(hc, &r);
    k->error_ns = NULL;
    g_assert_cmpint(r.error_ns, >, 3 * MS);
    g_assert_cmpint(r.error_ns, <, 3 * MS + LOOKS);
    close_clock(hc);

    /* What a pair adds to it, as it is read by itself */
    hc = open_made("paired");
    HOST_CLOCK_GET_CLASS(hc)->error_ns = plain_error_ns;
    made.error_ns = 3 * MS;
    host_clock_read(hc, &r);
    HOST_CLOCK_GET_CLASS(hc)->error_ns = NULL;
    g_assert_cmpint(r.error_ns, ==, 6 * MS);
    close_clock(hc);
}

static void test_default_sleep(void)
{
    HostClock *hc = open_made("plain");
    HostClockClass *k = HOST_CLOCK_GET_CLASS(hc);

    /* A clock of the same rate */
    g_assert_cmpint(host_clock_sleep_ns(hc, -1), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 0), ==, 0);
    g_assert_cmpint(host_clock_sleep_ns(hc, HOUR), ==, HOUR);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), ==, INT64_MAX);
    /* 500 ppm: what can be more than a millisecond late is cut. */
    k->rate_error_ppb = 500000;
    g_assert_cmpint(host_clock_sleep_ns(hc, -1), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 2 * SEC), ==, 2 * SEC);
    g_assert_cmpint(host_clock_sleep_ns(hc, 20 * SEC), ==, 19990 * MS);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), <, INT64_MAX);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), >, INT64_MAX / 2);
    /* A source that knows better */
    k->sleep_ns = plain_sleep_ns;
    g_assert_cmpint(host_clock_sleep_ns(hc, 2 * SEC), ==, SEC - 1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 0), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, -5), ==, -1);
    k->sleep_ns = NULL;
    k->rate_error_ppb = 0;
    close_clock(hc);
}

/* Wall time is UTC since 1970, and no less; it is not a failure. */
static void test_before_1970(void)
{
    HostClock *hc = open_made("paired");

    made.wall_ns = -DAY;
    g_assert_cmpint(wall(hc), ==, 0);
    g_assert_cmpint(host_clock_wall_ns(hc), ==, 0);
    g_assert_cmpuint(hc->generation, ==, 1);
    /* What it steps back by is not lost. */
    made.wall_ns = SEC;
    g_assert_cmpint(wall(hc), ==, SEC);
    g_assert_cmpint(last_step_ns(hc), ==, DAY + SEC);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(hc);

    hc = open_made("plain");
    sim_set_realtime(-START_REAL - HOUR);
    g_assert_cmpint(wall(hc), ==, 0);
    g_assert_cmpint(host_clock_wall_ns(hc), ==, 0);
    sim_set_realtime(2 * HOUR);
    assert_near(wall(hc), sim_real_ns());
    close_clock(hc);
}

/* Holdover */

static void test_failure(void)
{
    HostClock *hc = open_made("paired");

    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    host_clock_report_failure(hc, "/dev/%s: %d", "made", 1);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpstr(hc->failure, ==, "/dev/made: 1");
    /* It is announced from the main loop, once, whatever comes after it. */
    g_assert_cmpint(said.states, ==, 0);
    for (int i = 0; i < 10; i++) {
        host_clock_report_failure(hc, "again");
        host_clock_report_ok(hc);
        sim_main_loop();
        g_assert_cmpint(said.states, ==, 1);
        g_assert_cmpint(said.messages, ==, 1);
        g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    }
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpstr(said.reason, ==, "/dev/made: 1");
    g_assert_nonnull(strstr(said.message, "warning: host clock 'paired' failed "
                                          "(/dev/made: 1)"));
    close_clock(hc);
}

/* It has to work for a second after it last failed. */
static void test_recovery(void)
{
    HostClock *hc = open_made("paired");

    host_clock_report_failure(hc, "gone");
    sim_advance(SEC - LOOKS);
    host_clock_report_failure(hc, "gone still");
    sim_advance(SEC - LOOKS);
    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    sim_advance(2 * LOOKS);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    sim_main_loop();
    g_assert_cmpint(said.states, ==, 2);
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpstr(said.reason, ==, "");
    g_assert_nonnull(strstr(said.message, "'paired' has recovered"));
    /* The next one has a message of its own. */
    host_clock_report_failure(hc, "no more");
    sim_main_loop();
    g_assert_cmpint(said.states, ==, 3);
    g_assert_cmpstr(said.reason, ==, "no more");
    /* Nothing happens: nothing is said. */
    sim_advance(HOUR);
    g_assert_cmpint(said.states, ==, 3);
    g_assert_cmpint(said.messages, ==, 3);
    close_clock(hc);
}

/* It is said once for as long as it holds, and is no change of state. */
static void test_degraded(void)
{
    HostClock *hc = open_made("paired");

    for (int i = 0; i < 3; i++) {
        host_clock_report_degraded(hc, "no %s", "interrupts");
        g_assert_cmpstr(hc->degraded, ==, "no interrupts");
        g_assert_cmpint(said.messages, ==, 1);
    }
    g_assert_nonnull(strstr(said.message, "warning: host clock 'paired': "
                                          "no interrupts"));
    host_clock_report_degraded(hc, "at most 64 Hz");
    g_assert_cmpint(said.messages, ==, 2);
    host_clock_report_degraded(hc, NULL);
    g_assert_null(hc->degraded);
    host_clock_report_degraded(hc, NULL);
    g_assert_cmpint(said.messages, ==, 2);
    host_clock_report_degraded(hc, "at most 64 Hz");
    g_assert_cmpint(said.messages, ==, 3);
    sim_main_loop();
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(said.states, ==, 0);
    close_clock(hc);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

    add_for_sources("reading/rate", test_rate);
    add_for_sources("reading/slewed", test_slewed);
    add_for_sources("reading/preempted", test_preempted);
    add_for_sources("reading/suspend", test_suspend);
    add_for_sources("reading/start", test_start);
#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("unix/reading/epoch", test_epoch);
    ADD("core/default/pair", test_default_pair);
    ADD("core/default/error", test_default_error);
    ADD("core/default/sleep", test_default_sleep);
    ADD("core/reading/before-1970", test_before_1970);
    ADD("core/holdover/failure", test_failure);
    ADD("core/holdover/recovery", test_recovery);
    ADD("core/holdover/degraded", test_degraded);
    return g_test_run();
}
