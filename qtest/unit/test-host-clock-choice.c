/*
 * Host clocks: the choice of one for the machine, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/option.h"
#include "qemu/config-file.h"
#include "qom/object_interfaces.h"
#include "system/qtest.h"
#include "host-clock-core-test.h"

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
    g_assert_true(host_clock_drives_vm());
    g_assert_true(host_clock_find("clock", "host-clock0", &error_abort) ==
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

/* Without a choice it is the system's, and the views show QEMU's clocks. */
static void check_no_choice(bool are_qemu_clocks)
{
    static const QEMUClockType clocks[] = {
        [HOST_CLOCK_VIEW_TYPE_HOST] = QEMU_CLOCK_HOST,
        [HOST_CLOCK_VIEW_TYPE_RT] = QEMU_CLOCK_REALTIME,
        [HOST_CLOCK_VIEW_TYPE_VM] = QEMU_CLOCK_VIRTUAL,
    };

    sim_reset(START_MONO, START_REAL);
    host_clock_configure(NULL, &error_abort);
    g_assert_cmpstr(host_clock_name(host_clock_machine()), ==, "system");
    g_assert_null(host_clock_chosen());
    g_assert_true(host_clock_drives_vm() == !are_qemu_clocks);
    sim_vm_start();
    sim_advance(SEC);
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        Shot shot;

        g_assert_cmpint(host_clock_view_type(host_clock_view(i)), ==, i);
        assert_near(view_ns(i), qemu_clock_get_ns(clocks[i]));
        shoot(&shot, i, SEC);
        g_assert_true((shot.timer->timer_list ==
                       main_loop_tlg.tl[clocks[i]]) ==
                      (are_qemu_clocks || i == HOST_CLOCK_VIEW_TYPE_VM));
        sim_advance(SEC + LOOKS);
        g_assert_cmpint(shot.fired, ==, 1);
        shot_free(&shot);
    }
}

static void test_no_choice(void)
{
    if (!sim_in_subprocess()) {
        check_no_choice(false);
    }
}

/* qtest, which moves QEMU's clocks, moves the views. */
static void test_qtest(void)
{
    if (!sim_in_subprocess()) {
        qtest_allowed = true;
        check_no_choice(true);
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

    g_assert_null(host_clock_find("clock", id, &err));
    error_free_or_abort(&err);
}

static void test_find(void)
{
    HostClock *hc = open_clock("dynticks");
    Object *other = object_new(TYPE_CONTAINER);

    object_property_add_child(object_get_objects_root(), "other", other);
    g_assert_true(host_clock_find("clock", "hc0", &error_abort) == hc);
    g_assert_true(host_clock_find("clock", "/objects/hc0", &error_abort) == hc);
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

#define ADD(path, fn) g_test_add_func("/host-clock/" path, fn)
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
    ADD("core/choice/qtest", test_qtest);
    ADD("core/choice/twice", test_choose_twice);
    ADD("core/choice/find", test_find);
    ADD("core/choice/open-fails", test_open_fails);
    return g_test_run();
}
