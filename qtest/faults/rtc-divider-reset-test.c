/*
 * RTC: the date that is written in divider reset stays
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

static void test_divider_reset(void)
{
    QTestState *s = qtest_init("-machine pc "
                               "-rtc base=2006-06-17T16:01:21,clock=vm");

    cmos_write(s, 0xa, 0x76);
    cmos_write(s, 4, 0x05);
    qtest_qmp_assert_success(s, "{'execute': 'qom-get', 'arguments': {"
                             "'path': '/machine', 'property': 'rtc-time'}}");
    g_assert_cmphex(cmos_read(s, 4), ==, 0x05);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/divider-reset", test_divider_reset);
    return g_test_run();
}
