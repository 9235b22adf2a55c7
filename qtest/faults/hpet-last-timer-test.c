/*
 * HPET: there is no timer behind the last one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_T3_CFG     0xfed00160      /* of three timers, the fourth */

static void test_last_timer(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    qtest_writel(s, HPET_T3_CFG, 0x4);
    g_assert_cmphex(qtest_readl(s, HPET_T3_CFG), ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/last-timer", test_last_timer);
    return g_test_run();
}
