/*
 * QTest testcase for the HPET
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Register names and section numbers are those of the IA-PC HPET
 * specification, revision 1.0a.  All tests run on qtest's clock, so that every
 * time in them is exact.
 */

#include "qemu/osdep.h"

#include "libqtest.h"
#include "hw/timer/hpet.h"
#include "hw/rtc/mc146818rtc_regs.h"
#include "qobject/qdict.h"

#define TICK_NS         HPET_CLK_PERIOD
#define SECOND_NS       1000000000LL

/* Bits that the header does not name; section 2.3.4 and 2.3.8 */
#define ID_COUNT_SIZE   (1u << 13)
#define ID_LEGACY       (1u << 15)

/* I/O APIC inputs that q35 and pc connect */
#define Q35_ROUTES      0xff0104
#define PC_ROUTES       0x4

/* Legacy replacement, section 2.3.5 */
#define LEGACY_IRQ_0    0
#define LEGACY_IRQ_1    8

/* An input of the I/O APIC that nothing else uses */
#define ROUTE           20
#define LEVEL_ON_ROUTE  (HPET_TN_ENABLE | HPET_TN_TYPE_LEVEL | \
                         ROUTE << HPET_TN_INT_ROUTE_SHIFT)

static QTestState *qts;

static void start(const char *args)
{
    qts = qtest_initf("-machine q35,hpet=on -nodefaults -rtc clock=vm %s",
                      args);
    qtest_irq_intercept_in(qts, "ioapic");
}

static void stop(void)
{
    qtest_quit(qts);
    qts = NULL;
}

static uint64_t reg_read(unsigned int reg)
{
    return qtest_readq(qts, HPET_BASE + reg);
}

static void reg_write(unsigned int reg, uint64_t value)
{
    qtest_writeq(qts, HPET_BASE + reg, value);
}

static unsigned int tn(int timer, unsigned int reg)
{
    return 0x100 + 0x20 * timer + reg;
}

static void step_ns(int64_t ns)
{
    qtest_clock_step(qts, ns);
}

static void step_ticks(int64_t ticks)
{
    step_ns(ticks * TICK_NS);
}

static uint64_t counter(void)
{
    return reg_read(HPET_COUNTER);
}

static void enable(unsigned int more)
{
    reg_write(HPET_CFG, HPET_CFG_ENABLE | more);
}

static bool irq(int n)
{
    return qtest_get_irq(qts, n);
}

static bool status(int timer)
{
    return reg_read(HPET_STATUS) & (1u << timer);
}

/* Status bits are cleared by writing 1, section 2.3.6. */
static void ack(int timer)
{
    reg_write(HPET_STATUS, 1u << timer);
}

/*
 * Nobody sees a pulse on an I/O APIC input afterwards; but the 8259s, in their
 * default edge-triggered mode, keep it in the request register.
 */
static void pic_reset(void)
{
    static const uint16_t bases[] = { 0x20, 0xa0 };

    for (int i = 0; i < ARRAY_SIZE(bases); i++) {
        qtest_outb(qts, bases[i], 0x11);
        qtest_outb(qts, bases[i] + 1, 0x08 + 8 * i);
        qtest_outb(qts, bases[i] + 1, i ? 2 : 4);
        qtest_outb(qts, bases[i] + 1, 1);
        qtest_outb(qts, bases[i], 0x0a);
    }
}

static bool pic_saw_edge(int n)
{
    return qtest_inb(qts, n < 8 ? 0x20 : 0xa0) & (1 << (n % 8));
}

/* Comparator first, so that the timer is not armed for an old value. */
static void set_one_shot(int timer, unsigned int cfg, uint64_t when)
{
    reg_write(tn(timer, HPET_TN_CMP), when);
    reg_write(tn(timer, HPET_TN_CFG), cfg);
}

/*
 * Section 2.3.9.2.2: first the comparator, with the set-value bit; then the
 * period.  To be used while the counter is halted.
 */
static void set_periodic(int timer, unsigned int cfg, uint64_t first,
                         uint64_t period)
{
    reg_write(tn(timer, HPET_TN_CFG),
              cfg | HPET_TN_PERIODIC | HPET_TN_SETVAL);
    reg_write(tn(timer, HPET_TN_CMP), first);
    reg_write(tn(timer, HPET_TN_CMP), period);
}

/* Capabilities and registers */

static void test_capabilities(void)
{
    uint64_t id;

    start("");
    id = reg_read(HPET_ID);
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
        uint64_t cfg = reg_read(tn(i, HPET_TN_CFG));

        g_assert_true(cfg & HPET_TN_PERIODIC_CAP);
        g_assert_true(cfg & HPET_TN_SIZE_CAP);
        g_assert_false(cfg & HPET_TN_FSB_CAP);
        g_assert_cmphex(cfg >> 32, ==, Q35_ROUTES);
    }
    stop();

    qts = qtest_init("-machine pc,hpet=on -nodefaults");
    g_assert_cmphex(reg_read(tn(0, HPET_TN_CFG)) >> 32, ==, PC_ROUTES);
    stop();
}

static void check_writable(unsigned int reg, uint64_t writable)
{
    uint64_t before = reg_read(reg);

    reg_write(reg, ~0ULL);
    g_assert_cmphex(reg_read(reg), ==, before | writable);
    reg_write(reg, 0);
    g_assert_cmphex(reg_read(reg), ==, before & ~writable);
    /* 32-bit halves */
    qtest_writel(qts, HPET_BASE + reg + 4, 0xffffffff);
    g_assert_cmphex(reg_read(reg), ==,
                    (before & ~writable) | (writable & 0xffffffff00000000));
    qtest_writel(qts, HPET_BASE + reg, 0xffffffff);
    g_assert_cmphex(reg_read(reg), ==, before | writable);
    reg_write(reg, before);
}

static void test_reserved(void)
{
    static const unsigned int holes[] = {
        0x008, 0x018, 0x028, 0x030, 0x0e8, 0x0f8, 0x118, 0x138, 0x158
    };

    start("");
    check_writable(HPET_ID, 0);
    check_writable(HPET_CFG, HPET_CFG_ENABLE | HPET_CFG_LEGACY);
    /* Nothing is pending, and status bits cannot be set by software. */
    check_writable(HPET_STATUS, 0);
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        uint64_t cfg = reg_read(tn(i, HPET_TN_CFG));

        /*
         * Without FSB delivery; the set-value bit clears itself, so leave out
         * whether it can be read.
         */
        reg_write(tn(i, HPET_TN_CFG), ~(uint64_t)(HPET_TN_SETVAL |
                                                  HPET_TN_FSB_ENABLE));
        g_assert_cmphex(reg_read(tn(i, HPET_TN_CFG)), ==,
                        cfg | HPET_TN_TYPE_LEVEL | HPET_TN_ENABLE |
                        HPET_TN_PERIODIC | HPET_TN_32BIT |
                        HPET_TN_INT_ROUTE_MASK);
        reg_write(tn(i, HPET_TN_CFG), 0);
        g_assert_cmphex(reg_read(tn(i, HPET_TN_CFG)), ==, cfg);
        check_writable(tn(i, HPET_TN_CMP), ~0ULL);
    }
    for (int i = 0; i < ARRAY_SIZE(holes); i++) {
        g_assert_cmphex(reg_read(holes[i]), ==, 0);
        check_writable(holes[i], 0);
    }
    stop();
}

static void test_reset(void)
{
    uint64_t cfg;

    start("");
    cfg = reg_read(tn(1, HPET_TN_CFG));
    set_one_shot(1, LEVEL_ON_ROUTE, 1000);
    enable(HPET_CFG_LEGACY);
    step_ticks(500);
    qtest_system_reset(qts);

    g_assert_cmphex(reg_read(HPET_CFG), ==, 0);
    g_assert_cmpint(counter(), ==, 0);
    g_assert_cmphex(reg_read(tn(1, HPET_TN_CFG)), ==, cfg);
    g_assert_cmphex(reg_read(tn(1, HPET_TN_CMP)), ==, ~0ULL);
    step_ticks(1000);
    g_assert_cmpint(counter(), ==, 0);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 0);
    stop();
}

/* Main counter */

static void test_counter_enable(void)
{
    start("");
    g_assert_cmpint(counter(), ==, 0);
    step_ticks(1000);
    g_assert_cmpint(counter(), ==, 0);

    enable(0);
    step_ticks(1000);
    g_assert_cmpint(counter(), ==, 1000);

    reg_write(HPET_CFG, 0);
    step_ticks(500);
    g_assert_cmpint(counter(), ==, 1000);

    enable(0);
    step_ticks(1);
    g_assert_cmpint(counter(), ==, 1001);
    stop();
}

static void test_counter_rate(void)
{
    uint64_t ticks;

    start("");
    enable(0);
    step_ns(TICK_NS - 1);
    g_assert_cmpint(counter(), ==, 0);
    step_ns(1);
    g_assert_cmpint(counter(), ==, 1);

    ticks = 1;
    for (int64_t ns = TICK_NS; ns <= 10 * SECOND_NS; ns *= 10) {
        step_ns(ns);
        ticks += ns / TICK_NS;
        g_assert_cmpint(counter(), ==, ticks);
    }
    stop();
}

static void test_counter_access(void)
{
    const uint64_t value = 0x123456789abcdef0;

    start("");
    reg_write(HPET_COUNTER, value);
    g_assert_cmphex(counter(), ==, value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER), ==,
                    (uint32_t)value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER + 4), ==,
                    value >> 32);

    qtest_writel(qts, HPET_BASE + HPET_COUNTER, 0xffffffff);
    g_assert_cmphex(counter(), ==, value | 0xffffffff);
    qtest_writel(qts, HPET_BASE + HPET_COUNTER + 4, 7);
    g_assert_cmphex(counter(), ==, 0x7ffffffff);

    /* Carries into the upper half */
    enable(0);
    step_ticks(1);
    g_assert_cmphex(counter(), ==, 0x800000000);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER), ==, 0);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + HPET_COUNTER + 4), ==, 8);
    stop();
}

/* Timers */

static void test_one_shot(void)
{
    start("");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        uint64_t now;

        enable(0);
        now = counter();
        set_one_shot(i, LEVEL_ON_ROUTE, now + 1000);
        step_ns(1000 * TICK_NS - 1);
        g_assert_false(irq(ROUTE));
        g_assert_false(status(i));
        step_ns(1);
        g_assert_true(irq(ROUTE));
        g_assert_true(status(i));
        g_assert_cmpint(reg_read(tn(i, HPET_TN_CMP)), ==, now + 1000);

        ack(i);
        g_assert_false(irq(ROUTE));
        g_assert_false(status(i));
        step_ns(SECOND_NS);
        g_assert_false(irq(ROUTE));
        g_assert_false(status(i));

        reg_write(tn(i, HPET_TN_CFG), 0);
        reg_write(HPET_CFG, 0);
    }
    stop();
}

static void test_periodic(void)
{
    const int first = 12345, period = 1000;

    start("");
    set_periodic(0, LEVEL_ON_ROUTE, first, period);
    enable(0);
    g_assert_cmpint(reg_read(tn(0, HPET_TN_CMP)), ==, first);
    step_ns(first * TICK_NS - 1);
    for (int i = 1; i <= 100; i++) {
        g_assert_false(irq(ROUTE));
        step_ns(1);
        g_assert_true(irq(ROUTE));
        g_assert_cmpint(reg_read(tn(0, HPET_TN_CMP)), ==, first + i * period);
        ack(0);
        step_ns(period * TICK_NS - 1);
    }

    /* Stopping the counter stops the timer; it goes on where it was. */
    reg_write(HPET_CFG, 0);
    step_ns(SECOND_NS);
    g_assert_false(irq(ROUTE));
    enable(0);
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    ack(0);

    /* One-shot from here on */
    reg_write(tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE);
    step_ticks(period);
    g_assert_true(irq(ROUTE));
    ack(0);
    step_ticks(10 * period);
    g_assert_false(irq(ROUTE));
    stop();
}

/* Programming a timer again must not move it. */
static void test_periodic_again(void)
{
    start("");
    enable(0);
    for (int i = 1; i <= 10; i++) {
        set_periodic(1, LEVEL_ON_ROUTE, 1000 * i, 1000);
        ack(1);
        step_ns(1000 * TICK_NS - 1);
        g_assert_false(irq(ROUTE));
        step_ns(1);
        g_assert_true(irq(ROUTE));
    }
    stop();
}

/* The deadline is centuries away. */
static void test_far(void)
{
    static const uint64_t far[] = {
        ~0ULL, ~0ULL / TICK_NS, ~0ULL / TICK_NS + 1000, INT64_MAX,
        INT64_MAX / TICK_NS + 1
    };

    start("");
    enable(0);
    for (int i = 0; i < ARRAY_SIZE(far); i++) {
        set_one_shot(0, LEVEL_ON_ROUTE, far[i]);
        step_ns(SECOND_NS);
        g_assert_false(status(0));
        g_assert_false(irq(ROUTE));
    }
    stop();
}

static void test_past(void)
{
    start("");
    enable(0);
    step_ticks(1000000);
    set_one_shot(2, LEVEL_ON_ROUTE, counter() - 1);
    /* What has been missed is delivered at once, and once only. */
    step_ns(1);
    g_assert_true(irq(ROUTE));
    ack(2);
    step_ns(SECOND_NS);
    g_assert_false(irq(ROUTE));
    stop();
}

static void test_32bit(void)
{
    start("");
    reg_write(HPET_COUNTER, 0x500000000);
    enable(0);
    reg_write(tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE | HPET_TN_32BIT);

    /* The upper half of the comparator is not there. */
    reg_write(tn(0, HPET_TN_CMP), 0x9999999900001000);
    g_assert_cmphex(reg_read(tn(0, HPET_TN_CMP)), ==, 0x1000);
    qtest_writel(qts, HPET_BASE + tn(0, HPET_TN_CMP) + 4, 0x99999999);
    g_assert_cmphex(reg_read(tn(0, HPET_TN_CMP)), ==, 0x1000);

    /* It is compared with the lower half of the counter. */
    step_ticks(0xfff);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    g_assert_cmphex(counter(), ==, 0x500001000);
    stop();
}

/*
 * Section 2.3.9.2.1: in one-shot 32-bit mode there is an interrupt also when
 * the counter wraps.
 */
static void test_32bit_wrap(void)
{
    start("");
    reg_write(HPET_COUNTER, 0x5ffffff00);
    set_one_shot(0, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0x200);
    enable(0);

    step_ticks(0xff);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    ack(0);
    step_ticks(0x1ff);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    g_assert_cmphex(counter(), ==, 0x600000200);
    ack(0);
    step_ns(SECOND_NS);
    g_assert_false(irq(ROUTE));
    stop();
}

static void test_32bit_periodic(void)
{
    start("");
    reg_write(HPET_COUNTER, 0xffffff00);
    set_periodic(0, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0xffffff80, 0x100);
    enable(0);
    step_ticks(0x80);
    g_assert_true(irq(ROUTE));
    g_assert_cmphex(reg_read(tn(0, HPET_TN_CMP)), ==, 0x80);
    ack(0);
    for (int i = 1; i <= 10; i++) {
        step_ticks(0xff);
        g_assert_false(irq(ROUTE));
        step_ticks(1);
        g_assert_true(irq(ROUTE));
        g_assert_cmphex(reg_read(tn(0, HPET_TN_CMP)), ==, 0x80 + 0x100 * i);
        ack(0);
    }
    stop();
}

/* Interrupts */

static void test_edge(void)
{
    const int edge_irq = 8;

    start("");
    set_periodic(0, HPET_TN_ENABLE | edge_irq << HPET_TN_INT_ROUTE_SHIFT,
                 1000, 1000);
    enable(0);
    for (int i = 0; i < 10; i++) {
        pic_reset();
        step_ticks(999);
        g_assert_false(pic_saw_edge(edge_irq));
        step_ticks(1);
        g_assert_true(pic_saw_edge(edge_irq));
        /* An edge leaves no status bit behind, and the line is low again. */
        g_assert_false(status(0));
        g_assert_false(irq(edge_irq));
    }
    stop();
}

/* A level stays until the status bit is cleared, whatever the timer does. */
static void test_level(void)
{
    start("");
    set_periodic(0, LEVEL_ON_ROUTE, 1000, 1000);
    enable(0);
    for (int i = 0; i < 3; i++) {
        step_ticks(1000);
        g_assert_true(irq(ROUTE));
        g_assert_true(status(0));
    }
    /* Only a 1 clears, and only its own timer. */
    reg_write(HPET_STATUS, 0);
    ack(1);
    g_assert_true(irq(ROUTE));
    g_assert_true(status(0));
    /* Halting the counter masks the line and keeps the status. */
    reg_write(HPET_CFG, 0);
    g_assert_false(irq(ROUTE));
    g_assert_true(status(0));
    enable(0);
    g_assert_true(irq(ROUTE));
    /* There is no status in edge mode. */
    reg_write(tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE & ~HPET_TN_TYPE_LEVEL);
    g_assert_false(irq(ROUTE));
    g_assert_false(status(0));
    stop();
}

/*
 * Section 2.3.8: with the interrupt disabled, the timer still operates and
 * generates status bits.
 */
static void test_irq_disabled(void)
{
    start("");
    enable(0);
    set_one_shot(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 1000);
    step_ticks(1000);
    g_assert_false(irq(ROUTE));
    g_assert_true(status(0));
    reg_write(tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE);
    g_assert_true(irq(ROUTE));
    ack(0);
    g_assert_false(irq(ROUTE));
    stop();
}

/* Nobody is waiting for a masked comparator, but it goes on. */
static void test_masked(void)
{
    const int period = 100, first = 12345;

    start("");
    set_periodic(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, period, period);
    set_periodic(1, 0, period, period);
    set_one_shot(2, HPET_TN_ENABLE, first);
    enable(0);
    /* The one that is not masked is the next to wake QEMU up. */
    qtest_clock_step_next(qts);
    g_assert_cmpint(counter(), ==, first);

    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(reg_read(tn(i, HPET_TN_CMP)), ==,
                        first / period * period + period);
    }
    g_assert_cmpint(reg_read(HPET_STATUS), ==, 1u << 0);
    g_assert_false(irq(ROUTE));
    ack(0);

    /* Unmasked, it makes an interrupt when it would have matched. */
    reg_write(tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE | HPET_TN_PERIODIC);
    step_ticks(period - counter() % period - 1);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    ack(0);

    /* Masked again, it makes none, and leaves its mark in the status. */
    reg_write(tn(0, HPET_TN_CFG), (LEVEL_ON_ROUTE & ~HPET_TN_ENABLE) |
              HPET_TN_PERIODIC);
    step_ticks(period);
    g_assert_false(irq(ROUTE));
    g_assert_true(status(0));
    stop();
}

static void test_routes(void)
{
    start("");
    for (int route = 0; route < 32; route++) {
        uint64_t cfg = HPET_TN_ENABLE | HPET_TN_TYPE_LEVEL |
                       route << HPET_TN_INT_ROUTE_SHIFT;

        if (!(Q35_ROUTES & (1u << route))) {
            continue;
        }
        enable(0);
        set_one_shot(2, cfg, counter() + 100);
        step_ticks(100);
        for (int n = 1; n < 24; n++) {
            g_assert_cmpint(irq(n), ==, n == route);
        }
        ack(2);
        g_assert_false(irq(route));
        reg_write(tn(2, HPET_TN_CFG), 0);
        reg_write(HPET_CFG, 0);
    }
    stop();
}

static void test_legacy_timers(void)
{
    start("");
    /* In legacy mode, the routes of timers 0 and 1 do not count. */
    set_one_shot(0, LEVEL_ON_ROUTE, 1000);
    set_one_shot(1, LEVEL_ON_ROUTE, 2000);
    set_one_shot(2, LEVEL_ON_ROUTE, 3000);
    enable(HPET_CFG_LEGACY);

    step_ticks(999);
    g_assert_false(irq(LEGACY_IRQ_0));
    step_ticks(1);
    g_assert_true(irq(LEGACY_IRQ_0));
    g_assert_false(irq(LEGACY_IRQ_1));
    ack(0);
    g_assert_false(irq(LEGACY_IRQ_0));

    step_ticks(1000);
    g_assert_true(irq(LEGACY_IRQ_1));
    g_assert_false(irq(LEGACY_IRQ_0));
    g_assert_false(irq(ROUTE));
    ack(1);
    g_assert_false(irq(LEGACY_IRQ_1));

    step_ticks(1000);
    g_assert_true(irq(ROUTE));
    g_assert_false(irq(LEGACY_IRQ_0));
    g_assert_false(irq(LEGACY_IRQ_1));
    stop();
}

static uint8_t rtc_read(uint8_t reg)
{
    qtest_outb(qts, 0x70, reg);
    return qtest_inb(qts, 0x71);
}

static void rtc_write(uint8_t reg, uint8_t value)
{
    qtest_outb(qts, 0x70, reg);
    qtest_outb(qts, 0x71, value);
}

/* In legacy mode, the RTC and the PIT are cut off from their interrupts. */
static void test_legacy_cuts_off(void)
{
    start("");
    pic_reset();
    step_ns(SECOND_NS / 5);
    g_assert_true(pic_saw_edge(LEGACY_IRQ_0));

    rtc_write(RTC_REG_B, REG_B_24H | REG_B_UIE);
    step_ns(SECOND_NS);
    g_assert_true(irq(LEGACY_IRQ_1));

    enable(HPET_CFG_LEGACY);
    g_assert_false(irq(LEGACY_IRQ_1));
    pic_reset();
    step_ns(SECOND_NS / 5);
    g_assert_false(pic_saw_edge(LEGACY_IRQ_0));

    /* The RTC's output is still high and is seen again. */
    enable(0);
    g_assert_true(irq(LEGACY_IRQ_1));
    rtc_read(RTC_REG_C);
    g_assert_false(irq(LEGACY_IRQ_1));
    pic_reset();
    step_ns(SECOND_NS / 5);
    g_assert_true(pic_saw_edge(LEGACY_IRQ_0));
    stop();
}

/* Messages go to any address, so let them go to memory. */
static void test_fsb(void)
{
    const uint32_t address = 0x100000, data = 0xc0ffee42;

    start("-global hpet.msi=on");
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        g_assert_true(reg_read(tn(i, HPET_TN_CFG)) & HPET_TN_FSB_CAP);
        check_writable(tn(i, HPET_TN_ROUTE), ~0ULL);
    }

    reg_write(tn(1, HPET_TN_ROUTE), (uint64_t)address << 32 | data);
    set_periodic(1, HPET_TN_ENABLE | HPET_TN_FSB_ENABLE |
                 ROUTE << HPET_TN_INT_ROUTE_SHIFT, 1000, 1000);
    enable(0);
    for (int i = 0; i < 10; i++) {
        step_ticks(999);
        g_assert_cmphex(qtest_readl(qts, address), ==, 0);
        step_ticks(1);
        g_assert_cmphex(qtest_readl(qts, address), ==, data);
        g_assert_false(irq(ROUTE));
        qtest_writel(qts, address, 0);
    }
    /* Masked */
    reg_write(tn(1, HPET_TN_CFG), HPET_TN_FSB_ENABLE);
    step_ticks(10000);
    g_assert_cmphex(qtest_readl(qts, address), ==, 0);
    stop();
}

/* Section 2.3.8: where there is no capability, the enable bit is read-only. */
static void test_fsb_absent(void)
{
    start("");
    reg_write(tn(0, HPET_TN_CFG), HPET_TN_FSB_ENABLE);
    g_assert_false(reg_read(tn(0, HPET_TN_CFG)) & HPET_TN_FSB_ENABLE);
    stop();
}

/* Number of timers */

static void test_timer_works(int i)
{
    enable(0);
    set_one_shot(i, LEVEL_ON_ROUTE, counter() + 100);
    step_ticks(99);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 0);
    step_ticks(1);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << i);
    g_assert_true(irq(ROUTE));
    ack(i);
    g_assert_false(irq(ROUTE));
    reg_write(tn(i, HPET_TN_CFG), 0);
    reg_write(HPET_CFG, 0);
}

static int start_with_timers(int n)
{
    g_autofree char *args = g_strdup_printf("-global hpet.timers=%d", n);

    start(args);
    return ((reg_read(HPET_ID) & HPET_ID_NUM_TIM_MASK) >>
            HPET_ID_NUM_TIM_SHIFT) + 1;
}

static void test_timers(const void *opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    g_assert_cmpint(start_with_timers(n), ==, n);
    for (int i = 0; i < n && tn(i, 0) < HPET_LEN; i++) {
        test_timer_works(i);
    }
    stop();
}

/* More and fewer timers than there can be */
static void test_timers_clamped(void)
{
    g_assert_cmpint(start_with_timers(1), ==, HPET_MIN_TIMERS);
    stop();
    g_assert_cmpint(start_with_timers(33), ==, HPET_MAX_TIMERS);
    stop();
}

static void test_past_the_end(const void *opaque)
{
    int n = GPOINTER_TO_INT(opaque);

    start_with_timers(n);
    for (int i = n; tn(i, 0) < HPET_LEN; i++) {
        check_writable(tn(i, HPET_TN_CFG), 0);
        check_writable(tn(i, HPET_TN_CMP), 0);
        check_writable(tn(i, HPET_TN_ROUTE), 0);
        g_assert_cmphex(reg_read(tn(i, HPET_TN_CFG)), ==, 0);
        g_assert_cmphex(reg_read(tn(i, HPET_TN_CMP)), ==, 0);
        g_assert_cmphex(reg_read(tn(i, HPET_TN_ROUTE)), ==, 0);

        /* It must not work either. */
        set_one_shot(i, LEVEL_ON_ROUTE, 100);
        enable(0);
        step_ticks(1000);
        g_assert_cmphex(reg_read(HPET_STATUS), ==, 0);
        g_assert_false(irq(ROUTE));
        reg_write(HPET_CFG, 0);
        reg_write(HPET_COUNTER, 0);
    }
    stop();
}

/* Stop and migration */

static void test_stop_cont(void)
{
    start("");
    set_periodic(0, LEVEL_ON_ROUTE, 1000, 1000);
    enable(0);
    step_ticks(500);
    qtest_qmp_assert_success(qts, "{ 'execute': 'stop' }");
    g_assert_cmpint(counter(), ==, 500);
    g_assert_cmpint(reg_read(tn(0, HPET_TN_CMP)), ==, 1000);
    qtest_qmp_assert_success(qts, "{ 'execute': 'cont' }");
    g_assert_cmpint(counter(), ==, 500);
    step_ticks(499);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    stop();
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

/* Replace the VM by a copy of itself, on whose clock it is @now_ns. */
static void migrate(int64_t now_ns)
{
    g_autofree char *uri = NULL;
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("hpet-test-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    uri = g_strdup_printf("file:%s", path);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(qts);
    stop();

    start("-incoming defer");
    qtest_clock_set(qts, now_ns);
    qtest_qmp_assert_success(qts, "{ 'execute': 'migrate-incoming',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_for_migration(qts);
    unlink(path);
}

static void test_migrate(void)
{
    const uint64_t base = 0x5ffffff00;
    int64_t now_ns;

    start("");
    reg_write(HPET_COUNTER, base);
    set_periodic(0, LEVEL_ON_ROUTE, base + 700, 700);
    enable(0);
    set_one_shot(1, LEVEL_ON_ROUTE | HPET_TN_32BIT, 0x400);
    set_one_shot(2, LEVEL_ON_ROUTE, base + 100);
    now_ns = qtest_clock_step(qts, 200 * TICK_NS);
    g_assert_true(status(2));

    migrate(now_ns);
    g_assert_cmphex(counter(), ==, base + 200);
    g_assert_cmphex(reg_read(HPET_CFG), ==, HPET_CFG_ENABLE);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 2);
    ack(2);
    /* Timer 1 at the wrap, timer 0 after its period, timer 1 at its value */
    step_ticks(0x100 - 200 - 1);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 0);
    step_ticks(1);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 1);
    ack(1);
    step_ticks(700 - 0x100 - 1);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 0);
    step_ticks(1);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 0);
    g_assert_cmphex(reg_read(tn(0, HPET_TN_CMP)), ==, base + 1400);
    ack(0);
    step_ticks(0x500 - 700);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 1);
    stop();
}

/* What a masked comparator has missed by then, and what it is to do after */
static void test_migrate_masked(void)
{
    start("");
    set_periodic(0, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 100, 100);
    set_one_shot(1, HPET_TN_32BIT, 0x80000000);
    set_one_shot(2, LEVEL_ON_ROUTE & ~HPET_TN_ENABLE, 1000);
    enable(0);
    migrate(qtest_clock_step(qts, 250 * TICK_NS));
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 0);
    g_assert_cmpint(reg_read(tn(0, HPET_TN_CMP)), ==, 300);
    step_ticks(50);
    g_assert_cmpint(reg_read(tn(0, HPET_TN_CMP)), ==, 400);
    step_ticks(700);
    g_assert_cmphex(reg_read(HPET_STATUS), ==, 1u << 0 | 1u << 2);
    g_assert_false(irq(ROUTE));
    reg_write(tn(2, HPET_TN_CFG), LEVEL_ON_ROUTE);
    g_assert_true(irq(ROUTE));
    stop();
}

static void test_migrate_halted(void)
{
    start("");
    reg_write(HPET_COUNTER, 0x123456789a);
    set_one_shot(0, LEVEL_ON_ROUTE, 0x123456789a + 1000);
    migrate(qtest_clock_step(qts, SECOND_NS));
    g_assert_cmphex(counter(), ==, 0x123456789a);
    step_ns(SECOND_NS);
    g_assert_cmphex(counter(), ==, 0x123456789a);
    enable(0);
    step_ticks(999);
    g_assert_false(irq(ROUTE));
    step_ticks(1);
    g_assert_true(irq(ROUTE));
    stop();
}

int main(int argc, char **argv)
{
    static const int timers[] = { 3, 4, 8, 24, 32 };

    g_test_init(&argc, &argv, NULL);
    /* So that one fault does not hide the others */
    g_test_set_nonfatal_assertions();
    if (!qtest_has_machine("q35") || !qtest_has_machine("pc")) {
        g_test_skip("no PC machine, so no HPET");
        return 0;
    }

    qtest_add_func("/hpet/capabilities", test_capabilities);
    qtest_add_func("/hpet/reserved", test_reserved);
    qtest_add_func("/hpet/reset", test_reset);
    qtest_add_func("/hpet/counter/enable", test_counter_enable);
    qtest_add_func("/hpet/counter/rate", test_counter_rate);
    qtest_add_func("/hpet/counter/access", test_counter_access);
    qtest_add_func("/hpet/timer/one-shot", test_one_shot);
    qtest_add_func("/hpet/timer/periodic", test_periodic);
    qtest_add_func("/hpet/timer/periodic-again", test_periodic_again);
    qtest_add_func("/hpet/timer/far", test_far);
    qtest_add_func("/hpet/timer/past", test_past);
    qtest_add_func("/hpet/timer/32bit", test_32bit);
    qtest_add_func("/hpet/timer/32bit-wrap", test_32bit_wrap);
    qtest_add_func("/hpet/timer/32bit-periodic", test_32bit_periodic);
    qtest_add_func("/hpet/irq/edge", test_edge);
    qtest_add_func("/hpet/irq/level", test_level);
    qtest_add_func("/hpet/irq/disabled", test_irq_disabled);
    qtest_add_func("/hpet/irq/masked", test_masked);
    qtest_add_func("/hpet/irq/routes", test_routes);
    qtest_add_func("/hpet/legacy/timers", test_legacy_timers);
    qtest_add_func("/hpet/legacy/cuts-off-rtc-and-pit", test_legacy_cuts_off);
    qtest_add_func("/hpet/fsb/message", test_fsb);
    qtest_add_func("/hpet/fsb/absent", test_fsb_absent);
    for (int i = 0; i < ARRAY_SIZE(timers); i++) {
        g_autofree char *works = g_strdup_printf("/hpet/timers/%d", timers[i]);
        g_autofree char *end = g_strdup_printf("/hpet/past-the-end/%d",
                                               timers[i]);

        qtest_add_data_func(works, GINT_TO_POINTER(timers[i]), test_timers);
        if (tn(timers[i], 0) < HPET_LEN) {
            qtest_add_data_func(end, GINT_TO_POINTER(timers[i]),
                                test_past_the_end);
        }
    }
    qtest_add_func("/hpet/timers/clamped", test_timers_clamped);
    qtest_add_func("/hpet/stop-cont", test_stop_cont);
    qtest_add_func("/hpet/migrate/running", test_migrate);
    qtest_add_func("/hpet/migrate/masked", test_migrate_masked);
    qtest_add_func("/hpet/migrate/halted", test_migrate_halted);

    return g_test_run();
}
