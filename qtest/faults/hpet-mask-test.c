/*
 * HPET: a masked timer leaves its interrupt line alone
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

#define HPET_CFG        0xfed00010
#define HPET_STATUS     0xfed00020
#define HPET_TN_CFG(n)  (0xfed00100 + (n) * 0x20)
#define HPET_TN_CMP(n)  (0xfed00108 + (n) * 0x20)

#define LINE            20
#define LEVEL           (0x2 | LINE << 9)
#define ENABLED         0x4
#define PERIODIC        0x8
#define SET_COMPARATOR  0x40

#define TICK_NS         10
#define PERIOD          100000

/* Timer 0 is pending on LINE, and due again in half a period.  */
static QTestState *start_pending(void)
{
    QTestState *s = qtest_init("-machine pc,hpet=on");

    qtest_irq_intercept_in(s, "ioapic");
    qtest_writeq(s, HPET_TN_CFG(0),
                 LEVEL | ENABLED | PERIODIC | SET_COMPARATOR);
    qtest_writeq(s, HPET_TN_CMP(0), PERIOD);
    qtest_writeq(s, HPET_CFG, 1);
    qtest_clock_step(s, PERIOD * TICK_NS * 3 / 2);
    g_assert_true(qtest_get_irq(s, LINE));
    return s;
}

static void test_mask_pending(void)
{
    QTestState *s = start_pending();

    qtest_writeq(s, HPET_TN_CFG(0), LEVEL | PERIODIC);
    g_assert_false(qtest_get_irq(s, LINE));
    g_assert_cmphex(qtest_readq(s, HPET_STATUS) & 1, ==, 1);
    qtest_quit(s);
}

static void test_masked_match(void)
{
    QTestState *s = start_pending();

    qtest_writeq(s, HPET_TN_CMP(1), PERIOD * 7 / 4);
    qtest_writeq(s, HPET_TN_CFG(1), LEVEL);
    qtest_clock_step(s, PERIOD * TICK_NS * 3 / 8);
    g_assert_cmphex(qtest_readq(s, HPET_STATUS) & 2, ==, 2);
    g_assert_true(qtest_get_irq(s, LINE));
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("hpet/mask/pending", test_mask_pending);
    qtest_add_func("hpet/mask/match", test_masked_match);
    return g_test_run();
}
