/*
 * RTC: the date on a clock that was set back
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

/* 20 s, although a migration to a file takes less than one */
static void wait_migrated(QTestState *s)
{
    for (int i = 0; i < 1000; i++) {
        g_autofree char *said = qtest_hmp(s, "info migrate");

        if (strstr(said, "completed")) {
            return;
        }
        g_usleep(20 * 1000);
    }
    g_assert_not_reached();
}

static void test_set_back(void)
{
    g_autofree char *dir = g_dir_make_tmp("qtest-rtc-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "state", NULL);
    QTestState *from, *to;

    /* qtest's clock is not migrated: it is 0 again.  */
    from = qtest_init("-machine pc -rtc base=2006-06-17T16:01:21,clock=vm");
    qtest_clock_step(from, 3600 * NANOSECONDS_PER_SECOND);
    /* Its base is the date of the last write, with what was read before.  */
    g_assert_cmphex(cmos_read(from, 4), ==, 0x17);
    cmos_write(from, 0, 0x21);
    g_free(qtest_hmp(from, "migrate file:%s", file));
    wait_migrated(from);
    qtest_quit(from);

    to = qtest_initf("-machine pc -rtc clock=vm -incoming file:%s", file);
    wait_migrated(to);
    g_assert_cmphex(cmos_read(to, 0x32), ==, 0x20);
    g_assert_cmphex(cmos_read(to, 9), ==, 0x06);
    g_assert_cmphex(cmos_read(to, 4), ==, 0x16);
    qtest_quit(to);
    unlink(file);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/set-back", test_set_back);
    return g_test_run();
}
