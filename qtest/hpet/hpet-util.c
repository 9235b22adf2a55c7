/*
 * Helpers for the tests of the HPET
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hpet-util.h"

QTestState *qts;

void hpet_start(const char *args)
{
    qts = qtest_initf("-machine q35,hpet=on -nodefaults -rtc clock=vm %s",
                      args);
    qtest_irq_intercept_in(qts, "ioapic");
}

void hpet_stop(void)
{
    qtest_quit(qts);
    qts = NULL;
}

uint64_t hpet_read(unsigned int reg)
{
    return qtest_readq(qts, HPET_BASE + reg);
}

void hpet_write(unsigned int reg, uint64_t value)
{
    qtest_writeq(qts, HPET_BASE + reg, value);
}

void hpet_step_ns(int64_t ns)
{
    qtest_clock_step(qts, ns);
}

void hpet_step_ticks(int64_t ticks)
{
    hpet_step_ns(ticks * TICK_NS);
}

uint64_t hpet_counter(void)
{
    return hpet_read(HPET_COUNTER);
}

void hpet_enable(unsigned int more)
{
    hpet_write(HPET_CFG, HPET_CFG_ENABLE | more);
}

void hpet_halt(void)
{
    hpet_write(HPET_CFG, 0);
}

bool hpet_irq(int n)
{
    return qtest_get_irq(qts, n);
}

bool hpet_status(int timer)
{
    return hpet_read(HPET_STATUS) & (1u << timer);
}

/* Status bits are cleared by writing 1, section 2.3.6. */
void hpet_ack(int timer)
{
    hpet_write(HPET_STATUS, 1u << timer);
}

/* Comparator first, so that the timer is not armed for an old value. */
void hpet_set_one_shot(int timer, unsigned int cfg, uint64_t when)
{
    hpet_write(hpet_tn(timer, HPET_TN_CMP), when);
    hpet_write(hpet_tn(timer, HPET_TN_CFG), cfg);
}

/*
 * Section 2.3.9.2.2: first the comparator, with the set-value bit; then the
 * period.
 */
void hpet_set_periodic(int timer, unsigned int cfg, uint64_t first,
                       uint64_t period)
{
    hpet_write(hpet_tn(timer, HPET_TN_CFG),
               cfg | HPET_TN_PERIODIC | HPET_TN_SETVAL);
    hpet_write(hpet_tn(timer, HPET_TN_CMP), first);
    hpet_write(hpet_tn(timer, HPET_TN_CMP), period);
}

static void check_halves(unsigned int reg, uint64_t value)
{
    g_assert_cmphex(hpet_read(reg), ==, value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + reg), ==, (uint32_t)value);
    g_assert_cmphex(qtest_readl(qts, HPET_BASE + reg + 4), ==, value >> 32);
}

void hpet_check_writable(unsigned int reg, uint64_t writable)
{
    const uint64_t upper = 0xffffffff00000000;
    uint64_t before = hpet_read(reg), fixed = before & ~writable;

    hpet_write(reg, ~0ULL);
    check_halves(reg, fixed | writable);
    hpet_write(reg, 0);
    check_halves(reg, fixed);
    qtest_writel(qts, HPET_BASE + reg + 4, 0xffffffff);
    check_halves(reg, fixed | (writable & upper));
    qtest_writel(qts, HPET_BASE + reg, 0xffffffff);
    check_halves(reg, fixed | writable);
    qtest_writel(qts, HPET_BASE + reg + 4, 0);
    check_halves(reg, fixed | (writable & ~upper));
    qtest_writel(qts, HPET_BASE + reg, 0);
    check_halves(reg, fixed);
    hpet_write(reg, before);
}

void pic_reset(void)
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

bool pic_saw_edge(int n)
{
    return qtest_inb(qts, n < 8 ? 0x20 : 0xa0) & (1 << (n % 8));
}
