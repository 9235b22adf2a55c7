/*
 * QTest testcase for the mc146818rtc: where its time begins, and where it
 * goes on after a migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "rtc-util.h"
#include "qobject/qdict.h"

/* Migration */

typedef struct File {
    char *path;
    char *uri;
} File;

static void file_create(File *f)
{
    int fd = g_file_open_tmp("rtc-registers-XXXXXX", &f->path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    f->uri = g_strdup_printf("file:%s", f->path);
}

static void file_delete(File *f)
{
    unlink(f->path);
    g_free(f->path);
    g_free(f->uri);
}

static void wait_migrated(void)
{
    for (int i = 0; i < 10000 && !g_test_failed(); i++) {
        QDict *status = qtest_qmp_assert_success_ref(
            qts, "{'execute': 'query-migrate'}");
        const char *text = qdict_get_try_str(status, "status");
        bool done = !g_strcmp0(text, "completed");

        g_assert_cmpstr(text, !=, "failed");
        qobject_unref(status);
        if (done) {
            return;
        }
        g_usleep(1000);
    }
}

/* Save, and go on in another QEMU, whose clock is at @ns if it is qtest's. */
static void move(const char *rtc, int64_t ns)
{
    File f;

    file_create(&f);
    qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
    qtest_qmp_assert_success(qts, "{'execute': 'migrate', "
                             "'arguments': {'uri': %s}}", f.uri);
    wait_migrated();
    qtest_quit(qts);
    qts = qtest_initf(MACHINE "-rtc %s -incoming defer", rtc);
    if (ns) {
        qtest_clock_set(qts, ns);
    }
    qtest_qmp_assert_success(qts, "{'execute': 'migrate-incoming', "
                             "'arguments': {'uri': %s}}", f.uri);
    wait_migrated();
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    file_delete(&f);
}

/* What the registers have that the date does not is kept by a migration. */
static void test_write_move(void)
{
    int64_t now = 0;

    rtc_start("none");
    step_to(&now, 300 * MS);
    cmos_write(RTC_DAY_OF_WEEK, 2);
    cmos_write(RTC_DAY_OF_MONTH, 0x31);
    move("base=" DATE ",clock=vm", now);
    check_date("2006-06-31T16:01:21");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 2);
    cmos_write(RTC_MONTH, 0x05);
    step_to(&now, SECOND - 1);
    check_date("2006-05-31T16:01:21");
    step_to(&now, SECOND);
    check_date("2006-05-31T16:01:22");
    g_assert_cmphex(cmos_read(RTC_DAY_OF_WEEK), ==, 2);
    qtest_quit(qts);
}

static int64_t second(void)
{
    return (cmos_read(RTC_MINUTES) >> 4) * 600 +
           (cmos_read(RTC_MINUTES) & 15) * 60 +
           (cmos_read(RTC_SECONDS) >> 4) * 10 + (cmos_read(RTC_SECONDS) & 15);
}

/* By how much the host is ahead of the RTC, when a second begins; in us */
static int64_t host_ahead_us(void)
{
    int64_t before = second();

    while (second() == before) {
        g_usleep(500);
    }
    return g_get_monotonic_time() - second() * 1000000;
}

/*
 * Under clock=rt the time at which the machine is in a file is lost, and
 * nothing else.
 */
static void test_move_rt(void)
{
    const char *rtc = "base=" DATE ",clock=rt";
    int64_t begin_us, ahead_us, down_us = 0;

    qts = qtest_initf(MACHINE "-rtc %s", rtc);
    begin_us = host_ahead_us();
    for (int i = 0; i < 10; i++) {
        int64_t move_us;

        g_usleep(50000 + 137000 * i % 1000000);
        move_us = g_get_monotonic_time();
        move(rtc, 0);
        down_us += g_get_monotonic_time() - move_us;
        g_assert_null(qtest_qmp_event_ref(qts, "RTC_CHANGE"));
    }
    ahead_us = host_ahead_us() - begin_us;
    g_test_message("RTC behind by %" PRId64 " us, of %" PRId64 " us", ahead_us,
                   down_us);
    /* A look takes up to 20 ms here if the machine is busy. */
    g_assert_cmpint(ahead_us, >, -20000);
    g_assert_cmpint(ahead_us, <, down_us + 20000);
    qtest_quit(qts);
}

/*
 * The date at power-on is that of the first cont, as libvirt starts domains;
 * and seconds begin when those of the host do.
 */
static void test_start(const void *clock)
{
    int64_t us;

    qts = qtest_initf(MACHINE "-S -rtc base=utc,clock=%s", (char *)clock);
    g_usleep(1300 * 1000);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    us = g_get_real_time();
    if (!strcmp(clock, "vm")) {
        /* It stands still, so only bounds can be had. */
        g_assert_cmpint((us / 1000000 - second() + 3600) % 3600, <=, 1);
        qtest_clock_step(qts, SECOND - us % 1000000 * 1000 + 100 * MS);
        g_assert_cmpint((us / 1000000 + 1 - second() + 3600) % 3600, ==, 0);
    } else {
        host_ahead_us();
        us = g_get_real_time();
        g_assert_cmpint(us % 1000000, <, 100000);
        g_assert_cmpint((us / 1000000 - second()) % 3600, ==, 0);
    }
    qtest_quit(qts);
}

/* Whole, or with the fraction that was given */
static void test_start_date(void)
{
    qts = qtest_init(MACHINE "-S -rtc base=" DATE ",clock=vm");
    qtest_clock_step(qts, 300 * MS);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    qtest_clock_step(qts, SECOND - 1);
    check_date("2006-06-17T16:01:21");
    qtest_clock_step(qts, 1);
    check_date("2006-06-17T16:01:22");
    qtest_quit(qts);

    qts = qtest_init(MACHINE "-S -rtc base=" DATE ".75,clock=vm");
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    qtest_clock_step(qts, 250 * MS - 1);
    check_date("2006-06-17T16:01:21");
    qtest_clock_step(qts, 1);
    check_date("2006-06-17T16:01:22");
    /* It is a date that the guest has not set; once is enough. */
    qtest_qmp_assert_success(qts, "{'execute': 'stop'}");
    qtest_clock_step(qts, 5 * SECOND);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    check_date("2006-06-17T16:01:27");
    qtest_quit(qts);

    /* What was set before that is left alone. */
    qts = qtest_init(MACHINE "-S -rtc base=" DATE ",clock=vm");
    cmos_write(RTC_HOURS, 0x05);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    check_date("2006-06-17T05:01:21");
    qtest_quit(qts);
}

/*
 * Management takes base=DATE for the date when QEMU started, and adds to it the
 * offset of RTC_CHANGE.  Only with clock=vm does time wait for the guest.
 */
static void test_start_paused(const void *clock)
{
    bool waits = g_str_equal(clock, "vm");
    int64_t begin_us = g_get_monotonic_time(), date, lost_s, most_s;
    QDict *event;

    qts = qtest_initf(MACHINE "-S -rtc base=" DATE ",clock=%s", (char *)clock);
    g_usleep(2100 * 1000);
    qtest_qmp_assert_success(qts, "{'execute': 'cont'}");
    date = second() - (60 + 21);
    most_s = (g_get_monotonic_time() - begin_us) / 1000000;
    g_assert_cmpint(date, >=, waits ? 0 : 2);
    g_assert_cmpint(date, <=, waits ? 0 : most_s);

    cmos_write(RTC_HOURS, 0x05);
    event = qtest_qmp_eventwait_ref(qts, "RTC_CHANGE");
    lost_s = -11 * 3600 -
             qdict_get_int(qdict_get_qdict(event, "data"), "offset");
    most_s = (g_get_monotonic_time() - begin_us) / 1000000 + 1;
    g_assert_cmpint(lost_s, >=, waits ? 2 : 0);
    g_assert_cmpint(lost_s, <=, waits ? most_s : 1);
    qobject_unref(event);
    qtest_quit(qts);
}

void add_move_tests(void)
{
    qtest_add_func("/rtc-registers/write/move", test_write_move);
    qtest_add_func("/rtc-registers/move/rt", test_move_rt);
    qtest_add_data_func("/rtc-registers/start/host", "host", test_start);
    qtest_add_data_func("/rtc-registers/start/rt", "rt", test_start);
    qtest_add_data_func("/rtc-registers/start/vm", "vm", test_start);
    qtest_add_func("/rtc-registers/start/date", test_start_date);
    qtest_add_data_func("/rtc-registers/start/paused/host", "host",
                        test_start_paused);
    qtest_add_data_func("/rtc-registers/start/paused/rt", "rt",
                        test_start_paused);
    qtest_add_data_func("/rtc-registers/start/paused/vm", "vm",
                        test_start_paused);
}
