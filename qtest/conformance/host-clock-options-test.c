/*
 * Choosing a host clock: -clock, -object, -machine, -global, -rtc, QMP and HMP
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bad input has to end in one clear error that names the option and the value,
 * and exit status 1; over QMP, in an error with nothing changed.
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

#define MACHINE "-machine pc -nodefaults -display none -S -accel qtest "

#define SCALED "-object host-clock-scaled,id=a,"

/* Bad input */

typedef struct BadInput {
    const char *name;
    const char *args;
    /* What the error has to say, up to a NULL */
    const char *says[4];
} BadInput;

static const BadInput bad_input[] = {
    { "unknown", "-clock foo", { "-clock", "'foo'", "system" } },
    { "unknown-in-list", "-clock dynticks,foo", { "-clock", "'foo'" } },
    { "empty", "-clock ''", { "-clock" } },
    { "empty-in-list", "-clock dynticks,,unix", { "-clock" } },
    { "twice", "-clock unix -clock manual", { "-clock" } },
    { "and-machine", "-object host-clock-unix,id=x -machine host-clock=x "
      "-clock unix", { "-clock", "host-clock" } },
    { "and-machine-missing", "-clock unix -machine host-clock=x",
      { "host-clock" } },
    { "no-property", "-object host-clock-unix,id=a,nosuch=1", { "nosuch" } },
    { "no-source", "-object host-clock-nosuch,id=a", { "host-clock-nosuch" } },
    { "abstract", "-object host-clock,id=a", { "host-clock" } },
    { "machine", "-machine host-clock=nosuch", { "host-clock", "nosuch" } },
    { "machine-type", "-object iothread,id=t -machine host-clock=t",
      { "host-clock", "iothread" } },
    { "machine-empty", "-machine host-clock=", { "host-clock=", "ID" } },
    { "machine-path", "-machine host-clock=/machine",
      { "host-clock=/machine", "not a host clock" } },
    { "machine-twice", "-object host-clock-unix,id=x "
      "-object host-clock-unix,id=y -machine host-clock=x "
      "-machine host-clock=y -clock unix", { "host-clock" } },
    { "global", "-object host-clock-unix,id=x "
      "-global mc146818rtc.host-clock=x",
      { "mc146818rtc.host-clock=x", "-machine host-clock=x", "-clock" } },
    { "global-hpet", "-global hpet.host-clock=nosuch",
      { "hpet.host-clock=nosuch", "-machine host-clock=", "-clock" } },
    { "global-long", "-global driver=hpet,property=host-clock,value=x",
      { "hpet", "-machine host-clock=x", "-clock" } },
    { "base-no-date", "-rtc base=2006-13-40", { "base", "2006-13-40" } },
    { "base-no-day", "-rtc base=2006-02-29", { "base", "2006-02-29" } },
    { "base-no-hour", "-rtc base=2006-02-28T25:00:00",
      { "base", "2006-02-28T25:00:00" } },
    { "base-too-early", "-rtc base=1899-12-31", { "base", "1899-12-31" } },
    { "base-too-late", "-rtc base=10000-01-01", { "base", "10000-01-01" } },
    { "base-tail", "-rtc base=2006-06-17T16:01:21x",
      { "base", "2006-06-17T16:01:21x" } },
    { "base-word", "-rtc base=yesterday", { "base", "yesterday" } },
    { "base-empty", "-rtc base=", { "base" } },
    { "clock", "-rtc clock=foo", { "clock", "foo" } },
    { "driftfix", "-rtc driftfix=foo", { "driftfix", "foo" } },
    { "manual-wall", "-object host-clock-manual,id=a,wall=2038-13-01",
      { "wall", "2038-13-01" } },
    { "manual-wall-late", "-object host-clock-manual,id=a,"
      "wall=9999-01-01T00:00:00", { "wall", "9999-01-01T00:00:00" } },
    { "hpet-null", "-object host-clock-hpet,id=a,device=/dev/null",
      { "device=/dev/null", "HPET", "/dev/hpet" } },
    { "hpet-directory", "-object host-clock-hpet,id=a,device=/dev",
      { "device=/dev is", "HPET" } },
    { "hpet-file", "-object host-clock-hpet,id=a,device=/etc/passwd",
      { "device=/etc/passwd", "HPET" } },
    { "hpet-missing", "-object host-clock-hpet,id=a,device=/nosuch",
      { "device=/nosuch", "No such file" } },
    { "hpet-sampling", "-object host-clock-hpet,id=a,sampling=off",
      { "sampling" } },
    { "rtc-null", "-object host-clock-rtc,id=a,device=/dev/null",
      { "device=/dev/null", "RTC", "/dev/rtc0" } },
    { "rtc-closed-fd", "-object host-clock-rtc,id=a,fd=77",
      { "fd=77", "Bad file descriptor" } },
    { "rtc-other-fd", "-object host-clock-rtc,id=a,fd=0", { "fd=0", "RTC" } },
    { "rtc-no-fd", "-object host-clock-rtc,id=a,fd=nosuch", { "nosuch" } },
    { "rtc-device-and-fd", "-object host-clock-rtc,id=a,device=/dev/rtc0,fd=0",
      { "device=/dev/rtc0", "fd=0" } },
    { "rtc-utc", "-object host-clock-rtc,id=a,utc=maybe", { "maybe" } },
    { "rtc-alarm", "-object host-clock-rtc,id=a,alarm=bell", { "bell" } },
    { "rtc-alarm-hz", "-object host-clock-rtc,id=a,alarm-hz=100",
      { "alarm-hz=100", "power of two", "8192" } },
    { "rtc-alarm-hz-high", "-object host-clock-rtc,id=a,alarm-hz=16384",
      { "alarm-hz=16384", "8192" } },
    { "record", "-clock unix -icount shift=0,rr=record,rrfile=/dev/null",
      { "unix", "record" } },
    { "scaled-zero", SCALED "rate=0/1", { "rate=0/1", "1/10000 to 10000" } },
    { "scaled-by-zero", SCALED "rate=1/0", { "rate=1/0", "1/10000" } },
    { "scaled-negative", SCALED "rate=-1/2", { "rate=-1/2", "fraction" } },
    { "scaled-slow", SCALED "rate=1/20000", { "rate=1/20000", "1/10000" } },
    { "scaled-fast", SCALED "rate=20000", { "rate=20000", "10000" } },
    { "scaled-decimal", SCALED "rate=1.5", { "rate=1.5", "fraction" } },
    { "scaled-empty", SCALED "rate=", { "rate=", "fraction" } },
    { "scaled-thrice", SCALED "rate=3/2/1", { "rate=3/2/1", "fraction" } },
    { "scaled-space", SCALED "'rate= 1'", { "rate= 1", "fraction" } },
    { "scaled-huge", SCALED "rate=99999999999999999999/1",
      { "rate=99999999999999999999/1", "fraction" } },
    { "scaled-itself", SCALED "clock=a", { "clock=a", "itself" } },
    { "scaled-ring", SCALED "clock=b -object host-clock-scaled,id=b,clock=a",
      { "clock=b", "no object" } },
    { "scaled-missing", SCALED "clock=nosuch",
      { "clock=nosuch", "no object" } },
    { "scaled-type", "-object iothread,id=t " SCALED "clock=t",
      { "clock=t", "iothread", "not a host clock" } },
    { "scaled-past", SCALED "offset-ns=-9223372036854775808",
      { "offset-ns=-9223372036854775808", "1970" } },
    { "scaled-future", SCALED "offset-ns=9223372036854775807",
      { "offset-ns=9223372036854775807", "2261" } },
    { "scaled-offset", SCALED "offset-ns=1h", { "offset-ns", "1h" } },
    { "failover-no-clock", "-machine host-clock-failover=on",
      { "host-clock-failover=on", "-clock NAME,NAME" } },
    { "failover-one-clock", "-clock unix -machine host-clock-failover=on",
      { "host-clock-failover=on", "-clock NAME,NAME" } },
    { "failover-object", "-object host-clock-unix,id=x "
      "-machine host-clock=x,host-clock-failover=on",
      { "host-clock-failover=on", "-clock NAME,NAME" } },
    { "failover-word", "-machine host-clock-failover=maybe",
      { "host-clock-failover", "on" } },
    { "record-scaled", "-object host-clock-scaled,id=a "
      "-icount shift=0,rr=record,rrfile=/dev/null", { "scaled", "record" } },
    { "record-object", "-object host-clock-unix,id=a "
      "-icount shift=0,rr=record,rrfile=/dev/null", { "unix", "record" } },
};

/* Returns the exit status, or -1 if it was killed by a signal. */
static int run_qmp(const char *args, const char *qmp, char **out, char **err)
{
    /* If there is no error, -qmp ends it; a bug must not hang the test. */
    g_autofree char *command = g_strdup_printf(
        "echo '{\"execute\":\"qmp_capabilities\"}%s{\"execute\":\"quit\"}' | "
        "timeout 30 %s %s", qmp, g_getenv("QTEST_QEMU_BINARY"), args);
    const char *argv[] = { "/bin/sh", "-c", command, NULL };
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, out,
                               err, &status, NULL));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int run(const char *args, char **out, char **err)
{
    return run_qmp(args, "", out, err);
}

static int count_errors(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    int n = 0;

    /* Errors start with the program's name, hints do not. */
    for (int i = 0; lines[i]; i++) {
        n += g_regex_match_simple("^(.*/)?qemu[^ ]*: ", lines[i], 0, 0) &&
             !strstr(lines[i], ": warning: ");
    }
    return n;
}

static void test_bad_input(const void *opaque)
{
    const BadInput *bad = opaque;
    g_autofree char *args = g_strconcat(
        strstr(bad->args, "rr=record") ? "-machine pc -nodefaults "
        "-display none -S -accel tcg " : MACHINE, "-qmp stdio ", bad->args,
        NULL);
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    int status = run(args, &out, &err);

    g_test_message("%s", err);
    g_assert_cmpint(status, ==, 1);
    g_assert_cmpint(count_errors(err), ==, 1);
    for (int i = 0; i < ARRAY_SIZE(bad->says) && bad->says[i]; i++) {
        if (!strstr(err, bad->says[i])) {
            g_test_message("it should have said: %s", bad->says[i]);
            g_test_fail();
        }
    }
}

/* Help */

static void check_help(const char *option)
{
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    int at = -1;

    g_assert_cmpint(run(option, &out, &err), ==, 0);
    g_assert_cmpstr(err, ==, "");
    /* All sources that are built in, one a line, in order of precedence */
    for (const char *const *name = (const char *const []) {
             "\nsystem ", "\ndynticks ", "\nhpet ", "\nrtc ", "\nunix ",
             "\nboottime ", "\nraw ", "\nscaled ", "\nmanual ", NULL
         }; *name; name++) {
        const char *line = strstr(out, *name);

        g_assert_nonnull(line);
        if (line) {
            g_assert_cmpint(line - out, >, at);
            at = line - out;
        }
    }
}

static void test_help(void)
{
    check_help("-clock help");
    check_help("-clock '?'");
    /* Whatever else is on the command line */
    check_help(MACHINE "-clock help");
}

/* The modules are asked, too. */
static void test_object_help(void)
{
    g_autofree char *types = NULL;
    g_autofree char *properties = NULL;
    g_autofree char *err = NULL;
    g_autofree char *none = NULL;

    g_assert_cmpint(run("-object help", &types, &none), ==, 0);
    g_assert_nonnull(strstr(types, "host-clock-hpet"));
    g_assert_nonnull(strstr(types, "host-clock-rtc"));
    g_assert_cmpint(run("-object host-clock-rtc,help", &properties, &err), ==,
                    0);
    g_assert_cmpstr(err, ==, "");
    g_assert_nonnull(strstr(properties, "utc=<OnOffAuto>"));
    g_assert_nonnull(strstr(properties, "device=<string>"));
    g_assert_nonnull(strstr(properties, "alarm-hz=<uint32>"));
}

/* Good input */

static QTestState *start(const char *args)
{
    return qtest_initf("-machine pc -nodefaults %s", args);
}

static QDict *find_clock(QTestState *qts, const char *id)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-host-clocks' }");
    QListEntry *entry;
    QDict *found = NULL;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *info = qobject_to(QDict, qlist_entry_obj(entry));

        if (!g_strcmp0(qdict_get_try_str(info, "id"), id)) {
            found = info;
            qobject_ref(found);
        }
    }
    qobject_unref(rsp);
    return found;
}

static bool has_clock(QTestState *qts, const char *id)
{
    QDict *info = find_clock(qts, id);

    qobject_unref(info);
    return info;
}

static void check_info(const char *args, const char *id, const char *type,
                       bool is_default)
{
    QTestState *qts = start(args);
    int64_t before = g_get_real_time() * 1000, wall_ns;
    QDict *info = find_clock(qts, id);

    g_assert_nonnull(info);
    if (info) {
        g_assert_cmpstr(qdict_get_str(info, "qom-type"), ==, type);
        g_assert_cmpstr(qdict_get_str(info, "state"), ==, "running");
        g_assert_cmpint(qdict_get_bool(info, "default"), ==, is_default);
        g_assert_cmpint(qdict_get_int(info, "generation"), ==, 0);
        g_assert_cmpint(qdict_get_int(info, "error-ns"), >=, 0);
        g_assert_cmpstr(qdict_get_str(info, "alarm"), !=, "");
        g_assert_false(qdict_haskey(info, "message"));
        wall_ns = qdict_get_int(info, "wall-ns");
        if (!strstr(type, "manual")) {
            g_assert_cmpint(wall_ns, >=, before);
            g_assert_cmpint(wall_ns, <=, g_get_real_time() * 1000 + 1000);
        } else {
            g_assert_cmpint(wall_ns, ==, MANUAL_WALL_S * NS);
            g_assert_cmpint(qdict_get_int(info, "mono-ns"), ==, 0);
        }
    }
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_query(void)
{
    check_info("", NULL, "host-clock-system", true);
    check_info("-clock dynticks", "host-clock0", "host-clock-dynticks", true);
    check_info("-clock unix -machine hpet=off", "host-clock0",
               "host-clock-unix", true);
    check_info("-clock boottime", "host-clock0", "host-clock-boottime", true);
    check_info("-object host-clock-unix,id=a", "a", "host-clock-unix", false);
    check_info("-clock scaled", "host-clock0", "host-clock-scaled", true);
    check_info("-object host-clock-manual,id=a,wall=" MANUAL_WALL
               " -machine host-clock=a", "a", "host-clock-manual", true);
}

static void test_info(void)
{
    QTestState *qts = start("-clock dynticks -object host-clock-unix,id=other");
    g_autofree char *text = qtest_hmp(qts, "info host-clocks");

    g_assert_nonnull(strstr(text, "host-clock0"));
    g_assert_nonnull(strstr(text, "host-clock-dynticks"));
    g_assert_nonnull(strstr(text, "other"));
    g_assert_nonnull(strstr(text, "host-clock-unix"));
    qtest_quit(qts);
}

static char *default_type(const char *args)
{
    QTestState *qts = start(args);
    QDict *info = find_clock(qts, "host-clock0");
    char *type = info ? g_strdup(qdict_get_str(info, "qom-type")) : NULL;

    g_assert_true(info && qdict_get_bool(info, "default"));
    qobject_unref(info);
    qtest_quit(qts);
    return type;
}

/* The first that opens: of those with a device and unix, unix always does. */
static void test_list(void)
{
    g_autofree char *list = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;

    for (const Source *s = host_clock_sources(); s->name; s++) {
        if ((g_str_equal(s->name, "hpet") || g_str_equal(s->name, "ptp") ||
             g_str_equal(s->name, "rtc")) && s->missing && !list) {
            list = g_strdup_printf("-clock %s,unix", s->name);
        }
    }
    first = default_type("-clock unix,dynticks");
    g_assert_cmpstr(first, ==, "host-clock-unix");
    second = default_type("-clock system,unix");
    g_assert_cmpstr(second, ==, "host-clock-system");
    if (list) {
        g_autofree char *third = default_type(list);

        g_assert_cmpstr(third, ==, "host-clock-unix");
    } else {
        g_test_message("every source can be had here");
    }
}

static void test_delete_chosen(void)
{
    QTestState *qts = start("-clock dynticks");
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'object-del',"
                           " 'arguments': { 'id': 'host-clock0' } }");

    g_assert_true(qdict_haskey(rsp, "error"));
    g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(rsp, "error"),
                                          "desc"), "host-clock0"));
    qobject_unref(rsp);
    g_assert_true(has_clock(qts, "host-clock0"));
    /* The RTC still has its time. */
    qtest_outb(qts, 0x70, RTC_REG_D);
    g_assert_cmphex(qtest_inb(qts, 0x71), ==, 0x80);
    qtest_quit(qts);
}

static void test_delete_unused(void)
{
    QTestState *qts = start("-clock dynticks");

    for (int i = 0; i < 3; i++) {
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-add', 'arguments':"
                                 " { 'qom-type': 'host-clock-unix',"
                                 " 'id': 'a' } }");
        g_assert_true(has_clock(qts, "a"));
        qtest_qmp_assert_success(qts, "{ 'execute': 'object-del',"
                                 " 'arguments': { 'id': 'a' } }");
        g_assert_false(has_clock(qts, "a"));
    }
    qtest_quit(qts);
}

/* With record/replay the clock cannot be changed. */
static void test_change_recorded(void)
{
    g_autofree char *out = NULL;
    g_autofree char *err = NULL;
    int status = run_qmp("-machine pc -nodefaults -display none -S -accel tcg "
                         "-qmp stdio -icount shift=0,rr=record,"
                         "rrfile=/dev/null -object host-clock-system,id=s",
                         "{\"execute\":\"qom-set\",\"arguments\":{\"path\":"
                         "\"/machine\",\"property\":\"host-clock\","
                         "\"value\":\"s\"}}", &out, &err);

    g_test_message("%s%s", out, err);
    g_assert_cmpint(status, ==, 0);
    g_assert_nonnull(strstr(out, "host-clock=s: with record/replay"));
}

/* Commands of the manual clock */

static void check_refused(QTestState *qts, const char *command, const char *id,
                          int64_t ns, const char *says)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': %s, 'arguments': { 'id': %s,"
                           " 'ns': %" PRId64 " } }", command, id, ns);

    g_assert_true(qdict_haskey(rsp, "error"));
    if (qdict_haskey(rsp, "error")) {
        g_assert_nonnull(strstr(qdict_get_str(qdict_get_qdict(rsp, "error"),
                                              "desc"), says));
    }
    qobject_unref(rsp);
}

static void test_manual(void)
{
    QTestState *qts = start("-object host-clock-manual,id=a,wall=" MANUAL_WALL
                            " -clock unix -object iothread,id=t");
    QDict *info;

    check_refused(qts, "host-clock-advance", "a", -1, "-1");
    check_refused(qts, "host-clock-advance", "a", INT64_MAX, "ns=");
    check_refused(qts, "host-clock-advance", "b", 1, "b");
    check_refused(qts, "host-clock-advance", "t", 1, "iothread");
    check_refused(qts, "host-clock-advance", "host-clock0", 1, "unix");
    check_refused(qts, "host-clock-step", "a", INT64_MIN, "ns=");
    check_refused(qts, "host-clock-step", "a", INT64_MAX, "ns=");
    check_refused(qts, "host-clock-step", "b", 1, "b");

    info = find_clock(qts, "a");
    g_assert_cmpint(qdict_get_int(info, "mono-ns"), ==, 0);
    g_assert_cmpint(qdict_get_int(info, "wall-ns"), ==, MANUAL_WALL_S * NS);
    qobject_unref(info);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_set_nonfatal_assertions();

    for (int i = 0; i < ARRAY_SIZE(bad_input); i++) {
        g_autofree char *path = g_strdup_printf("/host-clock-options/bad/%s",
                                                bad_input[i].name);

        qtest_add_data_func(path, &bad_input[i], test_bad_input);
    }
    qtest_add_func("/host-clock-options/help", test_help);
    qtest_add_func("/host-clock-options/object-help", test_object_help);
    qtest_add_func("/host-clock-options/query", test_query);
    qtest_add_func("/host-clock-options/info", test_info);
    qtest_add_func("/host-clock-options/list", test_list);
    qtest_add_func("/host-clock-options/delete/chosen", test_delete_chosen);
    qtest_add_func("/host-clock-options/delete/unused", test_delete_unused);
    qtest_add_func("/host-clock-options/change-recorded",
                   test_change_recorded);
    qtest_add_func("/host-clock-options/manual", test_manual);

    return g_test_run();
}
