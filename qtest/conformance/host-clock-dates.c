/*
 * The conformance suite of host clocks: the date
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The date at power-on; what happens when the guest sets it; each hour in each
 * mode; leap years and centuries.  GLib's calendar says what is right.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "qobject/qdict.h"

#define BASE_DATE       "2006-06-17T16:01:21"

/* Power-on */

/* time(2) may be a tick of the kernel, 8 ms, behind the clock QEMU reads. */
static int64_t utc_s(Cell *cell)
{
    return cell_is_manual(cell) ? MANUAL_WALL_S :
           g_get_real_time() / G_USEC_PER_SEC;
}

/* -1 for utc and localtime */
static int64_t base_date_s(const char *base)
{
    g_autofree char *utc = g_strconcat(base, "Z", NULL);
    g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(utc, NULL);

    return date ? g_date_time_to_unix(date) : -1;
}

/*
 * The RTC counts whole seconds from the instant at which it was created, so it
 * is behind by less than one.
 */
static void test_power_on(Cell *cell, const char *base)
{
    int64_t created = utc_s(cell), read, done, date, property;
    VM *vm = cell_start(cell, base, "");
    bool told = vm_rtc_is_told(vm);
    Span expected;

    cmos_write(vm, RTC_REG_B, BINARY_24H);
    read = utc_s(cell);
    date = rtc_read_date(vm, NULL);
    property = machine_rtc_time(vm);
    done = utc_s(cell);

    expected.lo = told ? created : MAX(created, read - 1);
    expected.hi = done;
    if (g_str_equal(base, "localtime")) {
        expected = span_shift(expected, TEST_TZ_S);
    } else if (!g_str_equal(base, "utc")) {
        expected.lo = base_date_s(base);
        expected.hi = expected.lo + (told ? 0 : done - created + 1);
    }
    assert_between(date, expected.lo, expected.hi);
    assert_between(property, date, expected.hi);
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

/* The first and the last year, and one that ns since 1970 cannot express */
static void test_power_on_far(Cell *cell)
{
    test_power_on(cell, "1970-01-01T00:00:00");
    test_power_on(cell, "2300-01-01T00:00:00");
    test_power_on(cell, "9999-12-31T23:59:00");
}

/* The guest sets the date */

/*
 * What the RTC would show now had nobody set it, which is to what RTC_CHANGE
 * refers.  With base= a date it started with that, @start_s of UTC.
 */
static int64_t unset_date(Cell *cell, const char *base, int64_t start_s)
{
    int64_t now = utc_s(cell);

    if (g_str_equal(base, "localtime")) {
        return now + TEST_TZ_S;
    }
    return g_str_equal(base, "utc") ? now : base_date_s(base) + now - start_s;
}

static void test_set_date(Cell *cell, const char *base)
{
    int64_t start_s = utc_s(cell), first, last, before, property;
    VM *vm = cell_start(cell, base, "");
    int64_t started_s = utc_s(cell);
    int slack = cell_is_manual(cell) ? 0 : 1;
    QDict *event;
    Span set;

    /* The VM read it in between; @slack, for what is less than a second. */
    first = unset_date(cell, base, started_s) - slack;
    set = rtc_set_date(vm, MILLENNIUM, 6);
    event = wait_for_event(vm, "RTC_CHANGE");
    last = unset_date(cell, base, start_s) + slack;
    if (event) {
        assert_between(qdict_get_int(qdict_get_qdict(event, "data"), "offset"),
                       MILLENNIUM - last, MILLENNIUM - first);
        qobject_unref(event);
    }
    check_date_since(vm, MILLENNIUM, set);
    before = rtc_read_date(vm, NULL);
    property = machine_rtc_time(vm);
    assert_between(property, before, rtc_read_date(vm, NULL));
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

/* Offsets of centuries: the guest goes to the end of time, and back. */
static void test_set_date_far(Cell *cell)
{
    static const char *const dates[] = {
        "9999-12-31T23:59:57", "1970-01-01T00:00:00"
    };

    for (int i = 0; i < ARRAY_SIZE(dates); i++) {
        int64_t date = base_date_s(dates[i]), before = utc_s(cell);
        VM *vm = cell_start(cell, "utc", "");
        Span set = rtc_set_date(vm, date, 6);
        QDict *event = wait_for_event(vm, "RTC_CHANGE");

        if (event) {
            assert_between(qdict_get_int(qdict_get_qdict(event, "data"),
                                         "offset"),
                           date - utc_s(cell) - !cell_is_manual(cell),
                           date - before);
            qobject_unref(event);
        }
        if (vm_rtc_is_told(vm)) {
            vm_pass(vm, NS / 2);
        }
        check_regs_since(vm, date, set, BINARY_24H);
        vm_quit(vm);
    }
}

/* Modes */

/*
 * Each hour is set and read back; then the hour ends.  In real time it only
 * does so at midnight, where the rest of the date rolls over too.
 */
static void test_mode(Cell *cell, uint8_t reg_b)
{
    VM *vm = cell_vm(cell);

    for (int hour = 0; hour < 24 && !g_test_failed(); hour++) {
        int64_t date = MILLENNIUM + 1 - (23 - hour) * 3600;
        Span set = rtc_set_date_in(vm, date, 6, reg_b);

        check_regs_since(vm, date, set, reg_b);
        if (hour == 23 || vm_rtc_is_told(vm)) {
            vm_pass(vm, NS / 2);
            check_regs_since(vm, date, set, reg_b);
        }
    }
}

static void test_mode_binary_24h(Cell *cell)
{
    test_mode(cell, BINARY_24H);
}

static void test_mode_bcd_24h(Cell *cell)
{
    test_mode(cell, BCD_24H);
}

static void test_mode_binary_12h(Cell *cell)
{
    test_mode(cell, BINARY_12H);
}

static void test_mode_bcd_12h(Cell *cell)
{
    test_mode(cell, BCD_12H);
}

/* Years */

/* The second before the first one of @month */
static int64_t last_second_before(int year, int month)
{
    g_autoptr(GDateTime) date = g_date_time_new_utc(year, month, 1, 0, 0, 0);

    return g_date_time_to_unix(date) - 1;
}

/* Set @date, and see it roll over if @roll. */
static void check_rollover(VM *vm, int64_t date, uint8_t reg_b, bool roll)
{
    Span set = rtc_set_date_in(vm, date, 6, reg_b);

    check_regs_since(vm, date, set, reg_b);
    if (roll) {
        vm_pass(vm, NS / 2);
        check_regs_since(vm, date, set, reg_b);
    }
}

/* February 28th, perhaps to the 29th; and the end of the year */
static void check_year(VM *vm, int year, bool roll)
{
    static const uint8_t modes[] = {
        BINARY_24H, BCD_24H, BINARY_12H, BCD_12H
    };
    /* Not in step with leap years */
    uint8_t reg_b = modes[year / 4 % ARRAY_SIZE(modes)];
    int64_t march = last_second_before(year, 3);

    check_rollover(vm, march, reg_b, roll);
    if (g_date_is_leap_year(year)) {
        check_rollover(vm, march - 86400, reg_b, roll);
    }
    if (year < 9999) {
        check_rollover(vm, last_second_before(year + 1, 1), reg_b, roll);
    }
}

/*
 * Seven has no factor in common with 400, so all kinds of years are met; -m
 * slow takes all years.  In real time a few are set, and one rolls over.
 */
static void test_years(Cell *cell)
{
    VM *vm = cell_vm(cell);
    bool told = vm_rtc_is_told(vm);
    int step = !told ? 97 : g_test_slow() ? 1 : 7;

    for (int year = 1970; year <= 9999 && !g_test_failed(); year += step) {
        check_year(vm, year, told);
    }
    for (int year = 2000; year <= 9999 && !g_test_failed(); year += 100) {
        check_year(vm, year, told);
    }
    check_year(vm, 9999, told);
    if (!told) {
        check_rollover(vm, last_second_before(2100, 3), BINARY_24H, true);
    }
}

void add_date_tests(Cell *cell)
{
    add_test(cell, "power-on/utc", test_power_on_utc);
    add_test(cell, "power-on/localtime", test_power_on_localtime);
    add_test(cell, "power-on/date", test_power_on_date);
    add_test(cell, "power-on/far-date", test_power_on_far);
    add_test(cell, "set-date/utc", test_set_date_utc);
    add_test(cell, "set-date/localtime", test_set_date_localtime);
    add_test(cell, "set-date/date", test_set_date_date);
    add_test(cell, "set-date/far", test_set_date_far);
    add_test(cell, "mode/binary-24h", test_mode_binary_24h);
    add_test(cell, "mode/bcd-24h", test_mode_bcd_24h);
    add_test(cell, "mode/binary-12h", test_mode_binary_12h);
    add_test(cell, "mode/bcd-12h", test_mode_bcd_12h);
    add_test(cell, "years", test_years);
}
