/*
 * HPET: many missed periods do not take long
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_CFG        0xfed00010
#define HPET_COUNTER    0xfed000f0
#define HPET_T0_CFG     0xfed00100
#define HPET_T0_CMP     0xfed00108

/* Periods of one tick; to add them up takes seconds */
#define MISSED          (1ULL << 34)

static double cpu_seconds(QTestState *s)
{
    struct timespec used;
    clockid_t clock;

    g_assert_cmpint(clock_getcpuclockid(qtest_pid(s), &clock), ==, 0);
    g_assert_cmpint(clock_gettime(clock, &used), ==, 0);
    return used.tv_sec + used.tv_nsec / 1e9;
}

static void test_missed_periods(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");
    double before;

    qtest_writeq(s, HPET_COUNTER, MISSED);
    qtest_writeq(s, HPET_T0_CFG, 0x48);         /* periodic, set comparator */
    qtest_writeq(s, HPET_T0_CMP, 1);
    before = cpu_seconds(s);
    qtest_writeq(s, HPET_CFG, 1);
    qtest_clock_step(s, 1000 * 1000);
    qtest_readq(s, HPET_CFG);
    g_assert_cmpfloat(cpu_seconds(s) - before, <, 1);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/missed-periods", test_missed_periods);
    return g_test_run();
}
