/*
 * Host clocks: sources that sample a device, on a simulated PTP clock
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-sampled-test.h"

#define TAI_S   37

/* What the closest of the readings of a sample takes */
#define READ_NS 1000

static const HostClockMethod ways[] = {
    HOST_CLOCK_METHOD_PRECISE, HOST_CLOCK_METHOD_EXTENDED,
    HOST_CLOCK_METHOD_PLAIN,
};

/* Readings */

/* After 10 s it is known to 2 us, and what a sample is uncertain by. */
static void check_goal(HostClockMethod way, int ppm, int slew_ppm)
{
    int64_t error_ns;
    Clock c;

    reset_ptp();
    ptp_has_only(way);
    sim_ptp.ppm = ppm;
    sim_slew(slew_ppm);
    c = open_ptp();
    g_assert_cmpint(method(&c), ==, way);
    run(&c, 10 * SEC, SEC / 10);
    g_assert_cmpint(run(&c, 300 * SEC, SEC), <,
                    way == HOST_CLOCK_METHOD_PRECISE ? US : 2 * US);
    said_ns(&c, &error_ns);
    g_assert_cmpint(error_ns, <, 2 * US + READ_NS);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(method(&c), ==, way);
    close_clock(&c);
}

static void test_goal(void)
{
    for (int i = 0; i < ARRAY_SIZE(ways); i++) {
        check_goal(ways[i], 100, 0);
        check_goal(ways[i], -100, 500);
        check_goal(ways[i], 0, -500);
    }
}

/* A host that is late, and loses the CPU in the middle of a reading */
static void test_busy_host(void)
{
    for (int i = 0; i < ARRAY_SIZE(ways); i++) {
        Clock c;

        reset_ptp();
        ptp_has_only(ways[i]);
        sim_ptp.ppm = 30;
        sim_ptp.away_ns = 3 * MS;
        sim_timers_late(20 * MS);
        c = open_ptp();
        /* One of five readings is not disturbed, but for once in a while. */
        g_assert_cmpint(run(&c, 300 * SEC, SEC), <, 50 * US);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        sim_block(100 * SEC);
        check(&c);
        close_clock(&c);
    }
}

/* REALTIME, in which the kernel gives two of the three, is set meanwhile. */
static void test_realtime_set(void)
{
    static const int64_t steps[] = { HOUR, -HOUR, MS, -MS };

    for (int i = 0; i < ARRAY_SIZE(ways); i++) {
        Clock c;

        reset_ptp();
        ptp_has_only(ways[i]);
        /* It takes long enough for a small step not to stand out. */
        sim_ptp.away_ns = 3 * MS;
        c = open_ptp();
        run(&c, 20 * SEC, SEC);
        for (int n = 0; n < 40; n++) {
            sim_ptp.set_real_ns = steps[n % ARRAY_SIZE(steps)];
            g_assert_cmpint(run(&c, 2 * SEC, SEC / 10), <, 5 * US);
        }
        g_assert_cmpuint(c.hc->generation, ==, 0);
        g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
        close_clock(&c);
    }
}

/* In a time namespace the kernel's RAW is not the one that QEMU reads. */
static void test_time_namespace(void)
{
    Clock c;

    reset_ptp();
    sim_ptp.other_raw_ns = -DAY;
    c = open_ptp();
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_EXTENDED);
    close_clock(&c);
}

/* The best way fails for a while, and may come back. */
static void test_next_way(void)
{
    Clock c;

    reset_ptp();
    c = open_ptp();
    sim_ptp.precise_errno = ETIMEDOUT;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_EXTENDED);
    sim_ptp.precise_errno = 0;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_PRECISE);
    g_assert_null(c.hc->failure);
    close_clock(&c);
}

static void test_suspend(void)
{
    Clock c;

    reset_ptp();
    c = open_ptp();
    run(&c, 60 * SEC, SEC);
    sim_suspend(HOUR, true);
    sim_advance(2 * SEC);
    check(&c);
    g_assert_cmpint(c.last_ns, >, HOUR);
    check_suspend_told(&c, HOUR);
    close_clock(&c);
}

/* It is steered */

static void check_set(int64_t by_ns)
{
    int64_t raw_ns, mono_ns, off_ns;
    Clock c;

    reset_ptp();
    sim_ptp.ppm = 5;
    c = open_ptp();
    run(&c, 60 * SEC, SEC);
    mono_ns = c.last_ns;
    raw_ns = sim_raw_ns();
    sim_ptp_set(sim_ptp_ns() + by_ns);
    for (int i = 0; i < 20; i++) {
        sim_advance(100 * MS);
        said_ns(&c, NULL);
    }
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    off_ns = last_step_ns(c.hc) - by_ns;
    g_assert_cmpint(ABS(off_ns), <, 10 * US);
    off_ns = c.last_ns - mono_ns - (sim_raw_ns() - raw_ns);
    g_assert_cmpint(ABS(off_ns), <, MS);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_set(void)
{
    check_set(HOUR);
    check_set(-HOUR);
    check_set(6 * MS);
    check_set(100 * 365 * DAY);
    check_set(-10 * 365 * DAY);
}

/* A servo changes its rate: that is followed, and is no step. */
static void test_slew(void)
{
    static const int ppm[] = { 100, -100, 0, 400 };
    Clock c;

    reset_ptp();
    ptp_has_only(HOST_CLOCK_METHOD_EXTENDED);
    c = open_ptp();
    run(&c, 60 * SEC, SEC);
    for (int i = 0; i < 20; i++) {
        sim_ptp.ppm = ppm[i % ARRAY_SIZE(ppm)];
        for (int n = 0; n < 100; n++) {
            sim_advance(100 * MS);
            said_ns(&c, NULL);
        }
        g_assert_cmpint(run(&c, 10 * SEC, SEC / 10), <, 2 * US + READ_NS);
    }
    g_assert_cmpuint(c.hc->generation, ==, 0);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

/* Time scales */

static int64_t ptp_as_utc(void)
{
    return sim_ptp_ns() - TAI_S * SEC;
}

static Clock open_tai(void)
{
    Clock c;

    reset_ptp();
    sim_timex.tai = TAI_S;
    c = clock_of(open_object("ptp", "time-scale", "tai", NULL));
    c.wall_ns = ptp_as_utc;
    return c;
}

static void test_tai(void)
{
    Clock c = open_tai();

    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    close_clock(&c);

    reset_ptp();
    check_refused("ptp", "time-scale", "tai", "TAI offset is not set");
}

/* The kernel puts a leap second in. */
static void test_leap_second(void)
{
    Clock c = open_tai();

    run(&c, 20 * SEC, SEC);
    sim_timex.tai = TAI_S + 1;
    sim_advance(2 * SEC);
    g_assert_cmpint(said_ns(&c, NULL), <, ptp_as_utc() - 999 * MS);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    close_clock(&c);
}

static void test_tai_lost(void)
{
    Clock c = open_tai();

    run(&c, 20 * SEC, SEC);
    sim_timex.tai = 0;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_nonnull(strstr(c.hc->failure, "TAI offset is not set"));
    sim_timex.tai = TAI_S;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    close_clock(&c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/ptp/" path, fn)
    ADD("reading/goal", test_goal);
    ADD("reading/busy-host", test_busy_host);
    ADD("reading/realtime-set", test_realtime_set);
    ADD("reading/time-namespace", test_time_namespace);
    ADD("reading/next-way", test_next_way);
    ADD("reading/suspend", test_suspend);
    ADD("steered/set", test_set);
    ADD("steered/slew", test_slew);
    ADD("scale/tai", test_tai);
    ADD("scale/leap-second", test_leap_second);
    ADD("scale/tai-lost", test_tai_lost);
    return g_test_run();
}
