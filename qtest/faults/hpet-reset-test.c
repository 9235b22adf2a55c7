/*
 * HPET: a reset forgets the pending interrupt
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_CFG        0xfed00010
#define HPET_STATUS     0xfed00020
#define HPET_T0_CFG     0xfed00100
#define HPET_T0_CMP     0xfed00108

static void test_reset(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    qtest_writeq(s, HPET_CFG, 1);
    qtest_writeq(s, HPET_T0_CFG, 0x6);          /* level, enabled */
    qtest_writeq(s, HPET_T0_CMP, 1000);
    qtest_clock_step(s, 1000 * 1000);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 1);
    qtest_system_reset(s);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/reset", test_reset);
    return g_test_run();
}
