/*
 * The contract of host clocks on the RTC of a machine that is no PC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A table of RTCs that are read and written in memory, and what the tests of
 * them share.
 */

#include "qemu/osdep.h"
#include "host-clock-machine.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

const Rtc *rtc;

/* PL031: seconds, in 32 bits */

enum { PL031_DR = 0x00, PL031_MR = 0x04, PL031_LR = 0x08, PL031_IMSC = 0x10,
       PL031_ICR = 0x1c };

static int64_t pl031_date_ns(VM *vm)
{
    return qtest_readl(vm->qts, rtc->base + PL031_DR) * NS;
}

static void pl031_set_date(VM *vm, int64_t date)
{
    qtest_writel(vm->qts, rtc->base + PL031_LR, date);
}

static void pl031_set_alarm(VM *vm, int64_t date)
{
    qtest_writel(vm->qts, rtc->base + PL031_IMSC, 1);
    qtest_writel(vm->qts, rtc->base + PL031_MR, date);
}

static void pl031_acknowledge(VM *vm)
{
    qtest_writel(vm->qts, rtc->base + PL031_ICR, 1);
}

/* Goldfish: nanoseconds; the low half is read first, and written last */

enum { GOLDFISH_TIME = 0x00, GOLDFISH_ALARM = 0x08, GOLDFISH_IRQ = 0x10,
       GOLDFISH_CLEAR_IRQ = 0x1c };

static int64_t goldfish_date_ns(VM *vm)
{
    uint64_t low = qtest_readl(vm->qts, rtc->base + GOLDFISH_TIME);

    return (uint64_t)qtest_readl(vm->qts, rtc->base + GOLDFISH_TIME + 4) << 32 |
           low;
}

static void goldfish_write(VM *vm, int reg, uint64_t ns)
{
    qtest_writel(vm->qts, rtc->base + reg + 4, ns >> 32);
    qtest_writel(vm->qts, rtc->base + reg, ns);
}

static void goldfish_set_date(VM *vm, int64_t date)
{
    goldfish_write(vm, GOLDFISH_TIME, date * NS);
}

static void goldfish_set_alarm(VM *vm, int64_t date)
{
    qtest_writel(vm->qts, rtc->base + GOLDFISH_IRQ, 1);
    goldfish_write(vm, GOLDFISH_ALARM, date * NS);
}

static void goldfish_acknowledge(VM *vm)
{
    qtest_writel(vm->qts, rtc->base + GOLDFISH_CLEAR_IRQ, 0);
}

static const Rtc rtcs[] = {
    { "aarch64", "virt", "pl031", 0x09010000, NS, pl031_date_ns,
      pl031_set_date, pl031_set_alarm, pl031_acknowledge },
    { "riscv64", "virt -bios none", "goldfish_rtc", 0x101000, 1,
      goldfish_date_ns, goldfish_set_date, goldfish_set_alarm,
      goldfish_acknowledge },
};

const Rtc *rtc_of_target(const char *target)
{
    for (int i = 0; i < ARRAY_SIZE(rtcs); i++) {
        if (g_str_equal(rtcs[i].target, target)) {
            return &rtcs[i];
        }
    }
    g_error("no RTC of %s is known here", target);
}

/* VMs */

static char *find_device(VM *vm, const char *type)
{
    g_autofree char *child = g_strdup_printf("child<%s>", type);
    QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'qom-list', 'arguments':"
                           " { 'path': '/machine/unattached' } }");
    char *path = NULL;
    const QListEntry *e;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), e) {
        QDict *property = qobject_to(QDict, qlist_entry_obj(e));

        if (g_str_equal(qdict_get_str(property, "type"), child)) {
            path = g_strdup_printf("/machine/unattached/%s",
                                   qdict_get_str(property, "name"));
        }
    }
    qobject_unref(rsp);
    g_assert_nonnull(path);
    return path;
}

VM *machine_start(Cell *cell, const char *source, const char *base,
                  const char *args)
{
    VM *vm = vm_start_with(&(VMOptions) { .machine = rtc->args }, source,
                           cell->setting, base, args);
    g_autofree char *path = find_device(vm, rtc->type);

    qtest_irq_intercept_out_named(vm->qts, path, "sysbus-irq");
    return vm;
}

Span machine_set_date(VM *vm)
{
    Span set = { .lo = vm_rtc_now(vm) };

    rtc->set_date(vm, MILLENNIUM);
    set.hi = vm_rtc_now(vm);
    return set;
}

/* Checks */

/*
 * A tick begins when one of the clock does, so the date is less than a tick
 * off, to either side.
 */
void check_date_ns(int64_t date_ns, int64_t from, Span gone)
{
    int64_t slack_ns = rtc->tick_ns - 1;

    assert_between(date_ns, from * NS + gone.lo - slack_ns,
                   from * NS + gone.hi + slack_ns);
}

void check_machine_date(VM *vm, Span set, int64_t by_ns)
{
    Span when = { .lo = vm_rtc_now(vm) };
    int64_t date_ns = rtc->date_ns(vm);

    when.hi = vm_rtc_now(vm);
    check_date_ns(date_ns, MILLENNIUM,
                  span_shift(span_since(set, when), by_ns));
}

void check_alarm_once(VM *vm, Span left)
{
    int64_t began = vm_rtc_now(vm), late_ns = vm_rtc_is_told(vm) ? 0 : LATE_NS;
    int64_t slack_ns = rtc->tick_ns - 1;
    Span when = { began, began };
    int n = 0;

    do {
        int64_t before = when.lo;

        vm_pass(vm, 5 * MS);
        when.lo = vm_rtc_now(vm);
        if (qtest_get_irq(vm->qts, 0)) {
            when.hi = vm_rtc_now(vm);
            n++;
            g_assert_cmpint(when.hi - began, >=, left.lo - slack_ns);
            g_assert_cmpint(before - began, <=,
                            MAX(left.hi + slack_ns, 0) + late_ns);
            rtc->acknowledge(vm);
            g_assert_false(qtest_get_irq(vm->qts, 0));
        }
    } while (when.lo - began <= MAX(left.hi + slack_ns, 0) + NS / 2);
    g_assert_cmpint(n, ==, 1);
}
