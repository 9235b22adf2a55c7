/*
 * RTC: an alarm sets the status bit of the power management
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

static void test_acpi(void)
{
    QTestState *s = qtest_init("-machine pc -rtc clock=vm");

    /* The PIIX4's PMBASE is 0xb000, and I/O is enabled.  */
    qtest_outl(s, 0xcf8, 0x80000b40);
    qtest_outl(s, 0xcfc, 0xb001);
    qtest_outl(s, 0xcf8, 0x80000b80);
    qtest_outb(s, 0xcfc, 1);
    /* An alarm each second */
    for (int reg = 1; reg <= 5; reg += 2) {
        cmos_write(s, reg, 0xc0);
    }
    cmos_write(s, 0xb, 0x22);
    qtest_clock_step(s, 2 * NANOSECONDS_PER_SECOND);
    g_assert_cmphex(cmos_read(s, 0xc) & 0x20, ==, 0x20);
    g_assert_cmphex(qtest_inw(s, 0xb000) & 0x400, ==, 0x400);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/acpi", test_acpi);
    return g_test_run();
}
