/*
 * The conformance suite of host clocks: alarms
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every combination of don't-care codes, in every mode, against a model that
 * tries one second after the other; and waking a suspended machine.
 */

#include "qemu/osdep.h"
#include "host-clock-counters.h"
#include "host-clock-cells.h"
#include "qobject/qdict.h"

/* Any value with the two highest bits set matches everything. */
#define DONT_CARE       -1

/* Time of day of an alarm: seconds, minutes, hours */
typedef struct Alarm {
    int sec, min, hour;
} Alarm;

static bool matches(int64_t date, const Alarm *a)
{
    return (a->sec == DONT_CARE || a->sec == date % 60) &&
           (a->min == DONT_CARE || a->min == date / 60 % 60) &&
           (a->hour == DONT_CARE || a->hour == date / 3600 % 24);
}

static int64_t next_match(int64_t date, const Alarm *a)
{
    do {
        date++;
    } while (!matches(date, a));
    return date;
}

static uint8_t encode_field(int value, uint8_t reg_b)
{
    return value == DONT_CARE ? g_test_rand_int_range(0xc0, 0x100) :
                                rtc_encode(value, reg_b);
}

static void write_alarm(VM *vm, const Alarm *a, uint8_t reg_b)
{
    cmos_write(vm, RTC_SECONDS_ALARM, encode_field(a->sec, reg_b));
    cmos_write(vm, RTC_MINUTES_ALARM, encode_field(a->min, reg_b));
    cmos_write(vm, RTC_HOURS_ALARM, a->hour == DONT_CARE ?
               encode_field(DONT_CARE, reg_b) :
               rtc_encode_hour(a->hour, reg_b));
}

/* Half of the time close to @now, because that is where errors are */
static int draw(int now, int range)
{
    return g_test_rand_bit() ? g_test_rand_int_range(0, range) :
           (now + g_test_rand_int_range(0, 3) - 1 + range) % range;
}

/* Bit 0, 1 and 2 of @dont_care stand for seconds, minutes and hours. */
static Alarm draw_alarm(int64_t date, int dont_care)
{
    return (Alarm) {
        .sec = dont_care & 1 ? DONT_CARE : draw(date % 60, 60),
        .min = dont_care & 2 ? DONT_CARE : draw(date / 60 % 60, 60),
        .hour = dont_care & 4 ? DONT_CARE : draw(date / 3600 % 24, 24),
    };
}

static char *alarm_to_text(const Alarm *a)
{
    return g_strdup_printf("%d:%d:%d", a->hour, a->min, a->sec);
}

/* Seconds end half a second after @set and every second from then on. */
static int64_t second_at(Span set, int64_t from, int64_t date)
{
    return set.lo + NS / 2 + (date - from - 1) * NS;
}

/*
 * The alarm goes off when the model says, not before, twice in a row.
 * Register C is only read when it has, because reading it makes the emulator
 * look at every second for a while.
 */
static void check_alarm(VM *vm, Span set, int64_t from, const Alarm *a)
{
    int64_t date = from + (vm_rtc_now(vm) - set.lo + NS / 2) / NS;

    for (int i = 0; i < 2 && !g_test_failed(); i++) {
        date = next_match(date, a);
        vm_pass_short_of(vm, second_at(set, from, date) - vm_rtc_now(vm));
        g_assert_false(vm_irq(vm));
        vm_pass(vm, 1);
        g_assert_true(vm_irq(vm));
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==,
                        REG_C_IRQF | REG_C_AF | REG_C_UF);
        g_assert_false(vm_irq(vm));
    }
}

static void check_random_alarm(VM *vm, uint8_t reg_b, int dont_care)
{
    int64_t from = g_test_rand_int_range(0, INT32_MAX), date;
    g_autofree char *text = NULL;
    Alarm a = { from % 60, from / 60 % 60, (from / 3600 + 12) % 24 };
    Span set;

    /* Far away, so that AF stays clear until the alarm is set */
    write_alarm(vm, &a, reg_b);
    set = rtc_set_date_in(vm, from, 6, reg_b);
    /* Possibly with UF set already, so that nothing happens until the alarm */
    vm_pass(vm, g_test_rand_bit() ? NS / 4 : NS + NS / 4);
    date = from + (vm_rtc_now(vm) - set.lo + NS / 2) / NS;
    a = draw_alarm(date, dont_care);
    write_alarm(vm, &a, reg_b);
    cmos_write(vm, RTC_REG_B, reg_b | REG_B_AIE);
    check_alarm(vm, set, from, &a);
    if (g_test_failed()) {
        text = alarm_to_text(&a);
        g_test_message("mode 0x%02x, alarm %s, set at %" PRId64, reg_b, text,
                       date);
    }
}

/* Real time: the alarm matches the next second, and no field too many. */
static void check_alarm_roughly(VM *vm, uint8_t reg_b, int dont_care)
{
    int64_t from = g_test_rand_int_range(0, INT32_MAX), next = from + 1;
    Alarm a = {
        .sec = dont_care & 1 ? DONT_CARE : next % 60,
        .min = dont_care & 2 ? DONT_CARE : next / 60 % 60,
        .hour = dont_care & 4 ? DONT_CARE : next / 3600 % 24,
    };
    Span set, due, when;
    uint8_t flags;

    set = rtc_set_date_in(vm, from, 6, reg_b);
    write_alarm(vm, &a, reg_b);
    cmos_write(vm, RTC_REG_B, reg_b | REG_B_AIE);
    due = span_add(set, NS / 2);
    vm_pass_until(vm, due.lo - LATE_NS);
    do {
        when.lo = vm_rtc_now(vm);
        flags = cmos_read(vm, RTC_REG_C);
        when.hi = vm_rtc_now(vm);
    } while (!(flags & REG_C_AF) && when.lo <= due.hi + LATE_NS);
    g_assert_true(flags & REG_C_AF);
    g_assert_true(flags & REG_C_IRQF);
    g_assert_cmpint(when.hi, >=, due.lo);
}

/* On real clocks the three settings of a source share the combinations. */
static void test_dont_care(Cell *cell)
{
    static const uint8_t modes[] = {
        BINARY_24H, BCD_24H, BINARY_12H, BCD_12H
    };
    VM *vm = cell_vm(cell);
    bool told = vm_rtc_is_told(vm);
    int rounds = g_test_slow() ? 50 : 8;

    for (int dont_care = 0; dont_care < 8; dont_care++) {
        if (!told && dont_care % SET__MAX == cell->setting) {
            check_alarm_roughly(vm, modes[dont_care % ARRAY_SIZE(modes)],
                                dont_care);
        }
        for (int i = 0; told && i < ARRAY_SIZE(modes) * rounds &&
             !g_test_failed(); i++) {
            check_random_alarm(vm, modes[i % ARRAY_SIZE(modes)], dont_care);
        }
    }
    cmos_write(vm, RTC_REG_B, BINARY_24H);
}

/*
 * Without AIE the flag is set and no interrupt is raised; when AIE is set the
 * interrupt follows at once.
 */
static void test_masked(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Alarm a = { 59, 59, 23 };
    Span set;

    write_alarm(vm, &a, BINARY_24H);
    set = rtc_set_date(vm, MILLENNIUM, 6);
    vm_pass_until(vm, set.hi + NS / 2 + (vm_rtc_is_told(vm) ? 0 : LATE_NS));
    g_assert_false(vm_irq(vm));
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_AIE);
    g_assert_true(vm_irq(vm));
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==,
                    REG_C_IRQF | REG_C_AF | REG_C_UF);
    cmos_write(vm, RTC_REG_B, BINARY_24H);
}

/* Waking up */

/* ACPI specification, "PM1 Event/Control Registers" */
#define PM1_STS         (PM_PORT + 0)
#define PM1_EN          (PM_PORT + 2)
#define PM1_CNT         (PM_PORT + 4)
#define RTC_BIT         (1 << 10)
#define WAK_STS         (1 << 15)
#define SLP_EN          (1 << 13)
/* PIIX4's value of the sleep type for S3 */
#define SLP_TYP_S3      (1 << 10)

static void check_status(VM *vm, const char *status)
{
    QDict *rsp = qtest_qmp_assert_success_ref(vm->qts,
                                              "{ 'execute': 'query-status' }");

    g_assert_cmpstr(qdict_get_str(rsp, "status"), ==, status);
    qobject_unref(rsp);
}

static void check_event(VM *vm, const char *name)
{
    qobject_unref(wait_for_event(vm, name));
}

/* Suspend with an alarm half a second ahead; returns when that is due. */
static Span suspend(VM *vm, uint16_t enable)
{
    Alarm a = { 59, 59, 23 };
    Span set;

    pm_enable(vm);
    qtest_outw(vm->qts, PM1_EN, enable);
    write_alarm(vm, &a, BINARY_24H);
    set = rtc_set_date(vm, MILLENNIUM, 6);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_AIE);
    qtest_outw(vm->qts, PM1_CNT, SLP_EN | SLP_TYP_S3);
    check_event(vm, "SUSPEND");
    check_status(vm, "suspended");
    return span_add(set, NS / 2);
}

/*
 * QEMU, since before host clocks, runs no timers of QEMU_CLOCK_VIRTUAL while
 * the guest sleeps: time goes on, but no alarm comes.
 */
static void check_sleeps_on(VM *vm, Span due)
{
    vm_pass_until(vm, due.hi + (vm_rtc_is_told(vm) ? 1 : LATE_NS));
    check_status(vm, "suspended");
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_AF, ==, 0);
}

static void check_woke_up(VM *vm, Span set)
{
    check_event(vm, "WAKEUP");
    check_status(vm, "running");
    /* Waking resets the machine; the date stays. */
    check_date_since(vm, MILLENNIUM, set);
    g_assert_cmphex(cmos_read(vm, RTC_REG_B) & REG_B_AIE, ==, 0);
}

static void test_wake(Cell *cell)
{
    VM *vm = cell_start(cell, "utc", "");
    Span due = suspend(vm, RTC_BIT);

    if (cell->setting == SET_VM) {
        check_sleeps_on(vm, due);
        qtest_qmp_assert_success(vm->qts, "{ 'execute': 'system_wakeup' }");
    } else {
        vm_pass_until(vm, due.lo - (vm_rtc_is_told(vm) ? 1 : 200 * MS));
        check_status(vm, "suspended");
        vm_pass_until(vm, due.hi + (vm_rtc_is_told(vm) ? 0 : LATE_NS));
    }
    check_woke_up(vm, span_shift(due, -NS / 2));
    if (cell->setting != SET_VM) {
        g_assert_cmphex(qtest_inw(vm->qts, PM1_STS) & (RTC_BIT | WAK_STS), ==,
                        RTC_BIT | WAK_STS);
    }
    vm_quit(vm);
}

/* The chipset has not been told to let the RTC wake it up. */
static void test_no_wake(Cell *cell)
{
    VM *vm = cell_start(cell, "utc", "");
    Span due = suspend(vm, 0);

    if (cell->setting == SET_VM) {
        check_sleeps_on(vm, due);
    } else {
        vm_pass_until(vm, due.hi + (vm_rtc_is_told(vm) ? 0 : LATE_NS));
        check_status(vm, "suspended");
        g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_AF);
    }
    vm_quit(vm);
}

void add_alarm_tests(Cell *cell)
{
    add_test(cell, "alarm/dont-care", test_dont_care);
    add_test(cell, "alarm/masked", test_masked);
    add_test(cell, "alarm/wake-from-s3", test_wake);
    add_test(cell, "alarm/no-wake-from-s3", test_no_wake);
}
