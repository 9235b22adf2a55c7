/*
 * HPET: no FSB delivery without the capability
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_T0_CFG     0xfed00100
#define FSB_ENABLE      (1 << 14)
#define FSB_CAPABLE     (1 << 15)

static void test_fsb(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    qtest_writel(s, HPET_T0_CFG, FSB_ENABLE);
    g_assert_cmphex(qtest_readl(s, HPET_T0_CFG) & (FSB_ENABLE | FSB_CAPABLE),
                    ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/fsb-without-capability", test_fsb);
    return g_test_run();
}
