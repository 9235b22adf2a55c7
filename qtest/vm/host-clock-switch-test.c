/*
 * Another host clock while the VM runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * First what can be asked for, and what not.  Then many times, in real time,
 * while RTC and HPET interrupt: the VM's own time is what they are held to.
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "hw/timer/hpet.h"
#include "qobject/qdict.h"

/* How late a timer may be served, on a busy host: nothing but a defect is */
#define LATE_NS         (2 * NS * host_clock_slowness())

static QTestState *start(const char *args)
{
    return qtest_initf("-machine pc -nodefaults %s", args);
}

/* What can be asked for */

/* Returns NULL, or the words of the error, to be freed */
static char *set(QTestState *qts, const char *path, const char *property,
                 const char *value)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-set', 'arguments': {"
                           " 'path': %s, 'property': %s, 'value': %s } }",
                           path, property, value);
    QDict *error = qdict_get_qdict(rsp, "error");
    char *desc = error ? g_strdup(qdict_get_str(error, "desc")) : NULL;

    qobject_unref(rsp);
    return desc;
}

static void check_property(QTestState *qts, const char *path,
                           const char *property, const char *value)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'qom-get', 'arguments': {"
                           " 'path': %s, 'property': %s } }", path, property);

    g_assert_cmpstr(qdict_get_try_str(rsp, "return"), ==, value);
    qobject_unref(rsp);
}

static void check_not_set(QTestState *qts, const char *path,
                          const char *property, const char *value,
                          const char *says)
{
    g_autofree char *error = set(qts, path, property, value);

    g_test_message("%s=%s: %s", property, value, error);
    g_assert_true(error && strstr(error, property) && strstr(error, value) &&
                  strstr(error, says));
}

static void check_cannot_delete(QTestState *qts, const char *id)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'object-del',"
                           " 'arguments': { 'id': %s } }", id);

    g_assert_true(qdict_haskey(rsp, "error"));
    qobject_unref(rsp);
}

static void test_change(void)
{
    QTestState *qts = start("-object host-clock-unix,id=u "
                            "-object host-clock-scaled,id=s,clock=u "
                            "-object host-clock-raw,id=rtc "
                            "-object iothread,id=t -machine host-clock=u");
    g_autofree char *text = NULL;

    check_property(qts, "/machine", "host-clock", "u");
    check_not_set(qts, "/machine", "host-clock", "nosuch", "no object");
    check_not_set(qts, "/machine", "host-clock", "t", "not a host clock");
    check_not_set(qts, "/machine", "host-clock", "", "no object");
    check_property(qts, "/machine", "host-clock", "u");
    /* To itself: nothing happens. */
    g_assert_null(set(qts, "/machine", "host-clock", "u"));
    g_assert_null(qtest_qmp_event_ref(qts, "HOST_CLOCK_STEP"));

    g_assert_null(set(qts, "/machine", "host-clock", "s"));
    check_property(qts, "/machine", "host-clock", "s");
    check_cannot_delete(qts, "s");
    check_cannot_delete(qts, "u");

    /* A device of the machine has this name, too. */
    text = qtest_hmp(qts, "qom-set /machine host-clock rtc");
    g_assert_cmpstr(text, ==, "");
    check_property(qts, "/machine", "host-clock", "rtc");
    check_cannot_delete(qts, "rtc");
    check_cannot_delete(qts, "u");
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-del',"
                             " 'arguments': { 'id': 's' } }");
    qtest_qmp_assert_success(qts, "{ 'execute': 'object-del',"
                             " 'arguments': { 'id': 'u' } }");
    check_not_set(qts, "/machine", "host-clock", "u", "no object");
    /* The RTC still has its time. */
    qtest_outb(qts, 0x70, RTC_REG_D);
    g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0x80);
    qtest_quit(qts);
}

/* Wall time steps by what the two differ, and says why. */
static void test_change_step(void)
{
    QTestState *qts = start("-object host-clock-manual,id=m,wall=" MANUAL_WALL
                            " -object host-clock-scaled,id=s,clock=m,"
                            "offset-ns=-3600000000000 -machine host-clock=m");
    QDict *event, *data;

    g_assert_null(set(qts, "/machine", "host-clock", "s"));
    event = qtest_qmp_event_ref(qts, "HOST_CLOCK_STEP");
    g_assert_nonnull(event);
    if (event) {
        data = qdict_get_qdict(event, "data");
        g_assert_cmpstr(qdict_get_str(data, "id"), ==, "s");
        g_assert_cmpstr(qdict_get_str(data, "reason"), ==, "switch");
        g_assert_cmpint(qdict_get_int(data, "step-ns"), ==, -3600 * NS);
        g_assert_cmpint(qdict_get_int(data, "generation"), ==, 1);
    }
    qobject_unref(event);
    g_assert_null(qtest_qmp_event_ref(qts, "HOST_CLOCK_STEP"));
    qtest_quit(qts);
}

/* qtest moves QEMU's clocks, if nothing was chosen. */
static void test_change_qtest(void)
{
    QTestState *qts = start("-object host-clock-unix,id=u");

    check_not_set(qts, "/machine", "host-clock", "u", "-accel qtest");
    check_property(qts, "/machine", "host-clock", "");
    qtest_quit(qts);
}

static void test_rate(void)
{
    QTestState *qts = start("-object host-clock-scaled,id=s,rate=3/2 "
                            "-machine host-clock=s");
    static const char *const bad[] = { "0/1", "1/0", "-1/2", "20000", "1.5" };

    for (int i = 0; i < ARRAY_SIZE(bad); i++) {
        check_not_set(qts, "/objects/s", "rate", bad[i], "rate=");
        check_property(qts, "/objects/s", "rate", "3/2");
    }
    check_not_set(qts, "/objects/s", "clock", "", "open");
    g_assert_null(set(qts, "/objects/s", "rate", "1/10000"));
    check_property(qts, "/objects/s", "rate", "1/10000");
    qtest_quit(qts);
}

/* Under load */

/* 1024 Hz, in the VM's time */
#define RTC_RATE        6
#define RTC_PERIOD_NS   976563
/* Timer 0 is periodic, timer 1 is armed again and again. */
#define HPET_PERIOD_NS  MS
#define LINE            20
#define T1              (0x100 + 0x20)

/*
 * This test cannot look at each tick in time, so each clock is there a second
 * time, so slow that it can: hardly two ticks come between two looks.
 */
#define SLOWNESS        32

static const char *const clocks[] = {
    "system", "dynticks", "unix", "boottime", "raw", "fast",
};

static char *clock_args(void)
{
    GString *args = g_string_new("");

    for (int i = 0; i < ARRAY_SIZE(clocks); i++) {
        const char *id = clocks[i];
        bool is_fast = g_str_equal(id, "fast");

        g_string_append_printf(args, " -object host-clock-%s,id=%s%s"
                               " -object host-clock-scaled,id=slow-%s,"
                               "clock=%s,rate=1/%d",
                               is_fast ? "scaled" : id, id,
                               is_fast ? ",rate=3/2" : "", id, id, SLOWNESS);
    }
    return g_string_free(args, false);
}

/* Interrupts that come again and again, by a flag that this test clears */
typedef struct Ticks {
    const char *name;
    int64_t period_ns;
    /* VM time of the first one and of the last look; how many it has seen */
    int64_t first_ns;
    int64_t last_ns;
    int64_t n;
    /* How many can have been one, as the flag was not cleared in between */
    int64_t merged;
} Ticks;

typedef struct Load {
    VM *vm;
    int64_t now_ns;
    Ticks rtc, hpet;
    /* Timer 1: when it is due; 0: it is not armed */
    int64_t due_ns;
    int64_t shots;
} Load;

static void hpet_write(Load *l, unsigned int reg, uint64_t value)
{
    qtest_writeq(l->vm->qts, HPET_BASE + reg, value);
}

/* The VM's time, which never goes back */
static int64_t vm_ns(Load *l)
{
    int64_t ns = hpet_read(l->vm, &(Span) {}) * HPET_TICK_NS;

    g_assert_cmpint(ns, >=, l->now_ns);
    l->now_ns = ns;
    return ns;
}

static void look_at(Load *l, Ticks *t, bool is_set)
{
    int64_t ns = vm_ns(l);

    if (is_set && !t->n++) {
        t->first_ns = ns;
    } else if (t->n) {
        t->merged += (ns - t->last_ns) / t->period_ns;
    }
    t->last_ns = ns;
}

/* Timer 1 has fired once if it is due, and not otherwise. */
static void look_at_shot(Load *l, bool is_set)
{
    if (is_set) {
        g_assert_cmpint(l->due_ns, >, 0);
        g_assert_cmpint(vm_ns(l), >=, l->due_ns);
        l->due_ns = 0;
        l->shots++;
    } else if (l->due_ns) {
        g_assert_cmpint(vm_ns(l), <, l->due_ns + LATE_NS);
    }
    if (!l->due_ns && g_test_rand_bit()) {
        l->due_ns = vm_ns(l) + g_test_rand_int_range(1, 3 * MS / 10) * 10;
        hpet_write(l, T1 + 8, l->due_ns / HPET_TICK_NS);
    }
}

static void look(Load *l)
{
    uint64_t status;

    look_at(l, &l->rtc, cmos_read(l->vm, RTC_REG_C) & REG_C_PF);
    status = qtest_readq(l->vm->qts, HPET_BASE + HPET_STATUS) & 3;
    hpet_write(l, HPET_STATUS, status);
    look_at(l, &l->hpet, status & 1);
    look_at_shot(l, status & 2);
}

static void load_start(Load *l)
{
    uint32_t route = HPET_TN_TYPE_LEVEL | HPET_TN_ENABLE |
                     LINE << HPET_TN_INT_ROUTE_SHIFT;

    hpet_enable(l->vm);
    hpet_write(l, HPET_CFG, 0);
    hpet_write(l, 0x100 + HPET_TN_CFG, route | HPET_TN_PERIODIC |
               HPET_TN_SETVAL);
    hpet_write(l, 0x100 + HPET_TN_CMP, HPET_PERIOD_NS / HPET_TICK_NS);
    hpet_write(l, 0x100 + HPET_TN_CMP, HPET_PERIOD_NS / HPET_TICK_NS);
    hpet_write(l, T1, route + (1 << HPET_TN_INT_ROUTE_SHIFT));
    hpet_write(l, HPET_CFG, 1);
    cmos_write(l->vm, RTC_REG_A, 0x20 | RTC_RATE);
    cmos_write(l->vm, RTC_REG_B, REG_B_24H | REG_B_PIE);
    cmos_read(l->vm, RTC_REG_C);
}

/*
 * As many as there were periods.  The first and the last look can be late by a
 * tick; and what came twice between two looks cannot be told from one.
 */
static void check_ticks(const Ticks *t)
{
    int64_t periods = (t->last_ns - t->first_ns) / t->period_ns + 1;

    g_test_message("%s: %" PRId64 " interrupts in %" PRId64 " periods; up to %"
                   PRId64 " could not be told from the one before",
                   t->name, t->n, periods, t->merged);
    g_assert_cmpint(t->n, <=, periods + 1);
    g_assert_cmpint(t->n + t->merged, >=, periods - 1);
}

/* @prefix: of the IDs; @span_ns: VM time from switch to switch, at most */
static void check_load(Setting setting, const char *prefix, int64_t span_ns)
{
    g_autofree char *args = clock_args();
    Load l = {
        .vm = vm_start("dynticks", setting, "utc", args),
        .rtc = { "RTC", RTC_PERIOD_NS }, .hpet = { "HPET", HPET_PERIOD_NS },
    };
    int switches = g_test_slow() ? 10000 : 200;

    for (int i = 0; i < switches && !g_test_failed(); i++) {
        const char *name = clocks[g_test_rand_int_range(0, ARRAY_SIZE(clocks))];
        g_autofree char *id = g_strconcat(prefix, name, NULL);
        int64_t end_ns = vm_ns(&l) + g_test_rand_int_range(0, span_ns);

        g_assert_null(set(l.vm->qts, "/machine", "host-clock", id));
        if (i == 0) {
            load_start(&l);
        }
        do {
            look(&l);
        } while (vm_ns(&l) < end_ns && !g_test_failed());
    }
    g_test_message("%d switches, %" PRId64 " shots", switches, l.shots);
    check_ticks(&l.rtc);
    check_ticks(&l.hpet);
    g_assert_cmpint(l.shots, >, switches / 50);
    vm_quit(l.vm);
}

static void test_load(const void *opaque)
{
    check_load(GPOINTER_TO_INT(opaque), "", 4 * MS);
}

static void test_count(const void *opaque)
{
    check_load(GPOINTER_TO_INT(opaque), "slow-", 2 * MS);
}

int main(int argc, char **argv)
{
    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();

    qtest_add_func("/host-clock-switch/to-another", test_change);
    qtest_add_func("/host-clock-switch/step", test_change_step);
    qtest_add_func("/host-clock-switch/qtest", test_change_qtest);
    qtest_add_func("/host-clock-switch/rate", test_rate);
    for (Setting setting = 0; setting < SET__MAX; setting++) {
        g_autofree char *load = g_strdup_printf("/host-clock-switch/load/%s",
                                                setting_names[setting]);
        g_autofree char *count = g_strdup_printf("/host-clock-switch/count/%s",
                                                 setting_names[setting]);

        qtest_add_data_func(load, GINT_TO_POINTER(setting), test_load);
        qtest_add_data_func(count, GINT_TO_POINTER(setting), test_count);
    }
    return g_test_run();
}
