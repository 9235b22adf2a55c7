/*
 * No fault of time can hurt: a migration to a host with another time
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-fault.h"

static VM *migrate(VM *from, const Case *c, int64_t told_ns)
{
    g_autofree char *args = g_strdup_printf("%s -incoming defer",
                                            c->args ?: "");
    VM *to = vm_start(c->source, c->setting, "utc", args);
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("host-clock-fault-test-XXXXXX", &path, NULL);

    g_assert(fd >= 0);
    close(fd);
    vm_qmp(from, "stop");
    migrate_to_file(from, path);
    if (vm_is_manual(to)) {
        to->manual_ns = told_ns;
        vm_wall_step(to, told_ns);
    } else {
        to->virtual_ns = told_ns;
        qtest_clock_set(to->qts, told_ns);
    }
    migrate_from_file(to, path);
    unlink(path);
    vm_quit(from);
    vm_qmp(to, "cont");
    return to;
}

/* The first interrupt within a period, the others one period apart */
static void check_goes_on(VM *vm, uint8_t rate)
{
    int n;

    cmos_read(vm, RTC_REG_C);
    for (n = 0; n <= 8; n++) {
        vm_pass(vm, eighths(rate, 1));
        if (cmos_read(vm, RTC_REG_C) & REG_C_PF) {
            break;
        }
    }
    g_assert_cmpint(n, <=, 8);
    vm_pass(vm, eighths(rate, 1) / 2);
    for (n = 0; n < PERIODS; n++) {
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
        vm_pass(vm, eighths(rate, 8));
        g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, REG_C_PF);
    }
}

/* The destination's wall clock is off by a step. */
void test_step_in_migration(const Case *c)
{
    VM *vm = start(c);
    int64_t before, after;

    arm_all(vm, RATE_MIN);
    vm_pass(vm, NS / 3);
    before = rtc_read_date(vm, NULL);
    vm = migrate(vm, c, told(vm) + c->step_s * NS);
    after = rtc_read_date(vm, NULL);
    /* Under clock=rt a second starts when the state is loaded. */
    g_assert_cmpint(after, ==, before + moved(c));
    check_goes_on(vm, RATE_MIN);
    vm_quit(vm);
}

/*
 * The periodic interrupt is in the stream by wall time: if it has been due for
 * two seconds it is there at once, and the phase is that of the source.
 */
void test_late_migration(const Case *c)
{
    VM *vm = start(c);

    arm_all(vm, RATE_MAX);
    vm_pass(vm, eighths(RATE_MAX, 2));
    vm = migrate(vm, c, told(vm) + eighths(RATE_MAX, 4 * 8));
    vm_pass(vm, 1);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, REG_C_PF);
    vm_pass(vm, eighths(RATE_MAX, 6) - RTC_CYCLE_NS);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, 0);
    vm_pass(vm, 2 * RTC_CYCLE_NS);
    g_assert_cmphex(cmos_read(vm, RTC_REG_C) & REG_C_PF, ==, REG_C_PF);
    vm_quit(vm);
}

/*
 * QEMU's clock is a minute ahead when it looks at its timers again.  Loading
 * the state does not start the periodic timer anew up to 60 s.
 */
#define LATE_NS (60 * NS - MS)

static VM *start_late(const Case *c, int64_t *cpu)
{
    int64_t best_ns = INT64_MAX;
    VM *vm = NULL;

    for (int i = 0; i < STALL_TRIES; i++) {
        int64_t begin_ns;

        if (vm) {
            vm_quit(vm);
        }
        vm = start(c);
        arm_all(vm, RATE_MIN);
        vm_pass(vm, NS / 3);
        vm = migrate(vm, c, told(vm) + LATE_NS);
        begin_ns = vm_cpu_ns(vm);
        qtest_clock_step(vm->qts, 1);
        vm->virtual_ns++;
        best_ns = MIN(best_ns, vm_cpu_ns(vm) - begin_ns);
    }
    *cpu = best_ns;
    return vm;
}

/* How many interrupts in a row, with no time between them, does it get? */
static int burst(VM *vm)
{
    int n = 0;

    while (n < 1000 && cmos_read(vm, RTC_REG_C) & REG_C_PF) {
        n++;
    }
    return n;
}

void test_stall(const Case *c)
{
    int64_t cpu;
    VM *vm = start_late(c, &cpu);

    g_test_message("%" PRId64 " us of processor time", cpu / 1000);
    g_assert_cmpint(cpu, <=, STALL_NS);
    if (c->args && strstr(c->args, "slew")) {
        /* RTC_REINJECT_ON_ACK_COUNT more, then the timer's turn again */
        g_assert_cmpint(burst(vm), <=, 21);
        cpu = vm_cpu_ns(vm);
        vm_pass(vm, NS);
        /* At most 8 times the rate, 65536 callbacks of a microsecond */
        g_assert_cmpint(vm_cpu_ns(vm) - cpu, <=, NS);
        g_assert_cmpint(burst(vm), <=, 21);
    } else {
        g_assert_cmpint(burst(vm), <=, 1);
        check_goes_on(vm, RATE_MIN);
    }
    vm_quit(vm);
}
