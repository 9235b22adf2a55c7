/*
 * QTest testcase for the HPET: interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "cmos.h"
#include "hpet-util.h"
#include "hw/rtc/mc146818rtc_regs.h"

/* Interrupts */

static void test_edge(void)
{
    const int edge_irq = 8;

    hpet_start("");
    hpet_set_periodic(0, HPET_TN_ENABLE | edge_irq << HPET_TN_INT_ROUTE_SHIFT,
                 1000, 1000);
    hpet_enable(0);
    for (int i = 0; i < 10; i++) {
        pic_reset();
        hpet_step_ticks(999);
        g_assert_false(pic_saw_edge(edge_irq));
        hpet_step_ticks(1);
        g_assert_true(pic_saw_edge(edge_irq));
        /* An edge leaves no status bit behind, and the line is low again. */
        g_assert_false(hpet_status(0));
        g_assert_false(hpet_irq(edge_irq));
    }
    hpet_stop();
}

/* A level stays until the status bit is cleared, whatever the timer does. */
static void test_level(void)
{
    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE, 1000, 1000);
    hpet_enable(0);
    for (int i = 0; i < 3; i++) {
        hpet_step_ticks(1000);
        g_assert_true(hpet_irq(ROUTE));
        g_assert_true(hpet_status(0));
    }
    /* Only a 1 clears, and only its own timer. */
    hpet_write(HPET_STATUS, 0);
    hpet_ack(1);
    g_assert_true(hpet_irq(ROUTE));
    g_assert_true(hpet_status(0));
    /* Halting the counter masks the line and keeps the status. */
    hpet_halt();
    g_assert_false(hpet_irq(ROUTE));
    g_assert_true(hpet_status(0));
    hpet_enable(0);
    g_assert_true(hpet_irq(ROUTE));
    /* There is no status in edge mode. */
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE & ~HPET_TN_TYPE_LEVEL);
    g_assert_false(hpet_irq(ROUTE));
    g_assert_false(hpet_status(0));
    hpet_stop();
}

/*
 * Section 2.3.8: with the interrupt disabled, the timer still operates and
 * generates status bits.
 */
static void test_irq_disabled(void)
{
    hpet_start("");
    hpet_enable(0);
    hpet_set_one_shot(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 1000);
    hpet_step_ticks(1000);
    g_assert_false(hpet_irq(ROUTE));
    g_assert_true(hpet_status(0));
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);
    g_assert_false(hpet_irq(ROUTE));
    hpet_stop();
}

/* Masking takes the interrupt away, and keeps the status, section 2.3.8. */
static void test_mask_pending(void)
{
    hpet_start("");
    hpet_enable(0);
    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    hpet_step_ticks(1000);
    g_assert_true(hpet_irq(ROUTE));
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE & ~HPET_TN_ENABLE);
    g_assert_false(hpet_irq(ROUTE));
    g_assert_true(hpet_status(0));
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE);
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

/* A masked timer leaves a line alone that another one has raised. */
static void test_masked_shared(void)
{
    hpet_start("");
    hpet_enable(0);
    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    hpet_set_one_shot(1, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 2000);
    hpet_step_ticks(2000);
    g_assert_true(hpet_status(0));
    g_assert_true(hpet_status(1));
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

/* Nobody is waiting for a masked comparator, but it goes on. */
static void test_masked(void)
{
    const int period = 100, first = 12345;

    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, period, period);
    hpet_set_periodic(1, 0, period, period);
    hpet_set_one_shot(2, HPET_TN_ENABLE, first);
    hpet_enable(0);
    /* The one that is not masked is the next to wake QEMU up. */
    qtest_clock_step_next(qts);
    g_assert_cmpint(hpet_counter(), ==, first);

    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(hpet_read(hpet_tn(i, HPET_TN_CMP)), ==,
                        first / period * period + period);
    }
    g_assert_cmpint(hpet_read(HPET_STATUS), ==, 1u << 0);
    g_assert_false(hpet_irq(ROUTE));
    hpet_ack(0);

    /* Unmasked, it makes an interrupt when it would have matched. */
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE | HPET_TN_PERIODIC);
    hpet_step_ticks(period - hpet_counter() % period - 1);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);

    /* Masked again, it makes none, and leaves its mark in the status. */
    hpet_write(hpet_tn(0, HPET_TN_CFG), (LEVEL_ON_ROUTE & ~HPET_TN_ENABLE) |
              HPET_TN_PERIODIC);
    hpet_step_ticks(period);
    g_assert_false(hpet_irq(ROUTE));
    g_assert_true(hpet_status(0));
    hpet_stop();
}

static void test_routes(void)
{
    hpet_start("");
    for (int route = 0; route < 32; route++) {
        uint64_t cfg = HPET_TN_ENABLE | HPET_TN_TYPE_LEVEL |
                       route << HPET_TN_INT_ROUTE_SHIFT;

        if (!(Q35_ROUTES & (1u << route))) {
            continue;
        }
        hpet_enable(0);
        hpet_set_one_shot(2, cfg, hpet_counter() + 100);
        hpet_step_ticks(100);
        for (int n = 1; n < 24; n++) {
            g_assert_cmpint(hpet_irq(n), ==, n == route);
        }
        hpet_ack(2);
        g_assert_false(hpet_irq(route));
        hpet_write(hpet_tn(2, HPET_TN_CFG), 0);
        hpet_halt();
    }
    hpet_stop();
}

static void test_legacy_timers(void)
{
    hpet_start("");
    /* In legacy mode, the routes of timers 0 and 1 do not count. */
    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    hpet_set_one_shot(1, LEVEL_ON_ROUTE, 2000);
    hpet_set_one_shot(2, LEVEL_ON_ROUTE, 3000);
    hpet_enable(HPET_CFG_LEGACY);

    hpet_step_ticks(999);
    g_assert_false(hpet_irq(LEGACY_IRQ_0));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(LEGACY_IRQ_0));
    g_assert_false(hpet_irq(LEGACY_IRQ_1));
    hpet_ack(0);
    g_assert_false(hpet_irq(LEGACY_IRQ_0));

    hpet_step_ticks(1000);
    g_assert_true(hpet_irq(LEGACY_IRQ_1));
    g_assert_false(hpet_irq(LEGACY_IRQ_0));
    g_assert_false(hpet_irq(ROUTE));
    hpet_ack(1);
    g_assert_false(hpet_irq(LEGACY_IRQ_1));

    hpet_step_ticks(1000);
    g_assert_true(hpet_irq(ROUTE));
    g_assert_false(hpet_irq(LEGACY_IRQ_0));
    g_assert_false(hpet_irq(LEGACY_IRQ_1));
    hpet_stop();
}

/* Edges go the same way. */
static void test_legacy_edge(void)
{
    hpet_start("");
    hpet_set_periodic(0, EDGE_ON_ROUTE, 1000, 1000);
    hpet_set_one_shot(1, EDGE_ON_ROUTE, 2000);
    hpet_enable(HPET_CFG_LEGACY);
    for (int n = 1; n <= 3; n++) {
        pic_reset();
        hpet_step_ticks(999);
        g_assert_false(pic_saw_edge(LEGACY_IRQ_0));
        hpet_step_ticks(1);
        g_assert_true(pic_saw_edge(LEGACY_IRQ_0));
        g_assert_cmpint(pic_saw_edge(LEGACY_IRQ_1), ==, n == 2);
        g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    }
    hpet_stop();
}

/* In legacy mode, the RTC and the PIT are cut off from their interrupts. */
static void test_legacy_cuts_off(void)
{
    hpet_start("");
    pic_reset();
    hpet_step_ns(SECOND_NS / 5);
    g_assert_true(pic_saw_edge(LEGACY_IRQ_0));

    qtest_cmos_write(qts, RTC_REG_B, REG_B_24H | REG_B_UIE);
    hpet_step_ns(SECOND_NS);
    g_assert_true(hpet_irq(LEGACY_IRQ_1));

    hpet_enable(HPET_CFG_LEGACY);
    g_assert_false(hpet_irq(LEGACY_IRQ_1));
    pic_reset();
    hpet_step_ns(SECOND_NS / 5);
    g_assert_false(pic_saw_edge(LEGACY_IRQ_0));

    /* The RTC's output is still high and is seen again. */
    hpet_enable(0);
    g_assert_true(hpet_irq(LEGACY_IRQ_1));
    qtest_cmos_read(qts, RTC_REG_C);
    g_assert_false(hpet_irq(LEGACY_IRQ_1));
    pic_reset();
    hpet_step_ns(SECOND_NS / 5);
    g_assert_true(pic_saw_edge(LEGACY_IRQ_0));
    hpet_stop();
}

/*
 * FSB delivery writes a message to any address (section 2.3.10), so let it go
 * to memory.
 */
static void check_fsb(int timer)
{
    const uint32_t address = 0x100000 + 0x1000 * timer;
    const uint32_t data = 0xc0ffee42 + timer;

    hpet_write(hpet_tn(timer, HPET_TN_ROUTE), (uint64_t)address << 32 | data);
    hpet_write(HPET_COUNTER, 0);
    hpet_set_periodic(timer, EDGE_ON_ROUTE | HPET_TN_FSB_ENABLE, 1000, 1000);
    hpet_enable(0);
    for (int i = 0; i < 10; i++) {
        hpet_step_ticks(999);
        g_assert_cmphex(qtest_readl(qts, address), ==, 0);
        hpet_step_ticks(1);
        g_assert_cmphex(qtest_readl(qts, address), ==, data);
        g_assert_false(hpet_irq(ROUTE));
        qtest_writel(qts, address, 0);
    }
    /* Masked */
    hpet_write(hpet_tn(timer, HPET_TN_CFG), HPET_TN_FSB_ENABLE);
    hpet_step_ticks(10000);
    g_assert_cmphex(qtest_readl(qts, address), ==, 0);
    hpet_halt();
}

static void test_fsb(void)
{
    hpet_start("-global hpet.msi=on");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        g_assert_true(hpet_read(hpet_tn(i, HPET_TN_CFG)) & HPET_TN_FSB_CAP);
        hpet_check_writable(hpet_tn(i, HPET_TN_ROUTE), ~0ULL);
        check_fsb(i);
    }
    hpet_stop();
}

/* Section 2.3.8: where there is no capability, the enable bit is read-only. */
static void test_fsb_absent(void)
{
    hpet_start("");
    hpet_write(hpet_tn(0, HPET_TN_CFG), HPET_TN_FSB_ENABLE);
    g_assert_false(hpet_read(hpet_tn(0, HPET_TN_CFG)) & HPET_TN_FSB_ENABLE);
    hpet_stop();
}

void add_irq_tests(void)
{
    qtest_add_func("/hpet/irq/edge", test_edge);
    qtest_add_func("/hpet/irq/level", test_level);
    qtest_add_func("/hpet/irq/disabled", test_irq_disabled);
    qtest_add_func("/hpet/irq/masked", test_masked);
    qtest_add_func("/hpet/irq/mask-pending", test_mask_pending);
    qtest_add_func("/hpet/irq/masked-shared", test_masked_shared);
    qtest_add_func("/hpet/irq/routes", test_routes);
    qtest_add_func("/hpet/legacy/timers", test_legacy_timers);
    qtest_add_func("/hpet/legacy/edge", test_legacy_edge);
    qtest_add_func("/hpet/legacy/cuts-off-rtc-and-pit", test_legacy_cuts_off);
    qtest_add_func("/hpet/fsb/message", test_fsb);
    qtest_add_func("/hpet/fsb/absent", test_fsb_absent);
}
