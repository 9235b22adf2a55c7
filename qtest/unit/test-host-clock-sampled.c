/*
 * Host clocks: sources that sample a device, on a simulated HPET, and fd=
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-sampled-test.h"

/* Readings */

static void test_bound(void)
{
    static const int ppm[] = { 0, 200, -200, 480 };

    for (int i = 0; i < ARRAY_SIZE(ppm); i++) {
        Clock c;
        int64_t error_ns;

        reset();
        sim_hpet.ppm = ppm[i];
        sim_hpet.is_32 = i % 2;
        c = open_clock("hpet");
        run(&c, 60 * SEC, SEC / 10);
        /* Known to the cost of a sample and a tick, and what drifts in 16 s */
        g_assert_cmpint(run(&c, HOUR, 3 * SEC), <, 2 * US);
        said_ns(&c, &error_ns);
        g_assert_cmpint(error_ns, <, 40 * US);
        g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
        g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SAMPLED);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

/* A counter of 32 bits, and a main loop stuck for longer than it lasts */
static void test_wrap(void)
{
    Clock c;

    reset();
    sim_hpet.is_32 = true;
    sim_hpet.ppm = 150;
    sim_hpet_set(UINT32_MAX - 1000);
    c = open_clock("hpet");
    run(&c, 400 * SEC, SEC);
    sim_block(1000 * SEC);
    check(&c);
    run(&c, 2 * SEC, SEC / 10);
    sim_block(299900 * MS);
    check(&c);
    run(&c, 2000 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_null(c.hc->failure);
    close_clock(&c);
}

static void test_wall(void)
{
    HostClockReading r;
    Clock c;

    reset();
    c = open_clock("hpet");
    sim_advance(10 * SEC);
    sim_set_realtime(HOUR);
    host_clock_read(c.hc, &r);
    g_assert_cmpint(ABS(r.wall_ns - sim_real_ns()), <, 2 * US);
    g_assert_cmpuint(r.generation, ==, 1);
    g_assert_cmpint(ABS(last_step_ns(c.hc) - HOUR), <, 2 * US);
    check(&c);
    close_clock(&c);
}

static void test_suspend(void)
{
    int64_t before_ns;
    Clock c;

    /* The counter goes on. */
    reset();
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    sim_suspend(HOUR, true);
    sim_advance(20 * SEC);
    check(&c);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    /* Wall time has stepped once, whatever mono has done since. */
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    g_assert_cmpint(c.hc->steps[1].reason, ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    g_assert_cmpint(c.hc->steps[1].suspended_ns, ==, HOUR);

    /* It is reset. */
    before_ns = said_ns(&c, NULL);
    sim_suspend(HOUR, false);
    sim_hpet_set(0);
    sim_advance(20 * SEC);
    g_assert_cmpint(ABS(said_ns(&c, NULL) - before_ns - 20 * SEC), <, MS);
    close_clock(&c);
}

/* The host is suspended again as soon as the first time has been noticed. */
static void check_suspended_twice(Clock c)
{
    int64_t began_ns = (run(&c, MINUTE, SEC), c.last_ns);

    for (int times = 1; times <= 2; times++) {
        int64_t until_ns = sim_raw_ns() + MINUTE;

        sim_suspend(HOUR, true);
        do {
            sim_advance(MS);
            said_ns(&c, NULL);
            g_assert_cmpint(sim_raw_ns(), <, until_ns);
        } while (c.last_ns - began_ns < times * HOUR);
    }
    g_assert_cmpint(c.last_ns - began_ns, <, 2 * HOUR + 2 * MINUTE);
    close_clock(&c);
}

static void test_suspend_twice(void)
{
    reset();
    check_suspended_twice(open_clock("hpet"));
    reset_ptp();
    check_suspended_twice(open_ptp());
    /* So late that no sample is near the beginning of a second */
    for (int i = 0; i < 20; i++) {
        reset();
        sim_timers_late(i * 2 * MS);
        check_suspended_twice(open_clock("rtc"));
    }
}

/* A short suspend that is about as long as the counter was set back: not it */
static void test_suspend_set_back(void)
{
    Clock c;

    reset();
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    sim_suspend(300 * MS, true);
    /* The device has gone on, and is then 1.2 s behind. */
    sim_hpet_set(muldiv64(sim_hpet_ns() - 1500 * MS, 1000000,
                          sim_hpet.period_fs) + 12345678);
    check_goes_on(&c, 40 * SEC);
    close_clock(&c);
}

/* Faults */

static void hpet_start(void)
{
    sim_hpet.stopped = false;
}

static void test_stopped(void)
{
    Clock c;

    reset();
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    sim_hpet.stopped = true;
    check_goes_on(&c, 40 * SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_test_message("%s", c.hc->failure);
    hpet_start();
    check_goes_on(&c, 20 * SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

/* One step: it fails when that is seen, and has recovered a second later. */
static void check_set(uint64_t count)
{
    bool failed = false;
    Clock c;

    reset();
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    sim_hpet_set(count);
    for (int i = 0; i < 200; i++) {
        check_goes_on(&c, 100 * MS);
        failed |= state(&c) == HOST_CLOCK_STATE_HOLDOVER;
    }
    g_assert_true(failed);
    g_assert_nonnull(strstr(c.hc->failure, "set or stopped"));
    check_goes_on(&c, 5 * SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_set(void)
{
    check_set(0);
    check_set(1ULL << 60);
}

static void test_blocked(void)
{
    Clock c;

    reset();
    sim_hpet.ppm = 300;
    c = open_clock("hpet");
    for (int i = 0; i < 10; i++) {
        sim_block(30 * SEC);
        check(&c);
        run(&c, SEC, SEC / 10);
    }
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

/* The main loop is stuck for so long that products do not fit in 64 bits. */
static void test_blocked_for_years(void)
{
    Clock c;

    reset();
    sim_hpet.ppm = 300;
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    for (int i = 0; i < 10; i++) {
        sim_block(3650 * DAY / 10);
        check(&c);
    }
    close_clock(&c);
}

static void test_hostile(void)
{
    Clock c;

    reset();
    c = open_clock("hpet");
    sim_hpet.hostile = true;
    for (int n = 0; n < 3000; n++) {
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        said_ns(&c, NULL);
    }
    close_clock(&c);
}

/* Opening */

static void test_refused(void)
{
    reset();
    check_refused("hpet", "device", "/dev/null",
                  "device=/dev/null is not an HPET");
    check_refused("hpet", "device", "/", "device=/ is not an HPET");
    check_refused("hpet", "device", "/dev/none",
                  "device=/dev/none: No such file");
    check_refused("hpet", "device", "/dev/rtc0",
                  "device=/dev/rtc0 is not an HPET");
    sim_hpet.missing = true;
    check_refused("hpet", NULL, NULL, "/dev/hpet: No such file");
    reset();
    sim_hpet.open_errno = EACCES;
    check_refused("hpet", NULL, NULL, "Permission denied");
    reset();
    sim_hpet.info_errno = ENOTTY;
    check_refused("hpet", NULL, NULL, "not an HPET");
    reset();
    sim_hpet.map_errno = EACCES;
    check_refused("hpet", NULL, NULL, "hpet_mmap=1");
    reset();
    sim_hpet.period_fs = 0;
    check_refused("hpet", NULL, NULL, "period");
    reset();
    sim_hpet.period_fs = 100000001;
    check_refused("hpet", NULL, NULL, "period");
    reset();
    sim_hpet.stopped = true;
    check_refused("hpet", NULL, NULL, "stands still");
    reset();
    sim_hpet.others = 3;
    check_refused("hpet", NULL, NULL, "busy");
}

static void test_refused_properties(void)
{
    Object *obj = object_new(HOST_CLOCK_PREFIX "hpet");
    Error *err = NULL;
    Clock c;

    reset();
    object_property_set_str(obj, "alarm", "timerfd", &err);
    error_free_or_abort(&err);
    object_unref(obj);
    check_refused("hpet", "alarm-hz", "1000", "power of two");
    check_refused("hpet", "alarm-hz", "16384", "power of two");
    check_refused("hpet", "alarm-hz", "1", "power of two");
    check_refused("hpet", "fd", "1000", "fd=1000: Bad file descriptor");

    c = open_clock("hpet");
    object_property_set_str(OBJECT(c.hc), "device", "/dev/null", &err);
    error_free_or_abort(&err);
    close_clock(&c);
}

/* What a number stands for may be QEMU's own: it is looked at, and no more. */
static void test_fd_of_another_kind(void)
{
    static const char *const paths[] = { "/dev/null", "/dev/rtc0" };

    for (int i = 0; i < ARRAY_SIZE(paths); i++) {
        g_autofree char *number = NULL;
        int fd;

        reset();
        fd = host_clock_os_dev_open(paths[i], &error_abort);
        number = g_strdup_printf("%d", fd);
        g_assert_null(open_object("hpet", "fd", number, NULL));
        g_assert_cmpint(sim_dev_files(), ==, 1);
        host_clock_os_dev_close(fd);

        /* A name is that of a descriptor that nobody else has. */
        check_refused("hpet", "fd", paths[i] + strlen("/dev/"),
                      "is not an HPET");
    }
}

/* So is one of the right kind that cannot be used. */
static void test_fd_fails(void)
{
    g_autofree char *number = NULL;
    int fd;
    Clock c;

    reset();
    fd = host_clock_os_dev_open("/dev/hpet", &error_abort);
    number = g_strdup_printf("%d", fd);
    sim_hpet.stopped = true;
    g_assert_null(open_object("hpet", "fd", number, NULL));
    g_assert_cmpint(sim_dev_files(), ==, 1);
    sim_hpet.stopped = false;

    c = clock_of(open_object("hpet", "fd", number, NULL));
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(sim_dev_files(), ==, 1);
    close_clock(&c);
}

static void test_rtc_fd(void)
{
    Clock c;

    reset();
    c = clock_of(open_object("rtc", "fd", "rtc0", NULL));
    run(&c, 100 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SAMPLED);
    /* It could not be had again. */
    g_assert_cmpint(sim_dev_files(), ==, 1);
    close_clock(&c);
}

static void test_rtc_fd_of_another_kind(void)
{
    g_autofree char *number = NULL;
    int fd;

    reset();
    fd = host_clock_os_dev_open("/dev/hpet", &error_abort);
    number = g_strdup_printf("%d", fd);
    g_assert_null(open_object("rtc", "fd", number, NULL));
    g_assert_cmpint(sim_dev_files(), ==, 1);
    host_clock_os_dev_close(fd);
    check_refused("rtc", "fd", "null", "fd=null is not an RTC");
}

/* Others start at the same time. */
static void test_busy_for_a_while(void)
{
    Clock c;

    reset();
    sim_hpet.others = 3;
    sim_hpet.others_stay = 50;
    c = open_clock("hpet");
    close_clock(&c);
}

static void test_shared(void)
{
    Clock c[16];

    reset();
    sim_hpet.comparators = 1;
    for (int i = 0; i < 16; i++) {
        c[i] = open_clock("hpet");
        /* The comparator is free for others; a mapping would keep it. */
        g_assert_cmpint(sim_dev_files(), ==, 0);
        g_assert_cmpint(sim_dev_maps(), ==, 0);
    }
    for (int n = 0; n < 100; n++) {
        sim_advance(SEC);
        for (int i = 0; i < 16; i++) {
            check(&c[i]);
        }
    }
    g_assert_cmpint(sim_dev_held_ns(), <, 20 * US);
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(state(&c[i]), ==, HOST_CLOCK_STATE_RUNNING);
        sim_object_del(OBJECT(c[i].hc));
    }
    g_assert_cmpuint(sim_timers(), ==, 0);
}

/* Somebody keeps the only comparator while it runs. */
static void test_busy_later(void)
{
    Clock c;

    reset();
    sim_hpet.comparators = 1;
    c = open_clock("hpet");
    run(&c, 60 * SEC, SEC);
    sim_hpet.others = 1;
    run(&c, 30 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    run(&c, 60 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    sim_hpet.others = 0;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/hpet/" path, fn)
    ADD("reading/bound", test_bound);
    ADD("reading/wrap", test_wrap);
    ADD("reading/wall-step", test_wall);
    ADD("reading/suspend", test_suspend);
    ADD("reading/suspend-twice", test_suspend_twice);
    ADD("reading/suspend-set-back", test_suspend_set_back);
    ADD("fault/stopped", test_stopped);
    ADD("fault/set", test_set);
    ADD("fault/main-loop-blocked", test_blocked);
    ADD("fault/main-loop-blocked-for-years", test_blocked_for_years);
    ADD("fault/hostile", test_hostile);
    ADD("open/refused", test_refused);
    ADD("open/refused-properties", test_refused_properties);
    ADD("open/fd-of-another-kind", test_fd_of_another_kind);
    ADD("open/fd-fails", test_fd_fails);
    ADD("open/busy-for-a-while", test_busy_for_a_while);
    ADD("open/shared", test_shared);
    ADD("open/busy-later", test_busy_later);
    g_test_add_func("/host-clock/rtc/open/fd", test_rtc_fd);
    g_test_add_func("/host-clock/rtc/open/fd-of-another-kind",
                    test_rtc_fd_of_another_kind);
    return g_test_run();
}
