/*
 * What the tests of the sources that sample a device have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qom/object_interfaces.h"
#include "host-clock-sampled-test.h"

#define START_MONO  (1000 * SEC)
#define START_REAL  (1790000000 * SEC)

void reset(void)
{
    sim_reset(START_MONO, START_REAL);
}

static Object *new_object(const char *name)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);

    return object_new(type);
}

HostClock *open_object(const char *name, const char *first, ...)
{
    Object *obj = new_object(name);
    Error *err = NULL;
    va_list ap;

    va_start(ap, first);
    for (const char *prop = first; prop; prop = va_arg(ap, const char *)) {
        object_property_parse(obj, prop, va_arg(ap, const char *),
                              &error_abort);
    }
    va_end(ap);
    if (!user_creatable_complete(USER_CREATABLE(obj), &err)) {
        g_test_message("%s", error_get_pretty(err));
        error_free(err);
        object_unref(obj);
        return NULL;
    }
    return HOST_CLOCK(obj);
}

static void check_given_back(void)
{
    /* The machine's clock may have something to tell. */
    sim_advance(100 * MS);
    g_assert_cmpuint(sim_timers(), ==, 0);
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
}

void check_refused(const char *name, const char *prop, const char *value,
                   const char *what)
{
    Object *obj = new_object(name);
    Error *err = NULL;

    if (prop) {
        object_property_parse(obj, prop, value, &error_abort);
    }
    g_assert_false(user_creatable_complete(USER_CREATABLE(obj), &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    object_unref(obj);
    check_given_back();
}

static int64_t true_ns(Clock *c)
{
    return (c->wall_ns ? c->wall_ns() : sim_hpet_ns()) - c->epoch_ns;
}

/* The HPET has no wall time of its own. */
int64_t said_ns(Clock *c, int64_t *error_ns)
{
    HostClockReading r;

    host_clock_read(c->hc, &r);
    g_assert_cmpint(r.mono_ns, >=, c->last_ns);
    c->last_ns = r.mono_ns;
    if (error_ns) {
        *error_ns = r.error_ns;
    }
    return c->wall_ns ? r.wall_ns : r.mono_ns;
}

int64_t check(Clock *c)
{
    int64_t before_ns = true_ns(c), error_ns;
    int64_t ns = said_ns(c, &error_ns);
    int64_t after_ns = true_ns(c);

    error_ns += c->epoch_error_ns;
    g_assert_cmpint(ns, >=, before_ns - error_ns);
    g_assert_cmpint(ns, <=, after_ns + error_ns);
    return ns - after_ns;
}

Clock clock_of(HostClock *hc)
{
    Clock c = { .hc = hc };

    g_assert_nonnull(hc);
    c.wall_ns = g_str_equal(host_clock_name(hc), "rtc") ? sim_rtc_ns :
                g_str_equal(host_clock_name(hc), "ptp") ? sim_ptp_ns : NULL;
    if (!c.wall_ns) {
        int64_t before_ns = sim_hpet_ns(), error_ns;
        int64_t ns = said_ns(&c, &error_ns);

        c.epoch_ns = before_ns - ns;
        c.epoch_error_ns = error_ns + sim_hpet_ns() - before_ns;
    }
    return c;
}

Clock open_clock(const char *name)
{
    return clock_of(open_object(name, NULL));
}

void reset_ptp(void)
{
    reset();
    sim_ptp.missing = false;
}

void ptp_has_only(HostClockMethod way)
{
    sim_ptp.precise_errno = way > HOST_CLOCK_METHOD_PRECISE ? EOPNOTSUPP : 0;
    sim_ptp.extended_errno = way > HOST_CLOCK_METHOD_EXTENDED ? EOPNOTSUPP : 0;
}

Clock open_ptp(void)
{
    return clock_of(open_object("ptp", "time-scale", "utc", NULL));
}

void close_clock(Clock *c)
{
    sim_object_del(OBJECT(c->hc));
    check_given_back();
}

int64_t run(Clock *c, int64_t ns, int64_t step_ns)
{
    int64_t end_ns = sim_raw_ns() + ns, worst_ns = 0;

    while (sim_raw_ns() < end_ns) {
        int64_t error_ns;

        sim_advance(g_test_rand_int_range(1, step_ns / 1000) * 1000LL);
        error_ns = check(c);
        worst_ns = MAX(worst_ns, ABS(error_ns));
    }
    return worst_ns;
}

/*
 * What is off by less than HOST_CLOCK_STEP_MIN_NS, because it stopped shortly
 * before a sample, does not count as a step and is followed.
 */
void check_goes_on(Clock *c, int64_t ns)
{
    int64_t raw_ns = sim_raw_ns(), from_ns = (said_ns(c, NULL), c->last_ns);
    int64_t gone_ns, passed_ns;

    while (sim_raw_ns() < raw_ns + ns) {
        sim_advance(g_test_rand_int_range(1, 1000) * MS);
        said_ns(c, NULL);
        gone_ns = c->last_ns - from_ns;
        passed_ns = sim_raw_ns() - raw_ns;
        g_assert_cmpint(ABS(gone_ns - passed_ns), <,
                        HOST_CLOCK_STEP_MIN_NS + MS);
    }
}

void check_suspend_told(Clock *c, int64_t ns)
{
    const HostClockStep *step = &c->hc->steps[1];
    HostClockReading now;

    g_assert_cmpuint(c->hc->generation, ==, 1);
    g_assert_cmpint(step->reason, ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    g_assert_cmpint(step->suspended_ns, ==, ns);
    g_assert_cmpint(step->step_ns, ==, 0);
    host_clock_read_pair(c->hc, &now);
    g_assert_cmpint(ABS((now.wall_ns - step->wall_ns) -
                        (now.mono_ns - step->mono_ns)), <, MS);
    g_assert_cmpint(now.mono_ns - step->mono_ns, <, MINUTE);
}

HostClockState state(Clock *c)
{
    sim_main_loop();
    return c->hc->state;
}

HostClockMethod method(Clock *c)
{
    return c->hc->method;
}
