/*
 * One contract under every host clock, for machines that are no PC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every source of time x every -rtc clock= setting x every behaviour that these
 * RTCs have, as host-clock-test.c has it for the PC's.
 */

#include "qemu/osdep.h"
#include "host-clock-machine.h"
#include "qobject/qdict.h"

#define BASE_DATE       "2006-06-17T16:01:21"
#define BASE_DATE_S     1150560081

/* Power-on */

static int64_t wall_ns(Cell *cell)
{
    return cell_is_manual(cell) ? MANUAL_WALL_S * NS :
                                  g_get_real_time() * 1000;
}

/* What the RTC would show at the host's time @ns, if it started at @start_ns */
static int64_t unset_ns(const char *base, int64_t ns, int64_t start_ns)
{
    if (g_str_equal(base, "utc")) {
        return ns;
    }
    return g_str_equal(base, "localtime") ? ns + TEST_TZ_S * NS :
                                            BASE_DATE_S * NS + ns - start_ns;
}

static void test_power_on(Cell *cell, const char *base)
{
    int64_t before = wall_ns(cell), date_ns, read, done;
    VM *vm = machine_start(cell, cell->source->name, base, "");
    bool told = vm_rtc_is_told(vm);
    /* The host's clock is read at a coarser one here. */
    int64_t slack_ns = rtc->tick_ns + (cell_is_manual(cell) ? 0 : 8 * MS);

    read = wall_ns(cell);
    date_ns = rtc->date_ns(vm);
    done = wall_ns(cell);
    assert_between(date_ns,
                   unset_ns(base, told ? before : read,
                            told ? before : read) - slack_ns,
                   unset_ns(base, done, before) + slack_ns);
    vm_quit(vm);
}

static void test_power_on_utc(Cell *cell)
{
    test_power_on(cell, "utc");
}

static void test_power_on_localtime(Cell *cell)
{
    test_power_on(cell, "localtime");
}

static void test_power_on_date(Cell *cell)
{
    test_power_on(cell, BASE_DATE);
}

/* Under vm no time has passed when the guest begins to run, however late. */
static void test_cont(Cell *cell)
{
    VM *vm = machine_start(cell, cell->source->name, "utc", "-S");
    int64_t before, date_ns;
    int64_t slack_ns = rtc->tick_ns + 8 * MS;

    vms_pass_stopped(&vm, 1, NS + 2 * rtc->tick_ns);
    before = vm_wall_now(vm);
    vm_qmp(vm, "cont");
    date_ns = rtc->date_ns(vm);
    assert_between(date_ns, before - slack_ns, vm_wall_now(vm) + slack_ns);
    vm_quit(vm);
}

/* The guest sets the date */

static void test_set_date(Cell *cell, const char *base)
{
    int64_t start = wall_ns(cell), last;
    VM *vm = machine_start(cell, cell->source->name, base, "");
    int64_t first = unset_ns(base, wall_ns(cell), wall_ns(cell)) / NS;
    int slack = cell_is_manual(cell) ? 0 : 1;
    Span set = machine_set_date(vm);
    QDict *event = wait_for_event(vm, "RTC_CHANGE");

    last = unset_ns(base, wall_ns(cell), start) / NS;
    if (event) {
        assert_between(qdict_get_int(qdict_get_qdict(event, "data"), "offset"),
                       MILLENNIUM - last - slack, MILLENNIUM - first + slack);
        qobject_unref(event);
    }
    check_machine_date(vm, set, 0);
    vm_quit(vm);
}

static void test_set_date_utc(Cell *cell)
{
    test_set_date(cell, "utc");
}

static void test_set_date_localtime(Cell *cell)
{
    test_set_date(cell, "localtime");
}

static void test_set_date_date(Cell *cell)
{
    test_set_date(cell, BASE_DATE);
}

/* Running, stopping, alarms */

static VM *usual_start(Cell *cell)
{
    return machine_start(cell, cell->source->name, "utc", "");
}

static void test_run(Cell *cell)
{
    VM *vm = usual_start(cell);
    Span set = machine_set_date(vm);

    for (int i = 0; i < 15 && !g_test_failed(); i++) {
        check_machine_date(vm, set, 0);
        vm_pass(vm, 100 * MS);
    }
    check_machine_date(vm, set, 0);
    vm_quit(vm);
}

static void test_stop(Cell *cell)
{
    VM *vm = usual_start(cell);
    Span set = machine_set_date(vm), stood, now;
    Moment stop, cont;
    int64_t frozen;

    vm_pass(vm, 300 * MS);
    stop = vm_qmp(vm, "stop");
    frozen = rtc->date_ns(vm);
    vms_pass_stopped(&vm, 1, 2 * NS);
    if (cell->setting == SET_VM) {
        g_assert_cmpint(rtc->date_ns(vm), ==, frozen);
    } else {
        check_machine_date(vm, set, 0);
    }
    cont = vm_qmp(vm, "cont");
    vm_pass(vm, 300 * MS);
    if (cell->setting == SET_VM) {
        int64_t date_ns;

        now.lo = vm_rtc_now(vm);
        date_ns = rtc->date_ns(vm);
        now.hi = vm_rtc_now(vm);
        now = span_since(cont.rtc, now);
        stood = span_since(set, stop.rtc);
        check_date_ns(date_ns, MILLENNIUM,
                      (Span) { stood.lo + now.lo, stood.hi + now.hi });
    } else {
        check_machine_date(vm, set, 0);
    }
    vm_quit(vm);
}

static void test_alarm(Cell *cell)
{
    VM *vm = usual_start(cell);
    Span set = machine_set_date(vm), due = span_add(set, 2 * NS);
    int64_t now;

    rtc->set_alarm(vm, MILLENNIUM + 2);
    now = vm_rtc_now(vm);
    check_alarm_once(vm, (Span) { due.lo - now, due.hi - now });
    vm_quit(vm);
}

/* The alarm is a date: another date, and it is due at another time. */
static void test_alarm_set_date(Cell *cell)
{
    VM *vm = usual_start(cell);
    Span set, due;
    int64_t now;

    rtc->set_date(vm, MILLENNIUM - 10);
    rtc->set_alarm(vm, MILLENNIUM + 1);
    set = machine_set_date(vm);
    due = span_add(set, NS);
    now = vm_rtc_now(vm);
    check_alarm_once(vm, (Span) { due.lo - now, due.hi - now });
    vm_quit(vm);
}

/* Alarms begin with their second: none adds to the lateness of the last. */
static void test_alarm_on_time(Cell *cell)
{
    VM *vm = usual_start(cell);
    int64_t date;

    if (vm_rtc_is_told(vm)) {
        vm_pass(vm, 700 * MS);
        date = rtc->date_ns(vm) / NS + 1;
        rtc->set_alarm(vm, date);
        while (rtc->date_ns(vm) < date * NS && !g_test_failed()) {
            g_assert_false(qtest_get_irq(vm->qts, 0));
            vm_pass(vm, MS);
        }
        g_assert_true(qtest_get_irq(vm->qts, 0));
    } else {
        g_test_skip("real time does not stand still while the date is read");
    }
    vm_quit(vm);
}

/* Steps */

static void test_step(Cell *cell)
{
    static const int64_t steps[] = { 3600 * NS, -3600 * NS, 5 * NS, -5 * NS };
    VM *vm = usual_start(cell);

    for (int i = 0; i < ARRAY_SIZE(steps) && !g_test_failed(); i++) {
        int64_t moves = cell->setting == SET_HOST ? steps[i] : 0;
        Span set = machine_set_date(vm);

        vm_pass(vm, 200 * MS);
        vm_wall_step(vm, steps[i]);
        check_machine_date(vm, set, moves);
        vm_pass(vm, 400 * MS);
        check_machine_date(vm, set, moves);
        vm_wall_step(vm, -steps[i]);
        check_machine_date(vm, set, 0);
    }
    vm_quit(vm);
}

static void test_alarm_jumped_over(Cell *cell)
{
    VM *vm = usual_start(cell);
    bool jumped = cell->setting == SET_HOST;

    machine_set_date(vm);
    rtc->set_alarm(vm, MILLENNIUM + 2);
    vm_wall_step(vm, 3600 * NS);
    g_assert_cmpint(qtest_get_irq(vm->qts, 0), ==, jumped);
    rtc->acknowledge(vm);
    vm_wall_step(vm, -3600 * NS);
    if (jumped) {
        vm_pass(vm, 4 * NS);
        g_assert_false(qtest_get_irq(vm->qts, 0));
    } else {
        check_alarm_once(vm, (Span) { 2 * NS, 2 * NS });
    }
    vm_quit(vm);
}

/* Told with RESUME */

static int64_t lag_of_stop(VM *vm, int64_t ns)
{
    vm_qmp(vm, "stop");
    vms_pass_stopped(&vm, 1, ns);
    vm_qmp(vm, "cont");
    return told_lag_ns(vm->qts, "stop");
}

/* The time that passes is a little more, under "scaled". */
#define MORE_NS         4

static void check_lag(VM *vm, int64_t ns, int64_t lag_ns)
{
    assert_between(lag_of_stop(vm, ns), lag_ns, lag_ns ? lag_ns + MORE_NS : 0);
}

static void test_lag(Cell *cell)
{
    bool is_vm = cell->setting == SET_VM;
    VM *vm = usual_start(cell);

    check_lag(vm, NS / 2, 0);
    check_lag(vm, 4 * NS, is_vm ? 4 * NS + NS / 2 : 0);
    /* Set by the guest, it is right again. */
    machine_set_date(vm);
    check_lag(vm, NS / 2, 0);
    check_lag(vm, NS, is_vm ? NS + NS / 2 : 0);
    vm_quit(vm);
}

static void add_cell(const Source *source, Setting setting)
{
    Cell *cell = g_new0(Cell, 1);

    *cell = (Cell) { source, setting };
    add_test(cell, "power-on/utc", test_power_on_utc);
    add_test(cell, "power-on/localtime", test_power_on_localtime);
    add_test(cell, "power-on/date", test_power_on_date);
    add_test(cell, "power-on/cont", test_cont);
    add_test(cell, "set-date/utc", test_set_date_utc);
    add_test(cell, "set-date/localtime", test_set_date_localtime);
    add_test(cell, "set-date/date", test_set_date_date);
    add_test(cell, "run/date", test_run);
    add_test(cell, "run/alarm", test_alarm);
    add_test(cell, "stop/date", test_stop);
    add_test(cell, "alarm/set-date", test_alarm_set_date);
    add_test(cell, "alarm/on-time", test_alarm_on_time);
    if (cell_is_manual(cell)) {
        add_test(cell, "step/date", test_step);
        add_test(cell, "step/alarm-jumped-over", test_alarm_jumped_over);
        add_test(cell, "stop/lag", test_lag);
    }
    add_machine_move_tests(cell);
}

int main(int argc, char **argv)
{
    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();
    rtc = rtc_of_target(qtest_get_arch());
    for (const Source *source = host_clock_sources(); source->name; source++) {
        for (Setting setting = 0; setting < SET__MAX; setting++) {
            add_cell(source, setting);
        }
    }
    return g_test_run();
}
