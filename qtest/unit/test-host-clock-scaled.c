/*
 * Host clock "scaled", on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qom/object_interfaces.h"
#include "host-clock-change-test.h"

/* The line */

/* Time as a sum, in 2^-60 ns: of a piece no more is lost than one of these. */
#define SUM_SHIFT   60

static __int128 piece(int64_t ns, uint32_t num, uint32_t den)
{
    __int128 n = (__int128)ns * num;

    return ((n / den) << SUM_SHIFT) + ((n % den) << SUM_SHIFT) / den;
}

/*
 * The parent stands still while the rate is set, so nothing may move at all;
 * and in the end it is right, however often that was.
 */
static void test_rates(void)
{
    uint32_t num = 3, den = 2;
    __int128 sum = 0;
    int64_t last_ns = 0, vm_ns, rt_ns;
    HostClock *hc;

    if (sim_in_subprocess()) {
        return;
    }
    hc = choose_scaled("paired", "clock=hc0,rate=3/2");
    g_assert_cmpint(mono(hc), ==, 0);
    vm_ns = view_ns(HOST_CLOCK_VIEW_TYPE_VM);
    rt_ns = view_ns(HOST_CLOCK_VIEW_TYPE_RT);
    for (int i = 0; i < 10000; i++) {
        int64_t ns = any_size(), now_ns;

        pass_paired(ns);
        sum += piece(ns, num, den);
        now_ns = mono(hc);
        g_assert_cmpint(now_ns, >=, last_ns);
        g_assert_cmpint(ABS(now_ns - (int64_t)(sum >> SUM_SHIFT)), <=, US);
        any_rate(&num, &den);
        set_rate(hc, num, den);
        g_assert_cmpint(mono(hc), ==, now_ns);
        g_assert_cmpint(wall(hc), ==, START_REAL + now_ns);
        g_assert_cmpint(view_ns(HOST_CLOCK_VIEW_TYPE_VM) - vm_ns, ==, now_ns);
        g_assert_cmpint(view_ns(HOST_CLOCK_VIEW_TYPE_RT) - rt_ns, ==, now_ns);
        last_ns = now_ns;
    }
    g_assert_cmpint(last_ns, >, HOUR);
    g_assert_cmpint(said.steps, ==, 0);
}

/* Each rate by itself, up to a year: rounded down, and by nothing else */
static void test_exact(void)
{
    HostClock *parent = open_made("paired"), *hc;

    for (int i = 0; i < 1000; i++) {
        uint32_t num, den;
        int64_t ns = (int64_t)any_size() << g_test_rand_int_range(0, 24);
        __int128 expected;

        any_rate(&num, &den);
        hc = scale("s", "clock=hc0");
        set_rate(hc, num, den);
        pass_paired(ns);
        expected = (__int128)ns * num / den;
        g_assert_true(mono(hc) == MIN(expected, INT64_MAX / 2));
        sim_object_del(OBJECT(hc));
    }
    close_clock(parent);
}

/* Until so much has passed, the parent has to go so far, and not less. */
static void test_delta(void)
{
    HostClock *parent = open_made("paired"), *hc = scale("s", "clock=hc0");

    for (int i = 0; i < 1000; i++) {
        int64_t ns = any_size(), mono_ns, parent_ns;
        uint32_t num, den;

        any_rate(&num, &den);
        set_rate(hc, num, den);
        pass_paired(any_size());
        mono_ns = mono(hc);
        parent_ns = hc->ops->parent_delta_ns(hc, ns);
        pass_paired(parent_ns - 1);
        g_assert_cmpint(mono(hc), <, mono_ns + ns);
        pass_paired(1);
        g_assert_cmpint(mono(hc), >=, mono_ns + ns);
    }
    g_assert_cmpint(hc->ops->parent_delta_ns(hc, 0), ==, 0);
    g_assert_cmpint(hc->ops->parent_delta_ns(hc, -1), ==, -1);
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* Its readings are as good as the parent's, and wall time at no rate better. */
static void test_error(void)
{
    HostClock *parent = open_made("paired"), *hc = scale("s", "clock=hc0");
    HostClockReading r;

    made.error_ns = 1000;
    set_rate(hc, 100, 1);
    host_clock_read(hc, &r);
    g_assert_cmpint(r.error_ns, ==, 100000);
    set_rate(hc, 1, 100);
    host_clock_read(hc, &r);
    g_assert_cmpint(r.error_ns, >=, 1000);
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* A chain: 3/2 of 2/3 is as long as the first. */
static void test_chain(void)
{
    HostClock *parent = open_made("paired");
    HostClock *slow = scale("slow", "clock=hc0,rate=2/3,offset-ns=5");
    HostClock *fast = scale("fast", "clock=slow,rate=3/2,offset-ns=7");

    for (int i = 0; i < 1000; i++) {
        int64_t passed_ns;

        pass_paired(any_size());
        passed_ns = made.mono_ns - 5 * SEC;
        g_assert_cmpint(mono(slow), ==, passed_ns * 2 / 3);
        g_assert_cmpint(mono(fast), ==, passed_ns * 2 / 3 * 3 / 2);
        g_assert_cmpint(wall(fast), ==, START_REAL + 12 + mono(fast));
    }
    /* What another one is made of stays. */
    g_assert_false(user_creatable_can_be_deleted(USER_CREATABLE(parent)));
    g_assert_false(user_creatable_can_be_deleted(USER_CREATABLE(slow)));
    g_assert_true(user_creatable_can_be_deleted(USER_CREATABLE(fast)));
    sim_object_del(OBJECT(fast));
    g_assert_true(user_creatable_can_be_deleted(USER_CREATABLE(slow)));
    sim_object_del(OBJECT(slow));
    g_assert_true(user_creatable_can_be_deleted(USER_CREATABLE(parent)));
    close_clock(parent);
}

/* Without clock= it is the system's. */
static void test_system(void)
{
    HostClock *hc;
    int64_t begin_ns;

    sim_reset(START_MONO, START_REAL);
    hc = scale("s", "rate=100");
    begin_ns = sim_mono_ns();
    g_assert_true(hc->parent == host_clock_system());
    sim_advance(SEC);
    g_assert_cmpint(mono(hc), >=, 100 * SEC);
    g_assert_cmpint(mono(hc), <=, 100 * (sim_mono_ns() - begin_ns + LOOKS));
    sim_object_del(OBJECT(hc));
}

/* Far ends */

static void test_far(void)
{
    HostClock *parent = open_made("paired"), *hc, *chained;
    g_autofree char *offset = g_strdup_printf("offset-ns=%" PRId64
        ",clock=hc0,rate=10000",
        (int64_t)(HOST_CLOCK_END_NS - START_REAL - 10 * DAY));

    hc = scale("s", offset);
    chained = scale("c", "clock=s,rate=10000");
    for (int i = 0; i <= 62; i++) {
        int64_t last_ns = mono(hc), last_wall_ns = wall(hc);

        made.mono_ns = MIN(5 * SEC + (1LL << i), INT64_MAX / 2);
        made.wall_ns = START_REAL + (1LL << i);
        g_assert_cmpint(mono(hc), >=, last_ns);
        g_assert_cmpint(mono(hc), <=, INT64_MAX / 2);
        g_assert_cmpint(mono(chained), >=, mono(hc));
        g_assert_cmpint(mono(chained), <=, INT64_MAX / 2);
        g_assert_cmpint(wall(hc), >=, last_wall_ns);
        g_assert_cmpint(wall(hc), <=, HOST_CLOCK_END_NS);
        g_assert_cmpint(hc->ops->parent_delta_ns(hc, INT64_MAX), >, 0);
        g_assert_cmpint(host_clock_sleep_ns(chained, 1), >=, 0);
    }
    g_assert_cmpint(mono(hc), ==, INT64_MAX / 2);
    g_assert_cmpint(wall(hc), ==, HOST_CLOCK_END_NS);
    /* There it stays, at any rate. */
    set_rate(hc, 1, 10000);
    g_assert_cmpint(mono(hc), ==, INT64_MAX / 2);
    g_assert_cmpint(host_clock_sleep_ns(hc, INT64_MAX), ==, INT64_MAX);
    g_assert_cmpint(host_clock_sleep_ns(chained, -1), ==, -1);
    sim_object_del(OBJECT(chained));
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

/* Bad input */

static void check_refused(const char *props, const char *what)
{
    Error *err = NULL;

    g_assert_null(try_add("scaled", "s", props, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), props));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    g_assert_true(host_clock_next(NULL) == NULL ||
                  host_clock_next(NULL)->n_children == 0);
}

static void test_bad_rates(void)
{
    static const char *const no_fractions[] = {
        "", "x", "1.5", "3/2/1", " 1", "1 ", "1/ 2", "-1", "-1/2", "1/-2",
        "+1", "/2", "1/", "1//2", "0x10", "1e3", "4294967296", "1/4294967296",
        "18446744073709551617", "99999999999999999999999",
    };
    static const char *const too_far[] = {
        "0", "0/1", "1/0", "0/0", "1/20000", "20000", "10001", "1/10001",
        "100010000/9999", "9999/100010000", "4294967295", "1/4294967295",
    };

    open_made("paired");
    for (int i = 0; i < ARRAY_SIZE(no_fractions); i++) {
        g_autofree char *prop = g_strconcat("rate=", no_fractions[i], NULL);

        check_refused(prop, "not a fraction");
    }
    for (int i = 0; i < ARRAY_SIZE(too_far); i++) {
        g_autofree char *prop = g_strconcat("rate=", too_far[i], NULL);

        check_refused(prop, "1/10000 to 10000");
    }
    close_clock(host_clock_next(NULL));
}

/* Nothing changes where it runs, either. */
static void test_bad_changes(void)
{
    static const char *const rates[] = { "0/1", "20000", "1.5", "" };
    HostClock *parent = open_made("paired");
    HostClock *hc = scale("s", "clock=hc0,rate=6/4");
    Error *err = NULL;
    g_autofree char *rate = NULL;

    for (int i = 0; i < ARRAY_SIZE(rates); i++) {
        g_assert_false(object_property_set_str(OBJECT(hc), "rate", rates[i],
                                               &err));
        error_free_or_abort(&err);
    }
    g_assert_false(object_property_set_str(OBJECT(hc), "clock", "x", &err));
    error_free_or_abort(&err);
    g_assert_false(object_property_set_int(OBJECT(hc), "offset-ns", 1, &err));
    error_free_or_abort(&err);
    rate = object_property_get_str(OBJECT(hc), "rate", &error_abort);
    g_assert_cmpstr(rate, ==, "6/4");
    pass_paired(1000);
    g_assert_cmpint(mono(hc), ==, 1500);
    g_assert_cmpint(wall(hc), ==, START_REAL + 1500);
    sim_object_del(OBJECT(hc));
    close_clock(parent);
}

static void test_bad_clocks(void)
{
    Object *other = object_new(TYPE_CONTAINER);
    HostClock *hc = open_made("paired");

    object_property_add_child(object_get_objects_root(), "other", other);
    check_refused("clock=s", "itself");
    check_refused("clock=/objects/s", "itself");
    check_refused("clock=nosuch", "no object");
    check_refused("clock=", "no object");
    check_refused("clock=other", "not a host clock");
    object_unparent(other);
    object_unref(other);
    close_clock(hc);
}

static void check_offset(int64_t ns, bool is_good)
{
    g_autofree char *prop = g_strdup_printf("offset-ns=%" PRId64, ns);
    g_autofree char *props = g_strconcat("clock=hc0,", prop, NULL);
    Error *err = NULL;
    HostClock *hc = try_add("scaled", "s", props, &err);

    g_assert_true((hc != NULL) == is_good);
    if (hc) {
        g_assert_cmpint(wall(hc), ==, START_REAL + ns);
        sim_object_del(OBJECT(hc));
    } else {
        g_assert_nonnull(strstr(error_get_pretty(err), prop));
        error_free(err);
    }
}

static void test_offsets(void)
{
    HostClock *hc = open_made("paired");

    check_offset(-START_REAL, true);
    check_offset(-START_REAL - 1, false);
    check_offset(HOST_CLOCK_END_NS - START_REAL, true);
    check_offset(HOST_CLOCK_END_NS - START_REAL + 1, false);
    check_offset(INT64_MIN, false);
    check_offset(INT64_MAX, false);
    close_clock(hc);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/scaled/" path, fn)
    ADD("rates", test_rates);
    ADD("exact", test_exact);
    ADD("delta", test_delta);
    ADD("error", test_error);
    ADD("chain", test_chain);
    ADD("system", test_system);
    ADD("far", test_far);
    ADD("bad/rates", test_bad_rates);
    ADD("bad/changes", test_bad_changes);
    ADD("bad/clocks", test_bad_clocks);
    ADD("bad/offsets", test_offsets);
    return g_test_run();
}
