/*
 * QTest testcase for the HPET: reset, stop, migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hpet-util.h"
#include "qobject/qdict.h"

/* Reset */

static void test_reset(void)
{
    uint64_t cfg;

    hpet_start("");
    cfg = hpet_read(hpet_tn(1, HPET_TN_CFG));
    hpet_set_one_shot(1, LEVEL_ON_ROUTE, 1000);
    hpet_enable(HPET_CFG_LEGACY);
    hpet_step_ticks(500);
    qtest_system_reset(qts);

    g_assert_cmphex(hpet_read(HPET_CFG), ==, 0);
    g_assert_cmpint(hpet_counter(), ==, 0);
    g_assert_cmphex(hpet_read(hpet_tn(1, HPET_TN_CFG)), ==, cfg);
    g_assert_cmphex(hpet_read(hpet_tn(1, HPET_TN_CMP)), ==, ~0ULL);
    hpet_step_ticks(1000);
    g_assert_cmpint(hpet_counter(), ==, 0);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    /* Legacy replacement is off: the PIT has its interrupt back. */
    pic_reset();
    hpet_step_ns(SECOND_NS / 5);
    g_assert_true(pic_saw_edge(LEGACY_IRQ_0));
    hpet_stop();
}

/* What is pending is forgotten, and the line is low. */
static void test_reset_pending(void)
{
    hpet_start("");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        hpet_set_one_shot(i, LEVEL_ON_ROUTE, 1000);
    }
    hpet_enable(0);
    hpet_step_ticks(1000);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 7);
    g_assert_true(hpet_irq(ROUTE));
    qtest_system_reset(qts);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    g_assert_false(hpet_irq(ROUTE));

    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    hpet_enable(0);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1000);
    g_assert_true(hpet_irq(ROUTE));
    hpet_ack(0);
    g_assert_false(hpet_irq(ROUTE));
    hpet_stop();
}

/* Stop and migration */

static void test_stop_cont(void)
{
    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE, 1000, 1000);
    hpet_enable(0);
    hpet_step_ticks(500);
    qtest_qmp_assert_success(qts, "{ 'execute': 'stop' }");
    g_assert_cmpint(hpet_counter(), ==, 500);
    g_assert_cmpint(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 1000);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    g_assert_cmpint(hpet_counter(), ==, 500);
    hpet_step_ticks(499);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

static void wait_for_migration(QTestState *s)
{
    while (true) {
        QDict *rsp = qtest_qmp(s, "{ 'execute': 'query-migrate' }");
        const char *state = qdict_get_try_str(qdict_get_qdict(rsp, "return"),
                                              "status");
        bool done = state && g_str_equal(state, "completed");

        g_assert_false(state && g_str_equal(state, "failed"));
        qobject_unref(rsp);
        if (done) {
            return;
        }
        g_usleep(1000);
    }
}

/* Replace the VM by a copy with @args, on whose clock it is @now_ns. */
static void migrate_to(const char *args, int64_t now_ns)
{
    g_autofree char *line = g_strdup_printf("-incoming defer %s", args);
    g_autofree char *uri = NULL;
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("hpet-test-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    uri = g_strdup_printf("file:%s", path);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(qts);
    hpet_stop();

    hpet_start(line);
    qtest_clock_set(qts, now_ns);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(qts);
    unlink(path);
}

static void migrate(int64_t now_ns)
{
    migrate_to("", now_ns);
}

static void test_migrate(void)
{
    const uint64_t base = 0x5ffffff00;
    int64_t now_ns;

    hpet_start("");
    hpet_write(HPET_COUNTER, base);
    hpet_set_periodic(0, LEVEL_ON_ROUTE, base + 700, 700);
    hpet_enable(0);
    hpet_set_one_shot(1, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0x400);
    hpet_set_one_shot(2, LEVEL_ON_ROUTE, base + 100);
    now_ns = qtest_clock_step(qts, 200 * TICK_NS);
    g_assert_true(hpet_status(2));

    migrate(now_ns);
    g_assert_cmphex(hpet_counter(), ==, base + 200);
    g_assert_cmphex(hpet_read(HPET_CFG), ==, HPET_CFG_ENABLE);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 2);
    hpet_ack(2);
    /* Timer 1 at the wrap, timer 0 after its period, timer 1 at its value */
    hpet_step_ticks(0x100 - 200 - 1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_step_ticks(1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 1);
    hpet_ack(1);
    hpet_step_ticks(700 - 0x100 - 1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_step_ticks(1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 0);
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, base + 1400);
    hpet_ack(0);
    hpet_step_ticks(0x500 - 700);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 1);
    hpet_stop();
}

/* What a masked comparator has missed by then, and what it is to do after */
static void test_migrate_masked(void)
{
    hpet_start("");
    hpet_set_periodic(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 100, 100);
    hpet_set_one_shot(1, HPET_TN_32BIT, 0x80000000);
    hpet_set_one_shot(2, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 1000);
    hpet_enable(0);
    migrate(qtest_clock_step(qts, 250 * TICK_NS));
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 0);
    g_assert_cmpint(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 300);
    hpet_step_ticks(50);
    g_assert_cmpint(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, 400);
    hpet_step_ticks(700);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1u << 0 | 1u << 2);
    g_assert_false(hpet_irq(ROUTE));
    hpet_write(hpet_tn(2, HPET_TN_CFG), LEVEL_ON_ROUTE);
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

static void test_migrate_halted(void)
{
    hpet_start("");
    hpet_write(HPET_COUNTER, 0x123456789a);
    hpet_set_one_shot(0, LEVEL_ON_ROUTE, 0x123456789a + 1000);
    migrate(qtest_clock_step(qts, SECOND_NS));
    g_assert_cmphex(hpet_counter(), ==, 0x123456789a);
    hpet_step_ns(SECOND_NS);
    g_assert_cmphex(hpet_counter(), ==, 0x123456789a);
    hpet_enable(0);
    hpet_step_ticks(999);
    g_assert_false(hpet_irq(ROUTE));
    hpet_step_ticks(1);
    g_assert_true(hpet_irq(ROUTE));
    hpet_stop();
}

/* A level that is pending, legacy replacement, and FSB delivery */
static void test_migrate_irqs(void)
{
    const char *args = "-global hpet.msi=on -global hpet.timers=8";
    const uint32_t address = 0x100000, data = 0xc0ffee42;
    int64_t now_ns;

    hpet_start(args);
    hpet_set_one_shot(1, LEVEL_ON_ROUTE, 100);
    hpet_write(hpet_tn(7, HPET_TN_ROUTE), (uint64_t)address << 32 | data);
    hpet_set_periodic(7, EDGE_ON_ROUTE | HPET_TN_FSB_ENABLE, 1000, 1000);
    hpet_enable(HPET_CFG_LEGACY);
    now_ns = qtest_clock_step(qts, 500 * TICK_NS);
    g_assert_true(hpet_irq(LEGACY_IRQ_1));

    migrate_to(args, now_ns);
    g_assert_cmphex(hpet_read(HPET_CFG), ==, HPET_CFG_ENABLE | HPET_CFG_LEGACY);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 1 << 1);
    hpet_ack(1);
    g_assert_cmphex(hpet_read(HPET_STATUS), ==, 0);
    hpet_step_ticks(499);
    g_assert_cmphex(qtest_readl(qts, address), ==, 0);
    hpet_step_ticks(1);
    g_assert_cmphex(qtest_readl(qts, address), ==, data);
    hpet_stop();
}

void add_state_tests(void)
{
    qtest_add_func("/hpet/reset/registers", test_reset);
    qtest_add_func("/hpet/reset/pending", test_reset_pending);
    qtest_add_func("/hpet/stop-cont", test_stop_cont);
    qtest_add_func("/hpet/migrate/running", test_migrate);
    qtest_add_func("/hpet/migrate/masked", test_migrate_masked);
    qtest_add_func("/hpet/migrate/halted", test_migrate_halted);
    qtest_add_func("/hpet/migrate/interrupts", test_migrate_irqs);
}
