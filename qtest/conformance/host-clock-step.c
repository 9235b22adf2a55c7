/*
 * The conformance suite of host clocks: the host's clock is set
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A step moves the date under clock=host, once, and nothing else: not the
 * divider chain, not the HPET.  Under the other settings it does nothing.
 *
 * The manual clock steps when told, and so does what is made of it.  To step
 * any other means to set the clock of this host, which a test does only where
 * it has been allowed to: in a guest of its own, with
 * HOST_CLOCK_TEST_SETS_TIME in the environment.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "qobject/qdict.h"

#include <sys/timex.h>

#define HOUR_NS         (3600 * NS)
#define YEAR_NS         (31556952 * NS)

static const int64_t steps[] = {
    NS, -NS, HOUR_NS, -HOUR_NS, 10 * YEAR_NS, -10 * YEAR_NS,
    250 * MS, -250 * MS
};

/* Slow enough that a busy host does not miss one */
#define RATE            12
#define PERIOD_NS       (NS / 16)

static bool can_step(Cell *cell)
{
    if (g_str_equal(cell->source->name, "rtc") ||
        g_str_equal(cell->source->name, "ptp")) {
        g_test_skip("to set the host's clock does not set its RTC or PTP "
                    "clock, which the lab's tests do");
        return false;
    }
    if (cell_is_manual(cell) || g_getenv("HOST_CLOCK_TEST_SETS_TIME")) {
        return true;
    }
    g_test_skip("this test may not set the host's clock: run it in a machine "
                "of its own, with HOST_CLOCK_TEST_SETS_TIME=1");
    return false;
}

static void host_step(int64_t ns)
{
    struct timespec ts;
    int64_t now_ns;

    clock_gettime(CLOCK_REALTIME, &ts);
    now_ns = ts.tv_sec * NS + ts.tv_nsec + ns;
    ts.tv_sec = now_ns / NS;
    ts.tv_nsec = now_ns % NS;
    if (clock_settime(CLOCK_REALTIME, &ts)) {
        g_test_message("clock_settime: %s", strerror(errno));
        g_test_fail();
    }
}

/* Sent before the reply, or 100 ms after the last one */
static QDict *told_event(VM *vm)
{
    /* One is that of the manual clock, of which it is made. */
    if (g_str_equal(vm->source, "scaled")) {
        qobject_unref(qtest_qmp_eventwait_ref(vm->qts, "HOST_CLOCK_STEP"));
    }
    return qtest_qmp_eventwait_ref(vm->qts, "HOST_CLOCK_STEP");
}

static void check_event(QDict *event, int64_t ns, int64_t slack_ns,
                        const char *reason)
{
    if (event) {
        QDict *data = qdict_get_qdict(event, "data");

        assert_between(qdict_get_int(data, "step-ns"), ns - slack_ns,
                       ns + slack_ns);
        g_assert_cmpstr(qdict_get_str(data, "reason"), ==, reason);
        qobject_unref(event);
    }
}

/* Returns when wall time, as seen by vm_rtc_now(), moved. */
static Span step(VM *vm, int64_t ns)
{
    Span when = { .lo = vm_rtc_now(vm) };

    if (vm_is_manual(vm)) {
        vm_wall_step(vm, ns);
        check_event(told_event(vm), ns, 0, "manual");
    } else {
        host_step(ns);
        check_event(wait_for_event(vm, "HOST_CLOCK_STEP"), ns, LATE_NS, "set");
    }
    when.hi = vm_rtc_now(vm);
    return when;
}

/* By how much a step of @ns moves the date */
static int64_t moves(VM *vm, int64_t ns)
{
    return vm->setting == SET_HOST ? ns : 0;
}

static void check_date_after(VM *vm, Span set, int64_t stepped)
{
    Span when;
    int64_t date = rtc_read_date(vm, &when);

    /* From far before, because division does not round down below zero */
    check_date(date, MILLENNIUM - 10 * YEAR_NS / NS,
               span_shift(span_since(set, when), stepped + 10 * YEAR_NS));
}

/* The date moves by the step, at once, and goes on from there. */
static void check_step(VM *vm, int64_t ns)
{
    Span set = rtc_set_date(vm, MILLENNIUM, 6);

    vm_pass(vm, NS * 2 / 10);
    step(vm, ns);
    check_date_after(vm, set, moves(vm, ns));
    vm_pass(vm, NS * 4 / 10);
    check_date_after(vm, set, moves(vm, ns));
    step(vm, -ns);
    check_date_after(vm, set, 0);
}

static void test_date(Cell *cell)
{
    VM *vm;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        check_step(vm, steps[i]);
    }
    vm_quit(vm);
}

/* The machine stands still; wall time does not. */
static void test_stopped(Cell *cell)
{
    VM *vm;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        Span set = rtc_set_date(vm, MILLENNIUM, 6);

        vm_qmp(vm, "stop");
        step(vm, steps[i]);
        check_date_after(vm, set, moves(vm, steps[i]));
        vm_qmp(vm, "cont");
        check_date_after(vm, set, moves(vm, steps[i]));
        step(vm, -steps[i]);
    }
    vm_quit(vm);
}

/* Read register C every few ms: how often is @flag set within @ns? */
static int count_flag(VM *vm, uint8_t flag, int64_t ns)
{
    int64_t end = vm_rtc_now(vm) + ns;
    int n = 0;

    while (vm_rtc_now(vm) < end) {
        vm_pass(vm, MIN(5 * MS, end - vm_rtc_now(vm)));
        n += !!(cmos_read(vm, RTC_REG_C) & flag);
    }
    return n;
}

/* Neither a burst nor a gap: each period has its interrupt. */
static void test_periodic(Cell *cell)
{
    VM *vm;
    Span start, stepped;
    int n = 0, slack, unseen = 0;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    slack = vm_rtc_is_told(vm) ? 0 : 1;
    rtc_set_date(vm, MILLENNIUM, RATE);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_PIE);
    start = (Span) { vm_rtc_now(vm), vm_rtc_now(vm) };
    /* Between two interrupts, so that all that is counted is clear */
    n += count_flag(vm, REG_C_PF, PERIOD_NS / 2);
    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        stepped = step(vm, steps[i]);
        /* Nobody looked meanwhile: periods that ended became one flag. */
        unseen += (stepped.hi - stepped.lo) / PERIOD_NS;
        n += count_flag(vm, REG_C_PF, 3 * PERIOD_NS);
        assert_between(n, (vm_rtc_now(vm) - start.hi) / PERIOD_NS - slack -
                       unseen,
                       (vm_rtc_now(vm) - start.lo) / PERIOD_NS + slack);
    }
    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        step(vm, -steps[i]);
    }
    vm_quit(vm);
}

/* The next update is at most a second away whatever the step. */
static void test_update(Cell *cell)
{
    VM *vm;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        Span set = rtc_set_date(vm, MILLENNIUM, 6);
        int64_t fraction;

        cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_UIE);
        step(vm, steps[i]);
        cmos_read(vm, RTC_REG_C);
        if (vm_rtc_is_told(vm)) {
            /* Where in the second the date is now */
            fraction = ((NS / 2 + moves(vm, steps[i])) % NS + NS) % NS;
            vm_pass_short_of(vm, NS - fraction);
            g_assert_false(vm_irq(vm));
            vm_pass(vm, 1);
        } else {
            vm_pass(vm, NS + LATE_NS);
        }
        g_assert_true(vm_irq(vm));
        g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_UF);
        check_date_after(vm, set, moves(vm, steps[i]));
        step(vm, -steps[i]);
    }
    vm_quit(vm);
}

/* At midnight, which comes one second and a half after the date was set */
static void arm_midnight(VM *vm)
{
    cmos_write(vm, RTC_SECONDS_ALARM, 0);
    cmos_write(vm, RTC_MINUTES_ALARM, 0);
    cmos_write(vm, RTC_HOURS_ALARM, 0);
    rtc_set_date(vm, MILLENNIUM, 6);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_AIE);
}

/* An alarm whose time was jumped over goes off once. */
static void test_alarm_jumped_over(Cell *cell)
{
    VM *vm;
    bool jumped = cell->setting == SET_HOST;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    arm_midnight(vm);
    step(vm, HOUR_NS);
    vm_pass(vm, vm_rtc_is_told(vm) ? 1 : LATE_NS);
    g_assert_cmpint(vm_irq(vm), ==, jumped);
    g_assert_cmpint(!!(cmos_read(vm, RTC_REG_C) & REG_C_AF), ==, jumped);
    /* The others have it at its time. */
    g_assert_cmpint(count_flag(vm, REG_C_AF, 2 * NS), ==, !jumped);
    step(vm, -HOUR_NS);
    vm_quit(vm);
}

/* When time is set back to before an alarm, it goes off again. */
static void test_alarm_again(Cell *cell)
{
    VM *vm;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    arm_midnight(vm);
    g_assert_cmpint(count_flag(vm, REG_C_AF, 2 * NS), ==, 1);
    step(vm, -2 * NS);
    g_assert_cmpint(count_flag(vm, REG_C_AF, 2 * NS), ==,
                    cell->setting == SET_HOST);
    step(vm, 2 * NS);
    vm_quit(vm);
}

/* Leap seconds */

#define DAY_NS          (24 * HOUR_NS)
/* The kernel makes up its mind when a second begins, and has two to do so. */
#define BEFORE_LEAP_NS  (3 * NS)

static int64_t to_midnight(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return DAY_NS - (ts.tv_sec * NS + ts.tv_nsec) % DAY_NS;
}

/*
 * STA_INS, STA_DEL, or 0 for none; as who keeps the clock synchronized: a
 * kernel that is not says nothing but TIME_ERROR.
 */
static bool announce_leap_second(int status)
{
    struct timex tx = { .modes = ADJ_STATUS | ADJ_MAXERROR, .status = status };

    if (adjtimex(&tx) < 0) {
        g_test_message("adjtimex: %s", strerror(errno));
        g_test_fail();
        return false;
    }
    return true;
}

/*
 * The kernel is through with the last one when a second has begun without an
 * announcement.
 */
static void forget_leap_second(VM *vm)
{
    struct timex tx = { .modes = 0 };

    announce_leap_second(0);
    for (int i = 0; i < 30 && adjtimex(&tx) != TIME_OK; i++) {
        vm_pass(vm, NS / 10);
    }
}

/*
 * The host's day ends with a leap second, which is a step of a second; or
 * without its last one.  Nothing else moves.
 */
static void check_leap_second(VM *vm, int status)
{
    int64_t step_ns = status == STA_INS ? -NS : NS;
    int64_t by_ns = to_midnight() - BEFORE_LEAP_NS;
    Span set, start;
    int n;

    step(vm, by_ns);
    set = rtc_set_date(vm, MILLENNIUM, RATE);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_PIE);
    start = (Span) { vm_rtc_now(vm), vm_rtc_now(vm) };
    if (!announce_leap_second(status)) {
        return;
    }
    n = count_flag(vm, REG_C_PF, BEFORE_LEAP_NS + 2 * NS);
    check_event(wait_for_event(vm, "HOST_CLOCK_STEP"), step_ns, LATE_NS,
                "leap");
    /* Enough to know that none was doubled, and that they went on */
    assert_between(n, (BEFORE_LEAP_NS + NS) / PERIOD_NS / 2,
                   (vm_rtc_now(vm) - start.lo) / PERIOD_NS + 1);
    check_date_after(vm, set, moves(vm, step_ns));
    forget_leap_second(vm);
    step(vm, -by_ns - step_ns);
}

static void test_leap_second(Cell *cell)
{
    VM *vm;

    if (cell_is_manual(cell)) {
        g_test_skip("the manual clock has no kernel that inserts seconds; "
                    "see step/date");
        return;
    }
    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    if (vm_rtc_is_told(vm)) {
        g_test_skip("this time moves when the test says so, not with the "
                    "host's");
    } else {
        check_leap_second(vm, STA_INS);
        check_leap_second(vm, STA_DEL);
    }
    vm_quit(vm);
}

static void test_hpet(Cell *cell)
{
    VM *vm;
    Span first, when;
    uint64_t start;

    if (!can_step(cell)) {
        return;
    }
    vm = cell_start(cell, "utc", "");
    hpet_enable(vm);
    start = hpet_read(vm, &first);
    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        uint64_t ticks;
        Span gone;

        step(vm, steps[i]);
        ticks = hpet_read(vm, &when) - start;
        gone = span_since(first, when);
        assert_between(ticks * HPET_TICK_NS, gone.lo - HPET_TICK_NS,
                       gone.hi + HPET_TICK_NS);
        vm_pass(vm, 10 * MS);
    }
    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        step(vm, -steps[i]);
    }
    vm_quit(vm);
}

void add_step_tests(Cell *cell)
{
    add_test(cell, "step/date", test_date);
    add_test(cell, "step/stopped", test_stopped);
    add_test(cell, "step/periodic", test_periodic);
    add_test(cell, "step/update", test_update);
    add_test(cell, "step/alarm-jumped-over", test_alarm_jumped_over);
    add_test(cell, "step/alarm-again", test_alarm_again);
    add_test(cell, "step/hpet", test_hpet);
    add_test(cell, "step/leap-second", test_leap_second);
}
