/*
 * RTC: the dates that -rtc base= takes
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

static void test_hour(const char *base, uint8_t hour)
{
    QTestState *s = qtest_initf("-machine pc -rtc base=%s,clock=vm", base);

    g_assert_cmphex(cmos_read(s, 4), ==, hour);
    qtest_quit(s);
}

static void test_rfc_3339(void)
{
    test_hour("2006-06-17T16:01:21", 0x16);
    test_hour("2006-06-17t16:01:21", 0x16);
    test_hour("2006-06-17T16:01:21.5Z", 0x16);
    test_hour("2006-06-17T16:01:21+02:00", 0x14);
}

static void test_no_date(void)
{
    const char *qemu = g_getenv("QTEST_QEMU_BINARY");
    const char *args[] = { qemu, "-rtc", "base=2006-13-40", "-machine", "none",
                           "-display", "none", "-dump-vmstate", "/dev/null",
                           NULL };
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)args, NULL,
                               G_SPAWN_STDOUT_TO_DEV_NULL |
                               G_SPAWN_STDERR_TO_DEV_NULL,
                               NULL, NULL, NULL, NULL, &status, NULL));
    g_assert_cmpint(status, !=, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/base/rfc-3339", test_rfc_3339);
    qtest_add_func("rtc/base/no-date", test_no_date);
    return g_test_run();
}
