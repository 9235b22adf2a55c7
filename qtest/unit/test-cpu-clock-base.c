/*
 * QEMU_CLOCK_VIRTUAL on another base than get_clock()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * system/cpu-timers.c is the real one; its bases are made up, so that all is
 * exact.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "hw/core/cpu.h"
#include "migration/vmstate.h"
#include "system/cpu-timers.h"
#include "system/cpus.h"

#define SEC NANOSECONDS_PER_SECOND

/* What system/cpu-timers.c needs besides, and this test does not */

bool qemu_in_vcpu_thread(void)
{
    return false;
}

void qemu_cpu_kick(CPUState *cpu)
{
}

void cpu_exit(CPUState *cpu)
{
}

void async_run_on_cpu(CPUState *cpu, run_on_cpu_func func, run_on_cpu_data data)
{
}

CPUTailQ cpus_queue = QTAILQ_HEAD_INITIALIZER(cpus_queue);
__thread CPUState *current_cpu;
const VMStateInfo vmstate_info_timer;

int64_t cpus_get_virtual_clock(void)
{
    return cpu_get_clock();
}

void cpus_set_virtual_clock(int64_t new_time)
{
}

/* Bases */

struct HostClock {
    int64_t ns;
};

static int64_t get_ns(struct HostClock *clock)
{
    return clock->ns;
}

/* It runs at twice the speed. */
static int64_t sleep_ns(struct HostClock *clock, int64_t delta_ns)
{
    return delta_ns / 2;
}

static struct HostClock clocks[2];
static CPUClockBase bases[2] = {
    { get_ns, sleep_ns, &clocks[0] },
    { get_ns, sleep_ns, &clocks[1] },
};

static void pass(int64_t ns)
{
    clocks[0].ns += ns;
    clocks[1].ns += ns;
}

static void reset(void)
{
    cpu_disable_ticks();
    clocks[0].ns = 5 * SEC;
    clocks[1].ns = 1000 * SEC;
    cpu_set_clock_base(&bases[0]);
}

static void test_stop(void)
{
    int64_t start;

    reset();
    start = cpu_get_clock();
    pass(SEC);
    g_assert_cmpint(cpu_get_clock(), ==, start);
    cpu_enable_ticks();
    pass(SEC);
    g_assert_cmpint(cpu_get_clock(), ==, start + SEC);
    cpu_disable_ticks();
    pass(SEC);
    g_assert_cmpint(cpu_get_clock(), ==, start + SEC);
}

/* However often, running or stopped, and to get_clock() and back */
static void test_move(void)
{
    int64_t now, before, after;

    reset();
    now = cpu_get_clock();
    for (int i = 0; i < 1000; i++) {
        if (i % 3) {
            cpu_enable_ticks();
            now += 7;
        } else {
            cpu_disable_ticks();
        }
        pass(7);
        g_assert_cmpint(cpu_get_clock(), ==, now);
        clocks[i % 2].ns += g_test_rand_int();
        now = cpu_get_clock();
        cpu_set_clock_base(&bases[i % 2]);
        g_assert_cmpint(cpu_get_clock(), ==, now);
    }
    cpu_enable_ticks();
    before = get_clock();
    cpu_set_clock_base(NULL);
    now = cpu_get_clock() - now;
    after = get_clock();
    g_assert_cmpint(now, >=, 0);
    g_assert_cmpint(now, <=, after - before);
}

/* A base that is moved while threads read: none of them sees time go back. */

static bool threads_end;

static void *reader(void *opaque)
{
    int64_t last = 0, now;
    int *backwards = opaque;

    while (!qatomic_read(&threads_end)) {
        now = cpu_get_clock();
        *backwards += now < last;
        last = now;
    }
    return NULL;
}

static int64_t get_real_ns(struct HostClock *clock)
{
    return get_clock() + clock->ns;
}

static void test_move_under_readers(void)
{
    static CPUClockBase real[2] = {
        { get_real_ns, sleep_ns, &clocks[0] },
        { get_real_ns, sleep_ns, &clocks[1] },
    };
    int backwards[2] = { 0, 0 };
    QemuThread threads[2];

    reset();
    cpu_set_clock_base(&real[0]);
    cpu_enable_ticks();
    for (int i = 0; i < 2; i++) {
        qemu_thread_create(&threads[i], "reader", reader, &backwards[i],
                           QEMU_THREAD_JOINABLE);
    }
    for (int i = 0; i < 100000; i++) {
        cpu_set_clock_base(i % 3 ? &real[i % 2] : NULL);
    }
    qatomic_set(&threads_end, true);
    for (int i = 0; i < 2; i++) {
        qemu_thread_join(&threads[i]);
        g_assert_cmpint(backwards[i], ==, 0);
    }
}

static void test_sleep(void)
{
    reset();
    g_assert_cmpint(cpus_virtual_clock_sleep_ns(SEC), ==, SEC / 2);
    g_assert_cmpint(cpus_virtual_clock_sleep_ns(-1), ==, -1);
    cpu_set_clock_base(NULL);
    g_assert_cmpint(cpus_virtual_clock_sleep_ns(SEC), ==, SEC);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop(&error_abort);
    cpu_timers_init();
    g_test_add_func("/cpu-clock-base/stop", test_stop);
    g_test_add_func("/cpu-clock-base/move", test_move);
    g_test_add_func("/cpu-clock-base/move-under-readers",
                    test_move_under_readers);
    g_test_add_func("/cpu-clock-base/sleep", test_sleep);
    return g_test_run();
}
