/*
 * The host clocks that open devices: what happens when the device is busy,
 * gone, or set
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-device-tests.h"

/* Another process has the RTC: the clock reads sysfs, and does not notice */

void test_busy(Kind *kind)
{
    int fd = open_device(kind);
    Process *p = process_start("-clock rtc");
    g_autofree char *method = member(p, CLOCK_ID, "method");
    g_autofree char *message = member(p, CLOCK_ID, "message");

    g_assert_cmpstr(method, ==, "sysfs");
    g_assert_cmpstr(message, ==, NULL);
    check_running(kind, p, CLOCK_ID);
    close(fd);
    check_running(kind, p, CLOCK_ID);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 0);
    process_end(p);
}

/* The device goes while it is in use, and comes back */

static bool wait_event(Process *p, const char *name, int count)
{
    int64_t deadline = now_ns() + NOTICE_S * NS;

    while (process_events(p, name, NULL) < count) {
        QDict *clock = process_clock(p, CLOCK_ID);

        qobject_unref(clock);
        if (!clock || now_ns() > deadline) {
            g_test_message("no %s within %d s", name, NOTICE_S);
            g_test_fail();
            return false;
        }
        sleep_ns(200 * MS);
    }
    return true;
}

static int count_messages(Process *p, const char *word)
{
    g_autofree char *said = process_stderr(p);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    int n = 0;

    g_test_message("%s", said);
    for (int i = 0; lines[i]; i++) {
        n += !!strstr(lines[i], word);
    }
    return n;
}

static void check_holdover(Kind *kind, Process *p, const Look *before)
{
    QDict *event;
    Look during;

    if (!wait_event(p, "HOST_CLOCK_STATE_CHANGE", 1)) {
        return;
    }
    process_events(p, "HOST_CLOCK_STATE_CHANGE", &event);
    g_assert_cmpstr(qdict_get_str(event, "state"), ==, "holdover");
    g_assert_nonnull(qdict_get_try_str(event, "reason"));
    sleep_ns(5 * NS);
    if (process_look(p, CLOCK_ID, &during)) {
        g_autofree char *state = member(p, CLOCK_ID, "state");

        g_assert_cmpstr(state, ==, "holdover");
        check_drift(kind, "in holdover", before, &during);
    }
    /* No event for each attempt, and one message */
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 1);
    g_assert_cmpint(count_messages(p, "warning"), ==, 1);
}

/* The driver to take the lab's RTC from, or NULL and a skipped test */
static char *driver_to_unbind(char **device)
{
    char *driver;

    if (reference_skip_unless_lab("takes the RTC from the kernel")) {
        return NULL;
    }
    driver = reference_rtc_driver(device);
    if (!driver) {
        g_test_skip("the RTC is not driven by rtc_cmos");
    }
    return driver;
}

static void bind_again(Kind *kind, const char *driver, const char *device)
{
    reference_write(driver, "bind", device);
    /* The kernel gives it another number; udev's links do this. */
    reference_rtc_link(driver, device, kind->device);
}

void test_unbind(Kind *kind)
{
    g_autofree char *device = NULL;
    g_autofree char *driver = driver_to_unbind(&device);
    Process *p;
    Look before, after;

    if (!driver) {
        return;
    }
    p = process_start("-clock rtc");
    if (process_look(p, CLOCK_ID, &before) &&
        reference_write(driver, "unbind", device)) {
        check_holdover(kind, p, &before);
        bind_again(kind, driver, device);
        if (process_wait_clock(p, CLOCK_ID, "state", "running", NOTICE_S) &&
            process_look(p, CLOCK_ID, &after)) {
            check_drift(kind, "back again", &before, &after);
            g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL),
                            ==, 2);
        }
    }
    process_end(p);
}

/* The next of the list takes over, and keeps the machine. */

#define NEXT_ID         "host-clock1"

/* The emulated RTC, on the guest's time, goes on by what passes. */
static void check_rtc_goes_on(Process *p, int64_t rtc_s, int64_t at_ns)
{
    int64_t low = (now_ns() - at_ns) / NS - 1;
    int64_t gone = process_rtc_time(p) - rtc_s;

    g_assert_cmpint(gone, >=, low);
    g_assert_cmpint(gone, <=, (now_ns() - at_ns) / NS + 2);
}

static void check_failover(Process *p)
{
    QDict *event;

    process_events(p, "HOST_CLOCK_FAILOVER", &event);
    g_assert_cmpstr(qdict_get_str(event, "id"), ==, NEXT_ID);
    g_assert_cmpstr(qdict_get_str(event, "failed"), ==, CLOCK_ID);
    assert_says(qdict_get_str(event, "reason"), "rtc");
}

void test_failover(Kind *kind)
{
    g_autofree char *device = NULL;
    g_autofree char *driver = driver_to_unbind(&device);
    int64_t rtc_s, at_ns;
    Process *p;

    if (!driver) {
        return;
    }
    p = process_start("-clock rtc,dynticks -rtc clock=vm "
                      "-machine pc,host-clock-failover=on");
    rtc_s = process_rtc_time(p);
    at_ns = now_ns();
    if (rtc_s > 0 && reference_write(driver, "unbind", device)) {
        if (wait_event(p, "HOST_CLOCK_FAILOVER", 1)) {
            check_failover(p);
            check_rtc_goes_on(p, rtc_s, at_ns);
        }
        bind_again(kind, driver, device);
        process_wait_clock(p, CLOCK_ID, "state", "running", NOTICE_S);
        check_rtc_goes_on(p, rtc_s, at_ns);
        g_assert_cmpint(process_events(p, "HOST_CLOCK_FAILOVER", NULL), ==, 1);
    }
    process_end(p);
}

/* Somebody sets the RTC */

/* 29 February 2028, 23:59:30 */
#define LEAP_DAY        1835481570
/* 1969-12-31 23:00:00 */
#define BEFORE_1970     (-3600)

/* The date that the RTC would have, had nobody set it */
typedef struct RtcTruth {
    int64_t calendar_s, at_ns;
} RtcTruth;

static RtcTruth rtc_truth(void)
{
    return (RtcTruth) { reference_rtc_calendar(), now_ns() };
}

static int64_t rtc_truth_now(RtcTruth *t)
{
    return t->calendar_s + (now_ns() - t->at_ns) / NS;
}

/* The date steps by @step_s, and nothing else does. */
static void check_step(Kind *kind, Process *p, const Look *before,
                       int64_t step_s, int count)
{
    QDict *event;
    Look after;

    if (!wait_event(p, "HOST_CLOCK_STEP", count)) {
        return;
    }
    process_events(p, "HOST_CLOCK_STEP", &event);
    /* The RTC's seconds are whole, before and after. */
    g_assert_cmpint(qdict_get_int(event, "step-ns") / NS, >=, step_s - 2);
    g_assert_cmpint(qdict_get_int(event, "step-ns") / NS, <=, step_s + 2);
    if (process_look(p, CLOCK_ID, &after)) {
        int64_t now = reference_rtc_calendar();

        check_drift(kind, "after a step", before, &after);
        g_assert_cmpint(after.wall_ns / NS, >=, now - 2);
        g_assert_cmpint(after.wall_ns / NS, <=, now + 2);
    }
}

static void set_and_check(Kind *kind, Process *p, int fd, int64_t date,
                          int count)
{
    int64_t old = reference_rtc_calendar();
    Look before;
    int error;

    if (!process_look(p, CLOCK_ID, &before)) {
        return;
    }
    error = reference_rtc_set(fd, date);
    g_assert_cmpint(error, ==, 0);
    if (!error) {
        check_step(kind, p, &before, date - old, count);
    }
}

/* @fd is the test's own, or also the emulator's */
static void check_set(Kind *kind, Process *p, int fd)
{
    RtcTruth truth = rtc_truth();

    /* Time to know the rate */
    sleep_ns(5 * NS);
    set_and_check(kind, p, fd, rtc_truth_now(&truth) + 86400, 1);
    set_and_check(kind, p, fd, LEAP_DAY, 2);
    set_and_check(kind, p, fd, rtc_truth_now(&truth), 3);
    /* Nobody has set it since. */
    sleep_ns(3 * NS);
    check_running(kind, p, CLOCK_ID);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STEP", NULL), ==, 3);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 0);
}

/* By a process that has the device, so that it is seen in sysfs */
void test_set_by_other(Kind *kind)
{
    Process *p;
    int fd;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    p = process_start("-clock rtc");
    if (process_ready(p)) {
        check_set(kind, p, fd);
    }
    process_end(p);
    close(fd);
}

/* By a process that shares the device, so that interrupts go on */
void test_set_shared(Kind *kind)
{
    g_autofree char *args = NULL;
    Process *p;
    int fd;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    args = g_strdup_printf("-object host-clock-rtc,id=" CLOCK_ID ",fd=%d "
                           "-machine host-clock=" CLOCK_ID, fd);
    p = process_start_as(args, 0, &fd, 1);
    if (process_ready(p)) {
        check_set(kind, p, fd);
    }
    process_end(p);
    close(fd);
}

/* Dates before 1970 are no reading: holdover, and back with a sane date. */
void test_before_1970(Kind *kind)
{
    RtcTruth truth;
    Process *p;
    Look before;
    int fd, error;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    truth = rtc_truth();
    p = process_start("-clock rtc");
    if (process_look(p, CLOCK_ID, &before)) {
        error = reference_rtc_set(fd, BEFORE_1970);
        if (error) {
            g_autofree char *reason = g_strdup_printf(
                "the driver does not set a date before 1970: %s",
                strerror(-error));

            g_test_skip(reason);
        } else {
            check_holdover(kind, p, &before);
            reference_rtc_set(fd, rtc_truth_now(&truth));
            process_wait_clock(p, CLOCK_ID, "state", "running", NOTICE_S);
        }
    }
    process_end(p);
    close(fd);
}
