/*
 * One VM, one time: host-clock-advance and what goes on beside it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-vm.h"
#include "qobject/qdict.h"

#define DAY_NS          (86400 * NS)
/* 8192 Hz: a day of it is 700 million interrupts, and takes ten minutes. */
#define FASTEST         3

/* host-clock-advance and what else is sent meanwhile, by their "id" */
typedef enum Id { ADVANCE = 1, CANCEL, __MAX } Id;

static Process *start(void)
{
    Process *p = process_start(MANUAL_ARGS);

    process_enable_oob(p);
    process_ready(p);
    return p;
}

static void begin_long_advance(Process *p)
{
    process_cmos_write(p, RTC_REG_A, 0x20 | FASTEST);
    process_cmos_write(p, RTC_REG_B, REG_B_24H | REG_B_PIE);
    process_send(p, "{'execute': 'host-clock-advance', 'id': %d, 'arguments':"
                 " { 'id': '" MANUAL_ID "', 'ns': %lld } }\n", ADVANCE, DAY_NS);
}

/* Check that both replies come, in any order, and what they are. */
static void cancel(Process *p)
{
    bool seen[__MAX] = {};

    process_send(p, "{'exec-oob': 'host-clock-advance-cancel', 'id': %d}\n",
                 CANCEL);
    for (int i = 0; i < 2; i++) {
        QDict *reply = process_receive(p, BOUND_S);
        int64_t id = reply ? qdict_get_try_int(reply, "id", 0) : 0;

        if (id == ADVANCE && qdict_haskey(reply, "error")) {
            check_says(g_strdup(qdict_get_str(qdict_get_qdict(reply, "error"),
                                              "desc")), "cancelled");
            seen[ADVANCE] = true;
        } else if (id == CANCEL) {
            seen[CANCEL] = qdict_haskey(reply, "return");
        }
        qobject_unref(reply);
    }
    g_assert_true(seen[ADVANCE]);
    g_assert_true(seen[CANCEL]);
}

/* Time has passed, but not all of it. */
static void check_part(Process *p)
{
    int64_t ns = manual_mono_ns(p);

    g_assert_cmpint(ns, >, 0);
    g_assert_cmpint(ns, <, DAY_NS);
}

/* Others are served */

/*
 * A slice takes 5 ms at most, and what comes is served between two of them.  A
 * busy host may let the emulator wait, or this test, so the slice is measured
 * in the emulator's processor time, and in the middle of many.  In real time an
 * answer that waited for the whole day would be ten minutes late.
 */
#define SLICE_NS        (5 * MS * host_clock_slowness())
#define ANSWERS         200
#define ANSWER_NS       (NS * host_clock_slowness())

static int64_t cpu_ns(Process *p)
{
    struct timespec ts;
    clockid_t id;

    g_assert_cmpint(clock_getcpuclockid(process_pid(p), &id), ==, 0);
    g_assert_cmpint(clock_gettime(id, &ts), ==, 0);
    return ts.tv_sec * NS + ts.tv_nsec;
}

static int compare_ns(gconstpointer a, gconstpointer b)
{
    int64_t x = *(int64_t *)a, y = *(int64_t *)b;

    return x < y ? -1 : x > y;
}

static void test_served(void)
{
    Process *p = start();
    int64_t cpu[ANSWERS], real[ANSWERS];

    begin_long_advance(p);
    for (int i = 0; i < ANSWERS; i++) {
        int64_t begin = now_ns(), begin_cpu = cpu_ns(p);

        process_qtest_value(p, "inb 0x71");
        cpu[i] = cpu_ns(p) - begin_cpu;
        real[i] = now_ns() - begin;
        /* Not in step with the slices */
        g_usleep(g_test_rand_int_range(0, 5000));
    }
    qsort(cpu, ANSWERS, sizeof(cpu[0]), compare_ns);
    qsort(real, ANSWERS, sizeof(real[0]), compare_ns);
    g_test_message("half of the answers within %" PRId64 " us, all within %"
                   PRId64 " us; %" PRId64 " us of processor time",
                   real[ANSWERS / 2] / 1000, real[ANSWERS - 1] / 1000,
                   cpu[ANSWERS / 2] / 1000);
    g_assert_cmpint(cpu[ANSWERS / 2], <=, SLICE_NS);
    g_assert_cmpint(real[ANSWERS * 95 / 100], <=, ANSWER_NS);
    cancel(p);
    check_part(p);
    process_end(p);
}

/* Cancelling */

static void test_cancel(void)
{
    Process *p = start();
    int64_t ns;

    begin_long_advance(p);
    sleep_ns(50 * MS);
    cancel(p);
    check_part(p);

    /* It does not linger, nor does one that came when there was nothing. */
    process_send(p, "{'exec-oob': 'host-clock-advance-cancel'}\n");
    qobject_unref(process_receive(p, BOUND_S));
    ns = manual_mono_ns(p);
    g_assert_null(manual_advance(p, MANUAL_ID, 123456));
    g_assert_cmpint(manual_mono_ns(p), ==, ns + 123456);
    process_end(p);
}

/* SIGTERM ends QEMU soon, which would take minutes if it waited. */
static void test_shutdown(void)
{
    Process *p = start();
    int64_t begin;

    begin_long_advance(p);
    sleep_ns(50 * MS);
    process_check_alive(p);
    begin = now_ns();
    kill(process_pid(p), SIGTERM);
    g_assert_true(process_wait_end(p, BOUND_S));
    g_test_message("ended after %lld ms", (now_ns() - begin) / MS);
    process_end(p);
}

/* Bad input */

/* While one client advances, another cannot. */
static void test_twice(void)
{
    Process *p = start();
    g_autofree char *reply = NULL;

    begin_long_advance(p);
    sleep_ns(50 * MS);
    reply = process_qtest(p, "clock_step 1000");
    g_assert_true(g_str_has_prefix(reply, "FAIL "));
    check_says(g_strdup(reply), "advanced already");
    cancel(p);
    check_part(p);
    g_assert_null(manual_advance(p, MANUAL_ID, 1));
    process_end(p);
}

static void test_bad(void)
{
    /* Centuries; the PIT alone would take hours. */
    Process *p = process_start(MANUAL_ARGS ",pit=off -object host-clock-unix,"
                               "id=u -object iothread,id=t");
    /* What is left until the end of time, and a ns more */
    int64_t end_ns = (INT64_MAX / NS - 365 * 86400LL - MANUAL_WALL_S) * NS;

    process_ready(p);
    check_says(manual_advance(p, MANUAL_ID, -1), "ns=-1:");
    check_says(manual_advance(p, MANUAL_ID, INT64_MIN),
               "ns=-9223372036854775808:");
    check_says(manual_advance(p, MANUAL_ID, INT64_MAX),
               "ns=9223372036854775807:");
    check_says(manual_advance(p, MANUAL_ID, end_ns + 1), "ns=");
    check_says(manual_advance(p, "u", 1), "host-clock-unix");
    check_says(manual_advance(p, "t", 1), "iothread");
    check_says(manual_advance(p, "nosuch", 1), "nosuch");
    check_says(manual_advance(p, "", 1), "");
    g_assert_cmpint(manual_mono_ns(p), ==, 0);
    g_assert_null(manual_advance(p, MANUAL_ID, end_ns));
    g_assert_cmpint(manual_mono_ns(p), ==, end_ns);
    /* Nothing has wrapped: 2026 + 235 years. */
    g_assert_cmpint(process_rtc_time(p), ==, MANUAL_WALL_S + end_ns / NS);
    check_says(manual_advance(p, MANUAL_ID, 1), "ns=1:");
    process_end(p);
}

/* With -icount QEMU_CLOCK_VIRTUAL counts instructions. */
static void test_icount(void)
{
    Process *p = process_start("-accel tcg -icount shift=3,sleep=on "
                               MANUAL_ARGS " -rtc clock=vm");

    process_ready(p);
    check_says(manual_advance(p, MANUAL_ID, 3 * DAY_NS), "-icount");
    g_assert_cmpint(manual_mono_ns(p), ==, 0);
    process_check_alive(p);
    process_end(p);
}

void add_advance_tests(void)
{
    qtest_add_func("/host-clock-vm/advance/served", test_served);
    qtest_add_func("/host-clock-vm/advance/cancel", test_cancel);
    qtest_add_func("/host-clock-vm/advance/shutdown", test_shutdown);
    qtest_add_func("/host-clock-vm/advance/twice", test_twice);
    qtest_add_func("/host-clock-vm/advance/bad", test_bad);
    qtest_add_func("/host-clock-vm/advance/icount", test_icount);
}
