/*
 * Helpers for the tests of the mc146818rtc
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"
#include "cmos.h"
#include "hw/rtc/mc146818rtc.h"

QTestState *qts;

uint8_t cmos_read(uint8_t reg)
{
    return qtest_cmos_read(qts, reg);
}

void cmos_write(uint8_t reg, uint8_t value)
{
    qtest_cmos_write(qts, reg, value);
}

/* Of the registers; they are BCD and have 24 hours. */
static char *date(void)
{
    return g_strdup_printf("%02x%02x-%02x-%02xT%02x:%02x:%02x",
                           cmos_read(0x32), cmos_read(RTC_YEAR),
                           cmos_read(RTC_MONTH), cmos_read(RTC_DAY_OF_MONTH),
                           cmos_read(RTC_HOURS), cmos_read(RTC_MINUTES),
                           cmos_read(RTC_SECONDS));
}

void check_date(const char *right)
{
    g_autofree char *is = date();

    g_assert_cmpstr(is, ==, right);
}

int tap_cycles(int rate)
{
    return periodic_period_to_clock(rate);
}

static int64_t cycles_ns(int64_t cycles)
{
    return periodic_clock_to_ns(cycles) + 1;
}

void rtc_start(const char *driftfix)
{
    qts = qtest_initf(MACHINE "-rtc base=" DATE ",clock=vm,driftfix=%s",
                      driftfix);
    qtest_irq_intercept_in(qts, "ioapic");
}

void step_to(int64_t *now, int64_t ns)
{
    qtest_clock_step(qts, ns - *now);
    *now = ns;
}

bool periodic(void)
{
    return cmos_read(RTC_REG_C) & REG_C_PF;
}

void check_edge(int64_t *now, int64_t origin, int64_t cycles)
{
    int64_t edge = origin + cycles_ns(cycles);

    step_to(now, edge - 1000);
    g_assert_false(periodic());
    step_to(now, edge);
    g_assert_true(periodic());
}
