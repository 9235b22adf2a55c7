/*
 * Host clocks: a device whose clock is added while the VM runs, on a simulated
 * host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-change-test.h"

/* Nothing may keep the main loop for longer; it is the BQL's, too. */
/* A look for the beginning of a tick, and the sample that is its last */
#define BUSY_NS     (2 * MS + 100 * US)
/* A tick of an RTC, and what it takes to find it.  It is not sampled before. */
#define ACQUIRE_NS  (SEC + 20 * MS)
/* How well the beginning of a tick is known then */
#define KNOWN_NS    (6 * MS)

/* A VM that runs on dynticks */
static void start_vm(void)
{
    choose_clock("dynticks");
    sim_advance(SEC);
}

/* Opening returns at once, and leaves the rest to the main loop. */
static HostClock *begin(const char *name)
{
    int64_t begin_ns = sim_mono_ns();
    HostClock *hc;

    memset(&said, 0, sizeof(said));
    hc = add(name, "new", "");
    g_assert_cmpint(sim_mono_ns() - begin_ns, <=, BUSY_NS);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_ACQUIRING);
    sim_main_loop();
    g_assert_cmpint(said.states, ==, 0);
    return hc;
}

/* It can neither be chosen nor scaled, and the error says why. */
static void check_not_yet(HostClock *hc, const char *state)
{
    HostClock *old = host_clock_machine();
    Error *err = NULL;

    g_assert_false(host_clock_switch(hc, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), "host-clock=new: "));
    g_assert_nonnull(strstr(error_get_pretty(err), state));
    error_free(err);
    g_assert_true(host_clock_machine() == old);
    err = NULL;
    g_assert_null(try_add("scaled", "s", "clock=new", &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), "clock=new: "));
    g_assert_nonnull(strstr(error_get_pretty(err), state));
    error_free(err);
}

static void end(HostClock *hc)
{
    sim_object_del(OBJECT(hc));
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
    g_assert_cmpuint(sim_timers(), ==, 0);
}

/* It has what it needs: one event, the right time, and it can be chosen. */
static void check_running(HostClock *hc)
{
    int64_t true_ns;

    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(said.states, ==, 1);
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(said.steps, ==, 0);
    g_assert_cmpuint(hc->generation, ==, 0);
    g_assert_cmpint(sim_busy_ns(), <=, BUSY_NS);
    true_ns = g_str_equal(host_clock_name(hc), "rtc") ? sim_rtc_ns() :
                                                        sim_real_ns();
    g_assert_cmpint(ABS(wall(hc) - true_ns), <=, KNOWN_NS);
    g_assert_true(host_clock_switch(hc, &error_abort));
    g_assert_true(host_clock_machine() == hc);
}

static void test_acquire(const void *name)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    hc = begin(name);
    check_not_yet(hc, "'acquiring'");
    sim_advance(ACQUIRE_NS);
    check_running(hc);
}

/* Whatever the main loop has to do meanwhile, and is late with */
static void test_late(void)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    sim_timers_late(5 * MS);
    hc = begin("rtc");
    sim_advance(12 * SEC);
    check_running(hc);
}

/* What is opened at the start is open when the VM starts. */
static void test_at_start(void)
{
    HostClock *hc = open_clock("rtc");

    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(ABS(wall(hc) - sim_rtc_ns()), <=, KNOWN_NS);
    g_assert_cmpint(said.states, ==, 0);
    close_clock(hc);
}

/* Changed its mind */
static void test_delete(const void *name)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    hc = begin(name);
    sim_advance(g_str_equal(name, "rtc") ? 100 * MS : 0);
    g_assert_cmpint(said.states, ==, 0);
    end(hc);
    sim_advance(HOUR);
    g_assert_cmpint(said.states, ==, 0);
}

/* CLOCK_REALTIME is set meanwhile: no step of a clock that was not there */
static void test_step(const void *name)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    hc = begin(name);
    sim_set_realtime_quietly(HOUR);
    sim_advance(ACQUIRE_NS);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpuint(hc->generation, ==, 0);
    /* dynticks has stepped. */
    g_assert_cmpint(said.steps, ==, 1);
    sim_set_realtime(-HOUR);
    sim_advance(SEC);
    g_assert_cmpuint(hc->generation, ==, !g_str_equal(name, "rtc"));
}

/* Failures */

/* It has failed: told once, with the reason, and nothing of it goes on. */
static void check_failed(HostClock *hc, const char *reason)
{
    unsigned reads;

    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpint(said.states, ==, 1);
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_nonnull(strstr(said.reason, reason));
    g_assert_cmpint(said.messages, ==, 1);
    g_assert_cmpint(sim_busy_ns(), <=, BUSY_NS);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    check_not_yet(hc, "'holdover'");
    reads = sim_dev_reads();
    sim_advance(HOUR);
    g_assert_cmpint(said.states, ==, 1);
    g_assert_cmpuint(sim_dev_reads(), ==, reads);
    /* It can be asked all the same, as query-host-clocks does. */
    g_assert_cmpint(mono(hc), >=, 0);
    end(hc);
}

typedef struct Failure {
    const char *path;
    const char *name;
    void (*fail)(void);
    const char *reason;
    /* The first sample would be enough to see that it was moving. */
    bool is_before;
} Failure;

static void fail_hpet_stops(void)
{
    sim_hpet.stopped = true;
}

static void fail_rtc_stops(void)
{
    /* So slow that it stands still */
    sim_rtc.ppm = -1000000;
}

static void fail_rtc_gone(void)
{
    sim_rtc.gone = true;
}

static void fail_rtc_read(void)
{
    sim_rtc.read_errno = EIO;
}

static void fail_hpet_gone(void)
{
    sim_hpet.open_errno = ENODEV;
}

static void fail_busy(void)
{
    sim_hpet.others = sim_hpet.comparators;
    sim_rtc.busy = true;
    sim_rtc.no_sysfs = true;
}

static void test_fail(const void *opaque)
{
    const Failure *f = opaque;
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    if (f->is_before) {
        f->fail();
    }
    hc = begin(f->name);
    f->fail();
    sim_advance(12 * SEC);
    check_failed(hc, f->reason);
}

/* Others have the device, for a while or for ever. */
static void test_busy(const void *name)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    fail_busy();
    sim_hpet.others_stay = sim_rtc.busy_stays = 7;
    hc = begin(name);
    check_not_yet(hc, "'acquiring'");
    sim_advance(2 * ACQUIRE_NS);
    check_running(hc);
}

static void test_always_busy(const void *name)
{
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    fail_busy();
    hc = begin(name);
    sim_advance(MS);
    check_not_yet(hc, "'acquiring'");
    g_assert_cmpint(mono(hc), >=, 0);
    sim_advance(12 * SEC);
    check_failed(hc, g_strerror(EBUSY));
}

/* Where nothing is to be had at all, there is no object. */
static void test_missing(void)
{
    Error *err = NULL;

    if (sim_in_subprocess()) {
        return;
    }
    start_vm();
    sim_hpet.missing = true;
    g_assert_null(try_add("hpet", "new", "", &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "/dev/hpet"));
    error_free(err);
    g_assert_cmpuint(sim_timers(), ==, 0);
    g_assert_cmpint(sim_dev_files(), ==, 0);
}

static void add_both(const char *path, GTestDataFunc func)
{
    static const char *const names[] = { "hpet", "rtc" };

    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        g_autofree char *full = g_strdup_printf("/host-clock/acquire/%s/%s",
                                                path, names[i]);

        g_test_add_data_func(full, names[i], func);
    }
}

int main(int argc, char **argv)
{
    static const Failure failures[] = {
        { "hpet-stops", "hpet", fail_hpet_stops, "stands still", true },
        { "hpet-gone", "hpet", fail_hpet_gone, "No such device" },
        { "rtc-stops", "rtc", fail_rtc_stops, "stands still" },
        { "rtc-gone", "rtc", fail_rtc_gone, "/dev/rtc0" },
        { "rtc-read", "rtc", fail_rtc_read, "Input/output error" },
        { "rtc-busy", "rtc", fail_busy, "busy" },
    };

    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/acquire/" path, fn)
    add_both("running", test_acquire);
    ADD("late", test_late);
    ADD("at-start", test_at_start);
    add_both("delete", test_delete);
    add_both("step", test_step);
    add_both("busy", test_busy);
    add_both("always-busy", test_always_busy);
    for (int i = 0; i < ARRAY_SIZE(failures); i++) {
        g_autofree char *path = g_strconcat("/host-clock/acquire/fail/",
                                            failures[i].path, NULL);

        g_test_add_data_func(path, &failures[i], test_fail);
    }
    ADD("missing", test_missing);
    return g_test_run();
}
