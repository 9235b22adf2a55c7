/*
 * The conformance suite of host clocks: the HPET's comparators
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whatever -rtc clock= says, the HPET is on the vm view.  What its registers do
 * is the matter of hpet-test; here, that its timers are on time.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "hw/timer/hpet.h"

/* Long enough that a busy host can tell an early match from a late one */
#define MATCH_NS        (100 * MS)
#define PERIODS         5

static void hpet_write(VM *vm, unsigned int reg, uint64_t value)
{
    qtest_writeq(vm->qts, HPET_BASE + reg, value);
}

static bool matched(VM *vm)
{
    return qtest_readq(vm->qts, HPET_BASE + HPET_STATUS) & 1;
}

/* Timer 0, level-triggered, so that its status bit stays.  Returns when. */
static Span arm(VM *vm, uint32_t mode)
{
    Span when;

    hpet_write(vm, HPET_CFG, 0);
    hpet_write(vm, HPET_STATUS, 1);
    hpet_write(vm, HPET_COUNTER, 0);
    hpet_write(vm, 0x100 + HPET_TN_CFG, HPET_TN_TYPE_LEVEL | mode);
    hpet_write(vm, 0x100 + HPET_TN_CMP, MATCH_NS / HPET_TICK_NS);
    hpet_write(vm, 0x100 + HPET_TN_CMP, MATCH_NS / HPET_TICK_NS);
    when.lo = vm_hpet_now(vm);
    hpet_enable(vm);
    when.hi = vm_hpet_now(vm);
    return when;
}

/* There is a match at @due and none before. */
static void check_match(VM *vm, Span due)
{
    Span when;
    bool match;

    if (vm_hpet_is_told(vm)) {
        vm_pass_short_of(vm, due.lo - vm_hpet_now(vm));
        g_assert_false(matched(vm));
        vm_pass(vm, 1);
        g_assert_true(matched(vm));
        return;
    }
    do {
        when.lo = vm_hpet_now(vm);
        match = matched(vm);
        when.hi = vm_hpet_now(vm);
    } while (!match && when.lo < due.hi + LATE_NS);
    g_assert_true(match);
    g_assert_cmpint(when.hi, >=, due.lo - HPET_TICK_NS);
}

static void test_one_shot(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span start = arm(vm, 0);

    check_match(vm, span_add(start, MATCH_NS));
    hpet_write(vm, HPET_STATUS, 1);
    vm_pass(vm, MATCH_NS);
    g_assert_false(matched(vm));
}

static void test_periodic(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span start = arm(vm, HPET_TN_PERIODIC | HPET_TN_SETVAL);

    for (int i = 1; i <= PERIODS && !g_test_failed(); i++) {
        check_match(vm, span_add(start, i * MATCH_NS));
        hpet_write(vm, HPET_STATUS, 1);
    }
    hpet_write(vm, HPET_CFG, 0);
}

/* Stop half way to a match; false if this host was too busy to be in time. */
static bool stop_half_way(VM *vm, Span *gone)
{
    Span start = arm(vm, 0);
    Moment stop;

    vm_pass(vm, MATCH_NS / 2);
    stop = vm_qmp(vm, "stop");
    *gone = span_since(start, stop.hpet);
    return gone->hi < MATCH_NS;
}

/* The comparator keeps its distance while the machine stands still. */
static void test_stopped(Cell *cell)
{
    VM *vm = cell_vm(cell);
    Span gone, due;
    Moment cont;

    for (int i = 0; !stop_half_way(vm, &gone); i++) {
        vm_qmp(vm, "cont");
        if (i == 10) {
            g_test_skip("this host is too busy: it took more than 100 ms "
                        "instead of 50 ms in each of 10 attempts");
            return;
        }
    }
    vms_pass_stopped(&vm, 1, 2 * MATCH_NS);
    g_assert_false(matched(vm));
    cont = vm_qmp(vm, "cont");
    due = (Span) { cont.hpet.lo + MATCH_NS - gone.hi,
                   cont.hpet.hi + MATCH_NS - gone.lo };
    check_match(vm, due);
    hpet_write(vm, HPET_CFG, 0);
}

void add_hpet_tests(Cell *cell)
{
    add_test(cell, "hpet/one-shot", test_one_shot);
    add_test(cell, "hpet/periodic", test_periodic);
    add_test(cell, "hpet/stopped", test_stopped);
}
