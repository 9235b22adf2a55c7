/*
 * QTest testcase for the HPET: counter and timers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hpet-util.h"

/* Main counter */

static void test_counter_enable(void)
{
    hpet_start("");
    g_assert_cmpint(hpet_counter(), ==, 0);
    hpet_step_ticks(1000);
    g_assert_cmpint(hpet_counter(), ==, 0);

    hpet_enable(0);
    hpet_step_ticks(1000);
    g_assert_cmpint(hpet_counter(), ==, 1000);

    hpet_halt();
    hpet_step_ticks(500);
    g_assert_cmpint(hpet_counter(), ==, 1000);

    hpet_enable(0);
    hpet_step_ticks(1);
    g_assert_cmpint(hpet_counter(), ==, 1001);
    hpet_stop();
}

static void test_counter_rate(void)
{
    uint64_t ticks;

    hpet_start("");
    hpet_enable(0);
    hpet_step_ns(TICK_NS - 1);
    g_assert_cmpint(hpet_counter(), ==, 0);
    hpet_step_ns(1);
    g_assert_cmpint(hpet_counter(), ==, 1);

    ticks = 1;
    for (int64_t ns = TICK_NS; ns <= 10 * SECOND_NS; ns *= 10) {
        hpet_step_ns(ns);
        ticks += ns / TICK_NS;
        g_assert_cmpint(hpet_counter(), ==, ticks);
    }
    hpet_stop();
}

static void test_counter_access(void)
{
    const uint64_t value = 0x123456789abcdef0;

    /*
     * Deviation: the device counts nanoseconds in 64 bits, so that a counter
     * that runs wraps around at 2^64 / 10.  Stay below.
     */
    hpet_start("");
    hpet_write(HPET_COUNTER, value);
    g_assert_cmphex(hpet_counter(), ==, value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER), ==,
                    (uint32_t)value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER + 4), ==,
                    value >> 32);

    qtest_writel(qts, HPET_BASE + HPET_COUNTER, 0xffffffff);
    g_assert_cmphex(hpet_counter(), ==, value | 0xffffffff);
    qtest_writel(qts, HPET_BASE + HPET_COUNTER + 4, 7);
    g_assert_cmphex(hpet_counter(), ==, 0x7ffffffff);

    /* Carries into the upper half */
    hpet_enable(0);
    hpet_step_ticks(1);
    g_assert_cmphex(hpet_counter(), ==, 0x800000000);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER), ==, 0);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER + 4), ==, 8);
    hpet_stop();
}

/* Timers */

static void test_one_shot(void)
{
    hpet_start("");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        uint64_t now;

        hpet_enable(0);
        now = hpet_counter();
        hpet_set_one_shot(i, LEVEL_ON_ROUTE, now + 1000);
        hpet_step_ns(1000 * TICK_NS - 1);
        g_assert_false(hpet_irq(ROUTE));
        g_assert_false(hpet_status(i));
        hpet_step_ns(1);
        g_assert_true(hpet_irq(ROUTE));
        g_assert_true(hpet_status(i));
        g_assert_cmpint(hpet_read(hpet_tn(i, HPET_TN_CMP)), ==, now + 1000);

        hpet_ack(i);
        g_assert_false(hpet_irq(ROUTE));
        g_assert_false(hpet_status(i));
        hpet_step_ns(SECOND_NS);
        g_assert_false(hpet_irq(ROUTE));
        g_assert_false(hpet_status(i));

        hpet_write(hpet_tn(i, HPET_TN_CFG), 0);
        hpet_halt();
    }
    hpet_stop();
}

static void test_periodic(void)
{
    const int first = 12345, period = 1000;

    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE, first, period);
    hpet_enable(0);
    g_assert_cmpint(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, first);
    hpet_step_ns(first * TICK_NS - 1);
    for (int i = 1; i <= 100; i++) {
        g_assert_false(hpet_irq(ROUTE));
        hpet_step_ns(1);
        g_assert_true(hpet_irq(ROUTE));
        g_assert_cmpint(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==,
                        first + i * period);
        hpet_ack(0);
        hpet_step_ns(period * TICK_NS - 1);
    }

    /* Stopping the counter stops the timer; it goes on where it was. */
    hpet_halt();
    hpet_step_ns(SECOND_NS);
    g_assert_false(hpet_irq(ROUTE));
    hpet_enable(0);
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);

    /* One-shot from here on */
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE);
    hpet_step_ticks(period);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);
    hpet_step_ticks(10 * period);
    g_assert_false(hpet_irq(ROUTE));
    hpet_stop();
}

/* Programming a timer again must not move it. */
static void test_periodic_again(void)
{
    hpet_start("");
    hpet_enable(0);
    for (int i = 1; i <= 10; i++) {
        hpet_set_periodic(1, LEVEL_ON_ROUTE, 1000 * i, 1000);
        hpet_ack(1);
        hpet_step_ns(1000 * TICK_NS - 1);
        g_assert_false(hpet_irq(ROUTE));
        hpet_step_ns(1);
        g_assert_true(hpet_irq(ROUTE));
    }
    hpet_stop();
}

/*
 * Section 2.3.9.2.2: without the set-value bit, which one write uses up, the
 * comparator keeps its value and only the period changes.
 */
static void test_set_value(void)
{
    const unsigned int cmp = hpet_tn(0, HPET_TN_CMP);

    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE, 1000, 300);
    g_assert_cmpint(hpet_read(cmp), ==, 1000);
    hpet_write(cmp, 500);
    g_assert_cmpint(hpet_read(cmp), ==, 1000);
    hpet_enable(0);
    hpet_step_ticks(1000);
    g_assert_cmpint(hpet_read(cmp), ==, 1500);
    hpet_step_ticks(500);
    g_assert_cmpint(hpet_read(cmp), ==, 2000);
    /* From the next match on */
    hpet_write(cmp, 100);
    g_assert_cmpint(hpet_read(cmp), ==, 2000);
    hpet_step_ticks(500);
    g_assert_cmpint(hpet_read(cmp), ==, 2100);
    hpet_halt();

    /* By halves, with the bit set for each */
    hpet_write(hpet_tn(0, HPET_TN_CFG), HPET_TN_PERIODIC | HPET_TN_SETVAL);
    qtest_writel(qts, HPET_BASE + cmp, 0x89abcdef);
    hpet_write(hpet_tn(0, HPET_TN_CFG), HPET_TN_PERIODIC | HPET_TN_SETVAL);
    qtest_writel(qts, HPET_BASE + cmp + 4, 0x1234567);
    g_assert_cmphex(hpet_read(cmp), ==, 0x123456789abcdef);
    hpet_stop();
}

/* Not a storm that keeps everything else waiting */
static void test_tiny_period(void)
{
    static const int periods[] = { 0, 1, 2 };

    hpet_start("");
    for (int i = 0; i < ARRAY_SIZE(periods); i++) {
        hpet_set_periodic(0, LEVEL_ON_ROUTE, hpet_counter() + 10, periods[i]);
        hpet_enable(0);
        hpet_step_ticks(10);
        g_assert_true(hpet_irq(ROUTE));
        hpet_step_ns(SECOND_NS / 1000);
        g_assert_true(hpet_irq(ROUTE));
        hpet_write(hpet_tn(0, HPET_TN_CFG), 0);
        hpet_ack(0);
        hpet_halt();
    }
    hpet_stop();
}

/* A halted counter keeps its distance to the comparator. */
static void test_halt(void)
{
    hpet_start("");
    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    for (int i = 0; i < 10; i++) {
        hpet_enable(0);
        hpet_step_ticks(99);
        hpet_halt();
        hpet_step_ns(SECOND_NS);
        g_assert_false(hpet_irq(ROUTE));
        g_assert_cmpint(hpet_counter(), ==, 99 * (i + 1));
    }
    /* Set anew while it is halted: the timer follows. */
    hpet_write(HPET_COUNTER, 500);
    hpet_enable(0);
    hpet_step_ticks(499);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

/* Each timer has its own comparator; equal ones match together. */
static void test_independent(void)
{
    static const int at[HPET_MIN_TIMERS] = { 300, 100, 300 };

    hpet_start("");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        hpet_set_one_shot(i, LEVEL_ON_ROUTE, at[i]);
    }
    hpet_enable(0);
    hpet_step_ticks(100);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1 << 1);
    hpet_ack(1);
    hpet_step_ticks(199);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_step_ticks(1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1 << 0 | 1 << 2);
    hpet_stop();
}

/* The deadline is centuries away. */
static void test_far(void)
{
    static const uint64_t far[] = {
        ~0ULL, ~0ULL / TICK_NS, ~0ULL / TICK_NS + 1000, INT64_MAX,
        INT64_MAX / TICK_NS + 1
    };

    hpet_start("");
    hpet_enable(0);
    for (int i = 0; i < ARRAY_SIZE(far); i++) {
        hpet_set_one_shot(0, LEVEL_ON_ROUTE, far[i]);
        hpet_step_ns(SECOND_NS);
        g_assert_false(hpet_status(0));
        g_assert_false(hpet_irq(ROUTE));
    }
    hpet_stop();
}

/*
 * Deviation: with a comparator that is behind, a 64-bit timer should wait until
 * the counter has wrapped around.  It fires at once, so that a guest that is
 * late by a few ticks does not wait for centuries.
 */
static void test_past(void)
{
    hpet_start("");
    hpet_enable(0);
    hpet_step_ticks(1000000);
    hpet_set_one_shot(2, LEVEL_ON_ROUTE, hpet_counter() - 1);
    /* What has been missed is delivered at once, and once only. */
    hpet_step_ns(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(2);
    hpet_step_ns(SECOND_NS);
    g_assert_false(hpet_irq(ROUTE));
    hpet_stop();
}

static void test_32bit(void)
{
    hpet_start("");
    hpet_write(HPET_COUNTER, 0x500000000);
    hpet_enable(0);
    hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE | HPET_TN_32BIT);

    /* The upper half of the comparator is not there. */
    hpet_write(hpet_tn(0, HPET_TN_CMP), 0x9999999900001000);
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 0x1000);
    qtest_writel(qts, HPET_BASE + hpet_tn(0, HPET_TN_CMP) + 4, 0x99999999);
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 0x1000);

    /* It is compared with the lower half of the counter. */
    hpet_step_ticks(0xfff);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    g_assert_cmphex(hpet_counter(), ==, 0x500001000);
    hpet_stop();
}

/*
 * Section 2.3.9.2.1: in one-shot 32-bit mode there is an interrupt also when
 * the counter wraps.
 */
static void test_32bit_wrap(void)
{
    hpet_start("");
    hpet_write(HPET_COUNTER, 0x5ffffff00);
    hpet_set_one_shot(0, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0x200);
    hpet_enable(0);

    hpet_step_ticks(0xff);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);
    hpet_step_ticks(0x1ff);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    g_assert_cmphex(hpet_counter(), ==, 0x600000200);
    hpet_ack(0);
    hpet_step_ns(SECOND_NS);
    g_assert_false(hpet_irq(ROUTE));
    hpet_stop();
}

static void test_32bit_periodic(void)
{
    hpet_start("");
    hpet_write(HPET_COUNTER, 0xffffff00);
    hpet_set_periodic(0, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0xffffff80, 0x100);
    hpet_enable(0);
    hpet_step_ticks(0x80);
    g_assert_true(hpet_irq(ROUTE));
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 0x80);
    hpet_ack(0);
    for (int i = 1; i <= 10; i++) {
        hpet_step_ticks(0xff);
        g_assert_false(hpet_irq(ROUTE));
        hpet_step_ticks(1);
        g_assert_true(hpet_irq(ROUTE));
        g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==,
                        0x80 + 0x100 * i);
        hpet_ack(0);
    }
    hpet_stop();
}

void add_timer_tests(void)
{
    qtest_add_func("/hpet/counter/enable", test_counter_enable);
    qtest_add_func("/hpet/counter/rate", test_counter_rate);
    qtest_add_func("/hpet/counter/access", test_counter_access);
    qtest_add_func("/hpet/timer/one-shot", test_one_shot);
    qtest_add_func("/hpet/timer/halt", test_halt);
    qtest_add_func("/hpet/timer/independent", test_independent);
    qtest_add_func("/hpet/timer/periodic", test_periodic);
    qtest_add_func("/hpet/timer/periodic-again", test_periodic_again);
    qtest_add_func("/hpet/timer/set-value", test_set_value);
    qtest_add_func("/hpet/timer/tiny-period", test_tiny_period);
    qtest_add_func("/hpet/timer/far", test_far);
    qtest_add_func("/hpet/timer/past", test_past);
    qtest_add_func("/hpet/timer/32bit", test_32bit);
    qtest_add_func("/hpet/timer/32bit-wrap", test_32bit_wrap);
    qtest_add_func("/hpet/timer/32bit-periodic", test_32bit_periodic);
}
