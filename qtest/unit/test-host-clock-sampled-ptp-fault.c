/*
 * Host clocks: sources that sample a device, on a simulated PTP clock: which
 * one, and what it does if that fails
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-sampled-test.h"

#define TAI_S   37

/* Which one is meant, and what does it keep? */

static void test_known_driver(void)
{
    static const char *const known[] = {
        "KVM virtual PTP", "hyperv", "vmclock0", "vmclock12",
    };

    for (int i = 0; i < ARRAY_SIZE(known); i++) {
        Clock c;

        reset_ptp();
        sim_ptp.clock_name = known[i];
        c = open_clock("ptp");
        run(&c, 10 * SEC, SEC);
        g_assert_cmpstr(c.hc->clock_name, ==, known[i]);
        /* Another driver's has this number now. */
        sim_ptp.clock_name = "nic";
        sim_advance(2 * SEC);
        g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
        close_clock(&c);
    }
}

static void test_unknown_driver(void)
{
    static const char *const unknown[] = {
        "nic", "KVM virtual PTP 2", "my hyperv", "vmclock", NULL,
    };

    for (int i = 0; i < ARRAY_SIZE(unknown); i++) {
        reset_ptp();
        sim_ptp.clock_name = unknown[i];
        check_refused("ptp", NULL, NULL, "/dev/ptp0 is '");
        check_refused("ptp", NULL, NULL, unknown[i] ?: "''");
        check_refused("ptp", NULL, NULL, "time-scale=utc|tai");
        check_refused("ptp", "device", "/dev/ptp0", "time-scale=utc|tai");
    }
}

static void test_several(void)
{
    Clock c;

    reset_ptp();
    sim_ptp.clock_name = "hyperv";
    sim_ptp.another = true;
    check_refused("ptp", NULL, NULL, "/dev/ptp0 is 'hyperv'");
    check_refused("ptp", "time-scale", "utc", "-object host-clock-ptp,id=");
    c = clock_of(open_object("ptp", "device", "/dev/ptp0", NULL));
    close_clock(&c);
    c = clock_of(open_object("ptp", "fd", "ptp0", NULL));
    close_clock(&c);

    /* A card is plugged in later. */
    sim_ptp.another = false;
    c = open_clock("ptp");
    sim_ptp.another = true;
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

/* Faults */

static void unplug(bool gone, int err)
{
    sim_ptp.gone = gone;
    sim_ptp.plain_errno = err;
    sim_ptp.extended_errno = err;
    sim_ptp.precise_errno = err;
}

static void check_fault(bool gone, int err)
{
    Clock c;

    reset_ptp();
    sim_ptp.ppm = 3;
    c = open_ptp();
    run(&c, 100 * SEC, SEC);
    unplug(gone, err);
    /* It goes on at the rate that it had: the bound holds. */
    run(&c, 100 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_test_message("%s", c.hc->failure);
    g_assert_nonnull(strstr(c.hc->failure, "/dev/ptp0"));
    unplug(false, 0);
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpuint(c.hc->generation, ==, 0);

    /* It comes back with another time. */
    unplug(gone, err);
    sim_advance(10 * SEC);
    sim_ptp_set(DAY);
    unplug(false, 0);
    sim_advance(2 * SEC);
    check(&c);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    close_clock(&c);
}

static void test_unplugged(void)
{
    check_fault(true, 0);
    check_fault(false, ENODEV);
    check_fault(false, EIO);
}

/* A descriptor is of no use any more: it may be another file's by now. */
static void test_unplugged_fd(void)
{
    Clock c;

    reset_ptp();
    c = clock_of(open_object("ptp", "fd", "ptp0", "time-scale", "utc", NULL));
    run(&c, 100 * SEC, SEC);
    unplug(true, 0);
    run(&c, 10 * SEC, SEC);
    unplug(false, 0);
    run(&c, 10 * SEC, SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    close_clock(&c);
}

/* A date that is none makes a holdover, and mono goes on. */
static void test_bad_date(void)
{
    static const int64_t dates[] = { -DAY, -1, INT64_MAX - DAY };

    for (int i = 0; i < ARRAY_SIZE(dates); i++) {
        Clock c;

        reset_ptp();
        c = open_ptp();
        run(&c, 60 * SEC, SEC);
        sim_ptp_set(dates[i]);
        check_goes_on(&c, SEC / 2);
        sim_ptp_set(dates[i]);
        sim_ptp.stopped = true;
        check_goes_on(&c, 10 * SEC);
        g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
        g_assert_nonnull(strstr(c.hc->failure, "1970"));
        close_clock(&c);
    }
}

static void test_hostile(void)
{
    Clock c;

    reset_ptp();
    c = open_ptp();
    sim_ptp.hostile = true;
    for (int n = 0; n < 3000; n++) {
        ptp_has_only(HOST_CLOCK_METHOD_PRECISE + n / 10 % 3);
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        said_ns(&c, NULL);
    }
    close_clock(&c);
}

/* Opening */

static void refused(const char *what)
{
    check_refused("ptp", "time-scale", "utc", what);
}

static void test_refused(void)
{
    reset_ptp();
    check_refused("ptp", "device", "/dev/null",
                  "device=/dev/null is not a PTP clock, such as /dev/ptp0");
    check_refused("ptp", "device", "/dev/rtc0", "is not a PTP clock");
    check_refused("rtc", "device", "/dev/ptp0", "is not an RTC");
    sim_ptp.missing = true;
    check_refused("ptp", NULL, NULL, "/dev/ptp0: No such file");
    reset_ptp();
    sim_ptp.open_errno = EACCES;
    refused("Permission denied");
    reset_ptp();
    sim_ptp.stopped = true;
    refused("stands still");
    reset_ptp();
    unplug(false, EOPNOTSUPP);
    refused("reading /dev/ptp0: Operation not supported");
    reset_ptp();
    sim_ptp_set(-SEC);
    refused("before 1970");
    sim_ptp_set(INT64_MAX - DAY);
    refused("after 2261");
    /* TAI is not 1970 yet in UTC. */
    sim_ptp_set((TAI_S - 1) * SEC);
    sim_timex.tai = TAI_S;
    check_refused("ptp", "time-scale", "tai", "before 1970");
}

/* It has no interrupts; all else works. */
static void test_no_alarm(void)
{
    Clock c;

    reset_ptp();
    c = clock_of(open_object("ptp", "time-scale", "utc", "alarm", "device",
                             NULL));
    g_assert_nonnull(strstr(c.hc->degraded, "no interrupts from /dev/ptp0"));
    run(&c, 10 * SEC, SEC);
    close_clock(&c);
}

static void test_shared(void)
{
    Clock c[16];

    reset_ptp();
    for (int i = 0; i < ARRAY_SIZE(c); i++) {
        c[i] = open_ptp();
    }
    for (int n = 0; n < 200; n++) {
        sim_advance(SEC);
        for (int i = 0; i < ARRAY_SIZE(c); i++) {
            check(&c[i]);
        }
    }
    /* Open for as long as a sample takes */
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_held_ns(), <, 20 * US);
    for (int i = 0; i < ARRAY_SIZE(c); i++) {
        g_assert_cmpint(state(&c[i]), ==, HOST_CLOCK_STATE_RUNNING);
        sim_object_del(OBJECT(c[i].hc));
    }
    g_assert_cmpuint(sim_timers(), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/ptp/" path, fn)
    ADD("open/known-driver", test_known_driver);
    ADD("open/unknown-driver", test_unknown_driver);
    ADD("fault/unplugged", test_unplugged);
    ADD("fault/unplugged-fd", test_unplugged_fd);
    ADD("fault/bad-date", test_bad_date);
    ADD("fault/hostile", test_hostile);
    ADD("open/refused", test_refused);
    ADD("open/several", test_several);
    ADD("open/no-alarm", test_no_alarm);
    ADD("open/shared", test_shared);
    return g_test_run();
}
