/*
 * QTest testcase for the HPET: comparators that are written by halves
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The comparator register of a periodic timer stands for two: the accumulator,
 * at which the timer is due next, and the period that is added then.  Section
 * 2.3.9.2.2: with the set-value bit a write is for the accumulator as well.  A
 * 32-bit CPU has two writes for each, in any order.
 */

#include "qemu/osdep.h"
#include "hpet-util.h"

/* An order is a string of these. */
enum {
    SET_VALUE = 'V',
    FIRST = 'F', FIRST_LOW = 'f', FIRST_HIGH = 'h',
    PERIOD = 'P', PERIOD_LOW = 'p', PERIOD_HIGH = 'q',
};

typedef struct Setting {
    const char *name;
    uint64_t counter;
    uint64_t first;     /* is due here for the first time */
    uint64_t period;
    unsigned int mode;
} Setting;

static const Setting settings[] = {
    { "64-bit", 10000, 200000, 50000 },
    /* A period that is longer than a half can say, and one that is short */
    { "64-bit-slow", 10000, 0x180000000, 0x140000000 },
    { "64-bit-fast", 10000, 13000, 200 },
    { "64-bit-late", 0x300000000, 0x300001000, 5000 },
    { "64-bit-carry", 0xffffff00, 0x100000010, 5000 },
    { "32-bit", 10000, 200000, 50000, HPET_TN_32BIT },
    { "32-bit-wrap", 0xffffff00, 0x10, 5000, HPET_TN_32BIT },
};

/* What the timer had been doing */
typedef enum Before {
    RESET,          /* nothing */
    RESET_RUNNING,  /* nothing, and the counter runs */
    AGAIN,          /* another period */
    AGAIN_RUNNING,
    BEFORES,
} Before;

static void write_half(unsigned int reg, uint64_t value, bool high)
{
    qtest_writel(qts, HPET_BASE + reg + 4 * high, value >> (high ? 32 : 0));
}

static void carry_out(const char *order, const Setting *s)
{
    const unsigned int cfg = hpet_tn(0, HPET_TN_CFG);
    const unsigned int cmp = hpet_tn(0, HPET_TN_CMP);

    for (; *order; order++) {
        switch (*order) {
        case SET_VALUE:
            qtest_writel(qts, HPET_BASE + cfg, LEVEL_ON_ROUTE |
                         HPET_TN_PERIODIC | HPET_TN_SETVAL | s->mode);
            break;
        case FIRST:
        case PERIOD:
            hpet_write(cmp, *order == FIRST ? s->first : s->period);
            break;
        case FIRST_LOW:
        case FIRST_HIGH:
            write_half(cmp, s->first, *order == FIRST_HIGH);
            break;
        case PERIOD_LOW:
        case PERIOD_HIGH:
            write_half(cmp, s->period, *order == PERIOD_HIGH);
            break;
        }
        /* Half of a value is none. */
        g_assert_false(hpet_status(0));
    }
}

static void begin(const Setting *s, Before before)
{
    hpet_halt();
    hpet_write(hpet_tn(0, HPET_TN_CFG), 0);
    hpet_ack(0);
    if (before == AGAIN || before == AGAIN_RUNNING) {
        /* It matches twice, and is not due when the test begins. */
        hpet_write(HPET_COUNTER, s->counter - 2500);
        hpet_set_periodic(0, LEVEL_ON_ROUTE | s->mode, s->counter - 2000, 1500);
        hpet_enable(0);
        hpet_step_ticks(2000);
        hpet_write(hpet_tn(0, HPET_TN_CMP), 0x1000000);
        hpet_step_ticks(500);
        hpet_halt();
        hpet_ack(0);
    }
    hpet_write(HPET_COUNTER, s->counter);
    qtest_writel(qts, HPET_BASE + hpet_tn(0, HPET_TN_CFG),
                 LEVEL_ON_ROUTE | HPET_TN_PERIODIC | s->mode);
    if (before == RESET_RUNNING || before == AGAIN_RUNNING) {
        hpet_enable(0);
    }
}

/* The model: first, then period by period. */
static void check_exact(const Setting *s)
{
    const uint64_t mask = s->mode ? UINT32_MAX : UINT64_MAX;
    uint64_t due = s->first;
    uint64_t ticks = (s->first - s->counter) & mask;

    for (int i = 0; i < 5; i++) {
        g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, due & mask);
        hpet_step_ns(ticks * TICK_NS - 1);
        g_assert_false(hpet_status(0));
        hpet_step_ns(1);
        g_assert_true(hpet_status(0));
        hpet_ack(0);
        due += s->period;
        ticks = s->period;
    }
}

static void test_order(const char *order, const Setting *s, Before before)
{
    begin(s, before);
    carry_out(order, s);
    hpet_enable(0);
    check_exact(s);
    if (g_test_failed()) {
        g_test_message("order %s, setting %s, before %d", order, s->name,
                       before);
    }
}

/* Each setting, after whatever the timer did before */
static void test_orders(const char *const *orders)
{
    for (int i = 0; i < ARRAY_SIZE(settings); i++) {
        const Setting *s = &settings[i];

        for (Before before = 0; before < BEFORES; before++) {
            hpet_start("");
            for (int n = 0; orders[n]; n++) {
                /*
                 * A period of which the upper half is not written has that of
                 * the first time.
                 */
                if (!strchr(orders[n], PERIOD) &&
                    !strchr(orders[n], PERIOD_HIGH) && !s->mode &&
                    (s->first >> 32 != s->period >> 32)) {
                    continue;
                }
                if (before == RESET || before == RESET_RUNNING) {
                    qtest_system_reset(qts);
                }
                test_order(orders[n], s, before);
            }
            hpet_stop();
        }
    }
}

/* Linux's, in 32-bit mode; and 64-bit CPUs' */
static void test_whole(void)
{
    static const char *const orders[] = {
        "VFP", "VFpq", "VFqp", "VFp", NULL
    };

    test_orders(orders);
}

/*
 * The set-value bit once; each half of the register is first written for the
 * accumulator.
 */
static void test_once(void)
{
    static const char *const orders[] = {
        "Vfhpq", "Vfhqp", "Vhfpq", "Vhfqp", "Vfphq", "Vhqfp", "VfhP", "VhfP",
        "Vfhp", "Vhfp", NULL
    };

    test_orders(orders);
}

/* The set-value bit before each half of the accumulator, as specified */
static void test_each(void)
{
    static const char *const orders[] = {
        "VfVhpq", "VfVhqp", "VhVfpq", "VhVfqp", "VfpVhq", "VhqVfp", "VfVhP",
        "VhVfP", "VVfhpq", "VVfVVhpq", "VfVhp", "VhVfp", NULL
    };

    test_orders(orders);
}

/* A period may be changed by halves, too; the accumulator keeps its value. */
static void test_period(void)
{
    static const char *const orders[] = { "pq", "qp", "P", NULL };
    static const Setting before = { "", 0, 20000, 10000 };
    static const Setting after = { "", 0, 20000, 30000 };

    for (int i = 0; orders[i]; i++) {
        hpet_start("");
        hpet_write(hpet_tn(0, HPET_TN_CFG), LEVEL_ON_ROUTE | HPET_TN_PERIODIC);
        carry_out("VfVhpq", &before);
        carry_out(orders[i], &after);
        hpet_enable(0);
        check_exact(&after);
        hpet_stop();
    }
}

/*
 * Guests that never write an upper half, or no accumulator, have always had
 * their interrupts: if need be the first of them comes at another time.
 */
static void test_ticks(void)
{
    static const char *const orders[] = {
        "Vfp", "Vf", "VfP", "F", "P", "pq", "qp", "p", "VfpVfp", "fp",
        "Vp", "VpVq", NULL
    };
    static const Setting s = { "", 10000, 60000, 50000 };

    for (int i = 0; orders[i]; i++) {
        for (Before before = 0; before <= RESET_RUNNING; before++) {
            int count = 0;

            hpet_start("");
            begin(&s, before);
            carry_out(orders[i], &s);
            hpet_enable(0);
            for (int n = 0; n < 100; n++) {
                hpet_step_ticks(60000);
                count += hpet_status(0);
                hpet_ack(0);
            }
            g_assert_cmpint(count, >=, 97);
            hpet_stop();
        }
    }
}

/* What a reset left of the set-value bit would set the accumulator. */
static void test_reset(void)
{
    static const Setting s = { "", 1000, 0x100000500, 0x200000000 };

    hpet_start("");
    begin(&s, RESET);
    carry_out("Vf", &s);
    qtest_system_reset(qts);
    begin(&s, RESET);
    carry_out("q", &s);
    g_assert_cmphex(hpet_read(hpet_tn(0, HPET_TN_CMP)), ==, ~0ULL);
    hpet_stop();
}

void add_halves_tests(void)
{
    qtest_add_func("/hpet/halves/whole", test_whole);
    qtest_add_func("/hpet/halves/set-once", test_once);
    qtest_add_func("/hpet/halves/set-each", test_each);
    qtest_add_func("/hpet/halves/period", test_period);
    qtest_add_func("/hpet/halves/ticks", test_ticks);
    qtest_add_func("/hpet/halves/reset", test_reset);
}
