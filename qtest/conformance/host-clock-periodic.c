/*
 * The conformance suite of host clocks: periodic interrupts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * All rates, counted one by one; and driftfix=slew, which promises that a guest
 * that is late for some gets as many as were due, in the end.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"

/* How long a rate is counted, and how long if that takes long */
#define COUNT_S         10
#define SHORT_COUNT_S   1

/*
 * MC146818 data sheet, "Periodic interrupt rate and square wave output
 * frequency", with a time base of 32768 Hz.  1 and 2 are the rates of 8 and 9.
 */
static const int rate_hz[16] = {
    0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2
};

/* When interrupt number @n is due, at the latest, if they started at @start */
static int64_t due_ns(int64_t start, int64_t n, int rate)
{
    /* The emulator rounds to a cycle of the time base, and up. */
    return start + n * NS / rate_hz[rate] + 2;
}

static Span enable_periodic(VM *vm, int rate)
{
    Span start;

    /* To set the date resets the divider chain, whose taps the rates are. */
    start.lo = vm_rtc_now(vm);
    rtc_set_date(vm, MILLENNIUM, rate);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_PIE);
    start.hi = vm_rtc_now(vm);
    return start;
}

/* Counting */

static void check_none_before(VM *vm, int64_t due)
{
    vm_pass_until(vm, due - RTC_CYCLE_NS - 2);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
    g_assert_false(vm_irq(vm));
}

/*
 * An interrupt for each period, and none in between.  Every interrupt is
 * acknowledged, so that none can hide behind another one.
 */
static void count_exactly(VM *vm, int rate, int seconds)
{
    int64_t start = enable_periodic(vm, rate).lo;
    int total = seconds * rate_hz[rate];

    cmos_read(vm, RTC_REG_C);
    for (int i = 1; i <= total && !g_test_failed(); i++) {
        /* Not each time, because it takes as long as all the rest */
        bool look = i % 512 == 1 || i == total;

        if (look) {
            check_none_before(vm, due_ns(start, i, rate));
        }
        vm_pass_until(vm, due_ns(start, i, rate));
        g_assert_true(!look || vm_irq(vm));
        /* The index is still that of register C. */
        if (~qtest_inb(vm->qts, 0x71) & (REG_C_PF | REG_C_IRQF)) {
            g_test_message("%d Hz: interrupt %d is missing", rate_hz[rate], i);
            g_test_fail();
        }
    }
    check_none_before(vm, due_ns(start, total + 1, rate));
}

/* In real time: the first one, not early and not late */
static void time_first(VM *vm, int rate)
{
    Span start = enable_periodic(vm, rate), due, when;
    uint8_t flags;

    due = span_add(start, NS / rate_hz[rate]);
    vm_pass_until(vm, due.lo - LATE_NS / 10);
    do {
        when.lo = vm_rtc_now(vm);
        flags = cmos_read(vm, RTC_REG_C);
        when.hi = vm_rtc_now(vm);
    } while (!(flags & REG_C_PF) && when.lo <= due.hi + LATE_NS);
    g_assert_true(flags & REG_C_PF);
    g_assert_cmpint(when.hi, >=, due.lo - RTC_CYCLE_NS);
}

/*
 * The manual clock takes a QMP command for each interrupt, a fraction of a
 * millisecond.  So unless there is time (-m slow) its settings share the three
 * highest rates: each is counted for long under one of them.
 */
static int seconds_to_count(Cell *cell, int rate)
{
    if (g_test_slow() || !cell_is_manual(cell) || rate_hz[rate] <= 1024 ||
        rate % SET__MAX == cell->setting) {
        return COUNT_S;
    }
    return SHORT_COUNT_S;
}

static void test_rates(Cell *cell)
{
    VM *vm = cell_vm(cell);

    for (int rate = 1; rate < 16 && !g_test_failed(); rate++) {
        if (vm_rtc_is_told(vm)) {
            /* Start anywhere between two cycles of the time base. */
            vm_pass(vm, g_test_rand_int_range(1, NS));
            count_exactly(vm, rate, seconds_to_count(cell, rate));
        } else {
            time_first(vm, rate);
        }
    }
    cmos_write(vm, RTC_REG_B, BINARY_24H);
}

/* Rate 0 is none. */
static void test_rate_none(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span start = enable_periodic(vm, 0);

    vm_pass_until(vm, start.hi + NS / 10);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
    cmos_write(vm, RTC_REG_B, BINARY_24H);
}

/* driftfix=slew */

#define IOAPIC          0xfec00000
#define IOAPIC_DATA     (IOAPIC + 0x10)
#define IOAPIC_MASKED   0x10000
#define FIRST_VECTOR    0x20
#define LAST_VECTOR     0xfe

#define SLEW_RATE       10
#define SLEW_HZ         64
#define LOST            40
#define RUN_ON          50

/* What a guest knows of its interrupts */
typedef struct Guest {
    VM *vm;
    int vector, handled;
} Guest;

static void ioapic_route_rtc(VM *vm, uint32_t low)
{
    qtest_writel(vm->qts, IOAPIC, 0x10 + 2 * RTC_IRQ);
    qtest_writel(vm->qts, IOAPIC_DATA, low);
}

/* Is there an interrupt in the APIC's request register? */
static bool apic_has(VM *vm, int vector)
{
    g_autofree char *text = qtest_hmp(vm->qts, "info lapic");
    g_autofree char *name = g_strdup_printf(" %d ", vector);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (int i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "IRR")) {
            return strstr(lines[i], name);
        }
    }
    g_test_message("no IRR in: %s", text);
    g_test_fail();
    return false;
}

/*
 * No CPU runs here to take interrupts out of the APIC.  So each is delivered
 * as a vector of its own: the next one is what finds the APIC ready.
 */
static void guest_handle_interrupts(Guest *g)
{
    while (g->vector < LAST_VECTOR && apic_has(g->vm, g->vector)) {
        ioapic_route_rtc(g->vm, ++g->vector);
        if (cmos_read(g->vm, RTC_REG_C) & REG_C_PF) {
            g->handled++;
        }
    }
}

/*
 * @LOST periods pass while the guest cannot be interrupted.  From then on it
 * gets more than one a period, until it has had as many as were due.
 */
static void test_slew(Cell *cell)
{
    VM *vm = vm_start_with(&(VMOptions) { .real_irqs = true },
                           cell->source->name, cell->setting, "utc",
                           "-global mc146818rtc.lost_tick_policy=slew");
    Span start = enable_periodic(vm, SLEW_RATE), gone;
    Guest g = { .vm = vm, .vector = FIRST_VECTOR };
    int after_lost = 0, looks = 0;

    vm_pass_until(vm, due_ns(start.hi, LOST, SLEW_RATE));
    g_assert_false(apic_has(vm, g.vector));
    ioapic_route_rtc(vm, g.vector);
    do {
        vm_pass(vm, NS / SLEW_HZ / 16);
        guest_handle_interrupts(&g);
        looks++;
        gone = (Span) { vm_rtc_now(vm) - start.hi, vm_rtc_now(vm) - start.lo };
        if (!after_lost && gone.lo > (LOST + 20) * NS / SLEW_HZ) {
            after_lost = g.handled;
        }
    } while (gone.lo < (LOST + RUN_ON) * NS / SLEW_HZ + 3 * MS);

    if (looks < gone.hi * SLEW_HZ / NS) {
        g_test_skip("this host is too slow for a guest that takes its "
                    "interrupts as they come");
        vm_quit(vm);
        return;
    }
    /* Well ahead of one a period when 20 periods had passed */
    g_assert_cmpint(after_lost, >=, 40);
    /* The last one may be on its way if time does not wait. */
    assert_between(g.handled, gone.lo * SLEW_HZ / NS -
                   (vm_rtc_is_told(vm) ? 0 : 1 + LATE_NS * SLEW_HZ / NS),
                   (gone.hi + RTC_CYCLE_NS) * SLEW_HZ / NS);
    vm_quit(vm);
}

/* Without it, what is lost is lost: one interrupt, then one a period. */
static void test_discard(Cell *cell)
{
    VM *vm = vm_start_with(&(VMOptions) { .real_irqs = true },
                           cell->source->name, cell->setting, "utc", "");
    Span start = enable_periodic(vm, SLEW_RATE);
    Guest g = { .vm = vm, .vector = FIRST_VECTOR };
    int64_t resumed;

    vm_pass_until(vm, due_ns(start.hi, LOST, SLEW_RATE));
    g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_PF);
    if (vm_rtc_is_told(vm)) {
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
    }
    resumed = vm_rtc_now(vm);
    ioapic_route_rtc(vm, g.vector);
    do {
        vm_pass(vm, NS / SLEW_HZ / 16);
        guest_handle_interrupts(&g);
    } while (vm_rtc_now(vm) < due_ns(start.hi, LOST + 10, SLEW_RATE));
    assert_between(g.handled, vm_rtc_is_told(vm) ? 10 : 1,
                   (vm_rtc_now(vm) - resumed) * SLEW_HZ / NS + 1);
    vm_quit(vm);
}

void add_periodic_tests(Cell *cell)
{
    add_test(cell, "periodic/rates", test_rates);
    add_test(cell, "periodic/rate-none", test_rate_none);
    add_test(cell, "periodic/driftfix-slew", test_slew);
    add_test(cell, "periodic/driftfix-none", test_discard);
}
