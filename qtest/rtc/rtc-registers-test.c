/*
 * QTest testcase for the mc146818rtc: the date it starts with, its registers,
 * and the divider chain
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * On QEMU's own clocks, without -clock.  Where a test speaks of a data sheet it
 * is that of the MC146818A.
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "hw/rtc/mc146818rtc.h"
#include "hw/rtc/mc146818rtc_regs.h"

/* The PIT would be in the way when days have to pass. */
#define MACHINE "-machine pc,pit=off -nodefaults "
#define DATE    "2006-06-17T16:01:21"
#define MS      1000000LL
#define SECOND  (1000 * MS)

/* The machine under test; there is one at a time. */
static QTestState *qts;

static uint8_t cmos_read(uint8_t reg)
{
    qtest_outb(qts, 0x70, reg);
    return qtest_inb(qts, 0x71);
}

static void cmos_write(uint8_t reg, uint8_t value)
{
    qtest_outb(qts, 0x70, reg);
    qtest_outb(qts, 0x71, value);
}

/* Of the registers; they are BCD and have 24 hours. */
static char *date(void)
{
    return g_strdup_printf("%02x%02x-%02x-%02xT%02x:%02x:%02x",
                           cmos_read(0x32), cmos_read(RTC_YEAR),
                           cmos_read(RTC_MONTH), cmos_read(RTC_DAY_OF_MONTH),
                           cmos_read(RTC_HOURS), cmos_read(RTC_MINUTES),
                           cmos_read(RTC_SECONDS));
}

static void check_date(const char *right)
{
    g_autofree char *is = date();

    g_assert_cmpstr(is, ==, right);
}

/* -rtc base= */

typedef struct Base {
    const char *base;
    const char *date;
} Base;

static const Base bases[] = {
    { "2006-06-17T16:01:21", "2006-06-17T16:01:21" },
    { "2006-06-17", "2006-06-17T00:00:00" },
    { "2006-6-7T1:2:3", "2006-06-07T01:02:03" },
    { "2006-06-17t16:01:21", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21Z", "2006-06-17T16:01:21" },
    { "2006-06-17t16:01:21z", "2006-06-17T16:01:21" },
    { "'2006-06-17 16:01:21'", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01", "2006-06-17T16:01:00" },
    { "2006-06-17T16:01Z", "2006-06-17T16:01:00" },
    { "2006-06-17Z", "2006-06-17T00:00:00" },
    /* The fraction counts, but does not show. */
    { "2006-06-17T16:01:21.5", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21.000000000999Z", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21+02:00", "2006-06-17T14:01:21" },
    { "2006-06-17T16:01:21-05:30", "2006-06-17T21:31:21" },
    { "2006-06-17T01:01:21.25+02:00", "2006-06-16T23:01:21" },
    { "2006-06-17T16:01:21-00:00", "2006-06-17T16:01:21" },
    { "2016-12-31T23:59:60", "2017-01-01T00:00:00" },
    { "2017-01-01T01:59:60+02:00", "2017-01-01T00:00:00" },
    { "2006-02-28T24:00:00", "2006-03-01T00:00:00" },
    { "2000-02-29", "2000-02-29T00:00:00" },
    { "1970-01-01", "1970-01-01T00:00:00" },
    { "1969-12-31T23:59:59", "1969-12-31T23:59:59" },
    { "1969-12-31", "1969-12-31T00:00:00" },
    { "1900-01-01", "1900-01-01T00:00:00" },
    { "9999-12-31T23:59:59", "9999-12-31T23:59:59" },
};

static void test_base(void)
{
    for (int i = 0; i < ARRAY_SIZE(bases); i++) {
        qts = qtest_initf(MACHINE "-rtc base=%s,clock=vm", bases[i].base);
        check_date(bases[i].date);
        qtest_quit(qts);
    }
}

/* Across a minute, from a date of before 1970 on too */
static void test_base_goes_on(void)
{
    qts = qtest_init(MACHINE "-rtc base=1969-12-31T23:59:58,clock=vm");
    qtest_clock_step(qts, 2 * SECOND);
    check_date("1970-01-01T00:00:00");
    qtest_quit(qts);
}

static void test_base_refused(void)
{
    static const char *const no_dates[] = {
        "2006-13-40", "2006-00-10", "2006-02-29", "1900-02-29", "2006-06-31",
        "2006-06-17T25:00:00", "2006-06-17T24:00:01", "2006-06-17T16:60:00",
        "2006-06-17T16:01:61", "2006-06-17T-1:01:21", "1899-12-31",
        "10000-01-01", "1900-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60",
        "2006-06-17x", "2006-06-17T", "2006-06-17T16:01:21x",
        "2006-06-17T16:01:21.", "2006-06-17T16:01:21+2",
        "2006-06-17T16:01:21+24:00", "2006-06-17T16:01:21+01:60",
        "2006-06-17T16:01:21ZZ", "2006-06", "yesterday",
    };

    for (int i = 0; i < ARRAY_SIZE(no_dates); i++) {
        g_autofree char *base = g_strdup_printf("base=%s", no_dates[i]);
        const char *argv[] = {
            g_getenv("QTEST_QEMU_BINARY"), "-machine", "none", "-display",
            "none", "-rtc", base, "-S", "-monitor", "none", NULL
        };
        g_autofree char *err = NULL;
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL,
                                   G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err,
                                   &status, NULL));
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 1);
        g_assert_nonnull(strstr(err, no_dates[i]));
    }
}

/* ACPI: the alarm is a fixed event; ACPI specification, section 4.8.3.1.1 */

#define RTC_STS     0x0400
#define WAK_STS     0x8000
#define RTC_EN      RTC_STS
#define SCI_EN      1
#define SUSPEND     0x2400
#define SCI_IRQ     9
#define DONT_CARE   0xff

typedef struct Chipset {
    const char *machine;
    /* PMBASE is at 0x40 in the configuration space of this function */
    uint32_t function;
    uint16_t base;
    uint8_t enable_reg;
    uint8_t enable;
} Chipset;

static const Chipset chipsets[] = {
    { "pc", 0x80000b00, 0xb000, 0x80, 0x01 },
    { "q35", 0x8000f800, 0x600, 0x44, 0x80 },
};

static void acpi_start(const Chipset *c, const char *rtc)
{
    qts = qtest_initf("-machine %s -nodefaults -rtc %s", c->machine, rtc);
    qtest_irq_intercept_in(qts, "ioapic");
    qtest_outl(qts, 0xcf8, c->function | 0x40);
    qtest_outl(qts, 0xcfc, c->base | 1);
    qtest_outl(qts, 0xcf8, c->function | c->enable_reg);
    qtest_outb(qts, 0xcfc, c->enable);
    qtest_outw(qts, c->base + 4, SCI_EN);
    /* An alarm in every second */
    cmos_write(RTC_SECONDS_ALARM, DONT_CARE);
    cmos_write(RTC_MINUTES_ALARM, DONT_CARE);
    cmos_write(RTC_HOURS_ALARM, DONT_CARE);
    cmos_read(RTC_REG_C);
}

static uint16_t rtc_sts(const Chipset *c)
{
    return qtest_inw(qts, c->base) & RTC_STS;
}

static void test_acpi_running(const void *opaque)
{
    const Chipset *c = opaque;

    acpi_start(c, "base=" DATE ",clock=vm");
    qtest_outw(qts, c->base + 2, RTC_EN);
    /* Not enabled in the RTC: no alarm */
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_UIE);
    qtest_clock_step(qts, 2 * SECOND);
    g_assert_cmphex(rtc_sts(c), ==, 0);
    cmos_read(RTC_REG_C);

    cmos_write(RTC_REG_B, REG_B_24H | REG_B_AIE);
    qtest_clock_step(qts, SECOND);
    g_assert_cmphex(rtc_sts(c), ==, RTC_STS);
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    /* The guest gets IRQ 8 as ever. */
    g_assert_true(qtest_get_irq(qts, RTC_ISA_IRQ));
    /* Register C has nothing to do with it. */
    g_assert_cmphex(cmos_read(RTC_REG_C) & REG_C_AF, ==, REG_C_AF);
    g_assert_cmphex(rtc_sts(c), ==, RTC_STS);
    qtest_outw(qts, c->base, RTC_STS);
    g_assert_cmphex(rtc_sts(c), ==, 0);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));

    /* The status does not depend on the enable bit, the interrupt does. */
    qtest_outw(qts, c->base + 2, 0);
    qtest_clock_step(qts, SECOND);
    g_assert_cmphex(rtc_sts(c), ==, RTC_STS);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));
    qtest_outw(qts, c->base + 2, RTC_EN);
    g_assert_true(qtest_get_irq(qts, SCI_IRQ));
    qtest_outw(qts, c->base, RTC_STS);
    g_assert_false(qtest_get_irq(qts, SCI_IRQ));

    /* An alarm that is there when it is enabled makes an interrupt at once. */
    cmos_write(RTC_REG_B, REG_B_24H);
    cmos_read(RTC_REG_C);
    qtest_clock_step(qts, SECOND);
    g_assert_cmphex(rtc_sts(c), ==, 0);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_AIE);
    g_assert_cmphex(rtc_sts(c), ==, RTC_STS);
    qtest_quit(qts);
}

static void acpi_suspend(const Chipset *c, uint16_t enable)
{
    acpi_start(c, "clock=host");
    qtest_outw(qts, c->base + 2, enable);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_AIE);
    qtest_outw(qts, c->base + 4, SUSPEND | SCI_EN);
    qtest_qmp_eventwait(qts, "SUSPEND");
}

/* The alarms come within a second of the host's. */
static void test_acpi_wakes_up(const void *opaque)
{
    const Chipset *c = opaque;

    acpi_suspend(c, RTC_EN);
    qtest_qmp_eventwait(qts, "WAKEUP");
    g_assert_cmphex(qtest_inw(qts, c->base) & (WAK_STS | RTC_STS), ==,
                    WAK_STS | RTC_STS);
    qtest_quit(qts);
}

static void test_acpi_sleeps_on(const void *opaque)
{
    const Chipset *c = opaque;

    acpi_suspend(c, 0);
    qtest_outw(qts, c->base, RTC_STS);
    for (int i = 0; i < 50 && !rtc_sts(c); i++) {
        g_usleep(100 * 1000);
    }
    g_assert_cmphex(rtc_sts(c), ==, RTC_STS);
    qtest_qmp_assert_success(qts, "{'execute': 'system_wakeup'}");
    qtest_qmp_eventwait(qts, "WAKEUP");
    qtest_quit(qts);
}

static void add_acpi_tests(void)
{
    static const struct {
        const char *name;
        void (*run)(const void *);
    } tests[] = {
        { "running", test_acpi_running },
        { "wakes-up", test_acpi_wakes_up },
        { "sleeps-on", test_acpi_sleeps_on },
    };

    for (int i = 0; i < ARRAY_SIZE(chipsets); i++) {
        for (int j = 0; j < ARRAY_SIZE(tests); j++) {
            g_autofree char *path = g_strdup_printf(
                "/rtc-registers/acpi/%s/%s", chipsets[i].machine,
                tests[j].name);

            qtest_add_data_func(path, &chipsets[i], tests[j].run);
        }
    }
}

/* The divider chain; data sheet, "Divider Stages" and "Periodic Interrupt" */

#define DV          0x20
#define DV_RESET    0x70

static int tap_cycles(int rate)
{
    return periodic_period_to_clock(rate);
}

static int64_t cycles_ns(int64_t cycles)
{
    return periodic_clock_to_ns(cycles) + 1;
}

static void rtc_start(const char *driftfix)
{
    qts = qtest_initf(MACHINE "-rtc base=" DATE ",clock=vm,driftfix=%s",
                      driftfix);
    qtest_irq_intercept_in(qts, "ioapic");
}

static void step_to(int64_t *now, int64_t ns)
{
    qtest_clock_step(qts, ns - *now);
    *now = ns;
}

static bool periodic(void)
{
    return cmos_read(RTC_REG_C) & REG_C_PF;
}

/* Check that the next edge is after so many cycles from @origin. */
static void check_edge(int64_t *now, int64_t origin, int64_t cycles)
{
    int64_t edge = origin + cycles_ns(cycles);

    step_to(now, edge - 1000);
    g_assert_false(periodic());
    step_to(now, edge);
    g_assert_true(periodic());
}

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

/* Registers of the date; data sheet, "Time, Calendar, and Alarm Locations" */

/* A write takes effect at once, for itself only, and the second goes on. */
static void test_write_running(void)
{
    static const struct {
        uint8_t reg, value;
        const char *date;
    } writes[] = {
        { RTC_MINUTES, 0x45, "2006-06-17T16:45:21" },
        { RTC_SECONDS, 0x07, "2006-06-17T16:45:07" },
        { RTC_HOURS, 0x23, "2006-06-17T23:45:07" },
        /* In June: kept until the next update */
        { RTC_DAY_OF_MONTH, 0x31, "2006-06-31T23:45:07" },
        { RTC_SECONDS_ALARM, 0x59, "2006-06-31T23:45:07" },
        { RTC_MONTH, 0x12, "2006-12-31T23:45:07" },
        { RTC_YEAR, 0x99, "2099-12-31T23:45:07" },
        { 0x32, 0x19, "1999-12-31T23:45:07" },
    };
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 900 * MS);
    for (int i = 0; i < ARRAY_SIZE(writes); i++) {
        cmos_write(writes[i].reg, writes[i].value);
        check_date(writes[i].date);
        step_to(&now, now + MS);
        check_date(writes[i].date);
    }
    step_to(&now, SECOND - 1);
    check_date("1999-12-31T23:45:07");
    step_to(&now, SECOND);
    check_date("1999-12-31T23:45:08");
    step_to(&now, SECOND + 892 * SECOND);
    check_date("2000-01-01T00:00:00");
    qtest_quit(qts);
}

/* A day that the month does not have is none from the next update on. */
static void test_write_no_day(void)
{
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 300 * MS);
    cmos_write(RTC_DAY_OF_MONTH, 0x31);
    check_date("2006-06-31T16:01:21");
    step_to(&now, SECOND);
    check_date("2006-07-01T16:01:22");
    qtest_quit(qts);
}

/* The 17th of June 2006 was a Saturday, 7. */
static void test_write_weekday(void)
{
    int64_t now = 0;

    rtc_start("none");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 7);
    cmos_write(RTC_DAY_OF_WEEK, 3);
    check_date(DATE);
    for (int day = 0; day < 16; day++) {
        g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, (2 + day) % 7 + 1);
        step_to(&now, now + 24 * 3600 * SECOND);
    }
    /* The date has no influence on it, by whichever way it is set. */
    cmos_write(RTC_DAY_OF_WEEK, 5);
    cmos_write(RTC_DAY_OF_MONTH, 0x12);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    step_to(&now, now + 2 * SECOND);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    cmos_write(RTC_REG_B, REG_B_24H | REG_B_SET);
    cmos_write(RTC_MONTH, 0x01);
    cmos_write(RTC_REG_B, REG_B_24H);
    step_to(&now, now + 2 * SECOND);
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 5);
    qtest_quit(qts);
}

/* Migration */

typedef struct File {
    char *path;
    char *uri;
} File;

static void file_create(File *f)
{
    int fd = g_file_open_tmp("rtc-registers-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    f->uri = g_strdup_printf("file:%s", f->path);
}

static void file_delete(File *f)
{
    unlink(f->path);
    g_free(f->path);
    g_free(f->uri);
}

static void wait_migrated(void)
{
    for (int i = 0; i < 10000 && !g_test_failed(); i++) {
        QDict *status = qtest_qmp_assert_success_ref(
            qts, "{'execute': 'query-migrate'}");
        const char *text = qdict_get_try_str(status, "status");
        bool done = !g_strcmp0(text, "completed");

        g_assert_cmpstr(text, !=, "failed");
        qobject_unref(status);
        if (done) {
            return;
        }
        g_usleep(1000);
    }
}

/* Save, and go on in another QEMU, whose clock is at @ns if it is qtest's. */
static void move(const char *rtc, int64_t ns)
{
    File f;

    file_create(&f);
    qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(qts, "{'execute': 'migrate', "
                             "'arguments': {'uri': %s}}", f.uri);
    wait_migrated();
    qtest_quit(qts);
    qts = qtest_initf(MACHINE "-rtc %s -incoming defer", rtc);
    if (ns) {
        qtest_clock_set(qts, ns);
    }
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-incoming', "
                             "'arguments': {'uri': %s}}", f.uri);
    wait_migrated();
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    file_delete(&f);
}

/* What the registers have that the date does not is kept by a migration. */
static void test_write_move(void)
{
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 300 * MS);
    cmos_write(RTC_DAY_OF_WEEK, 2);
    cmos_write(RTC_DAY_OF_MONTH, 0x31);
    move("base=" DATE ",clock=vm", now);
    check_date("2006-06-31T16:01:21");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 2);
    cmos_write(RTC_MONTH, 0x05);
    step_to(&now, SECOND - 1);
    check_date("2006-05-31T16:01:21");
    step_to(&now, SECOND);
    check_date("2006-05-31T16:01:22");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 2);
    qtest_quit(qts);
}

static int64_t second(void)
{
    return (cmos_read(RTC_MINUTES) >> 4) * 600 +
           (cmos_read(RTC_MINUTES) & 15) * 60 +
           (cmos_read(RTC_SECONDS) >> 4) * 10 + (cmos_read(RTC_SECONDS) & 15);
}

/* By how much the host is ahead of the RTC, when a second begins; in us */
static int64_t host_ahead_us(void)
{
    int64_t before = second();

    while (second() == before) {
        g_usleep(500);
    }
    return g_get_monotonic_time() - second() * 1000000;
}

/*
 * Under clock=rt the time at which the machine is in a file is lost, and
 * nothing else.
 */
static void test_move_rt(void)
{
    const char *rtc = "base=" DATE ",clock=rt";
    int64_t begin_us, ahead_us, down_us = 0;

    qts = qtest_initf(MACHINE "-rtc %s", rtc);
    begin_us = host_ahead_us();
    for (int i = 0; i < 10; i++) {
        int64_t move_us;

        g_usleep(50000 + 137000 * i % 1000000);
        move_us = g_get_monotonic_time();
        move(rtc, 0);
        down_us += g_get_monotonic_time() - move_us;
        g_assert_null(qtest_qmp_event_ref(qts, "RTC_CHANGE"));
    }
    ahead_us = host_ahead_us() - begin_us;
    g_test_message("RTC behind by %" PRId64 " us, of %" PRId64 " us", ahead_us,
                   down_us);
    /* A look takes up to 20 ms here if the machine is busy. */
    g_assert_cmpint(ahead_us, >, -20000);
    g_assert_cmpint(ahead_us, <, down_us + 20000);
    qtest_quit(qts);
}

/*
 * The date at power-on is that of the first cont, as libvirt starts domains;
 * and seconds begin when those of the host do.
 */
static void test_start(const void *clock)
{
    int64_t us;

    qts = qtest_initf(MACHINE "-S -rtc base=utc,clock=%s", (char *)clock);
    g_usleep(1300 * 1000);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    us = g_get_real_time();
    if (!strcmp(clock, "vm")) {
        /* It stands still, so only bounds can be had. */
        g_assert_cmpint((us / 1000000 - second() + 3600) % 3600, <=, 1);
        qtest_clock_step(qts, SECOND - us % 1000000 * 1000 + 100 * MS);
        g_assert_cmpint((us / 1000000 + 1 - second() + 3600) % 3600, ==, 0);
    } else {
        host_ahead_us();
        us = g_get_real_time();
        g_assert_cmpint(us % 1000000, <, 100000);
        g_assert_cmpint((us / 1000000 - second()) % 3600, ==, 0);
    }
    qtest_quit(qts);
}

/* Whole, or with the fraction that was given */
static void test_start_date(void)
{
    qts = qtest_init(MACHINE "-S -rtc base=" DATE ",clock=vm");
    qtest_clock_step(qts, 300 * MS);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    qtest_clock_step(qts, SECOND - 1);
    check_date("2006-06-17T16:01:21");
    qtest_clock_step(qts, 1);
    check_date("2006-06-17T16:01:22");
    qtest_quit(qts);

    qts = qtest_init(MACHINE "-S -rtc base=" DATE ".75,clock=vm");
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    qtest_clock_step(qts, 250 * MS - 1);
    check_date("2006-06-17T16:01:21");
    qtest_clock_step(qts, 1);
    check_date("2006-06-17T16:01:22");
    /* It is a date that the guest has not set; once is enough. */
    qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
    qtest_clock_step(qts, 5 * SECOND);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    check_date("2006-06-17T16:01:27");
    qtest_quit(qts);

    /* What was set before that is left alone. */
    qts = qtest_init(MACHINE "-S -rtc base=" DATE ",clock=vm");
    cmos_write(RTC_HOURS, 0x05);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    check_date("2006-06-17T05:01:21");
    qtest_quit(qts);
}

static void add_chain_tests(void)
{
    qtest_add_func("/rtc-registers/chain/taps", test_chain_taps);
    qtest_add_data_func("/rtc-registers/chain/switches/none", "none",
                        test_chain_switches);
    qtest_add_data_func("/rtc-registers/chain/switches/slew", "slew",
                        test_chain_switches);
    qtest_add_func("/rtc-registers/chain/runs-on", test_chain_runs_on);
    qtest_add_func("/rtc-registers/write/running", test_write_running);
    qtest_add_func("/rtc-registers/write/no-day", test_write_no_day);
    qtest_add_func("/rtc-registers/write/weekday", test_write_weekday);
    qtest_add_func("/rtc-registers/write/move", test_write_move);
    qtest_add_func("/rtc-registers/move/rt", test_move_rt);
    qtest_add_data_func("/rtc-registers/start/host", "host", test_start);
    qtest_add_data_func("/rtc-registers/start/rt", "rt", test_start);
    qtest_add_data_func("/rtc-registers/start/vm", "vm", test_start);
    qtest_add_func("/rtc-registers/start/date", test_start_date);
    qtest_add_func("/rtc-registers/flags/periodic", test_flags_periodic);
    qtest_add_func("/rtc-registers/flags/others", test_flags_others);
    qtest_add_func("/rtc-registers/flags/idle", test_flags_idle);
    qtest_add_data_func("/rtc-registers/chain/reset", GINT_TO_POINTER(0),
                        test_chain_reset);
    qtest_add_data_func("/rtc-registers/chain/reset-while-set",
                        GINT_TO_POINTER(REG_B_SET), test_chain_reset);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* So that one fault does not hide the others */
    g_test_set_nonfatal_assertions();
    if (!qtest_has_machine("pc") || !qtest_has_machine("q35")) {
        g_test_skip("no PC machine");
        return 0;
    }

    qtest_add_func("/rtc-registers/base/taken", test_base);
    qtest_add_func("/rtc-registers/base/goes-on", test_base_goes_on);
    qtest_add_func("/rtc-registers/base/refused", test_base_refused);
    add_acpi_tests();
    add_chain_tests();

    return g_test_run();
}
