/*
 * Helpers for the tests of host clocks: registers of RTC and HPET
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cmos.h"
#include "host-clock-util.h"
#include "hw/timer/hpet.h"
#include "qobject/qdict.h"

/* RTC */

uint8_t cmos_read(VM *vm, uint8_t reg)
{
    return qtest_cmos_read(vm->qts, reg);
}

void cmos_write(VM *vm, uint8_t reg, uint8_t value)
{
    qtest_cmos_write(vm->qts, reg, value);
}

uint8_t rtc_encode(int value, uint8_t reg_b)
{
    return reg_b & REG_B_DM ? value : value / 10 << 4 | value % 10;
}

/* In 12 h mode it is 12, 1 to 11; the highest bit says PM. */
uint8_t rtc_encode_hour(int hour, uint8_t reg_b)
{
    if (reg_b & REG_B_24H) {
        return rtc_encode(hour, reg_b);
    }
    return rtc_encode(hour % 12 ?: 12, reg_b) | (hour < 12 ? 0 : 0x80);
}

DateRegs rtc_encode_date(int64_t date, uint8_t reg_b)
{
    g_autoptr(GDateTime) dt = g_date_time_new_from_unix_utc(date);
    int year = g_date_time_get_year(dt);

    return (DateRegs) { {
        [SECONDS] = rtc_encode(g_date_time_get_second(dt), reg_b),
        [MINUTES] = rtc_encode(g_date_time_get_minute(dt), reg_b),
        [HOURS] = rtc_encode_hour(g_date_time_get_hour(dt), reg_b),
        /* Sunday is 1 to the RTC, 7 to GLib. */
        [WEEKDAY] = rtc_encode(g_date_time_get_day_of_week(dt) % 7 + 1, reg_b),
        [DAY] = rtc_encode(g_date_time_get_day_of_month(dt), reg_b),
        [MONTH] = rtc_encode(g_date_time_get_month(dt), reg_b),
        [YEAR] = rtc_encode(year % 100, reg_b),
        [CENTURY] = rtc_encode(year / 100, reg_b),
    } };
}

static const uint8_t date_regs[DATE_REG__MAX] = {
    RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_DAY_OF_WEEK, RTC_DAY_OF_MONTH,
    RTC_MONTH, RTC_YEAR, RTC_CENTURY
};

DateRegs rtc_read_regs(VM *vm, Span *when)
{
    DateRegs regs;

    do {
        when->lo = vm_rtc_now(vm);
        for (int i = 0; i < DATE_REG__MAX; i++) {
            regs.r[i] = cmos_read(vm, date_regs[i]);
        }
        when->hi = vm_rtc_now(vm);
        /* The clock may have moved on between the first and the last. */
    } while (cmos_read(vm, RTC_SECONDS) != regs.r[SECONDS]);
    return regs;
}

void rtc_write_regs(VM *vm, const DateRegs *regs)
{
    for (int i = 0; i < DATE_REG__MAX; i++) {
        cmos_write(vm, date_regs[i], regs->r[i]);
    }
}

int64_t rtc_read_date(VM *vm, Span *when)
{
    Span span;
    DateRegs regs = rtc_read_regs(vm, &span);
    const uint8_t *r = regs.r;
    g_autoptr(GDateTime) date = g_date_time_new_utc(
        r[YEAR] + 100 * r[CENTURY], r[MONTH], r[DAY], r[HOURS], r[MINUTES],
        r[SECONDS]);

    if (when) {
        *when = span;
    }
    if (!date) {
        g_test_message("no date: %d%02d-%d-%d %d:%d:%d", r[CENTURY], r[YEAR],
                       r[MONTH], r[DAY], r[HOURS], r[MINUTES], r[SECONDS]);
        return -1;
    }
    return g_date_time_to_unix(date);
}

Span rtc_set_date_in(VM *vm, int64_t date, uint8_t rate, uint8_t reg_b)
{
    DateRegs regs = rtc_encode_date(date, reg_b);
    Span when;

    cmos_write(vm, RTC_REG_B, reg_b);
    cmos_write(vm, RTC_REG_A, 0x70 | rate);
    rtc_write_regs(vm, &regs);
    cmos_read(vm, RTC_REG_C);
    when.lo = vm_rtc_now(vm);
    cmos_write(vm, RTC_REG_A, 0x20 | rate);
    when.hi = vm_rtc_now(vm);
    return when;
}

Span rtc_set_date(VM *vm, int64_t date, uint8_t rate)
{
    return rtc_set_date_in(vm, date, rate, REG_B_24H | REG_B_DM);
}

int64_t machine_rtc_time(VM *vm)
{
    QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': '/machine', 'property': 'rtc-time' } }");
    QDict *tm = qdict_get_qdict(rsp, "return");
    g_autoptr(GDateTime) date = g_date_time_new_utc(
        qdict_get_int(tm, "tm_year") + 1900, qdict_get_int(tm, "tm_mon") + 1,
        qdict_get_int(tm, "tm_mday"), qdict_get_int(tm, "tm_hour"),
        qdict_get_int(tm, "tm_min"), qdict_get_int(tm, "tm_sec"));

    qobject_unref(rsp);
    return date ? g_date_time_to_unix(date) : -1;
}

int64_t told_lag_ns(QTestState *qts, const char *reason)
{
    QDict *event = qtest_qmp_event_ref(qts, "HOST_CLOCK_LAG"), *data;
    int64_t ns = 0;

    if (event) {
        data = qdict_get_qdict(event, "data");
        g_assert_nonnull(strstr(qdict_get_str(data, "device"), "/machine/"));
        g_assert_cmpstr(qdict_get_str(data, "reason"), ==, reason);
        ns = qdict_get_int(data, "lag-ns");
        qobject_unref(event);
    }
    g_assert_null(qtest_qmp_event_ref(qts, "HOST_CLOCK_LAG"));
    return ns;
}

/* HPET */

void hpet_enable(VM *vm)
{
    qtest_writeq(vm->qts, HPET_BASE + HPET_CFG, HPET_CFG_ENABLE);
}

uint64_t hpet_read(VM *vm, Span *when)
{
    uint64_t ticks;

    when->lo = vm_hpet_now(vm);
    ticks = qtest_readq(vm->qts, HPET_BASE + HPET_COUNTER);
    when->hi = vm_hpet_now(vm);
    return ticks;
}
