/*
 * The conformance suite of host clocks: too much at once
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest that writes to the registers of RTC and HPET as fast as it can, and
 * a host that does not run the emulator for seconds.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "hw/timer/hpet.h"

/* Flood */

#define ROUNDS          32
#define WRITES          1000
/* Nothing else runs in the emulator, and QMP takes a fraction of a ms. */
#define ANSWER_NS       (NS * host_clock_slowness())
/* A kernel with huge pages gives 2 MB at a time; a leak of 1 kB takes 10 MB. */
#define GROWTH_KB       8192
#define IDLE_NS         (NS / 4)
/* A timer of 1 ms that was left behind takes more; in the lab, a busy loop. */
#define IDLE_CPU_NS     (host_clock_slowness() > 1 ? IDLE_NS / 2 : 5 * MS)

/* Not the pages of the program, which come as they are needed */
static int64_t memory_kb(VM *vm)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/statm",
                                            qtest_pid(vm->qts));
    g_autofree char *text = NULL;
    int64_t resident, shared;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(sscanf(text, "%*d %" SCNd64 " %" SCNd64, &resident,
                           &shared), ==, 2);
    return (resident - shared) * (int64_t)qemu_real_host_page_size() / 1024;
}

/* All rates, all interrupts, alarms and the date, whatever comes */
static void write_rtc(VM *vm)
{
    static const uint8_t regs[] = {
        RTC_REG_A, RTC_REG_A, RTC_REG_B, RTC_REG_B, RTC_SECONDS,
        RTC_SECONDS_ALARM, RTC_MINUTES_ALARM, RTC_HOURS_ALARM, RTC_HOURS,
        RTC_DAY_OF_MONTH, RTC_MONTH, RTC_YEAR,
    };
    uint8_t reg = regs[g_test_rand_int_range(0, ARRAY_SIZE(regs))];

    cmos_write(vm, reg, g_test_rand_int_range(0, 256));
    cmos_read(vm, RTC_REG_C);
}

/* Comparators around the counter, and periods down to a tick */
static void write_hpet(VM *vm)
{
    int timer = g_test_rand_int_range(0, HPET_MIN_TIMERS);
    uint64_t near = qtest_readq(vm->qts, HPET_BASE + HPET_COUNTER) +
                    g_test_rand_int_range(-1000, 1000);
    uint64_t base = HPET_BASE + 0x100 + 0x20 * timer;

    switch (g_test_rand_int_range(0, 6)) {
    case 0:
        qtest_writeq(vm->qts, HPET_BASE + HPET_CFG,
                     g_test_rand_int_range(0, 4));
        break;
    case 1:
        qtest_writeq(vm->qts, base + HPET_TN_CFG,
                     g_test_rand_int_range(0, 1 << 14));
        break;
    case 2:
        qtest_writeq(vm->qts, base + HPET_TN_CMP, near);
        break;
    case 3:
        qtest_writeq(vm->qts, base + HPET_TN_CMP,
                     g_test_rand_int_range(0, 100));
        break;
    case 4:
        qtest_writeq(vm->qts, HPET_BASE + HPET_COUNTER, near);
        break;
    case 5:
        qtest_writeq(vm->qts, HPET_BASE + HPET_STATUS, UINT32_MAX);
        break;
    }
}

static void check_answers(VM *vm)
{
    int64_t begin = g_get_monotonic_time();

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'query-status' }");
    g_assert_cmpint((g_get_monotonic_time() - begin) * 1000, <=, ANSWER_NS);
}

static void all_off(VM *vm)
{
    qtest_writeq(vm->qts, HPET_BASE + HPET_CFG, 0);
    for (int i = 0; i < HPET_MIN_TIMERS; i++) {
        qtest_writeq(vm->qts, HPET_BASE + 0x100 + 0x20 * i + HPET_TN_CFG, 0);
    }
    cmos_write(vm, RTC_REG_A, 0x26);
    cmos_write(vm, RTC_REG_B, BINARY_24H);
    cmos_read(vm, RTC_REG_C);
}

static void check_idle(VM *vm)
{
    int64_t begin = vm_cpu_ns(vm);

    g_usleep(IDLE_NS / 1000);
    g_assert_cmpint(vm_cpu_ns(vm) - begin, <=, IDLE_CPU_NS);
}

static void check_works(VM *vm)
{
    Span set = rtc_set_date(vm, MILLENNIUM, 6), before, after, gone;
    uint64_t ticks;

    hpet_enable(vm);
    ticks = hpet_read(vm, &before);
    vm_pass(vm, 2 * NS);
    ticks = hpet_read(vm, &after) - ticks;
    gone = span_since(before, after);
    assert_between(ticks * HPET_TICK_NS, gone.lo - HPET_TICK_NS,
                   gone.hi + HPET_TICK_NS);
    check_date_since(vm, MILLENNIUM, set);
}

static void test_flood(Cell *cell)
{
    /* Nobody is told of interrupts: some of these periods are of 1 us. */
    VM *vm = vm_start_with(&(VMOptions) { .real_irqs = true },
                           cell->source->name, cell->setting, "utc", "");
    /* Emulated twice over, each takes a ms and more. */
    int writes = WRITES / host_clock_slowness() / host_clock_slowness();
    int64_t memory = 0;

    for (int i = 0; i < ROUNDS && !g_test_failed(); i++) {
        for (int j = 0; j < writes; j++) {
            (j % 2 ? write_rtc : write_hpet)(vm);
        }
        if (vm_rtc_is_told(vm)) {
            vm_pass(vm, MS);
        }
        check_answers(vm);
        if (i == ROUNDS / 4) {
            memory = memory_kb(vm);
        }
    }
    all_off(vm);
#ifndef QEMU_SANITIZE_ADDRESS
    /* AddressSanitizer keeps what is freed for a while. */
    g_assert_cmpint(memory_kb(vm) - memory, <=, GROWTH_KB);
#endif
    check_idle(vm);
    check_works(vm);
    vm_quit(vm);
}

/* A host that does not run the emulator */

#define STOPPED_S       3
#define RATE            10
#define PERIOD_NS       (NS / 64)
/*
 * With lost_tick_policy=slew, in each period: the interrupt, those that the
 * model re-injects when register C is read (RTC_REINJECT_ON_ACK_COUNT), and
 * those with which it catches up.  Nobody takes them here, so it never does.
 */
#define SLEW_PER_PERIOD (1 + 20 + 8)

/* How many there were, and flags of any of them, within this time at most */
static int count_until(VM *vm, uint8_t wanted, int64_t end, uint8_t *flags)
{
    int n = 0;

    for (*flags = 0; ~*flags & wanted && vm_rtc_now(vm) <= end;) {
        uint8_t now = cmos_read(vm, RTC_REG_C);

        n += !!(now & REG_C_PF);
        *flags |= now;
    }
    return n;
}

/* The period that has begun, and one that was pending, come on top. */
static int64_t most(VM *vm, int64_t begin, int per_period)
{
    return per_period * ((vm_rtc_now(vm) - begin) / PERIOD_NS + 2);
}

static void test_stopped(Cell *cell, const char *args, int per_period)
{
    VM *vm = cell_start(cell, "utc", args);
    int64_t begin;
    uint8_t flags;
    Span set;
    int n;

    if (vm_rtc_is_told(vm)) {
        g_test_skip("time stands still without the host's help; the test of a "
                    "late clock is fault/stall-60s");
        vm_quit(vm);
        return;
    }
    set = rtc_set_date(vm, MILLENNIUM, RATE);
    /* MILLENNIUM + 2 s is midnight. */
    cmos_write(vm, RTC_SECONDS_ALARM, 0);
    cmos_write(vm, RTC_MINUTES_ALARM, 0);
    cmos_write(vm, RTC_HOURS_ALARM, 0);
    cmos_write(vm, RTC_REG_B, BINARY_24H | REG_B_PIE | REG_B_AIE);
    cmos_read(vm, RTC_REG_C);
    kill(qtest_pid(vm->qts), SIGSTOP);
    g_usleep(STOPPED_S * G_USEC_PER_SEC);
    begin = vm_rtc_now(vm);
    kill(qtest_pid(vm->qts), SIGCONT);

    n = count_until(vm, REG_C_AF, begin + LATE_NS, &flags);
    g_assert_cmphex(flags & REG_C_AF, ==, REG_C_AF);
    g_assert_cmpint(n, <=, most(vm, begin, per_period));
    check_date_since(vm, MILLENNIUM, set);
    begin = vm_rtc_now(vm);
    n = count_until(vm, REG_C_AF, begin + NS / 2, &flags);
    g_assert_cmphex(flags & REG_C_AF, ==, 0);
    assert_between(n, 1, most(vm, begin, per_period));
    vm_quit(vm);
}

static void test_stopped_none(Cell *cell)
{
    test_stopped(cell, "", 1);
}

static void test_stopped_slew(Cell *cell)
{
    test_stopped(cell, "-global mc146818rtc.lost_tick_policy=slew",
                 SLEW_PER_PERIOD);
}

void add_load_tests(Cell *cell)
{
    add_test(cell, "load/flood", test_flood);
    add_test(cell, "load/stopped/none", test_stopped_none);
    add_test(cell, "load/stopped/slew", test_stopped_slew);
}
