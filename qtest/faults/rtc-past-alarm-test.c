/*
 * RTC: no alarm from an hour that there is not
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

static void test_past_alarm(void)
{
    QTestState *s = qtest_init("-machine pc -rtc clock=vm");

    /* A clock that is less than the difference of the hours hides it.  */
    qtest_clock_step(s, 40 * 3600 * NANOSECONDS_PER_SECOND);
    cmos_write(s, 0xb, 0x82);
    cmos_write(s, 4, 0x35);
    cmos_write(s, 5, 0x01);
    cmos_write(s, 3, 0);
    cmos_write(s, 1, 0);
    cmos_read(s, 0xc);
    qtest_clock_step(s, 2 * NANOSECONDS_PER_SECOND);
    g_assert_cmphex(cmos_read(s, 0xc) & 0x20, ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/past-alarm", test_past_alarm);
    return g_test_run();
}
