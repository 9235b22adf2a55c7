/*
 * Host clocks: sources that sample a device, on a simulated RTC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-sampled-test.h"

/* Readings */

static Clock open_rtc_at_random(void)
{
    sim_rtc_set(sim_rtc_ns() + g_test_rand_int_range(0, SEC));
    return open_clock("rtc");
}

/* 5 ms after 10 s, 1 ms after 60 s, on a host whose main loop is this late */
static void check_goal(int ppm, int64_t late_ns)
{
    int64_t error_ns;
    Clock c;

    reset();
    sim_rtc.ppm = ppm;
    sim_timers_late(late_ns);
    c = open_rtc_at_random();
    run(&c, 10 * SEC, SEC / 20);
    g_assert_cmpint(run(&c, 50 * SEC, SEC / 20), <, 5 * MS);
    g_assert_cmpint(run(&c, 300 * SEC, SEC), <, 1 * MS);
    said_ns(&c, &error_ns);
    g_assert_cmpint(error_ns, <, 2 * MS);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SYSFS);
    close_clock(&c);
}

static void test_goal(void)
{
    for (int i = 0; i < 20; i++) {
        check_goal(i % 2 ? 200 : -200, 0);
    }
}

static void test_goal_late(void)
{
    int rounds = g_test_slow() ? 2000 : 60;

    for (int i = 0; i < rounds; i++) {
        check_goal(i % 2 ? 200 : -200, 20 * MS);
    }
}

/* A host so busy that nothing is on time: the bound is wider, and holds. */
static void test_busy_host(void)
{
    for (int i = 0; i < 20; i++) {
        Clock c;

        reset();
        sim_rtc.ppm = i % 2 ? 200 : -200;
        sim_rtc.read_ns = 2 * MS;
        sim_timers_late(40 * MS);
        sim_sleeps_late(20 * MS);
        c = open_clock("rtc");
        run(&c, 60 * SEC, SEC / 20);
        g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <, 10 * MS);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

/*
 * It is opened on a host so busy that no sleep of 2 ms ends in less than 10 or
 * so: the date is right all the same, and there is no step later.
 */
static void test_open_busy(void)
{
    for (int i = 0; i < 20; i++) {
        Clock c;

        reset();
        sim_sleeps_late(100 * MS);
        sim_timers_late(50 * MS);
        /* Then not even samples without a pause are close enough. */
        sim_rtc.read_ns = i % 2 ? 40 * US : 30 * MS;
        c = open_rtc_at_random();
        sim_sleeps_late(0);
        sim_rtc.read_ns = 40 * US;
        /* What is less than a step is made up for; one in a thousand is two. */
        g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <,
                        i % 2 ? 2 * HOST_CLOCK_STEP_MIN_NS : 40 * MS);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

static void test_blocked(void)
{
    Clock c;

    reset();
    sim_rtc.ppm = 200;
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    sim_block(30 * SEC);
    check(&c);
    run(&c, 60 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    close_clock(&c);
}

/* Nothing holds the BQL for 5 ms; once all is known there is little to do. */
static void test_cost(void)
{
    unsigned wakeups, reads;
    Clock c;

    reset();
    sim_rtc.ppm = 200;
    /* An update of the RTC delays who reads it. */
    sim_rtc.read_ns = 2 * MS;
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    g_assert_cmpint(sim_busy_ns(), <, 5 * MS);

    sim_rtc.read_ns = 40 * SCALE_US;
    run(&c, 60 * SEC, SEC);
    wakeups = sim_wakeups();
    reads = sim_dev_reads();
    run(&c, 400 * SEC, SEC);
    g_assert_cmpuint(sim_wakeups() - wakeups, <=, 110);
    g_assert_cmpuint(sim_dev_reads() - reads, <=, 1600);
    g_assert_cmpint(sim_busy_ns(), <, 5 * MS);
    /* After a busy minute: 36 without a pause, looking once a ms */
    sim_timers_late(200 * MS);
    run(&c, 60 * SEC, SEC);
    sim_timers_late(0);
    wakeups = sim_wakeups();
    run(&c, 10 * SEC, SEC);
    g_assert_cmpuint(sim_wakeups() - wakeups, <=, 24);
    close_clock(&c);
}

static void test_suspend(void)
{
    Clock c;

    reset();
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    sim_suspend(HOUR, true);
    sim_advance(10 * SEC);
    check(&c);
    run(&c, 10 * SEC, SEC);
    check_suspend_told(&c, HOUR);
    g_assert_cmpint(c.last_ns, >, HOUR);
    close_clock(&c);
}

/* Who has the device */

/* It is for hwclock, whatever VMs do. */
static void test_never_open(void)
{
    Clock c;

    reset();
    c = open_clock("rtc");
    run(&c, 200 * SEC, SEC);
    sim_rtc_set(sim_rtc_ns() + HOUR);
    for (int i = 0; i < 200; i++) {
        sim_advance(100 * MS);
    }
    g_assert_cmpuint(c.hc->generation, ==, 1);
    g_assert_cmpuint(sim_dev_opens(), ==, 0);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SYSFS);
    close_clock(&c);
}

/* Without sysfs it is open for as long as it takes to read the date. */
static void test_no_sysfs(void)
{
    Clock c;

    reset();
    sim_rtc.no_sysfs = true;
    sim_rtc.ppm = 200;
    c = open_clock("rtc");
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SAMPLED);
    run(&c, 60 * SEC, SEC / 20);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmpint(sim_dev_files(), ==, 0);
        g_assert_cmpint(ABS(check(&c)), <, MS);
        sim_advance(100 * MS);
    }
    g_assert_cmpuint(sim_dev_opens(), >, 0);
    g_assert_cmpint(sim_dev_held_ns(), <, 50 * US);

    /* hwclock has it for a while: nothing is lost but a few samples. */
    sim_rtc.busy = true;
    run(&c, 30 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    run(&c, 60 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    sim_rtc.busy = false;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);

    /* And while it is opened */
    reset();
    sim_rtc.no_sysfs = true;
    sim_rtc.busy = true;
    sim_rtc.busy_stays = 50;
    c = open_clock("rtc");
    run(&c, 10 * SEC, SEC);
    close_clock(&c);
}

static void test_shared(void)
{
    Clock c[16];

    reset();
    for (int i = 0; i < 16; i++) {
        c[i] = open_clock("rtc");
    }
    for (int n = 0; n < 400; n++) {
        sim_advance(SEC);
        for (int i = 0; i < 16; i++) {
            check(&c[i]);
        }
    }
    g_assert_cmpuint(sim_dev_opens(), ==, 0);
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(state(&c[i]), ==, HOST_CLOCK_STATE_RUNNING);
        sim_object_del(OBJECT(c[i].hc));
    }
    g_assert_cmpuint(sim_timers(), ==, 0);
}

static void test_refused(void)
{
    reset();
    check_refused("rtc", "device", "/dev/null",
                  "device=/dev/null is not an RTC");
    check_refused("rtc", "device", "/dev/hpet",
                  "device=/dev/hpet is not an RTC");
    sim_rtc.missing = true;
    check_refused("rtc", NULL, NULL, "/dev/rtc0: No such file");
    reset();
    sim_rtc.open_errno = EACCES;
    sim_rtc.no_sysfs = true;
    check_refused("rtc", NULL, NULL, "Permission denied");
    reset();
    sim_rtc.busy = true;
    sim_rtc.no_sysfs = true;
    check_refused("rtc", NULL, NULL, "busy");
    reset();
    sim_rtc.read_errno = EINVAL;
    check_refused("rtc", NULL, NULL, "has no valid date");
    reset();
    sim_rtc_set(-DAY);
    check_refused("rtc", NULL, NULL, "before 1970");
    reset();
    sim_rtc.ppm = -1000000;
    check_refused("rtc", NULL, NULL, "stands still");
}

/* A user who may not open it can read it all the same. */
static void test_no_permission(void)
{
    Clock c;

    reset();
    sim_rtc.open_errno = EACCES;
    c = open_clock("rtc");
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SYSFS);
    close_clock(&c);
}

/* Somebody sets it */

static int64_t date_ns(int year, int month, int day)
{
    g_autoptr(GDateTime) date = g_date_time_new_utc(year, month, day, 0, 0, 0);

    return g_date_time_to_unix(date) * SEC;
}

static void check_set(int64_t to_ns, int64_t late_ns)
{
    int64_t from_ns, mono_ns, raw_ns, off_ns;
    Clock c;

    reset();
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    sim_timers_late(late_ns);
    from_ns = sim_rtc_ns();
    mono_ns = c.last_ns;
    raw_ns = sim_raw_ns();
    sim_rtc_set(to_ns);
    /* Seen within a sample, 5 s, and known after a second */
    for (int i = 0; i < (late_ns ? 150 : 70); i++) {
        sim_advance(100 * MS);
        said_ns(&c, NULL);
    }
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    off_ns = last_step_ns(c.hc) - (to_ns - from_ns);
    g_assert_cmpint(ABS(off_ns), <, 5 * MS);
    /* Its phase is known to 4 ms at first; what that is off by is slewed. */
    off_ns = c.last_ns - mono_ns - (sim_raw_ns() - raw_ns);
    g_assert_cmpint(ABS(off_ns), <, 5 * MS);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_set(void)
{
    reset();
    check_set(sim_rtc_ns() + 2 * HOUR, 0);
    check_set(sim_rtc_ns() - 2 * HOUR, 0);
    /* By a part of a second */
    check_set(sim_rtc_ns() + 61 * SEC + 400 * MS, 0);
    check_set(date_ns(2028, 2, 29) + 500 * MS, 0);
    check_set(date_ns(1970, 1, 2), 0);
    check_set(date_ns(2200, 1, 1), 0);
    check_set(date_ns(2200, 1, 1), 5 * MS);
}

/*
 * Another thread has taken a reading, and is about to store it, when the RTC
 * is set and the main loop notices.  That is one step, not three.
 */
static void late_pair(HostClock *hc, HostClockReading *r)
{
    host_clock_sampled_pair(hc, r);
    if (qemu_mutex_trylock(&hc->lock) == 0) {
        qemu_mutex_unlock(&hc->lock);
        sim_rtc_set(sim_rtc_ns() + HOUR);
        sim_advance(8 * SEC);
    }
}

static void test_stored_late(void)
{
    HostClockReading r;
    HostClockClass late;
    Clock c;

    reset();
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    late = *c.hc->ops;
    late.pair = late_pair;
    for (int i = 1; i < 10; i++) {
        const HostClockClass *ops = c.hc->ops;

        c.hc->ops = &late;
        host_clock_read(c.hc, &r);
        c.hc->ops = ops;
        c.last_ns = 0;
        run(&c, 10 * SEC, SEC);
        g_assert_cmpuint(c.hc->generation, ==, i);
    }
    close_clock(&c);
}

/* Faults */

static void rtc_set_now(void)
{
    sim_rtc_set(sim_real_ns());
}

static void rtc_read_well(void)
{
    sim_rtc.read_errno = 0;
}

static void rtc_is_there(void)
{
    sim_rtc.gone = false;
}

static void check_fault(int err, int64_t set_ns, bool gone, void (*mend)(void))
{
    int64_t from_ns, mono_ns, off_ns;
    Clock c;

    reset();
    c = open_clock("rtc");
    run(&c, 60 * SEC, SEC);
    from_ns = sim_mono_ns();
    mono_ns = c.last_ns;
    sim_rtc.read_errno = err;
    sim_rtc.gone = gone;
    if (set_ns) {
        sim_rtc_set(set_ns);
    }
    for (int i = 0; i < 100; i++) {
        sim_advance(100 * MS);
        said_ns(&c, NULL);
    }
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_test_message("%s", c.hc->failure);
    mend();
    for (int i = 0; i < 100; i++) {
        sim_advance(100 * MS);
        said_ns(&c, NULL);
    }
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    run(&c, 10 * SEC, SEC);
    /* Where its seconds begin is found anew, to within 5 ms at first. */
    off_ns = c.last_ns - mono_ns - (sim_mono_ns() - from_ns);
    g_assert_cmpint(ABS(off_ns), <, 10 * MS);
    close_clock(&c);
}

static void test_fault(void)
{
    check_fault(0, -DAY, false, rtc_set_now);
    check_fault(EINVAL, 0, false, rtc_read_well);
    check_fault(EIO, 0, false, rtc_read_well);
    check_fault(0, 0, true, rtc_is_there);
}

static void test_hostile(void)
{
    Clock c;

    reset();
    c = open_clock("rtc");
    sim_rtc.hostile = true;
    for (int n = 0; n < 3000; n++) {
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        said_ns(&c, NULL);
    }
    close_clock(&c);
}

/* Local time */

static void check_zone(const char *utc, const char *adjtime, int64_t local_ns)
{
    Clock c;

    reset();
    sim_rtc.adjtime = adjtime;
    c = clock_of(open_object("rtc", "utc", utc, NULL));
    c.epoch_ns = local_ns;
    run(&c, 10 * SEC, SEC);
    close_clock(&c);
}

static void test_zone(void)
{
    g_setenv("TZ", "<+0545>-5:45", true);
    tzset();
    check_zone("on", "0 0 0\n0\nLOCAL\n", 0);
    check_zone("off", NULL, 5 * HOUR + HOUR * 3 / 4);
    check_zone("auto", NULL, 0);
    check_zone("auto", "0 0 0\n0\nUTC\n", 0);
    check_zone("auto", "0 0 0\n0\nLOCAL\n", 5 * HOUR + HOUR * 3 / 4);
    check_zone("auto", "0 0 0\n", 0);
    g_unsetenv("TZ");
    tzset();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/rtc/" path, fn)
    ADD("reading/goal", test_goal);
    ADD("reading/goal-late", test_goal_late);
    ADD("reading/busy-host", test_busy_host);
    ADD("reading/cost", test_cost);
    ADD("reading/zone", test_zone);
    ADD("reading/suspend", test_suspend);
    ADD("reading/stored-late", test_stored_late);
    ADD("set", test_set);
    ADD("fault/calendar-or-gone", test_fault);
    ADD("fault/main-loop-blocked", test_blocked);
    ADD("fault/hostile", test_hostile);
    ADD("open/busy-host", test_open_busy);
    ADD("open/refused", test_refused);
    ADD("open/no-permission", test_no_permission);
    ADD("open/never", test_never_open);
    ADD("open/no-sysfs", test_no_sysfs);
    ADD("open/shared", test_shared);
    return g_test_run();
}
