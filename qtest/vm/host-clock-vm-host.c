/*
 * One VM, one time: what the host gives, and other threads of QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include "host-clock-vm.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"

/* An alarm each second */
#define DONT_CARE       0xc0

static const char *missing_source(const char *name)
{
    for (const Source *s = host_clock_sources(); s->name; s++) {
        if (g_str_equal(s->name, name)) {
            return s->missing;
        }
    }
    return "this emulator does not have it";
}

static char *clock_args(const char *source)
{
    return g_str_equal(source, "manual") ? g_strdup(MANUAL_ARGS) :
           g_str_equal(source, "scaled-3-2") ? g_strdup(SCALED_ARGS) :
           g_str_equal(source, "default") ? g_strdup("") :
           g_strdup_printf("-clock %s", source);
}

/* Let @ns of the RTC's time pass. */
static void pass(Process *p, const char *source, int64_t ns)
{
    if (g_str_equal(source, "manual")) {
        g_assert_null(manual_advance(p, MANUAL_ID, ns));
    } else {
        sleep_ns(ns);
    }
}

/* Descriptors */

/* One more than the last of those below which all are in use */
static int first_free(pid_t pid)
{
    for (int fd = 0; ; fd++) {
        g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", pid, fd);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (!target) {
            return fd;
        }
    }
}

static void take_descriptors(Process *p)
{
    int n = first_free(process_pid(p));
    struct rlimit none = { n, n };

    g_assert_cmpint(prlimit(process_pid(p), RLIMIT_NOFILE, &none, NULL), ==, 0);
}

/* The guest sets the year. */
static void set_year(Process *p, uint8_t year)
{
    process_cmos_write(p, RTC_REG_B, REG_B_SET | REG_B_24H);
    process_cmos_write(p, RTC_YEAR, year);
    process_cmos_write(p, RTC_REG_B, REG_B_24H);
    g_assert_cmphex(process_cmos_read(p, RTC_YEAR), ==, year);
    g_assert_cmpint(process_rtc_time(p), >, MANUAL_WALL_S);
}

/* Events of this kind come once in a second of the VM's time. */
static void check_set_date(Process *p)
{
    set_year(p, 0x30);
    g_assert_cmpint(process_events(p, "RTC_CHANGE", NULL), ==, 1);
}

/* It comes within two seconds: wait for as long as a busy host may need. */
static void check_alarm(Process *p, const char *source)
{
    uint8_t flags = 0;

    process_cmos_write(p, RTC_SECONDS_ALARM, DONT_CARE);
    process_cmos_write(p, RTC_MINUTES_ALARM, DONT_CARE);
    process_cmos_write(p, RTC_HOURS_ALARM, DONT_CARE);
    process_cmos_read(p, RTC_REG_C);
    process_cmos_write(p, RTC_REG_B, REG_B_24H | REG_B_AIE);
    for (int i = 0; i < BOUND_S * 10 && !(flags & REG_C_AF); i++) {
        pass(p, source, NS / 10);
        flags = process_cmos_read(p, RTC_REG_C);
    }
    g_assert_cmphex(flags & (REG_C_AF | REG_C_IRQF), ==,
                    REG_C_AF | REG_C_IRQF);
}

/* An error if it needs a descriptor, and QEMU goes on in any case. */
static void check_object_add(Process *p)
{
    static const char *const sources[] = {
        "hpet", "rtc", "unix", "dynticks", "manual",
    };

    for (int i = 0; i < ARRAY_SIZE(sources); i++) {
        g_autofree char *id = g_strdup_printf("more%d", i);
        g_autofree char *error = process_add_clock(p, sources[i], id, "");

        g_test_message("object-add %s: %s", sources[i], error ?: "done");
        if (i < 2) {
            g_assert_nonnull(error);
        } else {
            g_assert_null(error);
            process_del_clock(p, id);
        }
        process_check_alive(p);
    }
}

static void test_no_descriptors(const void *opaque)
{
    static const char *const settings[] = { "host", "rt", "vm" };
    const char *source = opaque;
    const char *missing = missing_source(source);
    g_autofree char *clock = clock_args(source);

    if (missing && !g_str_equal(source, "default")) {
        g_test_skip(missing);
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(settings) && !g_test_failed(); i++) {
        g_autofree char *args = g_strdup_printf("%s -rtc clock=%s", clock,
                                                settings[i]);
        Process *p;

        if (g_str_equal(source, "default") && i == 2) {
            /* qtest's clock stands still. */
            break;
        }
        p = process_start(args);
        if (process_ready(p)) {
            take_descriptors(p);
            check_set_date(p);
            check_alarm(p, source);
            check_object_add(p);
            set_year(p, 0x31);
        }
        process_end(p);
    }
}

/* Steps are watched for by one descriptor, however many clocks there are. */
static void test_one_watch(void)
{
    Process *p = process_start("-clock dynticks -rtc clock=host "
                               "-object host-clock-unix,id=a "
                               "-object host-clock-raw,id=b "
                               "-object host-clock-dynticks,id=c");
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    g_auto(GStrv) parts = NULL;

    process_ready(p);
    before = process_holdings(p);
    check_set_date(p);
    check_alarm(p, "dynticks");
    after = process_holdings(p);
    g_assert_cmpstr(after, ==, before);
    parts = g_strsplit(after, "[timerfd]", -1);
    g_assert_cmpint(g_strv_length(parts) - 1, ==, 1);
    process_end(p);
}

/* QEMU's own descriptors, given for a device, are not taken and not closed. */
static void test_foreign_fd(const void *opaque)
{
    const char *source = opaque;
    Process *p = process_start("-clock dynticks -object iothread,id=t");
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    int n;

    process_ready(p);
    before = process_holdings(p);
    n = first_free(process_pid(p));
    for (int fd = 0; fd < n && process_check_alive(p); fd++) {
        g_autofree char *props = g_strdup_printf("'fd': '%d'", fd);
        g_autofree char *error = process_add_clock(p, source, "x", props);

        if (error && strstr(error, "invalid object type")) {
            g_test_skip("this emulator does not have it");
            process_end(p);
            return;
        }
        if (!error) {
            g_test_message("fd=%d was taken", fd);
            g_test_fail();
            process_del_clock(p, "x");
        }
    }
    after = process_holdings(p);
    g_assert_cmpstr(after, ==, before);
    process_end(p);
}

/* Other threads */

/*
 * At 10 requests a second, of which two need not wait; while qtest runs,
 * throttling uses the VM's time.
 */
#define GAP_NS          (NS / 10)
#define AT_ONCE         2
#define REQUESTS        5
#define TRIES           3

static Process *start_with_throttled_disk(const char *source)
{
    g_autofree char *clock = clock_args(source);
    g_autofree char *args = g_strdup_printf(
        "%s -object iothread,id=t -drive if=none,id=disk,node-name=node,"
        "driver=null-co,read-zeroes=on", clock);
    Process *p = process_start(args);

    qobject_unref(process_qmp(p, NULL, "{ 'execute': 'x-blockdev-set-iothread',"
                              " 'arguments': { 'node-name': 'node', 'iothread':"
                              " 't', 'force': true } }"));
    /*
     * With throttling.iops-total= it would be set up before qtest is, and be
     * on QEMU_CLOCK_REALTIME.
     */
    qobject_unref(process_qmp(p, NULL, "{ 'execute': 'block_set_io_throttle',"
                              " 'arguments': { 'device': 'disk', 'bps': 0,"
                              " 'bps_rd': 0, 'bps_wr': 0, 'iops': 10,"
                              " 'iops_rd': 0, 'iops_wr': 0 } }"));
    return p;
}

static void request(Process *p)
{
    qobject_unref(process_qmp(p, NULL, "{ 'execute': 'human-monitor-command',"
                              " 'arguments': { 'command-line':"
                              " 'qemu-io disk \"aio_read -q 0 512\"' } }"));
}

static int64_t requests_done(Process *p)
{
    QObject *all = process_qmp(p, NULL, "{ 'execute': 'query-blockstats' }");
    const QListEntry *e;
    int64_t n = -1;

    if (all) {
        QLIST_FOREACH_ENTRY(qobject_to(QList, all), e) {
            QDict *device = qobject_to(QDict, qlist_entry_obj(e));

            if (g_str_equal(qdict_get_str(device, "device"), "disk")) {
                n = qdict_get_int(qdict_get_qdict(device, "stats"),
                                  "rd_operations");
            }
        }
    }
    qobject_unref(all);
    return n;
}

/* An iothread is told of time, but not waited for. */
static void wait_for_requests(Process *p, int64_t n)
{
    int64_t deadline = now_ns() + BOUND_S * NS;

    while (requests_done(p) < n && now_ns() < deadline) {
        g_usleep(1000);
    }
    g_assert_cmpint(requests_done(p), ==, n);
}

/*
 * With "scaled", at 3/2 over manual, the first ns of that by which so much has
 * passed: it is converted where the iothread sleeps, too.
 */
static int64_t parent_ns(const char *source, int64_t ns)
{
    return g_str_equal(source, "manual") ? ns : (ns * 2 + 2) / 3;
}

static void test_iothread_told(const void *opaque)
{
    const char *source = opaque;
    Process *p = start_with_throttled_disk(source);
    int64_t ns = 0;

    for (int i = 0; i < REQUESTS; i++) {
        request(p);
    }
    wait_for_requests(p, AT_ONCE);
    /* The others have to be there, too, before time moves; nothing tells. */
    sleep_ns(10 * LATE_NS);
    for (int i = AT_ONCE + 1; i <= REQUESTS && !g_test_failed(); i++) {
        int64_t due_ns = parent_ns(source, (i - AT_ONCE) * GAP_NS);

        g_assert_null(manual_advance(p, MANUAL_ID, due_ns - MS - ns));
        sleep_ns(LATE_NS);
        g_assert_cmpint(requests_done(p), ==, i - 1);
        g_assert_null(manual_advance(p, MANUAL_ID, MS));
        wait_for_requests(p, i);
        ns = due_ns;
    }
    process_end(p);
}

/* How long requests take that have to wait for so long, if the host is idle */
static int64_t requests_take_ns(const char *source, int64_t wait_ns)
{
    Process *p = start_with_throttled_disk(source);
    int64_t took_ns, begin = now_ns();

    for (int i = 0; i < REQUESTS; i++) {
        request(p);
    }
    wait_for_requests(p, REQUESTS);
    took_ns = now_ns() - begin;
    g_assert_cmpint(took_ns, >=, wait_ns / 1000 * 999);
    process_end(p);
    return took_ns;
}

static void test_iothread(const void *opaque)
{
    const char *source = opaque;
    const char *missing = missing_source(source);
    int64_t wait_ns = (REQUESTS - AT_ONCE) * GAP_NS;
    int64_t most_ns = wait_ns + 10 * LATE_NS, took_ns = INT64_MAX;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    /* Never early; on time if the host is not busy each time */
    for (int i = 0; i < TRIES && took_ns > most_ns; i++) {
        took_ns = requests_take_ns(source, wait_ns);
    }
    g_assert_cmpint(took_ns, <=, most_ns);
}

void add_host_tests(void)
{
    for (const Source *s = next_source(NULL); s; s = next_source(s)) {
        g_autofree char *no_fds = g_strdup_printf(
            "/host-clock-vm/no-descriptors/%s", s->name);
        g_autofree char *iothread = g_strdup_printf(
            "/host-clock-vm/iothread/%s", s->name);

        qtest_add_data_func(no_fds, s->name, test_no_descriptors);
        if (!source_is_system(s->name) && !g_str_equal(s->name, "manual")) {
            qtest_add_data_func(iothread, s->name, test_iothread);
        }
    }
    qtest_add_func("/host-clock-vm/one-watch", test_one_watch);
    qtest_add_data_func("/host-clock-vm/foreign-fd/hpet", "hpet",
                        test_foreign_fd);
    qtest_add_data_func("/host-clock-vm/foreign-fd/rtc", "rtc",
                        test_foreign_fd);
    qtest_add_data_func("/host-clock-vm/iothread/manual", "manual",
                        test_iothread_told);
    qtest_add_data_func("/host-clock-vm/iothread/scaled-3-2", "scaled-3-2",
                        test_iothread_told);
}
