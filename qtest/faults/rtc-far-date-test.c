/*
 * RTC: dates for which 64 bits of nanoseconds are too few
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

static uint8_t cmos_read(QTestState *s, uint8_t reg)
{
    qtest_outb(s, 0x70, reg);
    return qtest_inb(s, 0x71);
}

static void test_far_date(void)
{
    QTestState *s = qtest_init("-machine pc -rtc base=2300-01-01,clock=vm");

    g_assert_cmphex(cmos_read(s, 0x32), ==, 0x23);
    g_assert_cmphex(cmos_read(s, 9), ==, 0x00);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/far-date", test_far_date);
    return g_test_run();
}
