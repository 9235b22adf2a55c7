/*
 * RTC: an alarm in the afternoon, in 12-hour mode
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "libqtest.h"

static uint8_t cmos_read(QTestState *s, uint8_t reg)
{
    qtest_outb(s, 0x70, reg);
    return qtest_inb(s, 0x71);
}

static void cmos_write(QTestState *s, uint8_t reg, uint8_t value)
{
    qtest_outb(s, 0x70, reg);
    qtest_outb(s, 0x71, value);
}

static void test_12_hour(void)
{
    QTestState *s = qtest_init("-machine pc "
                               "-rtc base=2006-06-17T15:59:58,clock=vm");

    cmos_write(s, 0xb, 0);
    g_assert_cmphex(cmos_read(s, 4), ==, 0x83);
    cmos_write(s, 5, 0x84);
    cmos_write(s, 3, 0);
    cmos_write(s, 1, 0);
    qtest_clock_step(s, 3 * NANOSECONDS_PER_SECOND);
    g_assert_cmphex(cmos_read(s, 0xc) & 0x20, ==, 0x20);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/12-hour", test_12_hour);
    return g_test_run();
}
