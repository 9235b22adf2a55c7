/*
 * No fault of time can hurt: wall steps, stalls, zones
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Tests are at /host-clock/<source>/<setting>/fault/<name>.  Nearly all are on
 * the manual clock, where interrupts are counted to the last one.  What takes
 * a wall clock of the host's that can be set is in qtest/stock-faults of the
 * project that this comes from.
 */

#include "qemu/osdep.h"
#include "host-clock-fault.h"
#include "qobject/qdict.h"

/*
 * One look in the middle of each period, from half a period after the timer was
 * started: each must find exactly one interrupt.  The wall clock steps between
 * two of the looks.
 */
static void check_periods(VM *vm, uint8_t rate, int64_t step_s)
{
    int64_t start_ns = told(vm);

    for (int n = 0; n <= PERIODS; n++) {
        vm_pass(vm, start_ns + eighths(rate, 8 * n + 4) - told(vm));
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==,
                        n ? REG_C_PF : 0);
        if (n == PERIODS / 2) {
            vm_wall_step(vm, step_s * NS);
            g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
        }
    }
}

/* Seconds end half a second after the date was set, and every second then. */
static void check_seconds(VM *vm, int64_t set_ns, int64_t date)
{
    int64_t gone_ns = told(vm) - set_ns + NS / 2;
    int64_t gone_s = gone_ns / NS;

    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date + gone_s);
    vm_pass(vm, NS - gone_ns % NS - 1);
    cmos_read(vm, RTC_REG_C);
    for (int n = 1; n <= 2; n++) {
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & (REG_C_UF | REG_C_AF), ==,
                        0);
        vm_pass(vm, n == 1 ? 1 : NS);
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & (REG_C_UF | REG_C_AF), ==,
                        REG_C_UF | REG_C_AF);
        g_assert_cmpint(rtc_read_date(vm, NULL), ==, date + gone_s + n);
    }
}

static void test_step(const Case *c)
{
    VM *vm = start(c);

    for (uint8_t rate = RATE_MIN; rate <= RATE_MAX; rate++) {
        int64_t set_ns = told(vm);

        arm_all(vm, rate);
        check_periods(vm, rate, c->step_s);
        check_seconds(vm, set_ns, DATE + moved(c));
        vm_wall_step(vm, -c->step_s * NS);
    }
    vm_quit(vm);
}

/* The VM is stopped while the wall clock is set. */
static void test_step_while_stopped(const Case *c)
{
    VM *vm = start(c);
    int64_t set_ns = told(vm);

    arm_all(vm, 6);
    vm_pass(vm, eighths(6, 4));
    vm_qmp(vm, "stop");
    vm_wall_step(vm, c->step_s * NS);
    vm_qmp(vm, "cont");
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
    for (int n = 0; n < PERIODS; n++) {
        vm_pass(vm, eighths(6, 8));
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, REG_C_PF);
    }
    check_seconds(vm, set_ns, DATE + moved(c));
    vm_quit(vm);
}

static int64_t cpu_of_step(VM *vm, int64_t step_s)
{
    int64_t begin_ns = vm_cpu_ns(vm);

    vm_wall_step(vm, step_s * NS);
    cmos_read(vm, RTC_REG_C);
    return vm_cpu_ns(vm) - begin_ns;
}

/* Stock QEMU runs the periods that a step has jumped over, one by one. */
static void test_step_stall(const Case *c)
{
    int64_t best_ns = INT64_MAX;
    VM *vm = start(c);

    arm_all(vm, RATE_MIN);
    for (int i = 0; i < STALL_TRIES; i++) {
        vm_pass(vm, NS / 3);
        best_ns = MIN(best_ns, cpu_of_step(vm, c->step_s));
        vm_wall_step(vm, -c->step_s * NS);
    }
    vm_quit(vm);
    g_test_message("%" PRId64 " us of processor time", best_ns / 1000);
    g_assert_cmpint(best_ns, <=, STALL_NS);
}

/* An alarm half an hour ahead, under a step of an hour */
static VM *start_with_alarm(const Case *c)
{
    VM *vm = start(c);

    rtc_set_date(vm, DATE, 6);
    /* DATE is 01:46:40 */
    cmos_write(vm, RTC_SECONDS_ALARM, 40);
    cmos_write(vm, RTC_MINUTES_ALARM, 16);
    cmos_write(vm, RTC_HOURS_ALARM, 2);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM | REG_B_AIE);
    vm_pass(vm, NS);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_AF, ==, 0);
    return vm;
}

static void check_no_alarm_for(VM *vm, int64_t seconds)
{
    vm_pass(vm, seconds * NS);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_AF, ==, 0);
    g_assert_false(qtest_get_irq(vm->qts, RTC_IRQ));
}

static void test_alarm_jumped_over(const Case *c)
{
    VM *vm = start_with_alarm(c);

    vm_wall_step(vm, HOUR * NS);
    if (c->setting == SET_HOST) {
        g_assert_true(qtest_get_irq(vm->qts, RTC_IRQ));
        g_assert_cmphex(cmos_read(vm, RTC_REG_C), ==,
                        REG_C_IRQF | REG_C_AF | REG_C_UF);
        /* Once; the next time is tomorrow. */
        check_no_alarm_for(vm, 2 * HOUR);
        check_no_alarm_for(vm, 21 * HOUR + HOUR / 2 - 5);
    } else {
        check_no_alarm_for(vm, HOUR / 2 - 5);
    }
    vm_pass(vm, 10 * NS);
    g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_AF);
    vm_quit(vm);
}

static void test_alarm_after_step_back(const Case *c)
{
    VM *vm = start_with_alarm(c);

    vm_wall_step(vm, -HOUR * NS);
    check_no_alarm_for(vm, HOUR / 2 - 5 +
                       (c->setting == SET_HOST ? HOUR : 0));
    vm_pass(vm, 10 * NS);
    g_assert_true(cmos_read(vm, RTC_REG_C) & REG_C_AF);
    vm_quit(vm);
}

/* The guest writes hour, then minute; the host's clock is set in between. */
static void test_step_between_writes(const Case *c, uint8_t set)
{
    VM *vm = start(c);
    g_autoptr(GDateTime) date = NULL;
    int64_t expected;

    rtc_set_date(vm, DATE, 6);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM | set);
    cmos_write(vm, RTC_HOURS, 12);
    vm_wall_step(vm, c->step_s * NS);
    cmos_write(vm, RTC_MINUTES, 46);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM);

    date = g_date_time_new_utc(2001, 9, 9, 12, 46, 40);
    expected = g_date_time_to_unix(date);
    /* With SET the date is the one that was there when SET was cleared. */
    expected += set ? 0 : moved(c);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, expected);
    vm_pass(vm, NS);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, expected + 1);
    vm_quit(vm);
}

static void test_step_between_writes_set(const Case *c)
{
    test_step_between_writes(c, REG_B_SET);
}

static void test_step_between_writes_running(const Case *c)
{
    test_step_between_writes(c, 0);
}

/* Zones */

typedef struct Zone {
    const char *name;
    const char *tz;
    /* At MANUAL_WALL_S, and 10 s later */
    int offset_s, later_s;
} Zone;

/* The manual clock starts at 12:00 UTC on the 60th day of a year. */
static const Zone zones[] = {
    { "utc+5:45", "<+0545>-5:45", 20700, 20700 },
    { "utc-9:30", "<-0930>9:30", -34200, -34200 },
    { "utc+12:45", "<+1245>-12:45", 45900, 45900 },
    { "utc+14", "<+14>-14", 50400, 50400 },
    { "dst/before-begin", "AAA-1BBB,J60/13:00:05,J300", 3600, 7200 },
    { "dst/after-begin", "AAA-1BBB,J60/12:59:55,J300", 7200, 7200 },
    { "dst/before-end", "AAA-1BBB,J300,J60/14:00:05", 7200, 3600 },
    { "dst/after-end", "AAA-1BBB,J300,J60/13:59:55", 3600, 3600 },
    { "dst/half-an-hour", "<+1030>-10:30<+11>-11,J300,J60/23:00:05",
      39600, 37800 },
};

static int64_t rtc_change(VM *vm)
{
    QDict *event = qtest_qmp_eventwait_ref(vm->qts, "RTC_CHANGE");
    int64_t offset = qdict_get_int(qdict_get_qdict(event, "data"), "offset");

    qobject_unref(event);
    return offset;
}

/* Like a chip, the RTC goes on when the host's zone switches. */
static void test_zone(const Zone *zone, Setting setting)
{
    VM *vm;
    int64_t date = MANUAL_WALL_S + zone->offset_s;

    g_setenv("TZ", zone->tz, true);
    vm = vm_start("manual", setting, "localtime", "");
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date);
    vm_pass(vm, 10 * NS);
    g_assert_cmpint(rtc_read_date(vm, NULL), ==, date + 10);

    /* A guest that sets the hour when the host does is not off. */
    rtc_set_date(vm, MANUAL_WALL_S + 10 + zone->later_s, 6);
    g_assert_cmpint(rtc_change(vm), ==, 0);
    vm_quit(vm);
    g_setenv("TZ", TEST_TZ, true);
}

/* The list */

static const struct {
    const char *name;
    int64_t step_s;
} steps[] = {
    { "+1s", 1 }, { "-1s", -1 }, { "+1h", HOUR }, { "-1h", -HOUR },
    { "+10y", YEARS_10 }, { "-10y", -YEARS_10 },
    { "to-epoch", -MANUAL_WALL_S },
};

static const struct {
    const char *name;
    CaseTest *fn;
} step_tests[] = {
    { "step", test_step },
    { "step-while-stopped", test_step_while_stopped },
    { "step-stall", test_step_stall },
    { "step-between-writes", test_step_between_writes_set },
    { "step-between-writes-running", test_step_between_writes_running },
    { "step-in-migration", test_step_in_migration },
};

typedef struct Test {
    Case c;
    CaseTest *fn;
    const Zone *zone;
} Test;

static void run_test(const void *opaque)
{
    const Test *test = opaque;

    if (test->zone) {
        test_zone(test->zone, test->c.setting);
    } else {
        test->fn(&test->c);
    }
}

static void add(const char *source, Setting setting, const char *name,
                const char *variant, Test test)
{
    g_autofree char *path = g_strdup_printf("/host-clock/%s/%s/fault/%s%s%s",
                                            source, setting_names[setting],
                                            name, variant ? "/" : "",
                                            variant ?: "");
    Test *copy = g_memdup2(&test, sizeof(test));

    copy->c.source = source;
    copy->c.setting = setting;
    qtest_add_data_func_full(path, copy, run_test, g_free);
}

static void add_steps(Setting setting)
{
    for (int i = 0; i < ARRAY_SIZE(step_tests); i++) {
        for (int j = 0; j < ARRAY_SIZE(steps); j++) {
            add("manual", setting, step_tests[i].name, steps[j].name,
                (Test) { { .step_s = steps[j].step_s },
                         .fn = step_tests[i].fn });
        }
    }
    add("manual", setting, "alarm-jumped-over", NULL,
        (Test) { .fn = test_alarm_jumped_over });
    add("manual", setting, "alarm-after-step-back", NULL,
        (Test) { .fn = test_alarm_after_step_back });
}

static void add_stalls(void)
{
    add("default", SET_VM, "stall-60s", "none",
        (Test) { .fn = test_stall });
    add("default", SET_VM, "stall-60s", "slew",
        (Test) { { .args = "-global mc146818rtc.lost_tick_policy=slew" },
                 .fn = test_stall });
}

int main(int argc, char **argv)
{
    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);

    for (Setting setting = 0; setting < SET__MAX; setting++) {
        add_steps(setting);
        for (int i = 0; i < ARRAY_SIZE(zones); i++) {
            add("manual", setting, "zone", zones[i].name,
                (Test) { .zone = &zones[i] });
        }
    }
    add("manual", SET_HOST, "late-migration", NULL,
        (Test) { .fn = test_late_migration });
    add_stalls();
    return g_test_run();
}
