/*
 * Tests of the host clocks that open devices: how well they keep time, alone,
 * many at once, after a stop, and with the device's own interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <math.h>
#include "host-clock-device-tests.h"
#include "qobject/qjson.h"
#include "qobject/qlist.h"

/* Accuracy */

/* How far wall_ns is from the RTC, whose second @utc_s began at @edge */
static Span wall_error(const Look *look, int64_t utc_s, Span edge)
{
    int64_t wall = look->wall_ns - utc_s * NS;
    Span since = span_since(edge, look->at);

    return (Span) { wall - since.hi, wall - since.lo };
}

static void check_hpet_accuracy(Kind *kind, Process *p)
{
    Look first, look;
    Span d, worst = { 0, 0 };
    int64_t limit;

    if (!process_look(p, CLOCK_ID, &first)) {
        return;
    }
    for (int i = 0; i < 12; i++) {
        sleep_ns(2 * NS);
        if (!process_look(p, CLOCK_ID, &look) ||
            !check_drift(kind, "mono-ns", &first, &look)) {
            return;
        }
        d = drift(kind, &first, &look, &limit);
        if (fabs(middle_ms(d)) > fabs(middle_ms(worst))) {
            worst = d;
        }
    }
    figure("hpet accuracy over %.0f s: mono-ns against CLOCK_MONOTONIC at most "
           MS_TEXT ", bound %.3f ms", (look.at.lo - first.at.lo) / 1e9,
           middle_ms(worst), half_ms(worst), look.error_ns / 1e6);
}

/* One look just after an edge; false, with the test failed, if it is wrong */
static bool check_edge(Process *p, int64_t began, Span *error, Look *look)
{
    int64_t utc_s;
    Span edge;

    if (!reference_rtc_edge(&utc_s, &edge) ||
        !process_look(p, CLOCK_ID, look)) {
        return false;
    }
    *error = wall_error(look, utc_s, edge);
    g_test_message("after %.1f s wall-ns is off by " MS_TEXT ", bound %.3f ms",
                   (look->at.lo - began) / 1e9, middle_ms(*error),
                   half_ms(*error), look->error_ns / 1e6);
    if (error->lo > look->error_ns || error->hi < -look->error_ns) {
        g_test_message("this is more than error-ns");
        g_test_fail();
        return false;
    }
    return true;
}

static void check_rtc_accuracy(Kind *kind, Process *p)
{
    int64_t began, limit;
    Look first, look;
    Span error = { 0, 0 }, d;
    bool ten = false;

    if (!process_look(p, CLOCK_ID, &first)) {
        return;
    }
    began = process_start_ns(p) ? first.at.lo : 0;
    do {
        if (!check_edge(p, began, &error, &look) ||
            !check_drift(kind, "mono-ns", &first, &look)) {
            return;
        }
        if (!ten && look.at.lo - began >= 10 * NS) {
            ten = true;
            figure("rtc accuracy after %.0f s: wall-ns against the true edge "
                   MS_TEXT ", bound %.3f ms", (look.at.lo - began) / 1e9,
                   middle_ms(error), half_ms(error), look.error_ns / 1e6);
        }
        sleep_ns(3 * NS);
    } while (look.at.lo - began < 62 * NS);
    d = drift(kind, &first, &look, &limit);
    figure("rtc accuracy after %.0f s: wall-ns against the true edge " MS_TEXT
           ", bound %.3f ms; mono-ns against CLOCK_MONOTONIC " MS_TEXT,
           (look.at.lo - began) / 1e9, middle_ms(error), half_ms(error),
           look.error_ns / 1e6, middle_ms(d), half_ms(d));
}

/* Nothing happened to the clock, so it has nothing to say. */
static void check_no_events(Process *p)
{
    static const char *const names[] = {
        "HOST_CLOCK_STEP", "HOST_CLOCK_STATE_CHANGE"
    };

    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        QDict *data;

        if (process_events(p, names[i], &data)) {
            g_autoptr(GString) text = qobject_to_json(QOBJECT(data));

            g_test_message("%s: %s", names[i], text->str);
            g_test_fail();
        }
    }
}

void test_accuracy(Kind *kind)
{
    g_autofree char *args = g_strdup_printf("-clock %s", kind->source);
    Process *p = process_start(args);

    if (process_ready(p)) {
        if (is_hpet(kind)) {
            check_hpet_accuracy(kind, p);
        } else {
            check_rtc_accuracy(kind, p);
        }
        check_no_events(p);
    }
    process_end(p);
}

/* Sharing */

#define MANY            16
/* Long enough for 500 ppm, what a wrong period would be off by, to show */
#define SHARE_S         20

typedef struct Crowd {
    Process *p[MANY];
    Look first[MANY];
    int64_t rtc[MANY];
} Crowd;

static void crowd_start(Kind *kind, Crowd *crowd)
{
    for (int i = 0; i < MANY; i++) {
        g_autofree char *args = g_strdup_printf(
            "-clock %s -rtc base=utc,clock=%s", kind->source,
            i % 2 ? "vm" : "host");

        crowd->p[i] = process_start(args);
    }
}

static bool check_in_use(Kind *kind, Process *p)
{
    g_autofree char *type = g_strconcat("host-clock-", kind->source, NULL);
    QDict *clock = process_clock(p, CLOCK_ID);

    if (!clock) {
        return false;
    }
    g_assert_cmpstr(qdict_get_str(clock, "qom-type"), ==, type);
    g_assert_cmpstr(qdict_get_str(clock, "state"), ==, "running");
    g_assert_true(qdict_get_bool(clock, "default"));
    qobject_unref(clock);
    return true;
}

/*
 * The RTC loads whole seconds at power-on, so it may be behind by one; with
 * clock=vm it does not know the time before power-on.
 */
static void check_emulated_rtc(Crowd *crowd, int i)
{
    Process *p = crowd->p[i];
    Look before, after;
    int64_t lost = i % 2 ? process_start_ns(p) / NS + 1 : 0;

    if (!process_look(p, CLOCK_ID, &before)) {
        return;
    }
    crowd->rtc[i] = process_rtc_time(p);
    if (process_look(p, CLOCK_ID, &after)) {
        g_assert_cmpint(crowd->rtc[i], >=, before.wall_ns / NS - 1 - lost);
        g_assert_cmpint(crowd->rtc[i], <=, after.wall_ns / NS);
    }
}

static bool crowd_ready(Kind *kind, Crowd *crowd)
{
    int64_t slowest = 0;

    for (int i = 0; i < MANY; i++) {
        if (!process_ready(crowd->p[i]) || !check_in_use(kind, crowd->p[i])) {
            g_test_message("emulator %d of %d", i + 1, MANY);
            return false;
        }
        slowest = MAX(slowest, process_start_ns(crowd->p[i]));
    }
    figure("%s shared by %d emulators: all started within %.1f s",
           kind->source, MANY, slowest / 1e9);
    return true;
}

/* The largest drift of all, and the bound of that one; checks each */
static void crowd_check(Kind *kind, Crowd *crowd, const char *when)
{
    Span worst = { 0, 0 };
    int64_t limit, bound = 0;
    double over_s = 0;
    int n = 0;

    for (int i = 0; i < MANY; i++) {
        Look look;
        Span d;

        if (!crowd->p[i] || !process_look(crowd->p[i], CLOCK_ID, &look) ||
            !check_drift(kind, when, &crowd->first[i], &look)) {
            continue;
        }
        n++;
        d = drift(kind, &crowd->first[i], &look, &limit);
        over_s = (look.at.lo - crowd->first[i].at.lo) / 1e9;
        bound = MAX(bound, look.error_ns);
        if (fabs(middle_ms(d)) >= fabs(middle_ms(worst))) {
            worst = d;
        }
    }
    figure("%s, %s: %d emulators over %.0f s: error at most " MS_TEXT
           ", bound %.3f ms", kind->source, when, n, over_s, middle_ms(worst),
           half_ms(worst), bound / 1e6);
}

/*
 * At any moment another process, such as hwclock, can have the RTC: it lets one
 * at a time have it.
 */
#define OPENINGS        1000

static void crowd_leaves_rtc_alone(Kind *kind, int64_t ns)
{
    int busy = 0;

    for (int i = 0; i < OPENINGS; i++) {
        int fd = open(kind->device, O_RDONLY | O_CLOEXEC);

        busy += fd < 0;
        if (fd >= 0) {
            close(fd);
        }
        sleep_ns(ns / OPENINGS);
    }
    figure("%s shared by %d emulators: busy for %d of %d other openings",
           kind->source, MANY, busy, OPENINGS);
    g_assert_cmpint(busy, ==, 0);
}

/* While many look at it, the emulated RTC goes on by what has passed. */
static void crowd_check_rtcs(Crowd *crowd)
{
    for (int i = 0; i < MANY; i++) {
        int64_t old = crowd->rtc[i];
        int64_t low = (now_ns() - crowd->first[i].at.hi) / NS - 1;
        int64_t high;

        if (!crowd->p[i]) {
            continue;
        }
        crowd->rtc[i] = process_rtc_time(crowd->p[i]);
        high = (now_ns() - crowd->first[i].at.lo) / NS + 2;
        g_assert_cmpint(crowd->rtc[i] - old, >=, low);
        g_assert_cmpint(crowd->rtc[i] - old, <=, high);
    }
}

static void crowd_run(Kind *kind, Crowd *crowd)
{
    int victim = MANY / 2;

    for (int i = 0; i < MANY; i++) {
        check_emulated_rtc(crowd, i);
        if (!process_look(crowd->p[i], CLOCK_ID, &crowd->first[i])) {
            return;
        }
    }
    if (is_hpet(kind)) {
        sleep_ns(SHARE_S * NS);
    } else {
        crowd_leaves_rtc_alone(kind, SHARE_S * NS);
    }
    crowd_check(kind, crowd, "together");
    crowd_check_rtcs(crowd);
    process_kill(crowd->p[victim]);
    process_end(g_steal_pointer(&crowd->p[victim]));
    /* No other should notice; if one does, then about now. */
    sleep_ns(2 * NS);
    crowd_check(kind, crowd, "after one was killed");
    for (int i = 0; i < MANY; i++) {
        if (crowd->p[i]) {
            check_in_use(kind, crowd->p[i]);
            check_no_events(crowd->p[i]);
        }
    }
}

void test_share(Kind *kind)
{
    Crowd crowd = { 0 };

    crowd_start(kind, &crowd);
    if (crowd_ready(kind, &crowd)) {
        crowd_run(kind, &crowd);
    }
    for (int i = 0; i < MANY; i++) {
        if (crowd.p[i]) {
            process_end(crowd.p[i]);
        }
    }
}

/* The whole emulator stands still, and its main loop with it */

#define STOPPED_S       5

void test_stopped(Kind *kind)
{
    g_autofree char *args = g_strdup_printf("-clock %s", kind->source);
    Process *p = process_start(args);
    Look before, after, later;

    if (process_look(p, CLOCK_ID, &before)) {
        kill(process_pid(p), SIGSTOP);
        sleep_ns(STOPPED_S * NS);
        kill(process_pid(p), SIGCONT);
        if (process_look(p, CLOCK_ID, &after)) {
            check_drift(kind, "right after the stop", &before, &after);
            g_assert_cmpint(after.mono_ns, >=, before.mono_ns);
        }
        sleep_ns(3 * NS);
        if (process_look(p, CLOCK_ID, &later)) {
            check_drift(kind, "3 s after the stop", &before, &later);
            check_in_use(kind, p);
        }
        g_assert_cmpint(process_events(p, "HOST_CLOCK_STEP", NULL), ==, 0);
    }
    process_end(p);
}

/* Alarms by the device's interrupts */

/* How fast the guest's periodic interrupt is: slow enough to see each */
#define RATE_HZ         4

/* Periodic interrupts of the emulated RTC within some seconds */
static int count_periods(VM *vm, int64_t ns)
{
    int64_t end = now_ns() + ns;
    int n = 0;

    while (now_ns() < end) {
        n += !!(cmos_read(vm, RTC_REG_C) & REG_C_PF);
    }
    return n;
}

static void check_alarm_name(Kind *kind, VM *vm)
{
    QDict *answer = qtest_qmp(vm->qts, "{'execute': 'query-host-clocks'}");
    const char *expected = expected_alarm(kind);
    const QListEntry *e;
    bool found = false;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(answer, "return"), e) {
        QDict *clock = qobject_to(QDict, qlist_entry_obj(e));

        if (!g_strcmp0(qdict_get_try_str(clock, "id"), "a")) {
            found = true;
            g_assert_cmpstr(qdict_get_str(clock, "alarm"), ==, expected);
            g_assert_cmpint(g_str_equal(expected, "main loop"), ==,
                            qdict_haskey(clock, "message"));
        }
    }
    g_assert_true(found);
    qobject_unref(answer);
}

/* libqtest ends all tests if an emulator does not start. */
static bool can_alarm(Kind *kind)
{
    Process *p = process_start("-machine none");
    g_autofree char *error = process_add_clock(p, kind->source, "a",
                                               "'alarm': 'device'");

    process_end(p);
    g_assert_cmpstr(error, ==, NULL);
    return !error;
}

void test_alarm(Kind *kind)
{
    VM vm = { .source = kind->source, .setting = SET_RT };
    int n;

    if (!can_alarm(kind)) {
        return;
    }
    vm.qts = qtest_initf("-machine pc,host-clock=a -nodefaults -rtc clock=rt "
                         "-object host-clock-%s,id=a,alarm=device",
                         kind->source);
    /* 2^(14-1) periods of 32768 Hz are a quarter of a second. */
    cmos_write(&vm, RTC_REG_A, 0x20 | 14);
    cmos_write(&vm, RTC_REG_B, REG_B_24H | REG_B_DM | REG_B_PIE);
    cmos_read(&vm, RTC_REG_C);
    n = count_periods(&vm, 5 * NS);
    figure("%s alarm=device: %d of %d periodic interrupts in 5 s",
           kind->source, n, 5 * RATE_HZ);
    /* Whatever the last one is late by, one is at the edge. */
    g_assert_cmpint(n, >=, 5 * RATE_HZ - 2);
    g_assert_cmpint(n, <=, 5 * RATE_HZ + 1);
    check_alarm_name(kind, &vm);
    qtest_quit(vm.qts);
}
