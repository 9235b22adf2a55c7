/*
 * The conformance suite of host clocks: PM timer and PIT, and a slow stop
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A VM has one time.  PM timer and PIT advance as the HPET does, which
 * host-clock-run.c compares with the host's clock, and stand still when it
 * does; that is when the processors' ticks stop, however long it then takes
 * until the disks have finished and the VM counts as stopped.
 */

#include "qemu/osdep.h"
#include "host-clock-counters.h"
#include "host-clock-cells.h"
#include "hw/timer/hpet.h"

/* Running */

/*
 * Where the test moves the time: all registers are what so many ns make of
 * them.  QEMU_CLOCK_VIRTUAL begins at 0, and so does the PM timer.
 */
static void check_exact(VM *vm, const Counter *c, int64_t pm_ns,
                        int64_t started_ns)
{
    Span when;

    g_assert_cmpint(hpet_read(vm, &when) * HPET_TICK_NS, ==,
                    started_ns / HPET_TICK_NS * HPET_TICK_NS);
    g_assert_cmpint(c->read(vm), ==,
                    counter_expect(c, c == &pm_timer ? pm_ns : started_ns));
}

/* vm_pass() would wait for the RTC, too. */
static void pass_told(VM *vm, int64_t ns)
{
    if (vm_is_manual(vm)) {
        vm_pass(vm, ns);
    } else {
        qtest_clock_step(vm->qts, ns);
        vm->virtual_ns += ns;
    }
}

static void check_run_told(VM *vm, const Counter *c)
{
    /* From a ns to seconds, and across all wraps */
    for (int i = 0; i < 200 && !g_test_failed(); i++) {
        pass_told(vm, g_test_rand_bit() ? g_test_rand_int_range(1, 5000) :
                                          g_test_rand_int_range(1, 5000) * MS);
        check_exact(vm, c, vm_hpet_now(vm), vm_hpet_now(vm));
    }
}

static void check_run(VM *vm, const Counter *c)
{
    CounterLook first = counter_look(vm, c), last;

    /* Often enough that not even the PIT wraps unseen, if it runs too fast */
    for (int i = 0; i < 20 && !g_test_failed(); i++) {
        g_usleep(20 * 1000);
        last = counter_look(vm, c);
        check_alike(c, &first, &last);
    }
}

static void test_run(Cell *cell, const Counter *c)
{
    VM *vm = vm_start_with(&(VMOptions) { .real_irqs = true },
                           cell->source->name, cell->setting, "utc", "");

    counters_start(vm);
    if (vm_hpet_is_told(vm)) {
        check_run_told(vm, c);
    } else {
        check_run(vm, c);
    }
    vm_quit(vm);
}

static void test_run_pm_timer(Cell *cell)
{
    test_run(cell, &pm_timer);
}

static void test_run_pit(Cell *cell)
{
    test_run(cell, &pit);
}

/* Stopped */

static void test_stop(Cell *cell, const Counter *c)
{
    VM *vm = vm_start_with(&(VMOptions) { .real_irqs = true },
                           cell->source->name, cell->setting, "utc", "");
    CounterLook before, frozen[2], after;
    int64_t ran_ns;

    counters_start(vm);
    before = counter_look(vm, c);
    vm_pass(vm, 30 * MS);
    vm_qmp(vm, "stop");
    ran_ns = vm_hpet_now(vm);
    frozen[0] = counter_look(vm, c);
    vms_pass_stopped(&vm, 1, 70 * MS);
    frozen[1] = counter_look(vm, c);
    g_assert_cmpint(frozen[1].ticks, ==, frozen[0].ticks);
    g_assert_cmpint(frozen[1].hpet.hi, ==, frozen[0].hpet.lo);
    check_alike(c, &before, &frozen[0]);
    vm_qmp(vm, "cont");
    if (vm_hpet_is_told(vm)) {
        check_exact(vm, c, ran_ns, ran_ns);
        vm_pass(vm, 12345678);
        check_exact(vm, c, ran_ns + 12345678, ran_ns + 12345678);
    } else {
        vm_pass(vm, 10 * MS);
        after = counter_look(vm, c);
        g_assert_cmpint(after.hpet.lo, >, frozen[1].hpet.hi);
        check_alike(c, &frozen[1], &after);
    }
    vm_quit(vm);
}

static void test_stop_pm_timer(Cell *cell)
{
    test_stop(cell, &pm_timer);
}

static void test_stop_pit(Cell *cell)
{
    test_stop(cell, &pit);
}

/* Stopping takes long */

/*
 * How long the disk takes to answer.  Time that goes on meanwhile is seen as
 * such: LATE_NS is a fraction of it.
 */
#define SLOW_NS         (NS + 4 * LATE_NS)
#define TRIES           3

static const Counter *const counters[] = { &pm_timer, &pit };

static VM *start_with_slow_disk(Cell *cell)
{
    g_autofree char *args = g_strdup_printf(
        "-drive if=none,id=slow,driver=null-co,read-zeroes=on,"
        "latency-ns=%" PRId64, (int64_t)SLOW_NS);

    return vm_start_with(&(VMOptions) { .real_irqs = true },
                         cell->source->name, cell->setting, "utc", args);
}

/* Returns how long it took. */
static int64_t slow_stop(VM *vm, Moment *stop)
{
    g_autofree char *said = NULL;
    int64_t begin;

    said = qtest_hmp(vm->qts, "qemu-io slow \"aio_read -q 0 512\"");
    begin = g_get_monotonic_time();
    *stop = vm_qmp(vm, "stop");
    return (g_get_monotonic_time() - begin) * 1000;
}

/* What ran while the VM stopped, or between two looks while it stood still? */
static void check_ran(VM *vm, const CounterLook *from, const CounterLook *to,
                      Span cont, Span stop)
{
    int64_t ran_ns = (to->hpet.lo - from->hpet.lo) * HPET_TICK_NS;

    if (vm_hpet_is_told(vm)) {
        g_assert_cmpint(ran_ns, ==, 0);
    } else {
        /* The ticks stop first of all; until then a busy host may wait. */
        assert_between(ran_ns, span_since(cont, stop).lo - HPET_TICK_NS,
                       stop.lo + LATE_NS - cont.lo + HPET_TICK_NS);
    }
}

static void check_slow_date(VM *vm, Span set, const Moment *stop)
{
    Span when, until;
    int64_t date = rtc_read_date(vm, &when);

    until = vm->setting != SET_VM ? when :
            vm_rtc_is_told(vm) ? stop->rtc :
            (Span) { stop->rtc.lo, stop->rtc.lo + LATE_NS };
    check_date(date, MILLENNIUM, span_since(set, until));
}

/*
 * While the VM is stopped, registers can be read as exactly as they count, so
 * all is compared from one stop to the next.  Returns false if this host was
 * so busy that the disk had answered when the VM was to be stopped.
 */
static bool check_slow(VM *vm)
{
    CounterLook first[ARRAY_SIZE(counters)], frozen[ARRAY_SIZE(counters)];
    CounterLook still, after;
    Moment cont, stop;
    Span set;

    vm_qmp(vm, "stop");
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        first[i] = counter_look(vm, counters[i]);
    }
    cont = vm_qmp(vm, "cont");
    set = rtc_set_date(vm, MILLENNIUM, 6);
    if (slow_stop(vm, &stop) < SLOW_NS / 2) {
        vm_qmp(vm, "cont");
        return false;
    }
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        frozen[i] = counter_look(vm, counters[i]);
        check_ran(vm, &first[i], &frozen[i], cont.hpet, stop.hpet);
        check_alike(counters[i], &first[i], &frozen[i]);
    }
    check_slow_date(vm, set, &stop);
    vms_pass_stopped(&vm, 1, 10 * MS);
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        still = counter_look(vm, counters[i]);
        g_assert_cmpint(still.ticks, ==, frozen[i].ticks);
        g_assert_cmpint(still.hpet.hi, ==, frozen[i].hpet.lo);
    }
    check_slow_date(vm, set, &stop);
    vm_qmp(vm, "cont");
    for (int i = 0; i < ARRAY_SIZE(counters); i++) {
        after = counter_look(vm, counters[i]);
        check_alike(counters[i], &frozen[i], &after);
    }
    return true;
}

static void test_slow(Cell *cell)
{
    VM *vm = start_with_slow_disk(cell);
    bool done = false;

    counters_start(vm);
    for (int i = 0; i < TRIES && !done; i++) {
        done = check_slow(vm);
    }
    if (!done) {
        g_test_message("each of %d stops took less than half of what the disk "
                       "takes", TRIES);
        g_test_fail();
    }
    vm_quit(vm);
}

void add_one_time_tests(Cell *cell)
{
    add_test(cell, "run/pm-timer", test_run_pm_timer);
    add_test(cell, "run/pit", test_run_pit);
    add_test(cell, "stop/pm-timer", test_stop_pm_timer);
    add_test(cell, "stop/pit", test_stop_pit);
    add_test(cell, "stop/slow", test_slow);
}
