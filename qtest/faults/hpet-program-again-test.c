/*
 * HPET: programming a timer again does not delay it
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

static void test_program_again(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    qtest_writeq(s, HPET_CFG, 1);
    /* Level, which sets the status; periodic, set comparator */
    qtest_writeq(s, HPET_T0_CFG, 0x4e);
    qtest_writeq(s, HPET_T0_CMP, PERIOD);
    qtest_writeq(s, HPET_T0_CFG, 0x0e);
    qtest_clock_step(s, PERIOD * TICK_NS);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS), ==, 1);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/program-again", test_program_again);
    return g_test_run();
}
