/*
 * What a manager is told: steps, RTCs that have fallen behind, and the words of
 * query-host-clocks; and what a guest is told by vmclock
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "standard-headers/linux/vmclock-abi.h"

#include <sys/timex.h>

#define VMCLOCK_PAGE    0xfeffb000

static QTestState *start(const char *clock, const char *args)
{
    return qtest_initf("-machine pc,host-clock=m -nodefaults -object "
                       "host-clock-manual,id=m,wall=" MANUAL_WALL
                       " -rtc base=utc,clock=%s %s", clock, args);
}

static void command(QTestState *qts, const char *name)
{
    qtest_qmp_assert_success(qts, "{ 'execute': %s }", name);
}

static void move(QTestState *qts, const char *name, int64_t ns)
{
    qtest_qmp_assert_success(qts, "{ 'execute': %s, 'arguments':"
                             " { 'id': 'm', 'ns': %" PRId64 " } }", name, ns);
}

/* RTCs that have fallen behind */

static int64_t lag_of_stop(QTestState *qts, int64_t ns)
{
    command(qts, "stop");
    move(qts, "host-clock-advance", ns);
    command(qts, "cont");
    return told_lag_ns(qts, "stop");
}

static void set_date(QTestState *qts)
{
    qtest_outb(qts, 0x70, RTC_REG_B);
    qtest_outb(qts, 0x71, REG_B_24H | REG_B_SET);
    qtest_outb(qts, 0x70, RTC_YEAR);
    qtest_outb(qts, 0x71, 0x31);
    qtest_outb(qts, 0x70, RTC_REG_B);
    qtest_outb(qts, 0x71, REG_B_24H);
}

static void test_lag_stop(const void *clock)
{
    bool is_vm = g_str_equal(clock, "vm");
    bool is_host = g_str_equal(clock, "host");
    QTestState *qts = start(clock, "");

    g_assert_cmpint(told_lag_ns(qts, "stop"), ==, 0);
    g_assert_cmpint(lag_of_stop(qts, NS), ==, 0);
    g_assert_cmpint(lag_of_stop(qts, 1), ==, is_vm ? NS + 1 : 0);
    move(qts, "host-clock-advance", 5 * NS);
    g_assert_cmpint(lag_of_stop(qts, NS), ==, is_vm ? 2 * NS + 1 : 0);
    /* Set by the guest, it is right again. */
    set_date(qts);
    g_assert_cmpint(lag_of_stop(qts, NS), ==, 0);
    g_assert_cmpint(lag_of_stop(qts, NS), ==, is_vm ? 2 * NS : 0);
    /* The host's clock is set, and only clock=host follows. */
    move(qts, "host-clock-step", 3600 * NS);
    g_assert_cmpint(lag_of_stop(qts, 0), ==,
                    is_host ? 0 : 3600 * NS + (is_vm ? 2 * NS : 0));
    /* An RTC that is ahead does not lag. */
    move(qts, "host-clock-step", -7200 * NS);
    g_assert_cmpint(lag_of_stop(qts, 0), ==, 0);
    qtest_quit(qts);
}

static void test_lag_load(const void *clock)
{
    bool is_host = g_str_equal(clock, "host");
    g_autofree char *path = g_strdup_printf("%s/lag-%d", g_get_tmp_dir(),
                                            getpid());
    VMOptions later = { .manual_wall_s = MANUAL_WALL_S + 3600 };
    Setting setting = is_host ? SET_HOST :
                      g_str_equal(clock, "rt") ? SET_RT : SET_VM;
    VM *from = vm_start("manual", setting, "utc", "");
    VM *to;

    vm_pass(from, 60 * NS);
    command(from->qts, "stop");
    migrate_to_file(from, path);
    to = vm_start_with(&later, "manual", setting, "utc", "-incoming defer");
    migrate_from_file(to, path);
    unlink(path);
    /* It was saved a minute after it began. */
    command(to->qts, "cont");
    g_assert_cmpint(told_lag_ns(to->qts, "load"), ==, is_host ? 0 : 3540 * NS);
    command(to->qts, "stop");
    command(to->qts, "cont");
    g_assert_cmpint(told_lag_ns(to->qts, "stop"), ==, is_host ? 0 : 3540 * NS);
    vm_quit(from);
    vm_quit(to);
}

/* Steps */

static void test_limit(void)
{
    QTestState *qts = start("host", "");
    int64_t sum_ns = 0, told_ns = 0, generation = 0;
    int events = 0;

    for (int i = 1; i <= 200; i++) {
        int64_t ns = i % 3 ? i * NS : -i * MS;

        move(qts, "host-clock-step", ns);
        sum_ns += ns;
    }
    while (generation < 200) {
        QDict *event = qtest_qmp_eventwait_ref(qts, "HOST_CLOCK_STEP");
        QDict *data = qdict_get_qdict(event, "data");

        g_assert_cmpint(qdict_get_int(data, "generation"), >, generation);
        generation = qdict_get_int(data, "generation");
        told_ns += qdict_get_int(data, "step-ns");
        g_assert_cmpstr(qdict_get_str(data, "reason"), ==, "manual");
        g_assert_cmpint(qdict_get_int(data, "suspended-ns"), ==, 0);
        g_assert_cmpint(qdict_get_int(data, "mono-ns"), ==, 0);
        events++;
        qobject_unref(event);
    }
    g_assert_cmpint(told_ns, ==, sum_ns);
    g_test_message("200 steps, %d events", events);
    g_assert_cmpint(events, <, 200);
    qtest_quit(qts);
}

/* Words */

static QDict *query(QTestState *qts)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': 'query-host-clocks' }");
    QListEntry *entry;
    QDict *info = NULL;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), entry) {
        QDict *dict = qobject_to(QDict, qlist_entry_obj(entry));

        if (qdict_get_bool(dict, "default")) {
            info = qobject_ref(dict);
        }
    }
    g_assert_nonnull(info);
    qobject_unref(rsp);
    return info;
}

/* As seen from here; it may change at any time, so it is asked for again. */
static bool is_as_adjtimex(QDict *info)
{
    static const char *const leaps[] = {
        [TIME_OK] = "none", [TIME_INS] = "pre-pos", [TIME_DEL] = "pre-neg",
        [TIME_OOP] = "pos", [TIME_WAIT] = "post-pos", [TIME_ERROR] = "none",
    };
    struct timex t = {};
    int state = adjtimex(&t);

    return g_str_equal(qdict_get_str(info, "status"),
                       t.status & STA_CLOCKERR ? "unreliable" :
                       t.status & STA_UNSYNC ? "unknown" : "synchronized") &&
           g_str_equal(qdict_get_str(info, "leap"), leaps[state]) &&
           qdict_get_try_int(info, "tai-offset", 0) == t.tai &&
           qdict_get_int(info, "maxerror-ns") <= t.maxerror * 1000 &&
           qdict_get_int(info, "esterror-ns") == t.esterror * 1000;
}

static void test_words(const void *name)
{
    QTestState *qts = qtest_initf("-machine pc -nodefaults -clock %s",
                                  (char *)name);
    bool is_alike = false;

    for (int i = 0; i < 5 && !is_alike; i++) {
        QDict *info = query(qts);

        is_alike = is_as_adjtimex(info);
        g_assert_cmpstr(qdict_get_str(info, "time-scale"), ==,
                        "utc-maybe-smeared");
        g_assert_cmpint(qdict_get_int(info, "suspended-ns"), ==, 0);
        g_assert_true(qlist_empty(qdict_get_qlist(info, "last-steps")));
        qobject_unref(info);
    }
    g_assert_true(is_alike);
    qtest_quit(qts);
}

/* Of a clock that is twice as fast: within 2 % although the host is busy */
static void test_words_rate(void)
{
    QTestState *qts = qtest_initf("-machine pc,host-clock=s -nodefaults -object"
                                  " host-clock-raw,id=r -object "
                                  "host-clock-scaled,id=s,clock=r,rate=2");
    QDict *info = query(qts);

    while (!qdict_haskey(info, "rate-ppb")) {
        g_usleep(G_USEC_PER_SEC / 10);
        qobject_unref(info);
        info = query(qts);
    }
    g_assert_cmpint(qdict_get_int(info, "rate-ppb"), >, 980000000);
    g_assert_cmpint(qdict_get_int(info, "rate-ppb"), <, 1020000000);
    qobject_unref(info);
    qtest_quit(qts);
}

static void test_words_steps(void)
{
    QTestState *qts = start("host", "");
    g_autofree char *text = NULL;
    QListEntry *entry;
    QDict *info;
    int64_t i = 10;

    for (int n = 1; n <= i; n++) {
        move(qts, "host-clock-step", n * NS);
        move(qts, "host-clock-advance", NS);
    }
    info = query(qts);
    g_assert_cmpstr(qdict_get_str(info, "time-scale"), ==, "utc");
    g_assert_cmpstr(qdict_get_str(info, "status"), ==, "unknown");
    g_assert_false(qdict_haskey(info, "maxerror-ns"));
    g_assert_false(qdict_haskey(info, "rate-ppb"));
    QLIST_FOREACH_ENTRY(qdict_get_qlist(info, "last-steps"), entry) {
        QDict *step = qobject_to(QDict, qlist_entry_obj(entry));

        g_assert_cmpint(qdict_get_int(step, "step-ns"), ==, i * NS);
        g_assert_cmpint(qdict_get_int(step, "generation"), ==, i);
        g_assert_cmpint(qdict_get_int(step, "mono-ns"), ==, (i - 1) * NS);
        g_assert_cmpint(qdict_get_int(step, "wall-ns"), ==,
                        (MANUAL_WALL_S + i * (i + 1) / 2 + i - 1) * NS);
        g_assert_cmpstr(qdict_get_str(step, "reason"), ==, "manual");
        i--;
    }
    /* The last eight */
    g_assert_cmpint(i, ==, 2);
    qobject_unref(info);
    text = qtest_hmp(qts, "info host-clocks");
    g_assert_nonnull(strstr(text, "utc, unknown"));
    g_assert_nonnull(strstr(text, "steps 10"));
    g_assert_nonnull(strstr(text, "manual: +10000000000 ns"));
    qtest_quit(qts);
}

/* vmclock */

static uint64_t disruptions(QTestState *qts)
{
    struct vmclock_abi page;

    qtest_memread(qts, VMCLOCK_PAGE, &page, sizeof(page));
    g_assert_cmphex(le32_to_cpu(page.magic), ==, VMCLOCK_MAGIC);
    g_assert_cmpuint(le32_to_cpu(page.seq_count) % 2, ==, 0);
    return le64_to_cpu(page.disruption_marker);
}

static void test_vmclock(void)
{
    QTestState *qts = start("host", "-device vmclock -object "
                            "host-clock-scaled,id=s,clock=m");
    uint64_t n = disruptions(qts);

    move(qts, "host-clock-step", 3600 * NS);
    g_assert_cmpuint(disruptions(qts), ==, ++n);
    move(qts, "host-clock-step", -3600 * NS);
    g_assert_cmpuint(disruptions(qts), ==, ++n);
    move(qts, "host-clock-step", 10 * MS);
    g_assert_cmpuint(disruptions(qts), ==, n);
    move(qts, "host-clock-step", -10 * MS - 1);
    g_assert_cmpuint(disruptions(qts), ==, ++n);
    /* It goes on, and does not jump. */
    move(qts, "host-clock-advance", 3600 * NS);
    command(qts, "stop");
    move(qts, "host-clock-advance", 3600 * NS);
    command(qts, "cont");
    g_assert_cmpuint(disruptions(qts), ==, n);
    /* Another clock, although it shows the same */
    qtest_qmp_assert_success(qts, "{ 'execute': 'qom-set', 'arguments': {"
                             " 'path': '/machine', 'property': 'host-clock',"
                             " 'value': 's' } }");
    g_assert_cmpuint(disruptions(qts), ==, ++n);
    qtest_quit(qts);
}

int main(int argc, char **argv)
{
    static const char *const clocks[] = { "host", "rt", "vm" };
    static const char *const kernels[] = {
        "system", "dynticks", "unix", "boottime", "raw",
    };

    g_test_init(&argc, &argv, NULL);
    for (int i = 0; i < ARRAY_SIZE(clocks); i++) {
        g_autofree char *stop = g_strconcat("/host-clock-told/lag/stop/",
                                            clocks[i], NULL);
        g_autofree char *load = g_strconcat("/host-clock-told/lag/load/",
                                            clocks[i], NULL);

        qtest_add_data_func(stop, clocks[i], test_lag_stop);
        qtest_add_data_func(load, clocks[i], test_lag_load);
    }
    for (int i = 0; i < ARRAY_SIZE(kernels); i++) {
        g_autofree char *path = g_strconcat("/host-clock-told/words/",
                                            kernels[i], NULL);

        qtest_add_data_func(path, kernels[i], test_words);
    }
    qtest_add_func("/host-clock-told/words/rate", test_words_rate);
    qtest_add_func("/host-clock-told/words/steps", test_words_steps);
    qtest_add_func("/host-clock-told/limit", test_limit);
    qtest_add_func("/host-clock-told/vmclock", test_vmclock);
    return g_test_run();
}
