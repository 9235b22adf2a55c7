/*
 * HPET: a comparator that is centuries ahead is not due
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_CFG        0xfed00010
#define HPET_STATUS     0xfed00020
#define HPET_T0_CFG     0xfed00100
#define HPET_T1_CFG     0xfed00120
#define HPET_T1_CMP     0xfed00128

static void test_far_comparator(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    /* Level, which sets the status.  Timer 0 is due at the reset value.  */
    qtest_writeq(s, HPET_T0_CFG, 0x2);
    qtest_writeq(s, HPET_T1_CFG, 0x2);
    qtest_writeq(s, HPET_T1_CMP, 1ULL << 62);
    qtest_writeq(s, HPET_CFG, 1);
    qtest_clock_step(s, 1000 * 1000);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/far-comparator", test_far_comparator);
    return g_test_run();
}
