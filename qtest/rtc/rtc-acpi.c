/*
 * QTest testcase for the mc146818rtc: the alarm is an event of ACPI
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"
#include "hw/rtc/mc146818rtc.h"

/* ACPI: the alarm is a fixed event; ACPI specification, section 4.8.3.1.1 */

#define RTC_STS     0x0400
#define WAK_STS     0x8000
#define RTC_EN      RTC_STS
#define SCI_EN      1
#define SUSPEND     0x2400
#define SCI_IRQ     9

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

void add_acpi_tests(void)
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
