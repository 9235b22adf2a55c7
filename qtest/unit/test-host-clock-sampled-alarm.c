/*
 * Host clocks: alarms on sources that sample a device, and its interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "host-clock-sampled-test.h"

static void choose(Clock *c)
{
    g_assert_true(host_clock_choose(c->hc, &error_abort));
    g_assert_true(host_clock_begin(&error_abort));
    cpu_set_clock_base(&c->hc->base);
    sim_vm_start();
}

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

static void shoot(Shot *shot, HostClockViewType view, int64_t in_ns)
{
    if (!shot->timer) {
        shot->view = host_clock_view(view);
        shot->timer = host_clock_view_timer_new_ns(shot->view, shot_cb, shot);
    }
    shot->fired = 0;
    shot->due_ns = host_clock_view_get_ns(shot->view) + in_ns;
    timer_mod(shot->timer, shot->due_ns);
}

/* At an interrupt, so late by a period at most */
static void check_shot(HostClockViewType view)
{
    unsigned interrupts = sim_dev_interrupts();
    Shot shot = { };

    shoot(&shot, view, 100 * MS);
    sim_advance(99 * MS);
    g_assert_cmpint(shot.fired, ==, 0);
    sim_advance(MS + SEC / 512 + 100 * US);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_cmpuint(sim_dev_interrupts() - interrupts, >=, 50);

    /* So is the next one, for which the main loop would sleep longer. */
    shoot(&shot, view, 10 * MS);
    sim_advance(10 * MS + SEC / 512 + 100 * US);
    g_assert_cmpint(shot.fired, ==, 1);

    /* With nothing to wait for, the interrupts end. */
    sim_advance(SEC);
    interrupts = sim_dev_interrupts();
    sim_advance(10 * SEC);
    g_assert_cmpuint(sim_dev_interrupts(), ==, interrupts);
    timer_free(shot.timer);
}

/* Interrupts that do not come: the main loop wakes up by itself. */
static void check_silent(HostClockViewType view)
{
    Shot shot = { };

    shoot(&shot, view, 100 * MS);
    sim_advance(125 * MS);
    g_assert_cmpint(shot.fired, ==, 1);
    timer_free(shot.timer);
}

/* An iothread is not woken up, so that it sleeps as without an alarm. */
static void *iothread_sleeps(void *opaque)
{
    HostClock *hc = opaque;

    qemu_set_current_aio_context(iohandler_get_aio_context());
    g_assert_cmpint(host_clock_sleep_ns(hc, 100 * MS), ==, 100 * MS);
    return NULL;
}

static void check_sleeps(Clock *c)
{
    Shot shot = { };
    QemuThread thread;

    shoot(&shot, HOST_CLOCK_VIEW_TYPE_VM, SEC / 10);
    sim_advance(MS);
    g_assert_cmpint(host_clock_sleep_ns(c->hc, 100 * MS), ==, 120 * MS);
    qemu_thread_create(&thread, "iothread", iothread_sleeps, c->hc,
                       QEMU_THREAD_JOINABLE);
    qemu_thread_join(&thread);
    timer_free(shot.timer);
}

static void check_alarm(const char *name)
{
    Clock c;

    reset();
    c = clock_of(open_object(name, "alarm", "device", "alarm-hz", "512", NULL));
    choose(&c);
    g_assert_null(c.hc->degraded);
    g_assert_cmpstr(c.hc->alarm_name, ==, "device interrupts");
    g_assert_cmpint(sim_dev_files(), ==, 1);
    sim_advance(70 * SEC);
    check_shot(HOST_CLOCK_VIEW_TYPE_RT);
    check_shot(HOST_CLOCK_VIEW_TYPE_VM);
    check_sleeps(&c);
    sim_hpet.silent = true;
    sim_rtc.silent = true;
    check_silent(HOST_CLOCK_VIEW_TYPE_RT);
    check_silent(HOST_CLOCK_VIEW_TYPE_VM);
    run(&c, 10 * SEC, SEC);
}

static void check_no_alarm(const char *name, const char *why)
{
    Clock c = clock_of(open_object(name, "alarm", "device", NULL));

    g_assert_nonnull(c.hc->degraded);
    g_test_message("%s", c.hc->degraded);
    g_assert_nonnull(strstr(c.hc->degraded, why));
    g_assert_cmpstr(c.hc->alarm_name, ==, "main loop");
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(host_clock_sleep_ns(c.hc, 100 * MS), ==, 100 * MS);
    run(&c, 10 * SEC, SEC);
    close_clock(&c);
}

/* Ordinary users get no more than the kernel lets them have. */
static void check_alarm_limit(const char *name)
{
    Shot shot = { };
    Clock c;

    reset();
    sim_hpet.max_user_freq = 64;
    sim_rtc.max_user_freq = 64;
    c = clock_of(open_object(name, "alarm", "device", NULL));
    choose(&c);
    g_assert_nonnull(strstr(c.hc->degraded, "64 Hz"));
    shoot(&shot, HOST_CLOCK_VIEW_TYPE_RT, 100 * MS);
    sim_advance(100 * MS + SEC / 64 + 100 * US);
    g_assert_cmpint(shot.fired, ==, 1);
    timer_free(shot.timer);
}

/* Alarms on a fast or slow crystal are never early, and hardly late. */
static void check_alarm_rate(const char *name, int ppm)
{
    Shot shot = { };
    Clock c;

    reset();
    sim_hpet.ppm = sim_rtc.ppm = ppm;
    c = open_clock(name);
    choose(&c);
    for (int n = 0; n < 40; n++) {
        shoot(&shot, n % 3, g_test_rand_int_range(1, 100000) * MS);
        while (!shot.fired) {
            sim_advance(10 * MS);
        }
        g_assert_cmpint(shot.late_ns, <, MS);
        timer_free(shot.timer);
        shot.timer = NULL;
    }
    shoot(&shot, HOST_CLOCK_VIEW_TYPE_VM, HOUR);
    sim_advance(HOUR + 5 * SEC);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_cmpint(shot.late_ns, <, MS);
    timer_free(shot.timer);
}

/* HPET */

static void test_hpet_alarm(void)
{
    if (!sim_in_subprocess()) {
        check_alarm("hpet");
    }
}

static void test_hpet_alarm_limit(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_limit("hpet");
    }
}

static void test_hpet_alarm_fast(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_rate("hpet", 300);
    }
}

static void test_hpet_alarm_slow(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_rate("hpet", -300);
    }
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

/* The comparator was given to us, so the last one is fine. */
static void test_hpet_alarm_fd(void)
{
    Clock c;

    reset();
    sim_hpet.comparators = 1;
    c = clock_of(open_object("hpet", "fd", "hpet", "alarm", "device", NULL));
    g_assert_null(c.hc->degraded);
    close_clock(&c);
}

/* A clock that is not the machine's has nothing to wake up for. */
static void test_hpet_alarm_unused(void)
{
    QEMUTimer *timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, NULL, NULL);
    unsigned interrupts;
    Clock c;

    reset();
    c = clock_of(open_object("hpet", "alarm", "device", NULL));
    interrupts = sim_dev_interrupts();
    sim_vm_start();
    timer_mod(timer, 100000);
    run(&c, 20 * SEC, SEC);
    g_assert_cmpuint(sim_dev_interrupts(), ==, interrupts);
    timer_free(timer);
    close_clock(&c);
}

/* How often it is sampled, once its rate is known */

static int samples(Clock *c, int seconds)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(c->hc);
    int n = 0;

    for (int i = 0; i < seconds; i++) {
        int64_t before_ns = s->sampled_ns;

        sim_advance(SEC);
        n += s->sampled_ns != before_ns;
    }
    return n;
}

/* @n times in 160 s if a timer is due soon; else less often */
static void check_interval(const char *name, int n)
{
    Shot shot = { };
    Clock c;

    reset_ptp();
    c = g_str_equal(name, "ptp") ? open_ptp() : open_clock(name);
    choose(&c);
    run(&c, 150 * SEC, SEC);
    samples(&c, 4);
    g_assert_cmpint(samples(&c, 160), <=, 11);
    shoot(&shot, HOST_CLOCK_VIEW_TYPE_RT, DAY);
    samples(&c, 4);
    g_assert_cmpint(samples(&c, 160), <=, 11);
    for (int i = -4; i < 20; i++) {
        shoot(&shot, HOST_CLOCK_VIEW_TYPE_RT, 8 * SEC);
        n -= samples(&c, 8) * (i >= 0);
    }
    g_assert_cmpint(ABS(n), <=, 4);
    timer_free(shot.timer);
}

static void test_hpet_interval(void)
{
    if (!sim_in_subprocess()) {
        check_interval("hpet", 10);
    }
}

static void test_ptp_interval(void)
{
    if (!sim_in_subprocess()) {
        check_interval("ptp", 160);
    }
}

static void test_rtc_interval(void)
{
    if (!sim_in_subprocess()) {
        check_interval("rtc", 40);
    }
}

/* Not used, it wakes a host up less than once in 10 s, however late that is. */
static void test_rtc_idle(void)
{
    for (int i = 0; i < 24; i++) {
        unsigned wakeups;
        Clock c;

        reset();
        sim_rtc.ppm = i % 2 ? 200 : -200;
        sim_timers_late(i * MS);
        c = open_clock("rtc");
        run(&c, 150 * SEC, SEC);
        sim_advance(20 * SEC);
        wakeups = sim_wakeups();
        sim_advance(1600 * SEC);
        g_assert_cmpuint(sim_wakeups() - wakeups, <, 160);
        /* It is known as well as one that is used. */
        g_assert_cmpint(ABS(check(&c)), <, 2 * MS);
        g_assert_cmpint(run(&c, 60 * SEC, SEC), <, 2 * MS);
        close_clock(&c);
    }
}

/* RTC */

static void test_rtc_alarm(void)
{
    if (!sim_in_subprocess()) {
        check_alarm("rtc");
    }
}

static void test_rtc_alarm_limit(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_limit("rtc");
    }
}

static void test_rtc_alarm_fast(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_rate("rtc", 300);
    }
}

static void test_rtc_alarm_slow(void)
{
    if (!sim_in_subprocess()) {
        check_alarm_rate("rtc", -300);
    }
}

static void test_rtc_no_alarm(void)
{
    reset();
    sim_rtc.busy = true;
    check_no_alarm("rtc", "busy");
}

/* The device is gone, and its interrupts with it. */
static void test_rtc_alarm_gone(void)
{
    Shot shot = { };
    Clock c;

    if (sim_in_subprocess()) {
        return;
    }
    reset();
    c = clock_of(open_object("rtc", "alarm", "device", NULL));
    choose(&c);
    shoot(&shot, HOST_CLOCK_VIEW_TYPE_RT, 10 * SEC);
    sim_advance(SEC);
    sim_rtc.gone = true;
    sim_advance(9 * SEC + 25 * MS);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_nonnull(strstr(c.hc->degraded, "No such device"));
    g_assert_cmpint(state(&c), ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    timer_free(shot.timer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();

#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("hpet/interval", test_hpet_interval);
    ADD("ptp/interval", test_ptp_interval);
    ADD("rtc/interval", test_rtc_interval);
    ADD("rtc/idle", test_rtc_idle);
    ADD("hpet/alarm/device", test_hpet_alarm);
    ADD("hpet/alarm/limit", test_hpet_alarm_limit);
    ADD("hpet/alarm/fast", test_hpet_alarm_fast);
    ADD("hpet/alarm/slow", test_hpet_alarm_slow);
    ADD("hpet/alarm/not-to-be-had", test_hpet_no_alarm);
    ADD("hpet/alarm/fd", test_hpet_alarm_fd);
    ADD("hpet/alarm/unused", test_hpet_alarm_unused);
    ADD("rtc/alarm/device", test_rtc_alarm);
    ADD("rtc/alarm/limit", test_rtc_alarm_limit);
    ADD("rtc/alarm/fast", test_rtc_alarm_fast);
    ADD("rtc/alarm/slow", test_rtc_alarm_slow);
    ADD("rtc/alarm/not-to-be-had", test_rtc_no_alarm);
    ADD("rtc/alarm/gone", test_rtc_alarm_gone);
    return g_test_run();
}
