/*
 * Host clocks: the sources hpet and rtc, on simulated devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A test knows the devices' true time, which the sources can only look at.  So
 * besides what each test is about, check() asks at every step whether the
 * source keeps its two promises: monotonic time does not go back, and the true
 * time is within error_ns of what it says.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "../../hw/rtc/host-clock-dev.h"
#include "../../hw/rtc/host-clock-sampler.h"
#include "host-clock-sim.h"

#define SEC     NANOSECONDS_PER_SECOND
#define MS      ((int64_t)SCALE_MS)
#define US      ((int64_t)SCALE_US)
#define HOUR    (3600 * SEC)
#define DAY     (24 * HOUR)

#define START_MONO  (1000 * SEC)
#define START_REAL  (1790000000 * SEC)

/* The time of the device when its clock was opened, less what the clock said */
typedef struct Clock {
    HostClock *hc;
    bool is_rtc;
    int64_t epoch_ns;
    int64_t last_ns;
} Clock;

static HostClock *open_object(const char *name, const char *first, ...)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj = object_new(type);
    Error *err = NULL;
    va_list ap;

    va_start(ap, first);
    for (const char *prop = first; prop; prop = va_arg(ap, const char *)) {
        object_property_parse(obj, prop, va_arg(ap, const char *),
                              &error_abort);
    }
    va_end(ap);
    if (!user_creatable_complete(USER_CREATABLE(obj), &err)) {
        g_test_message("%s", error_get_pretty(err));
        error_free(err);
        object_unref(obj);
        return NULL;
    }
    return HOST_CLOCK(obj);
}

static int64_t true_ns(Clock *c)
{
    return (c->is_rtc ? sim_rtc_ns() : sim_hpet_ns()) - c->epoch_ns;
}

/* The RTC's wall time is its own; the HPET has none. */
static int64_t said_ns(Clock *c, int64_t *error_ns)
{
    HostClockReading r;

    host_clock_read(c->hc, HOST_CLOCK_BOTH, &r);
    g_assert_cmpint(r.mono_ns, >=, c->last_ns);
    c->last_ns = r.mono_ns;
    if (error_ns) {
        *error_ns = r.error_ns;
    }
    return c->is_rtc ? r.wall_ns : r.mono_ns;
}

/* By how much is it wrong?  In any case by no more than it admits. */
static int64_t check(Clock *c)
{
    int64_t before_ns = true_ns(c), error_ns;
    int64_t ns = said_ns(c, &error_ns);
    int64_t after_ns = true_ns(c);

    g_assert_cmpint(ns, >=, before_ns - error_ns);
    g_assert_cmpint(ns, <=, after_ns + error_ns);
    return ns - after_ns;
}

static Clock clock_of(HostClock *hc, bool is_rtc)
{
    Clock c = { .hc = hc, .is_rtc = is_rtc };

    g_assert_nonnull(hc);
    if (!is_rtc) {
        c.epoch_ns = sim_hpet_ns() - said_ns(&c, NULL);
    }
    return c;
}

static Clock open_hpet(void)
{
    return clock_of(open_object("hpet", NULL), false);
}

static Clock open_rtc(void)
{
    return clock_of(open_object("rtc", NULL), true);
}

static void close_clock(Clock *c)
{
    sim_object_del(OBJECT(c->hc));
    g_assert_cmpuint(sim_timers(), ==, 0);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
}

static void reset(void)
{
    sim_reset(START_MONO, START_REAL);
}

/* Let @ns pass in steps of up to @step_ns at random; the largest error. */
static int64_t run(Clock *c, int64_t ns, int64_t step_ns)
{
    int64_t end_ns = sim_raw_ns() + ns, worst_ns = 0;

    while (sim_raw_ns() < end_ns) {
        int64_t error_ns;

        sim_advance(g_test_rand_int_range(1, step_ns / 1000) * 1000LL);
        error_ns = check(c);
        worst_ns = MAX(worst_ns, ABS(error_ns));
    }
    return worst_ns;
}

static HostClockState state(Clock *c)
{
    sim_main_loop();
    return c->hc->state;
}

/* HPET: readings */

static void test_hpet_bound(void)
{
    static const int ppm[] = { 0, 200, -200, 480 };

    for (int i = 0; i < ARRAY_SIZE(ppm); i++) {
        Clock c;
        int64_t error_ns;

        reset();
        sim_hpet.ppm = ppm[i];
        sim_hpet.is_32 = i % 2;
        c = open_hpet();
        run(&c, 60 * SEC, SEC / 10);
        /* Known to the cost of a look and a tick, and what drifts in 16 s */
        g_assert_cmpint(run(&c, HOUR, 30 * SEC / 10), <, 2 * US);
        said_ns(&c, &error_ns);
        g_assert_cmpint(error_ns, <, 40 * US);
        g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

/* A counter of 32 bits, and a main loop stuck for longer than it lasts */
static void check_wrap(const char *sampling)
{
    Clock c;

    reset();
    sim_hpet.is_32 = true;
    sim_hpet.ppm = 150;
    sim_hpet_set(UINT32_MAX - 1000);
    c = clock_of(open_object("hpet", "sampling", sampling, NULL), false);
    run(&c, 400 * SEC, SEC);
    sim_block(1000 * SEC);
    check(&c);
    run(&c, 2 * SEC, SEC / 10);
    sim_block(299900 * MS);
    check(&c);
    run(&c, 2000 * SEC, 10 * SEC / 10);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_hpet_wrap(void)
{
    check_wrap("on");
    check_wrap("off");
}

static void test_hpet_direct(void)
{
    HostClockReading r;
    Clock c;

    reset();
    sim_hpet.ppm = -300;
    c = clock_of(open_object("hpet", "sampling", "off", NULL), false);
    for (int i = 0; i < 100; i++) {
        sim_block(g_test_rand_int_range(1, 1000) * MS);
        check(&c);
        host_clock_read(c.hc, HOST_CLOCK_BOTH, &r);
        g_assert_cmpint(r.error_ns, <, 2 * US);
    }
    close_clock(&c);
}

static void test_hpet_wall(void)
{
    HostClockReading r;
    Clock c;

    reset();
    c = open_hpet();
    host_clock_view(c.hc, HOST_CLOCK_VIEW_TYPE_HOST);
    sim_advance(10 * SEC);
    sim_set_realtime(HOUR);
    host_clock_read(c.hc, HOST_CLOCK_BOTH, &r);
    g_assert_cmpint(ABS(r.wall_ns - sim_real_ns()), <, 2 * US);
    g_assert_cmpuint(r.generation, ==, 1);
    g_assert_cmpint(ABS(c.hc->last_step_ns - HOUR), <, 2 * US);
    check(&c);
    close_clock(&c);
}

/* HPET: faults */

/*
 * From when it fails until it is back, time goes on at the rate it had.  What
 * is off by less than HOST_CLOCK_JUMP_NS, because it stopped shortly before a
 * look, does not count as a jump and is followed.
 */
static void check_goes_on(Clock *c, int64_t ns)
{
    int64_t raw_ns = sim_raw_ns(), from_ns = said_ns(c, NULL);
    int64_t gone_ns, passed_ns;

    while (sim_raw_ns() < raw_ns + ns) {
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        gone_ns = said_ns(c, NULL) - from_ns;
        passed_ns = sim_raw_ns() - raw_ns;
        g_assert_cmpint(ABS(gone_ns - passed_ns), <,
                        HOST_CLOCK_JUMP_NS + MS);
    }
}

static void check_failed_and_back(Clock *c, void (*mend)(void))
{
    check_goes_on(c, 40 * SEC);
    g_assert_cmpint(state(c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_nonnull(c->hc->message);
    g_test_message("%s", c->hc->message);
    mend();
    check_goes_on(c, 20 * SEC);
    g_assert_cmpint(state(c), ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_null(c->hc->message);
}

static void hpet_start(void)
{
    sim_hpet.stopped = false;
}

static void check_hpet_stopped(const char *sampling)
{
    Clock c;

    reset();
    c = clock_of(open_object("hpet", "sampling", sampling, NULL), false);
    run(&c, 60 * SEC, SEC);
    sim_hpet.stopped = true;
    check_failed_and_back(&c, hpet_start);
    close_clock(&c);
}

static void test_hpet_stopped(void)
{
    check_hpet_stopped("on");
    check_hpet_stopped("off");
}

static void hpet_set_far(void)
{
    sim_hpet_set(1ULL << 60);
}

static void hpet_set_zero(void)
{
    sim_hpet_set(0);
}

/* One jump: it fails when that is seen, and is back a second later. */
static void check_hpet_set(const char *sampling, void (*set)(void))
{
    bool failed = false;
    Clock c;

    reset();
    c = clock_of(open_object("hpet", "sampling", sampling, NULL), false);
    run(&c, 60 * SEC, SEC);
    set();
    for (int i = 0; i < 200; i++) {
        check_goes_on(&c, 100 * MS);
        failed |= state(&c) == HOST_CLOCK_STATE_HOLDOVER;
    }
    g_assert_true(failed);
    check_goes_on(&c, 5 * SEC);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_hpet_set(void)
{
    check_hpet_set("on", hpet_set_zero);
    check_hpet_set("off", hpet_set_zero);
    check_hpet_set("on", hpet_set_far);
    check_hpet_set("off", hpet_set_far);
}

static void test_hpet_blocked(void)
{
    Clock c;

    reset();
    sim_hpet.ppm = 300;
    c = open_hpet();
    for (int i = 0; i < 10; i++) {
        sim_block(30 * SEC);
        check(&c);
        run(&c, SEC, SEC / 10);
    }
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_hpet_hostile(void)
{
    for (int i = 0; i < 2; i++) {
        Clock c;

        reset();
        c = clock_of(open_object("hpet", "sampling", i ? "off" : "on", NULL),
                     false);
        sim_hpet.hostile = true;
        for (int n = 0; n < 3000; n++) {
            sim_advance(g_test_rand_int_range(1, 1000) * MS);
            said_ns(&c, NULL);
        }
        close_clock(&c);
    }
}

/* HPET: suspend */

static void test_hpet_suspend(void)
{
    int64_t before_ns;
    Clock c;

    /* The counter goes on. */
    reset();
    c = open_hpet();
    run(&c, 60 * SEC, SEC);
    sim_suspend(HOUR, true);
    sim_advance(20 * SEC);
    check(&c);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);

    /* It is reset. */
    before_ns = said_ns(&c, NULL);
    sim_suspend(HOUR, false);
    sim_hpet_set(0);
    sim_advance(20 * SEC);
    g_assert_cmpint(ABS(said_ns(&c, NULL) - before_ns - 20 * SEC), <, MS);
    close_clock(&c);
}

/* What can be wrong when it is opened */

static void check_refused(const char *name, const char *device,
                          const char *what)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj = object_new(type);
    Error *err = NULL;

    if (device) {
        object_property_set_str(obj, "device", device, &error_abort);
    }
    g_assert_false(user_creatable_complete(USER_CREATABLE(obj), &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    object_unref(obj);
    g_assert_cmpuint(sim_timers(), ==, 0);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
}

static void test_hpet_refused(void)
{
    reset();
    check_refused("hpet", "/dev/null", "device=/dev/null is not an HPET");
    check_refused("hpet", "/", "device=/ is not an HPET");
    check_refused("hpet", "/dev/none", "device=/dev/none: No such file");
    check_refused("hpet", "/dev/rtc0", "device=/dev/rtc0 is not an HPET");
    sim_hpet.missing = true;
    check_refused("hpet", NULL, "/dev/hpet: No such file");
    reset();
    sim_hpet.open_errno = EACCES;
    check_refused("hpet", NULL, "Permission denied");
    reset();
    sim_hpet.info_errno = ENOTTY;
    check_refused("hpet", NULL, "not an HPET");
    reset();
    sim_hpet.map_errno = EACCES;
    check_refused("hpet", NULL, "hpet_mmap=1");
    reset();
    sim_hpet.period_fs = 0;
    check_refused("hpet", NULL, "period");
    reset();
    sim_hpet.period_fs = 100000001;
    check_refused("hpet", NULL, "period");
    reset();
    sim_hpet.stopped = true;
    check_refused("hpet", NULL, "stands still");
    reset();
    sim_hpet.others = 3;
    check_refused("hpet", NULL, "busy");
}

/* Others start at the same time. */
static void test_hpet_busy_for_a_while(void)
{
    Clock c;

    reset();
    sim_hpet.others = 3;
    sim_hpet.others_stay = 50;
    c = open_hpet();
    close_clock(&c);
}

static void test_hpet_shared(void)
{
    Clock c[16];

    reset();
    sim_hpet.comparators = 1;
    for (int i = 0; i < 16; i++) {
        c[i] = open_hpet();
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
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(state(&c[i]), ==, HOST_CLOCK_STATE_RUNNING);
        sim_object_del(OBJECT(c[i].hc));
    }
    g_assert_cmpuint(sim_timers(), ==, 0);
}

/* Somebody keeps the only comparator while it runs. */
static void test_hpet_busy_later(void)
{
    Clock c;

    reset();
    sim_hpet.comparators = 1;
    c = open_hpet();
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

/* The last comparator is not kept. */
static void test_hpet_direct_last(void)
{
    Clock c;

    reset();
    sim_hpet.comparators = 1;
    c = clock_of(open_object("hpet", "sampling", "off", NULL), false);
    g_assert_nonnull(strstr(c.hc->message, "sampling=off"));
    g_assert_cmpint(c.hc->ops->method(c.hc), ==, HOST_CLOCK_METHOD_SAMPLED);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
    run(&c, 20 * SEC, SEC);
    close_clock(&c);
}

/* Alarms */

typedef struct Shot {
    HostClockView *view;
    QEMUTimer *timer;
    int64_t due_ns;
    int fired;
    int64_t late_ns;
} Shot;

static void shot_cb(void *opaque)
{
    Shot *shot = opaque;

    shot->late_ns = host_clock_view_get_ns(shot->view) - shot->due_ns;
    g_assert_cmpint(shot->late_ns, >=, 0);
    shot->fired++;
}

static void shoot(Shot *shot, Clock *c, int64_t in_ns)
{
    if (!shot->timer) {
        shot->view = host_clock_view(c->hc, HOST_CLOCK_VIEW_TYPE_RT);
        shot->timer = host_clock_view_timer_new_ns(shot->view, shot_cb, shot);
    }
    shot->fired = 0;
    shot->due_ns = host_clock_view_get_ns(shot->view) + in_ns;
    timer_mod(shot->timer, shot->due_ns);
}

static void check_alarm(const char *name)
{
    Clock c;
    Shot shot = { };
    unsigned interrupts;

    reset();
    sim_hpet.comparators = 3;
    c = clock_of(open_object(name, "alarm", "device", "alarm-hz", "512", NULL),
                 g_str_equal(name, "rtc"));
    g_assert_null(c.hc->message);
    g_assert_cmpint(sim_dev_files(), ==, 1);
    sim_advance(70 * SEC);

    /* At an interrupt, so late by a period at most */
    interrupts = sim_dev_interrupts();
    shoot(&shot, &c, 100 * MS);
    sim_advance(100 * MS + SEC / 512 + 100 * US);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_cmpuint(sim_dev_interrupts() - interrupts, >=, 50);

    /* With nothing to wait for, the interrupts end. */
    sim_advance(SEC);
    interrupts = sim_dev_interrupts();
    sim_advance(10 * SEC);
    /* The RTC may have its burst of update interrupts, one a second. */
    g_assert_cmpuint(sim_dev_interrupts() - interrupts, <=, 11);

    /* Interrupts that do not come: a timer makes up for it. */
    sim_hpet.silent = true;
    sim_rtc.silent = true;
    shoot(&shot, &c, 100 * MS);
    sim_advance(125 * MS);
    g_assert_cmpint(shot.fired, ==, 1);
    timer_free(shot.timer);
    close_clock(&c);
}

static void test_hpet_alarm(void)
{
    check_alarm("hpet");
}

static void test_rtc_alarm(void)
{
    check_alarm("rtc");
}

static void check_no_alarm(const char *name, const char *why)
{
    Clock c = clock_of(open_object(name, "alarm", "device", NULL),
                       g_str_equal(name, "rtc"));
    Shot shot = { };

    g_assert_nonnull(c.hc->message);
    g_test_message("%s", c.hc->message);
    g_assert_nonnull(strstr(c.hc->message, why));
    shoot(&shot, &c, SEC);
    sim_advance(SEC + MS);
    g_assert_cmpint(shot.fired, ==, 1);
    timer_free(shot.timer);
    close_clock(&c);
}

static void test_hpet_no_alarm(void)
{
    reset();
    sim_hpet.comparators = 1;
    check_no_alarm("hpet", "fd=");
    reset();
    sim_hpet.enable_errno = EIO;
    check_no_alarm("hpet", "Input/output error");
}

static void test_rtc_no_alarm(void)
{
    reset();
    sim_rtc.busy = true;
    check_no_alarm("rtc", "busy");
}

/* Ordinary users get no more than the kernel lets them have. */
static void check_alarm_limit(const char *name)
{
    Shot shot = { };
    Clock c;

    reset();
    sim_hpet.max_user_freq = 64;
    sim_rtc.max_user_freq = 64;
    c = clock_of(open_object(name, "alarm", "device", NULL),
                 g_str_equal(name, "rtc"));
    g_assert_nonnull(strstr(c.hc->message, "64 Hz"));
    shoot(&shot, &c, 100 * MS);
    sim_advance(100 * MS + SEC / 64 + 100 * US);
    g_assert_cmpint(shot.fired, ==, 1);
    timer_free(shot.timer);
    close_clock(&c);
}

static void test_alarm_limit(void)
{
    check_alarm_limit("hpet");
    check_alarm_limit("rtc");
}

/* The comparator was given to us, so the last one is fine. */
static void test_hpet_alarm_fd(void)
{
    Clock c;

    reset();
    sim_hpet.comparators = 1;
    c = clock_of(open_object("hpet", "fd", "hpet", "alarm", "device", NULL),
                 false);
    g_assert_null(c.hc->message);
    close_clock(&c);
}

/* Alarms on a fast or slow crystal are never early, and hardly late. */
static void test_alarm_rate(void)
{
    static const int ppm[] = { 300, -300 };

    for (int i = 0; i < 4; i++) {
        Shot shot = { };
        Clock c;

        reset();
        sim_hpet.ppm = sim_rtc.ppm = ppm[i % 2];
        c = i < 2 ? open_hpet() : open_rtc();
        for (int n = 0; n < 20; n++) {
            shoot(&shot, &c, g_test_rand_int_range(1, 100000) * MS);
            while (!shot.fired) {
                sim_advance(10 * MS);
            }
            g_assert_cmpint(shot.late_ns, <, MS);
        }
        timer_free(shot.timer);
        close_clock(&c);
    }
}

/* RTC: readings */

static void rtc_goal(void)
{
    Clock c;
    int64_t error_ns;

    sim_rtc.late_ns = 20 * MS;
    sim_rtc_set(sim_rtc_ns() + g_test_rand_int_range(0, SEC));
    c = open_rtc();
    run(&c, 10 * SEC, SEC / 20);
    g_assert_cmpint(run(&c, 50 * SEC, SEC / 20), <, 5 * MS);
    g_assert_cmpint(run(&c, 100 * SEC, SEC), <, 1 * MS);
    said_ns(&c, &error_ns);
    g_assert_cmpint(error_ns, <, 2 * MS);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_rtc_goal(void)
{
    for (int i = 0; i < 40; i++) {
        reset();
        sim_rtc.ppm = i % 2 ? 200 : -200;
        rtc_goal();
    }
}

/* Another process has the device: the calendar alone must do. */
static void test_rtc_goal_sysfs(void)
{
    for (int i = 0; i < 40; i++) {
        reset();
        sim_rtc.ppm = i % 2 ? 200 : -200;
        sim_rtc.busy = true;
        rtc_goal();
    }
}

/* On a busy host looks come late, too: the bound is wider, and holds. */
static void test_rtc_busy_host(void)
{
    for (int i = 0; i < 20; i++) {
        Clock c;

        reset();
        sim_rtc.ppm = i % 2 ? 200 : -200;
        sim_rtc.late_ns = 20 * MS;
        sim_timers_late(20 * MS);
        c = open_rtc();
        run(&c, 60 * SEC, SEC / 20);
        g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <, 5 * MS);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

/*
 * It is opened on a host so busy that no sleep of 2 ms ends in less than 10 or
 * so: the date is right all the same, and there is no step later.
 */
static void test_rtc_open_busy(void)
{
    for (int i = 0; i < 20; i++) {
        Clock c;

        reset();
        sim_sleeps_late(100 * MS);
        sim_timers_late(50 * MS);
        /* Then not even looks without a pause are close enough. */
        sim_rtc.read_ns = i % 2 ? 40 * US : 30 * MS;
        sim_rtc_set(sim_rtc_ns() + g_test_rand_int_range(0, SEC));
        c = open_rtc();
        sim_sleeps_late(0);
        sim_rtc.read_ns = 40 * US;
        g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <, i % 2 ? 6 * MS :
                                                                40 * MS);
        g_assert_cmpuint(c.hc->generation, ==, 0);
        close_clock(&c);
    }
}

static void test_rtc_no_interrupts(void)
{
    Clock c;

    reset();
    sim_rtc.uie_errno = EINVAL;
    c = open_rtc();
    run(&c, 10 * SEC, SEC / 10);
    g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <, 5 * MS);
    close_clock(&c);

    reset();
    sim_rtc.silent = true;
    c = open_rtc();
    run(&c, 10 * SEC, SEC / 10);
    g_assert_cmpint(run(&c, 60 * SEC, SEC / 10), <, 5 * MS);
    close_clock(&c);
}

static void test_rtc_blocked(void)
{
    Clock c;

    reset();
    sim_rtc.ppm = 200;
    c = open_rtc();
    run(&c, 60 * SEC, SEC);
    sim_block(30 * SEC);
    check(&c);
    run(&c, 60 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    close_clock(&c);
}

/* RTC: methods */

static HostClockMethod method(Clock *c)
{
    return c->hc->ops->method(c->hc);
}

static void test_rtc_method(void)
{
    Clock c;

    reset();
    sim_rtc.busy = true;
    c = open_rtc();
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SYSFS);
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(sim_dev_interrupts(), ==, 0);
    sim_rtc.busy = false;
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_UPDATE_INTERRUPTS);
    g_assert_cmpuint(sim_dev_interrupts(), >, 5);
    /* After a while others have their turn. */
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    close_clock(&c);
}

static void test_rtc_fd(void)
{
    Clock c;

    reset();
    sim_rtc.no_sysfs = true;
    c = clock_of(open_object("rtc", "fd", "rtc0", NULL), true);
    run(&c, 100 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_UPDATE_INTERRUPTS);
    /* It could not be had again. */
    g_assert_cmpint(sim_dev_files(), ==, 1);
    close_clock(&c);
}

static void test_rtc_shared(void)
{
    Clock c[16];
    int interrupts = 0;

    reset();
    for (int i = 0; i < 16; i++) {
        c[i] = open_rtc();
    }
    for (int n = 0; n < 400; n++) {
        sim_advance(SEC);
        for (int i = 0; i < 16; i++) {
            check(&c[i]);
        }
    }
    for (int i = 0; i < 16; i++) {
        interrupts += method(&c[i]) == HOST_CLOCK_METHOD_UPDATE_INTERRUPTS;
        sim_object_del(OBJECT(c[i].hc));
    }
    /* The device went round. */
    g_assert_cmpint(interrupts, >, 0);
    g_assert_cmpuint(sim_timers(), ==, 0);
    g_assert_cmpint(sim_dev_files(), ==, 0);
}

/* RTC: somebody sets it */

static int64_t date_ns(int year, int month, int day)
{
    g_autoptr(GDateTime) date = g_date_time_new_utc(year, month, day, 0, 0, 0);

    return g_date_time_to_unix(date) * SEC;
}

static void check_rtc_set(int64_t to_ns)
{
    int64_t from_ns, mono_ns, raw_ns, off_ns;
    HostClockReading r;
    Clock c;

    reset();
    c = open_rtc();
    run(&c, 60 * SEC, SEC);
    from_ns = sim_rtc_ns();
    mono_ns = c.last_ns;
    raw_ns = sim_raw_ns();
    sim_rtc_set(to_ns);
    /* Seen within a look, 5 s, and known after a second */
    for (int i = 0; i < 70; i++) {
        sim_advance(100 * MS);
        said_ns(&c, NULL);
    }
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 1);
    off_ns = c.hc->last_step_ns - (to_ns - from_ns);
    g_assert_cmpint(ABS(off_ns), <, 5 * MS);
    host_clock_read(c.hc, HOST_CLOCK_BOTH, &r);
    /* Its phase is known to 4 ms at first; what that is off by is slewed. */
    off_ns = r.mono_ns - mono_ns - (sim_raw_ns() - raw_ns);
    g_assert_cmpint(ABS(off_ns), <, 4 * MS);
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(&c);
}

static void test_rtc_set(void)
{
    reset();
    check_rtc_set(sim_rtc_ns() + 2 * HOUR);
    check_rtc_set(sim_rtc_ns() - 2 * HOUR);
    /* By a part of a second */
    check_rtc_set(sim_rtc_ns() + 61 * SEC + 400 * MS);
    check_rtc_set(date_ns(2028, 2, 29) + 500 * MS);
    check_rtc_set(date_ns(1970, 1, 2));
    check_rtc_set(date_ns(2200, 1, 1));
}

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

static void check_rtc_fault(int err, int64_t set_ns, bool gone,
                            void (*mend)(void))
{
    int64_t from_ns, mono_ns, off_ns;
    Clock c;

    reset();
    c = open_rtc();
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
    g_test_message("%s", c.hc->message);
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

static void test_rtc_fault(void)
{
    check_rtc_fault(0, -DAY, false, rtc_set_now);
    check_rtc_fault(EINVAL, 0, false, rtc_read_well);
    check_rtc_fault(EIO, 0, false, rtc_read_well);
    check_rtc_fault(0, 0, true, rtc_is_there);
}

static void test_rtc_hostile(void)
{
    Clock c;

    reset();
    c = open_rtc();
    sim_rtc.hostile = true;
    for (int n = 0; n < 3000; n++) {
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        said_ns(&c, NULL);
    }
    close_clock(&c);
}

static void test_rtc_suspend(void)
{
    Clock c;

    reset();
    c = open_rtc();
    run(&c, 60 * SEC, SEC);
    sim_suspend(HOUR, true);
    sim_advance(10 * SEC);
    check(&c);
    run(&c, 10 * SEC, SEC);
    g_assert_cmpuint(c.hc->generation, ==, 0);
    g_assert_cmpint(c.last_ns, >, HOUR);
    close_clock(&c);
}

static void test_rtc_refused(void)
{
    reset();
    check_refused("rtc", "/dev/null", "device=/dev/null is not an RTC");
    check_refused("rtc", "/dev/hpet", "device=/dev/hpet is not an RTC");
    sim_rtc.missing = true;
    check_refused("rtc", NULL, "/dev/rtc0: No such file");
    reset();
    sim_rtc.open_errno = EACCES;
    sim_rtc.no_sysfs = true;
    check_refused("rtc", NULL, "Permission denied");
    reset();
    sim_rtc.read_errno = EINVAL;
    check_refused("rtc", NULL, "no valid date");
    reset();
    sim_rtc_set(-DAY);
    check_refused("rtc", NULL, "before 1970");
    reset();
    sim_rtc.ppm = -1000000;
    check_refused("rtc", NULL, "do not count");
}

/* A user who may not open it can read it all the same. */
static void test_rtc_no_permission(void)
{
    Clock c;

    reset();
    sim_rtc.open_errno = EACCES;
    c = open_rtc();
    run(&c, 20 * SEC, SEC);
    g_assert_cmpint(method(&c), ==, HOST_CLOCK_METHOD_SYSFS);
    close_clock(&c);
}

/* RTC: local time */

static void check_rtc_zone(const char *utc, const char *adjtime,
                           int64_t local_ns)
{
    Clock c;

    reset();
    sim_rtc.adjtime = adjtime;
    c = clock_of(open_object("rtc", "utc", utc, NULL), true);
    c.epoch_ns = local_ns;
    run(&c, 10 * SEC, SEC);
    close_clock(&c);
}

static void test_rtc_zone(void)
{
    g_setenv("TZ", "<+0545>-5:45", true);
    tzset();
    check_rtc_zone("on", "0 0 0\n0\nLOCAL\n", 0);
    check_rtc_zone("off", NULL, 5 * HOUR + HOUR * 3 / 4);
    check_rtc_zone("auto", NULL, 0);
    check_rtc_zone("auto", "0 0 0\n0\nUTC\n", 0);
    check_rtc_zone("auto", "0 0 0\n0\nLOCAL\n", 5 * HOUR + HOUR * 3 / 4);
    check_rtc_zone("auto", "0 0 0\n", 0);
    g_unsetenv("TZ");
    tzset();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("hpet/reading/bound", test_hpet_bound);
    ADD("hpet/reading/wrap", test_hpet_wrap);
    ADD("hpet/reading/direct", test_hpet_direct);
    ADD("hpet/reading/wall-step", test_hpet_wall);
    ADD("hpet/reading/suspend", test_hpet_suspend);
    ADD("hpet/fault/stopped", test_hpet_stopped);
    ADD("hpet/fault/set", test_hpet_set);
    ADD("hpet/fault/main-loop-blocked", test_hpet_blocked);
    ADD("hpet/fault/hostile", test_hpet_hostile);
    ADD("hpet/open/refused", test_hpet_refused);
    ADD("hpet/open/busy-for-a-while", test_hpet_busy_for_a_while);
    ADD("hpet/open/shared", test_hpet_shared);
    ADD("hpet/open/busy-later", test_hpet_busy_later);
    ADD("hpet/open/direct-last-comparator", test_hpet_direct_last);
    ADD("hpet/alarm/device", test_hpet_alarm);
    ADD("hpet/alarm/not-to-be-had", test_hpet_no_alarm);
    ADD("hpet/alarm/fd", test_hpet_alarm_fd);
    ADD("rtc/reading/goal", test_rtc_goal);
    ADD("rtc/reading/goal-sysfs", test_rtc_goal_sysfs);
    ADD("rtc/reading/busy-host", test_rtc_busy_host);
    ADD("rtc/reading/no-interrupts", test_rtc_no_interrupts);
    ADD("rtc/open/busy-host", test_rtc_open_busy);
    ADD("rtc/reading/zone", test_rtc_zone);
    ADD("rtc/reading/suspend", test_rtc_suspend);
    ADD("rtc/set", test_rtc_set);
    ADD("rtc/fault/calendar-or-gone", test_rtc_fault);
    ADD("rtc/fault/main-loop-blocked", test_rtc_blocked);
    ADD("rtc/fault/hostile", test_rtc_hostile);
    ADD("rtc/open/refused", test_rtc_refused);
    ADD("rtc/open/no-permission", test_rtc_no_permission);
    ADD("rtc/open/method", test_rtc_method);
    ADD("rtc/open/fd", test_rtc_fd);
    ADD("rtc/open/shared", test_rtc_shared);
    ADD("rtc/alarm/device", test_rtc_alarm);
    ADD("rtc/alarm/not-to-be-had", test_rtc_no_alarm);
    ADD("core/alarm/limit", test_alarm_limit);
    ADD("core/alarm/rate", test_alarm_rate);
    return g_test_run();
}
