/*
 * RTC: a tick that the guest has seen is not lost, and one that it has not is
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

static void cmos_write(QTestState *s, uint8_t reg, uint8_t value)
{
    qtest_outb(s, 0x70, reg);
    qtest_outb(s, 0x71, value);
}

static void test_lost_tick(void)
{
    /* A date begins with its second: in 1 ms there is one tick, never two. */
    QTestState *s = qtest_init("-machine pc -rtc base=2006-06-17,clock=vm,"
                               "driftfix=slew");

    cmos_write(s, 0xa, 0x26);                   /* 1024 Hz: one tick in 1 ms */
    cmos_write(s, 0xb, 0x42);
    qtest_clock_step(s, 1000 * 1000);
    g_assert_cmphex(cmos_read(s, 0xc), ==, 0xc0);
    g_assert_cmphex(cmos_read(s, 0xc), ==, 0);
    /* Of three that it has not seen two are lost, and come again. */
    qtest_clock_step(s, 3 * 1000 * 1000);
    for (int i = 0; i < 3; i++) {
        g_assert_cmphex(cmos_read(s, 0xc), ==, 0xc0);
    }
    g_assert_cmphex(cmos_read(s, 0xc), ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/lost-tick", test_lost_tick);
    return g_test_run();
}
