/*
 * Host clocks: alarms on clocks that are fast or slow, or move when told
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

/* Not early, late by a millisecond at most, and not by looking all the time */
static void check_late(void)
{
    for (int n = 0; n < 200; n++) {
        int64_t ns = n ? 1LL << g_test_rand_int_range(10, 38) : HOUR;
        unsigned wakeups = sim_wakeups();
        HostClockViewType v = n % VIEWS;
        Shot shot;

        shoot(&shot, v, ns);
        sim_advance(ns / 2);
        g_assert_cmpint(shot.fired, ==, 0);
        /* 10 % too slow is the worst that is tested. */
        sim_advance(ns - ns / 4 + 2 * MS);
        g_assert_cmpint(shot.fired, ==, 1);
        g_assert_cmpint(shot.late_ns, <=, MS + LOOKS);
        g_assert_cmpuint(sim_wakeups() - wakeups, <, 40);
        shot_free(&shot);
    }
}

/* The kernel slews CLOCK_MONOTONIC; the raw counter does not notice. */
static void test_raw_late(const void *ppm)
{
    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("raw");
    sim_slew(GPOINTER_TO_INT(ppm));
    check_late();
}

/* A source that is as fast or slow as it may be */
static void test_made_late(const void *ppb)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_made("plain");
    HOST_CLOCK_GET_CLASS(hc)->rate_error_ppb = ABS(GPOINTER_TO_INT(ppb));
    made.ppb = GPOINTER_TO_INT(ppb);
    choose(hc);
    check_late();
}

/* A source that says itself how long to sleep: until it is told to move */
static int64_t told_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    return delta_ns ? -1 : 0;
}

static void test_told(void)
{
    HostClock *hc;
    unsigned wakeups;
    Shot shot[VIEWS];

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_made("paired");
    HOST_CLOCK_GET_CLASS(hc)->sleep_ns = told_sleep_ns;
    choose(hc);
    for (int v = 0; v < VIEWS; v++) {
        shoot(&shot[v], v, SEC);
    }
    wakeups = sim_wakeups();
    sim_advance(HOUR);
    g_assert_cmpint(sim_sleep_ns(), ==, -1);
    g_assert_cmpuint(sim_wakeups(), ==, wakeups);
    made.mono_ns += SEC - 1;
    made.wall_ns += SEC - 1;
    host_clock_mono_jumped(hc);
    sim_main_loop();
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(shot[v].fired, ==, 0);
    }
    made.mono_ns++;
    made.wall_ns++;
    host_clock_mono_jumped(hc);
    sim_main_loop();
    for (int v = 0; v < VIEWS; v++) {
        g_assert_cmpint(shot[v].fired, ==, 1);
        g_assert_cmpint(shot[v].late_ns, ==, 0);
        shot_free(&shot[v]);
    }
}

/* What a source that moves when told asks for */
static void test_lists(void)
{
    Shot shot[VIEWS];

    if (sim_in_subprocess()) {
        return;
    }
    choose_made("paired");
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, -1);
    shoot(&shot[VM], VM, SEC);
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, -1);
    shoot(&shot[RT], RT, 5 * SEC);
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, 5 * SEC);
    shoot(&shot[HOST], HOST, 3 * SEC);
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, 3 * SEC);
    made.wall_ns += 4 * SEC;
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, 0);
    host_clock_views_run();
    g_assert_cmpint(shot[HOST].fired, ==, 1);
    g_assert_cmpint(shot[RT].fired, ==, 0);
    g_assert_cmpint(host_clock_views_deadline_ns(), ==, 5 * SEC);
    made.mono_ns += 5 * SEC;
    host_clock_views_run();
    g_assert_cmpint(shot[RT].fired, ==, 1);
    /* QEMU runs its own. */
    g_assert_cmpint(shot[VM].fired, ==, 0);
    for (int v = 0; v < VIEWS; v++) {
        shot_free(&shot[v]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("core/view/told", test_told);
    ADD("core/view/lists", test_lists);
#define LATE(name, rate, fn) \
    g_test_add_data_func("/host-clock/" name "/view/late/" #rate, \
                         GINT_TO_POINTER(rate), fn)
    LATE("raw", 500, test_raw_late);
    LATE("raw", -500, test_raw_late);
    LATE("made", 5000000, test_made_late);
    LATE("made", -5000000, test_made_late);
    LATE("made", 100000000, test_made_late);
    LATE("made", -100000000, test_made_late);
    return g_test_run();
}
