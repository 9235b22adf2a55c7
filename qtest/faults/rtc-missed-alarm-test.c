/*
 * RTC: an alarm every minute, set in the second that matches
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

static void test_missed_alarm(void)
{
    QTestState *s = qtest_init("-machine pc "
                               "-rtc base=2006-06-17T11:59:58,clock=vm");

    qtest_clock_step(s, 5 * NANOSECONDS_PER_SECOND / 2);
    cmos_write(s, 5, 0xc0);
    cmos_write(s, 3, 0xc0);
    cmos_write(s, 1, 0);
    /* Register C is not read: UF stays set.  */
    qtest_clock_step(s, 61 * NANOSECONDS_PER_SECOND);
    g_assert_cmphex(cmos_read(s, 0xc) & 0x20, ==, 0x20);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/missed-alarm", test_missed_alarm);
    return g_test_run();
}
