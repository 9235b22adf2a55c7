/*
 * QTest testcase for the mc146818rtc: the date it starts with
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"

/* -rtc base= */

typedef struct Base {
    const char *base;
    const char *date;
} Base;

static const Base bases[] = {
    { "2006-06-17T16:01:21", "2006-06-17T16:01:21" },
    { "2006-06-17", "2006-06-17T00:00:00" },
    { "2006-6-7T1:2:3", "2006-06-07T01:02:03" },
    { "2006-06-17t16:01:21", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21Z", "2006-06-17T16:01:21" },
    { "2006-06-17t16:01:21z", "2006-06-17T16:01:21" },
    { "'2006-06-17 16:01:21'", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01", "2006-06-17T16:01:00" },
    { "2006-06-17T16:01Z", "2006-06-17T16:01:00" },
    { "2006-06-17Z", "2006-06-17T00:00:00" },
    /* The fraction counts, but does not show. */
    { "2006-06-17T16:01:21.5", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21.000000000999Z", "2006-06-17T16:01:21" },
    { "2006-06-17T16:01:21+02:00", "2006-06-17T14:01:21" },
    { "2006-06-17T16:01:21-05:30", "2006-06-17T21:31:21" },
    { "2006-06-17T01:01:21.25+02:00", "2006-06-16T23:01:21" },
    { "2006-06-17T16:01:21-00:00", "2006-06-17T16:01:21" },
    { "2016-12-31T23:59:60", "2017-01-01T00:00:00" },
    { "2017-01-01T01:59:60+02:00", "2017-01-01T00:00:00" },
    { "2006-02-28T24:00:00", "2006-03-01T00:00:00" },
    { "2000-02-29", "2000-02-29T00:00:00" },
    { "1970-01-01", "1970-01-01T00:00:00" },
    { "1969-12-31T23:59:59", "1969-12-31T23:59:59" },
    { "1969-12-31", "1969-12-31T00:00:00" },
    { "1900-01-01", "1900-01-01T00:00:00" },
    { "9999-12-31T23:59:59", "9999-12-31T23:59:59" },
};

static void test_base(void)
{
    for (int i = 0; i < ARRAY_SIZE(bases); i++) {
        qts = qtest_initf(MACHINE "-rtc base=%s,clock=vm", bases[i].base);
        check_date(bases[i].date);
        qtest_quit(qts);
    }
}

/* Across a minute, from a date of before 1970 on too */
static void test_base_goes_on(void)
{
    qts = qtest_init(MACHINE "-rtc base=1969-12-31T23:59:58,clock=vm");
    qtest_clock_step(qts, 2 * SECOND);
    check_date("1970-01-01T00:00:00");
    qtest_quit(qts);
}

static void test_base_refused(void)
{
    static const char *const no_dates[] = {
        "2006-13-40", "2006-00-10", "2006-02-29", "1900-02-29", "2006-06-31",
        "2006-06-17T25:00:00", "2006-06-17T24:00:01", "2006-06-17T16:60:00",
        "2006-06-17T16:01:61", "2006-06-17T-1:01:21", "1899-12-31",
        "10000-01-01", "1900-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01", "9999-12-31T23:59:60",
        "2006-06-17x", "2006-06-17T", "2006-06-17T16:01:21x",
        "2006-06-17T16:01:21.", "2006-06-17T16:01:21+2",
        "2006-06-17T16:01:21+24:00", "2006-06-17T16:01:21+01:60",
        "2006-06-17T16:01:21ZZ", "2006-06", "yesterday",
    };

    for (int i = 0; i < ARRAY_SIZE(no_dates); i++) {
        g_autofree char *base = g_strdup_printf("base=%s", no_dates[i]);
        const char *argv[] = {
            g_getenv("QTEST_QEMU_BINARY"), "-machine", "none", "-display",
            "none", "-rtc", base, "-S", "-monitor", "none", NULL
        };
        g_autofree char *err = NULL;
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL,
                                   G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err,
                                   &status, NULL));
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 1);
        g_assert_nonnull(strstr(err, no_dates[i]));
    }
}

void add_base_tests(void)
{
    qtest_add_func("/rtc-registers/base/taken", test_base);
    qtest_add_func("/rtc-registers/base/goes-on", test_base_goes_on);
    qtest_add_func("/rtc-registers/base/refused", test_base_refused);
}
