/*
 * HPET: a periodic comparator that is written by halves
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_CFG        0xfed00010
#define HPET_STATUS     0xfed00020
#define HPET_T0_CFG     0xfed00100
#define HPET_T0_CMP     0xfed00108
#define TICK_NS         10
#define PERIOD          1000000

static void write_halves(QTestState *s, uint64_t value)
{
    qtest_writel(s, HPET_T0_CMP, value);
    qtest_writel(s, HPET_T0_CMP + 4, value >> 32);
}

static void test_halves(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    /* Level, which sets the status; periodic, set comparator */
    qtest_writeq(s, HPET_T0_CFG, 0x4e);
    write_halves(s, 2 * PERIOD);
    write_halves(s, PERIOD);
    qtest_writeq(s, HPET_CFG, 1);
    qtest_clock_step(s, 2 * PERIOD * TICK_NS - 1);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 0);
    qtest_clock_step(s, 1);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 1);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/halves", test_halves);
    return g_test_run();
}
