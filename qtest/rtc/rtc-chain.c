/*
 * QTest testcase for the mc146818rtc: the divider chain, and the flags
 * that it sets
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"
#include "hw/rtc/mc146818rtc.h"

/* The divider chain; data sheet, "Divider Stages" and "Periodic Interrupt" */

/* Each rate is a tap of the same chain, whenever it is selected. */
static void test_chain_taps(void)
{
    static const int rates[] = { 6, 10, 15, 3, 12, 1, 8, 13, 2, 6 };
    int64_t now = 0;

    rtc_start("none");
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    for (int i = 0; i < ARRAY_SIZE(rates); i++) {
        int period = tap_cycles(rates[i]);
        int64_t cycles;

        step_to(&now, now + 12345678);
        cmos_write(RTC_REG_A, DV | rates[i]);
        periodic();
        cycles = now * 512 / 15625000;
        for (int n = 0; n < 3; n++) {
            cycles = (cycles / period + 1) * period;
            check_edge(&now, 0, cycles);
        }
    }
    qtest_quit(qts);
}

/* What is counted over random switches is the time that passed. */
static void test_chain_switches(const void *driftfix)
{
    static const int rates[] = { 6, 10 };

    for (int seed = 1; seed <= 3; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        int64_t now = 0, counted = 0, passed;

        rtc_start(driftfix);
        cmos_write(RTC_REG_A, DV | rates[0]);
        cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
        for (int i = 0; i < 300; i++) {
            int rate = rates[i % 2];
            int64_t until = now + g_rand_int_range(rand, 1 * MS, 60 * MS);

            cmos_write(RTC_REG_A, DV | rate);
            while (now < until) {
                step_to(&now, MIN(now + 500000, until));
                counted += periodic() ? tap_cycles(rate) : 0;
            }
        }
        passed = now * 512 / 15625000;
        g_test_message("seed %d: %+.2f %%", seed,
                       100.0 * (counted - passed) / passed);
        g_assert_cmpint(ABS(counted - passed) * 100, <, passed * 3);
        qtest_quit(qts);
    }
}

/* Nothing but the divider's reset sets the chain back. */
static void test_chain_runs_on(void)
{
    int period = tap_cycles(15);
    int64_t now = 0;

    rtc_start("none");
    cmos_write(RTC_REG_A, DV | 15);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    check_edge(&now, 0, period);
    step_to(&now, now + 100 * MS);
    cmos_write(RTC_MINUTES, 0x30);
    check_edge(&now, 0, 2 * period);
    step_to(&now, now + 100 * MS);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE | REG_B_SET);
    check_edge(&now, 0, 3 * period);
    cmos_write(RTC_SECONDS, 0x30);
    step_to(&now, now + 100 * MS);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    check_edge(&now, 0, 4 * period);
    step_to(&now, now + 100 * MS);
    cmos_write(RTC_REG_B, REG_B_24H);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    check_edge(&now, 0, 5 * period);
    qtest_quit(qts);
}

/* It stands still in reset; the first update comes half a second after it. */
static void test_chain_reset(const void *opaque)
{
    uint8_t set = GPOINTER_TO_INT(opaque);
    int period = tap_cycles(15);
    int64_t now = 0, origin;
    uint8_t second;

    rtc_start("none");
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE | set);
    step_to(&now, 800 * MS);
    cmos_write(RTC_REG_A, DV_RESET | 15);
    periodic();
    step_to(&now, now + 3 * SECOND);
    g_assert_false(periodic());
    cmos_write(RTC_REG_A, DV | 15);
    origin = now;
    step_to(&now, now + 100 * MS);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    second = cmos_read(RTC_SECONDS);
    check_edge(&now, origin, period);
    g_assert_cmphex(cmos_read(RTC_SECONDS), ==, second + 1);
    check_edge(&now, origin, 2 * period);
    g_assert_cmphex(cmos_read(RTC_SECONDS), ==, second + 1);
    check_edge(&now, origin, 3 * period);
    g_assert_cmphex(cmos_read(RTC_SECONDS), ==, second + 2);
    qtest_quit(qts);
}

/* Flags without their enable bits; data sheet, "Register C" */

/* Each edge of the tap sets PF, once. */
static void test_flags_periodic(void)
{
    static const int rates[] = { 6, 15, 3, 1 };
    int64_t now = 0;

    rtc_start("none");
    for (int i = 0; i < ARRAY_SIZE(rates); i++) {
        int period = tap_cycles(rates[i]);
        int64_t cycles;

        cmos_write(RTC_REG_A, DV | rates[i]);
        periodic();
        cycles = now * 512 / 15625000;
        for (int n = 0; n < 3; n++) {
            cycles = (cycles / period + 1) * period;
            check_edge(&now, 0, cycles);
            g_assert_false(periodic());
        }
        g_assert_false(qtest_get_irq(qts, RTC_ISA_IRQ));
    }

    /* Of a rate that is no longer selected; of none */
    step_to(&now, now + SECOND);
    cmos_write(RTC_REG_A, DV);
    g_assert_true(periodic());
    step_to(&now, now + SECOND);
    g_assert_false(periodic());

    /* What is set already makes an interrupt when it is enabled. */
    cmos_write(RTC_REG_A, DV | 15);
    step_to(&now, now + SECOND);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_PIE);
    g_assert_true(qtest_get_irq(qts, RTC_ISA_IRQ));
    g_assert_cmphex(cmos_read(RTC_REG_C) & (REG_C_IRQF | REG_C_PF), ==,
                    REG_C_IRQF | REG_C_PF);
    /* The timer takes over, and gives back. */
    step_to(&now, now + SECOND);
    g_assert_true(periodic());
    cmos_write(RTC_REG_B, REG_B_24H);
    g_assert_false(periodic());
    step_to(&now, now + SECOND);
    g_assert_true(periodic());
    qtest_quit(qts);
}

static void test_flags_others(void)
{
    rtc_start("none");
    for (int reg = RTC_SECONDS_ALARM; reg <= RTC_HOURS_ALARM; reg += 2) {
        cmos_write(reg, DONT_CARE);
    }
    for (int i = 0; i < 3; i++) {
        cmos_read(RTC_REG_C);
        qtest_clock_step(qts, SECOND);
        g_assert_cmphex(cmos_read(RTC_REG_C), ==,
                        REG_C_UF | REG_C_AF | REG_C_PF);
        g_assert_false(qtest_get_irq(qts, RTC_ISA_IRQ));
    }
    qtest_quit(qts);
}

/* Nobody looks at the RTC: UF comes once, then AF, 23 hours later. */
static void test_flags_idle(void)
{
    qts = qtest_init(MACHINE "-rtc base=" DATE ",clock=vm");
    cmos_write(RTC_HOURS_ALARM, 0x15);
    g_assert_cmpint(qtest_clock_step_next(qts), ==, SECOND);
    g_assert_cmpint(qtest_clock_step_next(qts), >, 22 * 3600 * SECOND);
    qtest_quit(qts);
}

void add_chain_tests(void)
{
    qtest_add_func("/rtc-registers/chain/taps", test_chain_taps);
    qtest_add_data_func("/rtc-registers/chain/switches/none", "none",
                        test_chain_switches);
    qtest_add_data_func("/rtc-registers/chain/switches/slew", "slew",
                        test_chain_switches);
    qtest_add_func("/rtc-registers/chain/runs-on", test_chain_runs_on);
    qtest_add_func("/rtc-registers/flags/periodic", test_flags_periodic);
    qtest_add_func("/rtc-registers/flags/others", test_flags_others);
    qtest_add_func("/rtc-registers/flags/idle", test_flags_idle);
    qtest_add_data_func("/rtc-registers/chain/reset", GINT_TO_POINTER(0),
                        test_chain_reset);
    qtest_add_data_func("/rtc-registers/chain/reset-while-set",
                        GINT_TO_POINTER(REG_B_SET), test_chain_reset);
}
