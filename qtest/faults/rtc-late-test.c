/*
 * RTC: a periodic interrupt that is late by a minute
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

static double cpu_seconds(QTestState *s)
{
    struct timespec used;
    clockid_t clock;

    g_assert_cmpint(clock_getcpuclockid(qtest_pid(s), &clock), ==, 0);
    g_assert_cmpint(clock_gettime(clock, &used), ==, 0);
    return used.tv_sec + used.tv_nsec / 1e9;
}

/* At 8192 Hz.  After more than 60 s the period would begin anew on loading.  */
static void test_late(void)
{
    g_autofree char *dir = g_dir_make_tmp("qtest-rtc-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "state", NULL);
    QTestState *from, *to;
    double before;

    from = qtest_init("-machine pc -rtc clock=vm");
    cmos_write(from, 0xa, 0x23);
    cmos_write(from, 0xb, 0x42);
    g_free(qtest_hmp(from, "migrate file:%s", file));
    wait_migrated(from);
    qtest_quit(from);

    to = qtest_init("-machine pc -rtc clock=vm -incoming defer -S");
    qtest_clock_set(to, 59 * NANOSECONDS_PER_SECOND);
    g_free(qtest_hmp(to, "migrate_incoming file:%s", file));
    wait_migrated(to);
    before = cpu_seconds(to);
    qtest_qmp_assert_success(to, "{'execute': 'cont'}");
    cmos_read(to, 0xc);
    /* 483,000 callbacks take 30 ms and more; none, 1 ms.  */
    g_assert_cmpfloat(cpu_seconds(to) - before, <, 0.01);
    qtest_quit(to);
    unlink(file);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/late", test_late);
    return g_test_run();
}
