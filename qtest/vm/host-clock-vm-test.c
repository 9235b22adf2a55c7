/*
 * One VM, one time: what a host clock is to a whole machine
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * HPET, PM timer and PIT are one clock, whatever it is made of: they advance,
 * stop and sleep together.  The conformance suite has the RTC, and each of this
 * under each -rtc clock=.
 */

#include "qemu/osdep.h"
#include "host-clock-counters.h"
#include "host-clock-vm.h"
#include "hw/timer/hpet.h"
#include "qobject/qdict.h"

static bool is_missing(const char *name)
{
    for (const Source *s = host_clock_sources(); s->name; s++) {
        if (g_str_equal(s->name, name)) {
            if (s->missing) {
                g_test_skip(s->missing);
            }
            return s->missing;
        }
    }
    g_test_skip("this emulator does not have it");
    return true;
}

static VM *start(const char *source)
{
    /* Nobody is told of the PIT's interrupts. */
    return vm_start_with(&(VMOptions) { .real_irqs = true }, source, SET_VM,
                         "utc", "");
}

/* Alike */

typedef enum Which { HPET, PM_TIMER, PIT } Which;

/* What a counter has to say, to the tick */
static void check_exact(VM *vm, Which which, int64_t ns)
{
    const Counter *c = which == PIT ? &pit : &pm_timer;
    Span when;

    if (which == HPET) {
        g_assert_cmpint(hpet_read(vm, &when), ==, ns / HPET_TICK_NS);
    } else {
        g_assert_cmpint(c->read(vm), ==, counter_expect(c, ns));
    }
}

typedef struct Told {
    const char *source;
    Which which;
    int rate[2];
} Told;

/*
 * On the manual clock, and what is made of it, each counter is a function of
 * how far it was told to move while the VM ran: by QMP or by qtest, in pieces
 * of a ns to a minute.
 */
static void test_told(const void *opaque)
{
    const Told *t = opaque;
    VMOptions options = {
        .real_irqs = true, .rate = { t->rate[0], t->rate[1] },
    };
    VM *vm = vm_start_with(&options, t->source, SET_VM, "utc", "");
    int64_t stopped_ns = 0;

    counters_start(vm);
    for (int i = 0; i < 300 && !g_test_failed(); i++) {
        int64_t ns = g_test_rand_bit() ? g_test_rand_int_range(1, 1000) :
                     g_test_rand_int_range(1, 60000) * MS;
        int64_t was_ns = vm->manual_ns;

        switch (i % 4) {
        case 0:
            vm_pass(vm, ns);
            break;
        case 1:
            vm_note_pass(vm, ns);
            g_assert_cmpint(qtest_clock_step(vm->qts, ns), ==,
                            vm->manual_ns - stopped_ns);
            break;
        case 2:
            vm_note_pass(vm, ns);
            ns = vm->manual_ns - stopped_ns;
            g_assert_cmpint(qtest_clock_set(vm->qts, ns), ==, ns);
            break;
        case 3:
            vm_qmp(vm, "stop");
            vm_pass(vm, ns);
            stopped_ns += vm->manual_ns - was_ns;
            check_exact(vm, t->which, vm->manual_ns - stopped_ns);
            vm_qmp(vm, "cont");
            break;
        }
        check_exact(vm, t->which, vm->manual_ns - stopped_ns);
    }
    vm_quit(vm);
}

/* A thousand times stopped */

#define STOPS   1000

/*
 * In a stopped VM registers can be read as exactly as they count.  The HPET is
 * 10 ns a tick and the PM timer 279 ns, which is all that they may be apart
 * after any number of stops: far less than 0.1 us each.
 */
static void test_thousand_stops(const void *opaque)
{
    const char *source = opaque;
    CounterLook first = {}, last = {};
    VM *vm;

    if (is_missing(source)) {
        return;
    }
    vm = start(source);
    counters_start(vm);
    for (int i = 0; i < STOPS; i++) {
        vm_qmp(vm, "stop");
        if (i == 0) {
            first = counter_look(vm, &pm_timer);
        }
        if (i == STOPS - 1) {
            last = counter_look(vm, &pm_timer);
        }
        vm_qmp(vm, "cont");
    }
    check_alike(&pm_timer, &first, &last);
    if (vm_is_manual(vm)) {
        check_exact(vm, HPET, 0);
        check_exact(vm, PM_TIMER, 0);
        check_exact(vm, PIT, 0);
    } else {
        g_assert_cmpint(last.hpet.lo, >, first.hpet.hi);
    }
    vm_quit(vm);
}

/* Asleep */

/* ACPI specification, "PM1 Control Registers"; S3 of the PIIX4 */
#define PM1_CNT         (PM_PORT + 4)
#define SLEEP_S3        (1 << 13 | 1 << 10)

/* Timer 0, level-triggered, on an input of the I/O APIC that is its alone */
#define LINE            20
#define MATCH_NS        (200 * MS)

static void hpet_write(VM *vm, unsigned int reg, uint64_t value)
{
    qtest_writeq(vm->qts, HPET_BASE + reg, value);
}

static void arm_hpet(VM *vm)
{
    uint64_t now = qtest_readq(vm->qts, HPET_BASE + HPET_COUNTER);

    hpet_write(vm, 0x100 + HPET_TN_CMP, now + MATCH_NS / HPET_TICK_NS);
    hpet_write(vm, 0x100 + HPET_TN_CFG, HPET_TN_TYPE_LEVEL | HPET_TN_ENABLE |
               LINE << HPET_TN_INT_ROUTE_SHIFT);
}

static bool hpet_interrupts(VM *vm)
{
    return qtest_readq(vm->qts, HPET_BASE + HPET_STATUS) & 1 &&
           qtest_get_irq(vm->qts, LINE);
}

/* Where time is not told, it comes as late as a busy host lets it. */
static void wait_for_hpet(VM *vm)
{
    int64_t deadline = now_ns() + BOUND_S * NS;

    vm_pass(vm, MATCH_NS + LATE_NS);
    while (!vm_hpet_is_told(vm) && !hpet_interrupts(vm) &&
           now_ns() < deadline) {
        vm_pass(vm, LATE_NS);
    }
    g_assert_true(hpet_interrupts(vm));
}

/* QEMU runs no timers of QEMU_CLOCK_VIRTUAL while the guest sleeps. */
static void test_s3(const void *opaque)
{
    const char *source = opaque;
    uint64_t ticks;
    Span when;
    VM *vm;

    if (is_missing(source)) {
        return;
    }
    vm = vm_start(source, SET_VM, "utc", "");
    pm_enable(vm);
    hpet_enable(vm);
    /* Awake, it interrupts. */
    arm_hpet(vm);
    wait_for_hpet(vm);
    hpet_write(vm, HPET_STATUS, 1);

    arm_hpet(vm);
    ticks = hpet_read(vm, &when);
    qtest_outw(vm->qts, PM1_CNT, SLEEP_S3);
    qtest_qmp_eventwait(vm->qts, "SUSPEND");
    vm_pass(vm, MATCH_NS + LATE_NS);
    g_assert_false(qtest_get_irq(vm->qts, LINE));
    g_assert_cmphex(qtest_readq(vm->qts, HPET_BASE + HPET_STATUS) & 1, ==, 0);
    /* Time goes on. */
    g_assert_cmpint((hpet_read(vm, &when) - ticks) * HPET_TICK_NS, >=,
                    MATCH_NS);
    vm_quit(vm);
}

/* qtest's clock */

static void test_clock_step_refused(const void *opaque)
{
    static const char *const commands[] = {
        "clock_step", "clock_step 1000000000", "clock_set 9000000000000000000",
    };
    const char *source = opaque;
    g_autofree char *args = g_strdup_printf("-clock %s", source);
    Process *p;

    if (is_missing(source)) {
        return;
    }
    p = process_start(args);
    process_ready(p);
    for (int i = 0; i < ARRAY_SIZE(commands); i++) {
        g_autofree char *reply = process_qtest(p, "%s", commands[i]);

        g_assert_true(g_str_has_prefix(reply, "FAIL "));
        check_says(g_strdup(reply), source);
        check_says(g_strdup(reply), "moves by itself");
    }
    process_end(p);
}

/* It moves the whole clock, wall time too, and all timers on the way. */
static void test_clock_step_manual(void)
{
    Process *p = process_start(MANUAL_ARGS " -rtc clock=host");
    g_autofree char *back = NULL;
    g_autofree char *far = NULL;
    QDict *clock;

    process_ready(p);
    process_cmos_write(p, RTC_REG_A, 0x2f);
    process_cmos_write(p, RTC_REG_B, REG_B_24H | REG_B_PIE);
    g_assert_cmpint(process_qtest_value(p, "clock_step 12345"), ==, 12345);
    g_assert_cmpint(manual_mono_ns(p), ==, 12345);
    g_assert_cmphex(process_cmos_read(p, RTC_REG_C), ==, 0);
    g_assert_cmpint(process_qtest_value(p, "clock_set %lld", NS), ==, NS);
    g_assert_cmphex(process_cmos_read(p, RTC_REG_C) & REG_C_PF, ==, REG_C_PF);

    back = process_qtest(p, "clock_set %lld", NS - 1);
    g_assert_true(g_str_has_prefix(back, "FAIL "));
    far = process_qtest(p, "clock_step %lld", INT64_MAX - 2 * NS);
    g_assert_true(g_str_has_prefix(far, "FAIL "));
    check_says(g_strdup(far), "ns=");
    clock = process_clock(p, MANUAL_ID);
    g_assert_cmpint(qdict_get_int(clock, "mono-ns"), ==, NS);
    g_assert_cmpint(qdict_get_int(clock, "wall-ns"), ==,
                    (MANUAL_WALL_S + 1) * NS);
    qobject_unref(clock);
    process_end(p);
}

/* The list */

static void add(const char *name, const char *variant, const void *data,
                void (*fn)(const void *))
{
    g_autofree char *path = g_strdup_printf("/host-clock-vm/%s/%s", name,
                                            variant);

    qtest_add_data_func(path, data, fn);
}

static void add_told_tests(const char *source, const char *name, int num,
                           int den)
{
    static const char *const counters[] = { "hpet", "pm-timer", "pit" };

    for (Which which = HPET; which <= PIT; which++) {
        Told *t = g_new(Told, 1);

        *t = (Told) { source, which, { num, den } };
        add(name, counters[which], t, test_told);
    }
}

int main(int argc, char **argv)
{
    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();

    add_told_tests("manual", "manual", 1, 1);
    add_told_tests("scaled", "scaled-3-2", 3, 2);
    add_told_tests("scaled", "scaled-1-4", 1, 4);
    add_told_tests("scaled", "scaled-100", 100, 1);
    add_told_tests("scaled", "scaled-1-10000", 1, 10000);
    for (const Source *s = next_source(NULL); s; s = next_source(s)) {
        const char *name = s->name;

        add("s3", name, name, test_s3);
        if (!source_is_system(name)) {
            add("thousand-stops", name, name, test_thousand_stops);
        }
        if (!source_is_system(name) && !g_str_equal(name, "manual")) {
            add("clock-step/refused", name, name, test_clock_step_refused);
        }
    }
    qtest_add_func("/host-clock-vm/clock-step/manual", test_clock_step_manual);
    add_advance_tests();
    add_host_tests();

    return g_test_run();
}
