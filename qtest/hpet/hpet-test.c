/*
 * QTest testcase for the HPET: registers, and the number of timers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The device follows the IA-PC HPET specification, revision 1.0a.  Where it is
 * known not to, the test says "Deviation:", and checks what the device does, so
 * that a change is noticed.
 */

#include "qemu/osdep.h"
#include "hpet-util.h"

/* Bits that the header does not name; section 2.3.4 and 2.3.8 */
#define ID_COUNT_SIZE   (1u << 13)
#define ID_LEGACY       (1u << 15)

/* Capabilities and registers */

static void test_capabilities(void)
{
    uint64_t id;

    hpet_start("");
    id = hpet_read(HPET_ID);
    g_assert_cmphex(id & 0xff, !=, 0);
    g_assert_cmpint((id & HPET_ID_NUM_TIM_MASK) >> HPET_ID_NUM_TIM_SHIFT, ==,
                    HPET_MIN_TIMERS - 1);
    g_assert_true(id & ID_COUNT_SIZE);
    g_assert_true(id & ID_LEGACY);
    g_assert_cmphex((id >> 16) & 0xffff, ==, 0x8086);
    /* The specification wants 1 to 100 ns, in femtoseconds. */
    g_assert_cmpint(id >> 32, ==, TICK_NS * FS_PER_NS);
    g_assert_cmpint(id >> 32, <=, 0x05f5e100);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_ID), ==, (uint32_t)id);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_PERIOD), ==, id >> 32);

    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        uint64_t cfg = hpet_read(hpet_tn(i, HPET_TN_CFG));

        g_assert_true(cfg & HPET_TN_PERIODIC_CAP);
        g_assert_true(cfg & HPET_TN_SIZE_CAP);
        g_assert_false(cfg & HPET_TN_FSB_CAP);
        g_assert_cmphex(cfg >> 32, ==, Q35_ROUTES);
    }
    hpet_stop();

    qts = qtest_init("-machine pc,hpet=on -nodefaults");
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CFG)) >> 32, ==, PC_ROUTES);
    hpet_stop();
}

/* Reserved bits are 0 and read-only; so are whole registers between others. */
static void test_reserved(void)
{
    static const unsigned int holes[] = {
        0x008, 0x018, 0x028, 0x030, 0x0e8, 0x0f8, 0x118, 0x138, 0x158
    };

    hpet_start("");
    hpet_check_writable(HPET_ID, 0);
    hpet_check_writable(HPET_CFG, HPET_CFG_ENABLE | HPET_CFG_LEGACY);
    g_assert_cmphex(hpet_read(HPET_CFG), ==, 0);
    /* Nothing is pending, and status bits cannot be set by software. */
    hpet_check_writable(HPET_STATUS, 0);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_check_writable(HPET_COUNTER, ~0ULL);
    for (int i = 0; i < ARRAY_SIZE(holes); i++) {
        g_assert_cmphex(hpet_read(holes[i]), ==, 0);
        hpet_check_writable(holes[i], 0);
    }
    hpet_stop();
}

/* Section 2.3.8 */
static void test_timer_registers(void)
{
    const uint64_t fixed = HPET_TN_PERIODIC_CAP | HPET_TN_SIZE_CAP |
                           (uint64_t)Q35_ROUTES << 32;

    hpet_start("");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        unsigned int cfg = hpet_tn(i, HPET_TN_CFG);

        g_assert_cmphex(hpet_read(cfg), ==, fixed);
        g_assert_cmphex(hpet_read(hpet_tn(i, HPET_TN_CMP)), ==, ~0ULL);
        hpet_check_writable(hpet_tn(i, HPET_TN_CMP), ~0ULL);
        /*
         * Deviation: the set-value bit should always be read as 0.  It stays
         * until the comparator is written.
         *
         * Deviation: of the route only those values should stick that the
         * routing capability names.  All do.
         */
        hpet_check_writable(cfg, HPET_TN_TYPE_LEVEL | HPET_TN_ENABLE |
                            HPET_TN_PERIODIC | HPET_TN_SETVAL | HPET_TN_32BIT |
                            HPET_TN_INT_ROUTE_MASK);
        g_assert_cmphex(hpet_read(cfg), ==, fixed);
        /* In 32-bit mode, the upper half went. */
        g_assert_cmphex(hpet_read(hpet_tn(i, HPET_TN_CMP)), ==, 0xffffffff);
    }
    hpet_stop();
}

/* Number of timers */

/*
 * Deviation: the registers of 32 timers take 0x500 bytes, of which 0x400 are
 * mapped.  Timers 24 to 31 are counted and cannot be reached.
 */
#define MAPPED_TIMERS   ((HPET_LEN - 0x100) / 0x20)

static void test_timer_works(int i)
{
    hpet_enable(0);
    hpet_set_one_shot(i, LEVEL_ON_ROUTE, hpet_counter() + 100);
    hpet_step_ticks(99);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_step_ticks(1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << i);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(i);
    g_assert_false(hpet_irq(ROUTE));
    hpet_write(hpet_tn(i, HPET_TN_CFG), 0);
    hpet_halt();
}

static int start_with_timers(int n)
{
    g_autofree char *args = g_strdup_printf("-global hpet.timers=%d", n);

    hpet_start(args);
    return ((hpet_read(HPET_ID) & HPET_ID_NUM_TIM_MASK) >>
            HPET_ID_NUM_TIM_SHIFT) + 1;
}

static void test_timers(const void *opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    g_assert_cmpint(start_with_timers(n), ==, n);
    for (int i = 0; i < MIN(n, MAPPED_TIMERS); i++) {
        test_timer_works(i);
    }
    hpet_stop();
}

/* More and fewer timers than there can be */
static void test_timers_clamped(void)
{
    g_assert_cmpint(start_with_timers(1), ==, HPET_MIN_TIMERS);
    hpet_stop();
    g_assert_cmpint(start_with_timers(33), ==, HPET_MAX_TIMERS);
    hpet_stop();
}

/* From QEMU 10.1 on they are an error. */
static void test_timers_refused(const void *timers)
{
    const char *argv[] = {
        g_getenv("QTEST_QEMU_BINARY"), "-machine", "q35,hpet=on", "-nodefaults",
        "-display", "none", "-accel", "qtest", "-global", timers, NULL
    };
    g_autofree char *err = NULL;
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH,
                               NULL, NULL, NULL, &err, &status, NULL));
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    g_assert_nonnull(strstr(err, "hpet.num_timers must be between"));
}

static void add_timers_out_of_range(void)
{
    if (QEMU_VERSION_MAJOR == 10 && QEMU_VERSION_MINOR == 0) {
        qtest_add_func("/hpet/timers/clamped", test_timers_clamped);
    } else {
        qtest_add_data_func("/hpet/timers/refused/1", "hpet.timers=1",
                            test_timers_refused);
        qtest_add_data_func("/hpet/timers/refused/33", "hpet.timers=33",
                            test_timers_refused);
    }
}

static void test_past_the_end(const void *opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    start_with_timers(n);
    for (int i = n; i < MAPPED_TIMERS; i++) {
        hpet_check_writable(hpet_tn(i, HPET_TN_CFG), 0);
        hpet_check_writable(hpet_tn(i, HPET_TN_CMP), 0);
        hpet_check_writable(hpet_tn(i, HPET_TN_ROUTE), 0);
        g_assert_cmphex(hpet_read(hpet_tn(i, HPET_TN_CFG)), ==, 0);
        g_assert_cmphex(hpet_read(hpet_tn(i, HPET_TN_CMP)), ==, 0);
        g_assert_cmphex(hpet_read(hpet_tn(i, HPET_TN_ROUTE)), ==, 0);

        /* It must not work either. */
        hpet_set_one_shot(i, LEVEL_ON_ROUTE, 100);
        hpet_enable(0);
        hpet_set_one_shot(i, LEVEL_ON_ROUTE, hpet_counter() + 100);
        hpet_step_ticks(1000);
        g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
        g_assert_false(hpet_irq(ROUTE));
        hpet_halt();
        hpet_write(HPET_COUNTER, 0);
    }
    hpet_stop();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* So that one fault does not hide the others */
    g_test_set_nonfatal_assertions();
    if (!qtest_has_machine("q35") || !qtest_has_machine("pc")) {
        g_test_skip("no PC machine, so no HPET");
        return 0;
    }

    qtest_add_func("/hpet/registers/capabilities", test_capabilities);
    qtest_add_func("/hpet/registers/reserved", test_reserved);
    qtest_add_func("/hpet/registers/timers", test_timer_registers);
    add_timer_tests();
    add_halves_tests();
    add_irq_tests();
    for (int n = HPET_MIN_TIMERS; n <= HPET_MAX_TIMERS; n++) {
        g_autofree char *works = g_strdup_printf("/hpet/timers/%d", n);
        g_autofree char *end = g_strdup_printf("/hpet/past-the-end/%d", n);

        qtest_add_data_func(works, GINT_TO_POINTER(n), test_timers);
        if (n < MAPPED_TIMERS) {
            qtest_add_data_func(end, GINT_TO_POINTER(n), test_past_the_end);
        }
    }
    add_timers_out_of_range();
    add_state_tests();

    return g_test_run();
}
