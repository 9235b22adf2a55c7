/*
 * QTest testcase for the mc146818rtc: its registers of the date
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"

/* Registers of the date; data sheet, "Time, Calendar, and Alarm Locations" */

/* A write takes effect at once, for itself only, and the second goes on. */
static void test_write_running(void)
{
    static const struct {
        uint8_t reg, value;
        const char *date;
    } writes[] = {
        { RTC_MINUTES, 0x45, "2006-06-17T16:45:21" },
        { RTC_SECONDS, 0x07, "2006-06-17T16:45:07" },
        { RTC_HOURS, 0x23, "2006-06-17T23:45:07" },
        /* In June: kept until the next update */
        { RTC_DAY_OF_MONTH, 0x31, "2006-06-31T23:45:07" },
        { RTC_SECONDS_ALARM, 0x59, "2006-06-31T23:45:07" },
        { RTC_MONTH, 0x12, "2006-12-31T23:45:07" },
        { RTC_YEAR, 0x99, "2099-12-31T23:45:07" },
        { 0x32, 0x19, "1999-12-31T23:45:07" },
    };
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 900 * MS);
    for (int i = 0; i < ARRAY_SIZE(writes); i++) {
        cmos_write(writes[i].reg, writes[i].value);
        check_date(writes[i].date);
        step_to(&now, now + MS);
        check_date(writes[i].date);
    }
    step_to(&now, SECOND - 1);
    check_date("1999-12-31T23:45:07");
    step_to(&now, SECOND);
    check_date("1999-12-31T23:45:08");
    step_to(&now, SECOND + 892 * SECOND);
    check_date("2000-01-01T00:00:00");
    qtest_quit(qts);
}

/* A day that the month does not have is none from the next update on. */
static void test_write_no_day(void)
{
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 300 * MS);
    cmos_write(RTC_DAY_OF_MONTH, 0x31);
    check_date("2006-06-31T16:01:21");
    step_to(&now, SECOND);
    check_date("2006-07-01T16:01:22");
    qtest_quit(qts);
}

/* The 17th of June 2006 was a Saturday, 7. */
static void test_write_weekday(void)
{
    int64_t now = 0;

    rtc_start("none");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 7);
    cmos_write(RTC_DAY_OF_WEEK, 3);
    check_date(DATE);
    for (int day = 0; day < 16; day++) {
        g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, (2 + day) % 7 + 1);
        step_to(&now, now + 24 * 3600 * SECOND);
    }
    /* The date has no influence on it, by whichever way it is set. */
    cmos_write(RTC_DAY_OF_WEEK, 5);
    cmos_write(RTC_DAY_OF_MONTH, 0x12);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    step_to(&now, now + 2 * SECOND);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_SET);
    cmos_write(RTC_MONTH, 0x01);
    cmos_write(RTC_REG_B, REG_B_24H);
    step_to(&now, now + 2 * SECOND);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* So that one fault does not hide the others */
    g_test_set_nonfatal_assertions();
    if (!qtest_has_machine("pc") || !qtest_has_machine("q35")) {
        g_test_skip("no PC machine");
        return 0;
    }

    qtest_add_func("/rtc-registers/write/running", test_write_running);
    qtest_add_func("/rtc-registers/write/no-day", test_write_no_day);
    qtest_add_func("/rtc-registers/write/weekday", test_write_weekday);
    add_base_tests();
    add_acpi_tests();
    add_chain_tests();
    add_move_tests();

    return g_test_run();
}
