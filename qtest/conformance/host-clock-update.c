/*
 * The conformance suite of host clocks: updates, divider reset, SET, reset
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The MC146818 data sheet, "Update cycle": UIP goes high 244 us before an
 * update begins and low when it ends; UF is set then.  The first update comes
 * half a second after the divider chain leaves reset; SET stops updates.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"

/* 8 cycles of 32768 Hz are 244140.6 ns. */
#define UIP_NS          244140

#define SECONDS_EXACT   6

static bool uip(VM *vm)
{
    return cmos_read(vm, RTC_REG_A) & REG_A_UIP;
}

/* UIP and UF around one update */

/*
 * One update to the nanosecond, at @update; before it the date is @date.
 * @look: whether to look at UIP before the end, which the emulator latches
 * @pending: whether UF is still set from the update before
 */
static void check_update(VM *vm, int64_t update, int64_t date, bool look,
                         bool pending)
{
    uint8_t reg_b = cmos_read(vm, RTC_REG_B);
    uint8_t flags = REG_C_UF | (reg_b & REG_B_UIE ? REG_C_IRQF : 0);

    vm_pass_short_of(vm, update - UIP_NS - vm_rtc_now(vm));
    g_assert_false(uip(vm));
    vm_pass(vm, 1);
    g_assert_true(!look || uip(vm));
    vm_pass_short_of(vm, update - vm_rtc_now(vm));
    g_assert_true(!look || uip(vm));
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date);
    if (pending) {
        g_assert_cmpint(vm_irq(vm), ==, !!(reg_b & REG_B_UIE));
    } else {
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==, 0);
        g_assert_false(vm_irq(vm));
    }
    vm_pass(vm, 1);
    g_assert_false(uip(vm));
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date + 1);
    g_assert_cmpint(vm_irq(vm), ==, !!(reg_b & REG_B_UIE));
    if (!pending) {
        /* Midnight is on the way, and the alarm at 0 after power-on. */
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~(REG_C_AF | REG_C_PF), ==,
                        flags);
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==, 0);
        g_assert_false(vm_irq(vm));
    }
}

/* With and without the interrupt, with UF cleared each time and left alone */
static void check_updates(VM *vm, uint8_t uie, bool look)
{
    Span set = rtc_set_date(vm, MILLENNIUM, 6);
    int64_t update = set.lo + NS / 2;

    cmos_write(vm, RTC_REG_B, BINARY_24H | uie);
    for (int i = 0; i < SECONDS_EXACT && !g_test_failed(); i++) {
        check_update(vm, update + i * NS, MILLENNIUM + i, look, false);
    }
    update += SECONDS_EXACT * NS;
    /* Not acknowledged: UF is set from here on. */
    vm_pass_until(vm, update);
    for (int i = 1; i <= SECONDS_EXACT && !g_test_failed(); i++) {
        check_update(vm, update + i * NS, MILLENNIUM + SECONDS_EXACT + i, look,
                     true);
    }
    g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_UF);
}

/* In real time: look all the while around the update. */
static void check_update_roughly(VM *vm)
{
    Span set = rtc_set_date(vm, MILLENNIUM, 6), when;
    Span update = span_add(set, NS / 2);
    bool seen = false;

    vm_pass_until(vm, update.lo - 2 * MS);
    do {
        bool now;

        when.lo = vm_rtc_now(vm);
        now = uip(vm);
        when.hi = vm_rtc_now(vm);
        seen |= now;
        if (now) {
            g_assert_cmpint(when.hi, >=, update.lo - UIP_NS);
            g_assert_cmpint(when.lo, <=, update.hi + LATE_NS);
        } else if (when.lo > update.hi - UIP_NS && when.hi < update.lo) {
            g_test_message("no UIP %" PRId64 " ns before the update",
                           update.lo - when.hi);
            g_test_fail();
        }
    } while (when.lo < update.hi + LATE_NS && !g_test_failed());
    g_test_message("UIP was %sseen", seen ? "" : "not ");
    check_date_since(vm, MILLENNIUM, set);
}

static void test_uip(Cell *cell)
{
    VM *vm = cell_vm(cell);

    if (vm_rtc_is_told(vm)) {
        check_updates(vm, 0, true);
        check_updates(vm, 0, false);
        check_updates(vm, REG_B_UIE, true);
        check_updates(vm, REG_B_UIE, false);
    } else {
        check_update_roughly(vm);
    }
}

/* Divider reset and SET */

/* Stop the date; it is MILLENNIUM unless this host is very late. */
static int64_t freeze(VM *vm, Span set, uint8_t reg, uint8_t value)
{
    Span when;
    int64_t date;

    when.lo = vm_rtc_now(vm);
    cmos_write(vm, reg, value);
    when.hi = vm_rtc_now(vm);
    date = rtc_read_date(vm, NULL);
    check_date(date, MILLENNIUM, span_since(set, when));
    return date;
}

static void check_frozen(VM *vm, int64_t date)
{
    int n = vm_rtc_is_told(vm) ? 20 : 2;

    cmos_read(vm, RTC_REG_C);
    for (int i = 0; i < n; i++) {
        g_assert_cmpint(rtc_read_date(vm, NULL), ==, date);
        g_assert_cmpint(machine_rtc_time(vm), ==, date);
        g_assert_false(uip(vm));
        vm_pass(vm, NS * 3 / 10);
    }
}

/* An update was due @left ns after @from, and the date was @date until then. */
static void check_date_around(VM *vm, Span from, int64_t left, int64_t date)
{
    Span when;
    int64_t now = rtc_read_date(vm, &when);

    check_date(now, date, span_shift(span_since(from, when), NS / 2 - left));
}

static void check_next_update(VM *vm, Span from, int64_t left, int64_t date)
{
    if (vm_rtc_is_told(vm)) {
        vm_pass_short_of(vm, from.lo + left - vm_rtc_now(vm));
        check_date_around(vm, from, left, date);
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_UF, ==, 0);
        vm_pass(vm, 1);
    } else {
        check_date_around(vm, from, left, date);
        vm_pass_until(vm, from.hi + left + LATE_NS);
    }
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_UF, ==, REG_C_UF);
    check_date_around(vm, from, left, date);
}

static void test_divider_reset(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span set = rtc_set_date(vm, MILLENNIUM, 6), released;
    int64_t date;

    vm_pass(vm, NS * 2 / 10);
    date = freeze(vm, set, RTC_REG_A, 0x76);
    check_frozen(vm, date);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==, 0);

    released.lo = vm_rtc_now(vm);
    cmos_write(vm, RTC_REG_A, 0x26);
    released.hi = vm_rtc_now(vm);
    check_next_update(vm, released, NS / 2, date);
}

/*
 * The divider chain runs on: the first update after SET comes when the next
 * one would have come anyway, at half seconds after @set.
 */
static void check_after_set(VM *vm, Span set, int64_t date)
{
    Span released = { .lo = vm_rtc_now(vm) }, gone;
    int64_t seconds;

    cmos_write(vm, RTC_REG_B, BINARY_24H);
    released.hi = vm_rtc_now(vm);
    cmos_read(vm, RTC_REG_C);
    gone = span_since(set, released);
    seconds = (gone.lo + NS / 2) / NS;
    if (seconds != (gone.hi + NS / 2) / NS) {
        g_test_message("an update was due while SET was cleared");
        return;
    }
    check_next_update(vm, set, seconds * NS + NS / 2, date);
}

static void test_set(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span set = rtc_set_date(vm, MILLENNIUM, 6);
    DateRegs other = rtc_encode_date(MILLENNIUM + 86400 * 366, BINARY_24H);
    int64_t date;

    vm_pass(vm, NS * 2 / 10);
    date = freeze(vm, set, RTC_REG_B, BINARY_24H | REG_B_SET | REG_B_UIE);
    /* "SET clears UIE" */
    g_assert_cmphex(cmos_read(vm, RTC_REG_B), ==, BINARY_24H | REG_B_SET);
    check_frozen(vm, date);
    rtc_write_regs(vm, &other);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, MILLENNIUM + 86400 * 366);
    check_after_set(vm, set, MILLENNIUM + 86400 * 366);
}

/* SET and back, with nothing written: time goes on from where it stood. */
static void test_set_unchanged(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span set = rtc_set_date(vm, MILLENNIUM, 6);
    int64_t date;

    vm_pass(vm, NS * 2 / 10);
    date = freeze(vm, set, RTC_REG_B, BINARY_24H | REG_B_SET);
    check_frozen(vm, date);
    check_after_set(vm, set, date);
}

/* Reset */

/*
 * MC146818 data sheet, "RESET": PIE, AIE and SQWE are cleared and so are all
 * flags; the date, the alarm, the modes and the rate stay.  (UIE should be
 * cleared too; QEMU keeps it.)
 */
static void test_reset_registers(Cell *cell)
{
    const uint8_t modes = BCD_12H;
    VM *vm = cell_start(cell, "utc", "");
    Span set = rtc_set_date_in(vm, MILLENNIUM, 9, modes);

    cmos_write(vm, RTC_SECONDS_ALARM, 0x11);
    cmos_write(vm, RTC_MINUTES_ALARM, 0x22);
    cmos_write(vm, RTC_HOURS_ALARM, 0x91);
    cmos_write(vm, RTC_REG_B, modes | REG_B_PIE | REG_B_AIE | REG_B_SQWE);
    /* 128 Hz; a busy machine may serve the emulator later, but within 10 s. */
    for (int i = 0; i < 500 && !vm_irq(vm); i++) {
        vm_pass(vm, 20 * MS);
    }
    g_assert_true(vm_irq(vm));

    qtest_system_reset(vm->qts);
    /* PF tells of the divider chain whether somebody wants to know or not. */
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & ~REG_C_PF, ==, 0);
    g_assert_cmphex(cmos_read(vm, RTC_REG_B), ==, modes);
    g_assert_cmphex(cmos_read(vm, RTC_REG_A) & ~REG_A_UIP, ==, 0x29);
    g_assert_cmphex(cmos_read(vm, RTC_SECONDS_ALARM), ==, 0x11);
    g_assert_cmphex(cmos_read(vm, RTC_MINUTES_ALARM), ==, 0x22);
    g_assert_cmphex(cmos_read(vm, RTC_HOURS_ALARM), ==, 0x91);
    g_assert_cmphex(cmos_read(vm, RTC_REG_D), ==, 0x80);
    g_assert_false(vm_irq(vm));
    vm_pass(vm, 100 * MS);
    g_assert_false(vm_irq(vm));
    check_regs_since(vm, MILLENNIUM, set, modes);
    vm_quit(vm);
}

void add_update_tests(Cell *cell)
{
    add_test(cell, "update/uip", test_uip);
    add_test(cell, "update/divider-reset", test_divider_reset);
    add_test(cell, "update/set", test_set);
    add_test(cell, "update/set-unchanged", test_set_unchanged);
    add_test(cell, "reset/registers", test_reset_registers);
}
