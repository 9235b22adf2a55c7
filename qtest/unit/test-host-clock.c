/*
 * Host clocks: readings, holdover and choice, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/option.h"
#include "qemu/config-file.h"
#include "qom/object_interfaces.h"
#include "host-clock-core-test.h"

/* Readings */

static void test_rate(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc), wall0 = wall(hc);

    assert_near(wall0, sim_real_ns());
    sim_advance(DAY);
    assert_near(mono(hc) - mono0, DAY);
    assert_near(wall(hc) - wall0, DAY);
    g_assert_cmpuint(hc->generation, ==, 0);
    close_clock(hc);
}

/* NTP does its work: all but the raw counter run with CLOCK_REALTIME. */
static void test_slewed(const void *name)
{
    bool is_raw = g_str_equal(name, "raw");

    for (int ppm = -500; ppm <= 500; ppm += 1000) {
        HostClock *hc = open_clock(name);
        int64_t mono0 = mono(hc);

        sim_slew(ppm);
        sim_advance(HOUR);
        sim_slew(0);
        assert_near(mono(hc) - mono0,
                    is_raw ? sim_raw_ns() - START_MONO :
                             sim_mono_ns() - START_MONO);
        g_assert_cmpint(llabs(sim_raw_ns() - sim_mono_ns()), >, SEC);
        close_clock(hc);
    }
}

/* A thread loses the CPU between two looks: the error says so. */
static void test_preempted(const void *name)
{
    HostClock *hc = open_clock(name);

    for (int n = 1; n < 8; n++) {
        int64_t before_ns, after_ns;
        HostClockReading r;

        /* The look for a step bears them all, as it looks again. */
        sim_preempt(20 * MS, n);
        before_ns = sim_real_ns();
        host_clock_read(hc, &r);
        after_ns = sim_real_ns();
        g_assert_cmpint(r.wall_ns, >=, before_ns);
        g_assert_cmpint(r.wall_ns, <=, after_ns);
        g_assert_cmpint(r.error_ns, <, LOOKS);
        /* It looks eight times; the ninth hits the reading. */
        sim_preempt(20 * MS, 9);
        host_clock_read(hc, &r);
        g_assert_cmpint(llabs(r.wall_ns - sim_real_ns()), <,
                        r.error_ns + LOOKS);
        g_assert_cmpint(r.error_ns, >=, 10 * MS);
        g_assert_cmpuint(hc->generation, ==, 0);
    }
    close_clock(hc);
}

static void test_epoch(void)
{
    HostClock *hc = open_clock("unix");

    assert_near(host_clock_start(hc)->mono_ns, START_REAL);
    sim_set_realtime(HOUR);
    assert_near(mono(hc), sim_real_ns() - HOUR);
    close_clock(hc);
}

/* The host is suspended: only boottime goes on. */
static void test_suspend(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc);

    sim_suspend(HOUR, false);
    sim_advance(SEC);
    assert_near(mono(hc) - mono0,
                SEC + (g_str_equal(name, "boottime") ? HOUR : 0));
    assert_near(wall(hc), START_REAL + HOUR + SEC);
    g_assert_cmpuint(hc->generation, ==, 1);
    close_clock(hc);
}

/* The reading when it was opened is an instant, and stays what it was. */
static void test_start(const void *name)
{
    HostClock *hc = open_clock(name);
    HostClockReading start = *host_clock_start(hc);

    assert_near(start.wall_ns, START_REAL);
    g_assert_cmpuint(start.generation, ==, 0);
    sim_advance(HOUR);
    sim_set_realtime(DAY);
    g_assert_cmpmem(&start, sizeof(start), host_clock_start(hc), sizeof(start));
    assert_near(mono(hc) - start.mono_ns, HOUR);
    close_clock(hc);
}

/* What a source leaves out */

static int64_t plain_error_ns(HostClock *hc)
{
    return made.error_ns;
}

static int64_t plain_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    return delta_ns / 2 - 1;
}

static void test_default_pair(void)
{
    HostClock *hc = open_made("plain");
    HostClockReading r;

    host_clock_read(hc, &r);
    g_assert_cmpint(r.mono_ns, >=, 5 * SEC);
    assert_near(r.mono_ns, 5 * SEC + sim_mono_ns() - START_MONO);
    assert_near(r.wall_ns, sim_real_ns());
    g_assert_cmpint(r.error_ns, >, 0);
    g_assert_cmpint(r.error_ns, <, LOOKS);
    /* Wall time is read between the two. */
    sim_preempt(20 * MS, 9);
    host_clock_read(hc, &r);
    g_assert_cmpint(llabs(r.mono_ns - (sim_mono_ns() - START_MONO + 5 * SEC) +
                          10 * MS), <, LOOKS);
    g_assert_cmpint(r.error_ns, >=, 10 * MS);
    close_clock(hc);
}

static void test_default_error(void)
{
    HostClock *hc = open_made("plain");
    HostClockClass *k = HOST_CLOCK_GET_CLASS(hc);
    HostClockReading r;

    k->error_ns = plain_error_ns;
    made.error_ns = 3 * MS;
    host_clock_read(hc, &r);
    k->error_ns = NULL;
    g_assert_cmpint(r.error_ns, >, 3 * MS);
    g_assert_cmpint(r.error_ns, <, 3 * MS + LOOKS);
    close_clock(hc);

    /* With a pair of its own a source says itself. */
    hc = open_made("paired");
    HOST_CLOCK_GET_CLASS(hc)->error_ns = plain_error_ns;
    made.error_ns = 3 * MS;
    host_clock_read(hc, &r);
    HOST_CLOCK_GET_CLASS(hc)->error_ns = NULL;
    g_assert_cmpint(r.error_ns, ==, 3 * MS);
    close_clock(hc);
}

static void test_default_sleep(void)
{
    HostClock *hc = open_made("plain");
    HostClockClass *k = HOST_CLOCK_GET_CLASS(hc);

    /* A clock of the same rate */
    g_assert_cmpint(host_clock_sleep_ns(hc, -1), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 0), ==, 0);
    g_assert_cmpint(host_clock_sleep_ns(hc, HOUR), ==, HOUR);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), ==, INT64_MAX);
    /* 500 ppm: what can be more than a millisecond late is cut. */
    k->rate_error_ppb = 500000;
    g_assert_cmpint(host_clock_sleep_ns(hc, -1), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 2 * SEC), ==, 2 * SEC);
    g_assert_cmpint(host_clock_sleep_ns(hc, 20 * SEC), ==, 19990 * MS);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), <, INT64_MAX);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), >, INT64_MAX / 2);
    /* A source that knows better */
    k->sleep_ns = plain_sleep_ns;
    g_assert_cmpint(host_clock_sleep_ns(hc, 2 * SEC), ==, SEC - 1);
    g_assert_cmpint(host_clock_sleep_ns(hc, 0), ==, -1);
    g_assert_cmpint(host_clock_sleep_ns(hc, -5), ==, -1);
    k->sleep_ns = NULL;
    k->rate_error_ppb = 0;
    close_clock(hc);
}

/* Wall time is UTC since 1970, and no less; it is not a failure. */
static void test_before_1970(void)
{
    HostClock *hc = open_made("paired");

    made.wall_ns = -DAY;
    g_assert_cmpint(wall(hc), ==, 0);
    g_assert_cmpint(host_clock_wall_ns(hc), ==, 0);
    g_assert_cmpuint(hc->generation, ==, 1);
    /* What it steps back by is not lost. */
    made.wall_ns = SEC;
    g_assert_cmpint(wall(hc), ==, SEC);
    g_assert_cmpint(hc->last_step_ns, ==, DAY + SEC);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    close_clock(hc);

    hc = open_made("plain");
    sim_set_realtime(-START_REAL - HOUR);
    g_assert_cmpint(wall(hc), ==, 0);
    g_assert_cmpint(host_clock_wall_ns(hc), ==, 0);
    sim_set_realtime(2 * HOUR);
    assert_near(wall(hc), sim_real_ns());
    close_clock(hc);
}

/* Holdover */

static void test_failure(void)
{
    HostClock *hc = open_made("paired");

    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    host_clock_report_failure(hc, "/dev/%s: %d", "made", 1);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpstr(hc->failure, ==, "/dev/made: 1");
    /* It is announced from the main loop, once, whatever comes after it. */
    g_assert_cmpint(said.states, ==, 0);
    for (int i = 0; i < 10; i++) {
        host_clock_report_failure(hc, "again");
        host_clock_report_ok(hc);
        sim_main_loop();
        g_assert_cmpint(said.states, ==, 1);
        g_assert_cmpint(said.messages, ==, 1);
        g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    }
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpstr(said.reason, ==, "/dev/made: 1");
    g_assert_nonnull(strstr(said.message, "warning: host clock 'paired' failed "
                                          "(/dev/made: 1)"));
    close_clock(hc);
}

/* It has to work for a second after it last failed. */
static void test_recovery(void)
{
    HostClock *hc = open_made("paired");

    host_clock_report_failure(hc, "gone");
    sim_advance(SEC - LOOKS);
    host_clock_report_failure(hc, "gone still");
    sim_advance(SEC - LOOKS);
    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    sim_advance(2 * LOOKS);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    host_clock_report_ok(hc);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    sim_main_loop();
    g_assert_cmpint(said.states, ==, 2);
    g_assert_cmpint(said.state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpstr(said.reason, ==, "");
    g_assert_nonnull(strstr(said.message, "'paired' has recovered"));
    /* The next one has a message of its own. */
    host_clock_report_failure(hc, "no more");
    sim_main_loop();
    g_assert_cmpint(said.states, ==, 3);
    g_assert_cmpstr(said.reason, ==, "no more");
    /* Nothing happens: nothing is said. */
    sim_advance(HOUR);
    g_assert_cmpint(said.states, ==, 3);
    g_assert_cmpint(said.messages, ==, 3);
    close_clock(hc);
}

/* It is said once for as long as it holds, and is no change of state. */
static void test_degraded(void)
{
    HostClock *hc = open_made("paired");

    for (int i = 0; i < 3; i++) {
        host_clock_report_degraded(hc, "no %s", "interrupts");
        g_assert_cmpstr(hc->degraded, ==, "no interrupts");
        g_assert_cmpint(said.messages, ==, 1);
    }
    g_assert_nonnull(strstr(said.message, "warning: host clock 'paired': "
                                          "no interrupts"));
    host_clock_report_degraded(hc, "at most 64 Hz");
    g_assert_cmpint(said.messages, ==, 2);
    host_clock_report_degraded(hc, NULL);
    g_assert_null(hc->degraded);
    host_clock_report_degraded(hc, NULL);
    g_assert_cmpint(said.messages, ==, 2);
    host_clock_report_degraded(hc, "at most 64 Hz");
    g_assert_cmpint(said.messages, ==, 3);
    sim_main_loop();
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_cmpint(said.states, ==, 0);
    close_clock(hc);
}

/* Choice */

static void check_refused(const char *names, const char *what)
{
    Error *err = NULL;

    sim_reset(START_MONO, START_REAL);
    g_assert_false(host_clock_configure(names, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    g_assert_null(host_clock_chosen());
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock0"));
    g_assert_false(host_clock_drives_vm());
}

static void test_choice_refused(void)
{
    check_refused("foo", "'foo'");
    check_refused("dynticks,foo", "'foo'");
    check_refused("", "missing");
    check_refused("dynticks,", "''");
    check_refused(",dynticks", "''");
    check_refused("Dynticks", "'Dynticks'");
    check_refused("host-clock-dynticks", "'host-clock-dynticks'");
}

/* None of the list can be had: each with its reason */
static void test_choice_absent(void)
{
    Error *err = NULL;

    sim_reset(START_MONO, START_REAL);
    sim_hpet.missing = true;
    sim_rtc.missing = true;
    sim_rtc.no_sysfs = true;
    g_assert_false(host_clock_configure("hpet,rtc", &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), "hpet: /dev/hpet"));
    g_assert_nonnull(strstr(error_get_pretty(err), "rtc: /dev/rtc0"));
    error_free(err);
    g_assert_null(host_clock_chosen());
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock0"));
}

static void test_choice_global(void)
{
    QemuOpts *opts = qemu_opts_create(qemu_find_opts("global"), NULL, 0,
                                      &error_abort);

    qemu_opt_set(opts, "driver", "hpet", &error_abort);
    qemu_opt_set(opts, "property", "host-clock", &error_abort);
    qemu_opt_set(opts, "value", "hc1", &error_abort);
    check_refused("dynticks", "-machine host-clock=hc1");
    qemu_opt_set(opts, "property", "msi", &error_abort);
    qemu_opts_del(opts);
}

static void check_chosen(const char *names)
{
    g_auto(GStrv) list = g_strsplit(names, ",", -1);

    if (sim_in_subprocess()) {
        return;
    }
    sim_reset(START_MONO, START_REAL);
    sim_hpet.missing = true;
    host_clock_configure(names, &error_abort);
    g_assert_cmpstr(host_clock_name(host_clock_machine()), ==,
                    list[g_str_equal(list[0], "hpet")]);
    g_assert_true(host_clock_machine() == host_clock_chosen());
    g_assert_true(host_clock_drives_vm() == !g_str_equal(list[0], "system"));
    g_assert_true(host_clock_find("host-clock0", &error_abort) ==
                  host_clock_machine());
    g_assert_false(user_creatable_can_be_deleted(
                       USER_CREATABLE(host_clock_machine())));
    /* Why not the first */
    g_assert_cmpint(said.messages, ==, g_str_equal(list[0], "hpet"));
}

static void test_choice(const void *names)
{
    check_chosen(names);
}

/* Without a choice it is the system's, and QEMU's clocks stay what they are. */
static void test_no_choice(void)
{
    static const QEMUClockType clocks[] = {
        [HOST_CLOCK_VIEW_TYPE_HOST] = QEMU_CLOCK_HOST,
        [HOST_CLOCK_VIEW_TYPE_RT] = QEMU_CLOCK_REALTIME,
        [HOST_CLOCK_VIEW_TYPE_VM] = QEMU_CLOCK_VIRTUAL,
    };

    if (sim_in_subprocess()) {
        return;
    }
    sim_reset(START_MONO, START_REAL);
    host_clock_configure(NULL, &error_abort);
    g_assert_cmpstr(host_clock_name(host_clock_machine()), ==, "system");
    g_assert_null(host_clock_chosen());
    g_assert_false(host_clock_drives_vm());
    sim_vm_start();
    sim_advance(SEC);
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        Shot shot;

        g_assert_cmpint(host_clock_view_type(host_clock_view(i)), ==, i);
        assert_near(view_ns(i), qemu_clock_get_ns(clocks[i]));
        shoot(&shot, i, SEC);
        g_assert_true(shot.timer->timer_list ==
                      main_loop_tlg.tl[clocks[i]]);
        sim_advance(SEC + LOOKS);
        g_assert_cmpint(shot.fired, ==, 1);
        shot_free(&shot);
    }
}

static void test_choose_twice(void)
{
    HostClock *first, *second;
    Error *err = NULL;

    if (sim_in_subprocess()) {
        return;
    }
    first = open_clock("dynticks");
    second = HOST_CLOCK(sim_object_new(TYPE_HOST_CLOCK "-raw", "hc1"));
    g_assert_true(user_creatable_can_be_deleted(USER_CREATABLE(first)));
    g_assert_true(host_clock_choose(first, &error_abort));
    g_assert_false(host_clock_choose(second, &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "'hc0'"));
    error_free(err);
    err = NULL;
    /* Again the same is none other. */
    g_assert_true(host_clock_choose(first, &error_abort));
    g_assert_true(host_clock_machine() == first);
    g_assert_false(host_clock_configure("raw", &err));
    g_assert_nonnull(strstr(error_get_pretty(err), "already chosen"));
    error_free(err);
    g_assert_false(user_creatable_can_be_deleted(USER_CREATABLE(first)));
    g_assert_true(user_creatable_can_be_deleted(USER_CREATABLE(second)));
}

static void check_not_found(const char *id)
{
    Error *err = NULL;

    g_assert_null(host_clock_find(id, &err));
    error_free_or_abort(&err);
}

static void test_find(void)
{
    HostClock *hc = open_clock("dynticks");
    Object *other = object_new(TYPE_CONTAINER);

    object_property_add_child(object_get_objects_root(), "other", other);
    g_assert_true(host_clock_find("hc0", &error_abort) == hc);
    g_assert_true(host_clock_find("/objects/hc0", &error_abort) == hc);
    check_not_found("hc1");
    check_not_found("");
    check_not_found("other");
    object_unparent(other);
    object_unref(other);
    close_clock(hc);
}

/* One that cannot be opened is not closed, and leaves nothing behind. */
static void test_open_fails(void)
{
    HostClock *hc = open_made("paired");

    g_assert_true(host_clock_next(NULL) == hc);
    close_clock(hc);
    g_assert_cmpint(made.opens, ==, 1);
    g_assert_cmpint(made.closes, ==, 1);
    made.is_busy = true;
    g_assert_null(sim_object_new(TYPE_PAIRED, "hc0"));
    g_assert_cmpint(made.closes, ==, 1);
    for (hc = host_clock_next(NULL); hc; hc = host_clock_next(hc)) {
        g_assert_cmpstr(host_clock_name(hc), ==, "system");
    }
    sim_set_realtime(HOUR);
    g_assert_cmpuint(sim_timers(), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

    add_for_sources("reading/rate", test_rate);
    add_for_sources("reading/slewed", test_slewed);
    add_for_sources("reading/preempted", test_preempted);
    add_for_sources("reading/suspend", test_suspend);
    add_for_sources("reading/start", test_start);
#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
    ADD("unix/reading/epoch", test_epoch);
    ADD("core/default/pair", test_default_pair);
    ADD("core/default/error", test_default_error);
    ADD("core/default/sleep", test_default_sleep);
    ADD("core/reading/before-1970", test_before_1970);
    ADD("core/holdover/failure", test_failure);
    ADD("core/holdover/recovery", test_recovery);
    ADD("core/holdover/degraded", test_degraded);
    ADD("core/choice/refused", test_choice_refused);
    ADD("core/choice/absent", test_choice_absent);
    ADD("core/choice/global", test_choice_global);
#define CHOICE(names) \
    g_test_add_data_func("/host-clock/core/choice/" names, names, test_choice)
    CHOICE("dynticks");
    CHOICE("unix,dynticks");
    CHOICE("system");
    CHOICE("hpet,raw");
    ADD("core/choice/none", test_no_choice);
    ADD("core/choice/twice", test_choose_twice);
    ADD("core/choice/find", test_find);
    ADD("core/choice/open-fails", test_open_fails);
    return g_test_run();
}
