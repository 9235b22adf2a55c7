/*
 * The host clocks that open devices, against the real ones: who may open them,
 * who shares them, and what happens when they are gone, set, or stopped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Paths are /host-clock-device/<source>/<behaviour>.  A host that lacks what a
 * test needs skips it with the reason; the lab (qtest/lab) has it all.  What
 * would disturb a real machine is done in the lab alone.
 */

#include "qemu/osdep.h"
#include "host-clock-device.h"
#include "qobject/qlist.h"

/* The user and group 'nobody' of most systems; it owns no file. */
#define NOBODY          65534

void figure(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_test_message("figure: %s", text);
}

static void assert_says(const char *text, const char *word)
{
    if (!text || !strstr(text, word)) {
        g_test_message("it said: %s; it should have said: %s",
                       text ?: "nothing", word);
        g_test_fail();
    }
}

/* A string of query-host-clocks, to be freed; NULL if it is absent */
static char *member(Process *p, const char *id, const char *name)
{
    QDict *clock = process_clock(p, id);
    char *value = clock ? g_strdup(qdict_get_try_str(clock, name)) : NULL;

    qobject_unref(clock);
    return value;
}

/* Devices that are none */

static void check_refused(Process *p, Kind *kind, const char *path,
                          const char *reason)
{
    g_autofree char *props = g_strdup_printf("'device': '%s'", path);
    g_autofree char *before = process_holdings(p);
    g_autofree char *after = NULL;
    g_autofree char *error = process_add_clock(p, kind->source, "bad", props);

    g_test_message("device=%s: %s", path, error ?: "no error");
    assert_says(error, path);
    /* The kernel's reason, or that the property names something else */
    assert_says(error, reason ?: "device");
    if (!error) {
        process_del_clock(p, "bad");
    }
    after = process_holdings(p);
    g_assert_cmpstr(after, ==, before);
    process_check_alive(p);
}

static void test_not_a_device(Kind *kind)
{
    Process *p = process_start("-machine none");
    g_autofree char *dir = g_dir_make_tmp("host-clock-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "file", NULL);
    g_autofree char *link = g_build_filename(dir, "link", NULL);
    g_autofree char *null_link = g_build_filename(dir, "null", NULL);

    g_assert_true(g_file_set_contents(file, "0\n", -1, NULL));
    g_assert(symlink(file, link) == 0);
    g_assert(symlink("/dev/null", null_link) == 0);
    /* The first loads the module, which stays mapped. */
    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));

    check_refused(p, kind, "/dev/null", NULL);
    check_refused(p, kind, null_link, NULL);
    check_refused(p, kind, dir, NULL);
    check_refused(p, kind, file, NULL);
    check_refused(p, kind, link, NULL);
    process_end(p);
    unlink(null_link);
    unlink(link);
    unlink(file);
    rmdir(dir);
}

static void test_no_such_device(Kind *kind)
{
    Process *p = process_start("-machine none");

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    check_refused(p, kind, "/dev/nosuch", strerror(ENOENT));
    check_refused(p, kind, "/dev/null/x", strerror(ENOTDIR));
    process_end(p);
}

/* On the command line it is one error, and exit status 1. */
static void test_command_line(Kind *kind)
{
    g_autofree char *command = g_strdup_printf(
        "%s -machine none -accel qtest -nodefaults -display none "
        "-object host-clock-%s,id=a,device=/dev/null",
        g_getenv("QTEST_QEMU_BINARY"), kind->source);
    g_autofree char *err = NULL;
    int status;

    g_assert_true(g_spawn_command_line_sync(command, NULL, &err, &status,
                                            NULL));
    g_test_message("%s", err);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, 1);
    assert_says(err, "/dev/null");
}

/* A host without the device takes the next of the list, and says why. */
static void test_absent(Kind *kind)
{
    g_autofree char *list = NULL;
    g_autofree char *args = NULL;
    g_autofree char *err = NULL;
    g_autofree char *type = NULL;
    Process *p;

    if (!kind->missing) {
        g_test_skip("this host has the device");
        return;
    }
    assert_says(kind->missing, kind->device);
    list = g_strdup_printf("%s,unix", kind->source);
    args = g_strdup_printf("-clock %s", list);
    p = process_start(args);
    type = member(p, CLOCK_ID, "qom-type");
    g_assert_cmpstr(type, ==, "host-clock-unix");
    err = process_stderr(p);
    g_test_message("%s", err);
    assert_says(err, kind->source);
    assert_says(err, kind->device);
    process_end(p);
}

/* The kernel has a HPET but gives no mapping of it: hpet_mmap=0 */
static void test_no_mmap(Kind *kind)
{
    bool mapped = reference_can_map(kind->device);
    int fd = open(kind->device, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || mapped) {
        g_test_skip(fd < 0 ? "the HPET cannot be opened"
                           : "this kernel lets the HPET be mapped");
    } else {
        g_test_message("%s", kind->missing ?: "no reason");
        assert_says(kind->missing, kind->device);
        assert_says(kind->missing, "hpet_mmap");
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* Who may open it */

static void check_running(Kind *kind, Process *p, const char *id)
{
    g_autofree char *state = member(p, id, "state");
    Look from, to;

    g_assert_cmpstr(state, ==, "running");
    if (process_look(p, id, &from)) {
        sleep_ns(2 * NS);
        if (process_look(p, id, &to)) {
            check_drift(kind, id, &from, &to);
            g_assert_cmpint(to.mono_ns, >, from.mono_ns);
        }
    }
}

static int open_device(Kind *kind)
{
    /* As sources do it; -add-fd wants the same mode. */
    int fd = open(kind->device, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        g_test_message("%s: %s", kind->device, strerror(errno));
        g_test_fail();
    }
    return fd;
}

static bool skip_unless_root(void)
{
    if (geteuid() == 0) {
        return false;
    }
    g_test_skip("only root can become another user");
    return true;
}

/* Everybody may read the seconds in sysfs, which is less exact. */
static void check_sysfs_instead(Process *p, Kind *kind)
{
    g_autofree char *error = process_add_clock(p, kind->source, "a", "");
    g_autofree char *method = NULL;
    g_autofree char *message = NULL;

    g_assert_cmpstr(error, ==, NULL);
    if (error) {
        return;
    }
    method = member(p, "a", "method");
    message = member(p, "a", "message");
    g_test_message("message: %s", message ?: "none");
    g_assert_cmpstr(method, ==, "sysfs");
    check_running(kind, p, "a");
}

static void test_eacces(Kind *kind)
{
    struct stat st;
    Process *p;

    if (skip_unless_root()) {
        return;
    }
    if (stat(kind->device, &st) || st.st_mode & S_IROTH) {
        g_test_skip("everybody may read the device here");
        return;
    }
    p = process_start_as("-machine none", NOBODY, NULL, 0);
    if (is_hpet(kind)) {
        check_refused(p, kind, kind->device, strerror(EACCES));
    } else {
        check_sysfs_instead(p, kind);
    }
    process_end(p);
}

/* An unprivileged emulator in a sandbox, with a device that it inherits */
static void check_inherited(Kind *kind, const char *fmt)
{
    int fd;
    Process *p;
    g_autofree char *args = NULL;

    if (skip_unless_root()) {
        return;
    }
    fd = open_device(kind);
    args = g_strdup_printf(fmt, fd, kind->source, fd);
    p = process_start_as(args, NOBODY, &fd, 1);
    /* The emulator's own it is from here on. */
    close(fd);
    if (process_ready(p)) {
        check_running(kind, p, "a");
    }
    process_end(p);
}

static void test_fd(Kind *kind)
{
    check_inherited(kind, "-name fd%d -sandbox on "
                    "-object host-clock-%s,id=a,fd=%d -machine host-clock=a");
}

static void test_fdset(Kind *kind)
{
    check_inherited(kind, "-add-fd fd=%d,set=7 -sandbox on "
                    "-object host-clock-%s,id=a,device=/dev/fdset/7 "
                    "-name fd%d -machine host-clock=a");
}

/* getfd over QMP; an unprivileged management application does this. */
static void test_getfd(Kind *kind)
{
    Process *p;
    int fd;
    g_autofree char *error = NULL;

    if (skip_unless_root()) {
        return;
    }
    fd = open_device(kind);
    p = process_start_as("-machine none -sandbox on", NOBODY, NULL, 0);
    if (process_give_fd(p, "clockfd", fd)) {
        error = process_add_clock(p, kind->source, "a", "'fd': 'clockfd'");
        g_assert_cmpstr(error, ==, NULL);
        if (!error) {
            check_running(kind, p, "a");
            process_del_clock(p, "a");
        }
    }
    close(fd);
    process_end(p);
}

static void test_bad_fd(Kind *kind)
{
    Process *p = process_start("-machine none");
    g_autofree char *unknown = process_add_clock(p, kind->source, "a",
                                                 "'fd': 'nosuch'");
    g_autofree char *null = NULL;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_says(unknown, "nosuch");
    if (process_give_fd(p, "nullfd", fd)) {
        null = process_add_clock(p, kind->source, "b", "'fd': 'nullfd'");
        assert_says(null, "fd");
    }
    close(fd);
    process_check_alive(p);
    process_end(p);
}

/* What it holds, and gives back */

/* Without its interrupts the device is left to others between samples. */
static void check_released(Kind *kind, Process *p, const char *props,
                           bool holds)
{
    g_autofree char *before = process_holdings(p);
    g_autofree char *during = NULL;
    g_autofree char *after = NULL;
    g_autofree char *error = process_add_clock(p, kind->source, "a", props);

    g_assert_cmpstr(error, ==, NULL);
    if (error) {
        return;
    }
    /* Some do it only once they run. */
    sleep_ns(3 * NS);
    during = process_holdings(p);
    g_assert_cmpint(g_str_equal(during, before), ==, !holds);
    process_del_clock(p, "a");
    after = process_holdings(p);
    g_assert_cmpstr(after, ==, before);
}

static void test_released(Kind *kind)
{
    Process *p = process_start("-machine none");
    bool alarms = g_str_equal(expected_alarm(kind), "device interrupts");

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    check_released(kind, p, "", false);
    check_released(kind, p, "'alarm': 'device'", alarms);
    process_end(p);
}

/* More clocks than there are comparators, or devices */

#define CROWD           64

/*
 * Each opens, or says that the device is busy; those without interrupts of
 * their own say so.
 */
static bool check_one_of_many(Kind *kind, Process *p, const char *id,
                              int *with, int *without)
{
    g_autofree char *error = process_add_clock(p, kind->source, id,
                                               "'alarm': 'device'");
    g_autofree char *alarm = NULL;
    g_autofree char *message = NULL;

    if (error) {
        assert_says(error, kind->device);
        assert_says(error, strerror(EBUSY));
        return false;
    }
    alarm = member(p, id, "alarm");
    message = member(p, id, "message");
    if (!g_strcmp0(alarm, "device interrupts")) {
        (*with)++;
    } else {
        g_assert_cmpstr(alarm, ==, "main loop");
        g_assert_nonnull(message);
        (*without)++;
    }
    return true;
}

static void test_many_alarms(Kind *kind)
{
    Process *p = process_start("-machine none");
    bool there[CROWD];
    int with = 0, without = 0, refused = 0;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    before = process_holdings(p);
    for (int i = 0; i < CROWD; i++) {
        g_autofree char *id = g_strdup_printf("a%d", i);

        there[i] = check_one_of_many(kind, p, id, &with, &without);
        refused += !there[i];
    }
    figure("%s: of %d clocks with alarm=device, %d have device interrupts, "
           "%d have none, %d were refused as busy", kind->source, CROWD, with,
           without, refused);
    g_assert_cmpint(with + without, >, 0);
    for (int i = 0; i < CROWD; i++) {
        g_autofree char *id = g_strdup_printf("a%d", i);

        if (there[i]) {
            process_del_clock(p, id);
        }
    }
    after = process_holdings(p);
    g_assert_cmpstr(after, ==, before);
    process_end(p);
}

/* The comparators went to others after this one opened the device. */
static void test_no_comparator(Kind *kind)
{
    int fds[HPET_COMPARATORS], n;
    Process *p = process_start("-machine none");
    g_autofree char *error = NULL;

    if (!process_ready(p)) {
        process_end(p);
        return;
    }
    n = reference_occupy(kind->device, fds);
    error = process_add_clock(p, kind->source, "a", "'alarm': 'device'");
    g_test_message("object-add: %s", error ?: "no error");
    if (error) {
        assert_says(error, kind->device);
        assert_says(error, strerror(EBUSY));
    } else {
        g_autofree char *alarm = member(p, "a", "alarm");
        g_autofree char *message = member(p, "a", "message");

        g_assert_cmpstr(alarm, ==, "main loop");
        g_assert_nonnull(message);
        check_running(kind, p, "a");
    }
    while (n) {
        close(fds[--n]);
    }
    process_end(p);
}

/* Another process has the RTC: the clock reads sysfs, and does not notice */

static void test_busy(Kind *kind)
{
    int fd = open_device(kind);
    Process *p = process_start("-clock rtc");
    g_autofree char *method = member(p, CLOCK_ID, "method");
    g_autofree char *message = member(p, CLOCK_ID, "message");

    g_assert_cmpstr(method, ==, "sysfs");
    g_assert_cmpstr(message, ==, NULL);
    check_running(kind, p, CLOCK_ID);
    close(fd);
    check_running(kind, p, CLOCK_ID);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 0);
    process_end(p);
}

/* The device goes while it is in use, and comes back */

static bool wait_event(Process *p, const char *name, int count)
{
    int64_t deadline = now_ns() + NOTICE_S * NS;

    while (process_events(p, name, NULL) < count) {
        QDict *clock = process_clock(p, CLOCK_ID);

        qobject_unref(clock);
        if (!clock || now_ns() > deadline) {
            g_test_message("no %s within %d s", name, NOTICE_S);
            g_test_fail();
            return false;
        }
        sleep_ns(200 * MS);
    }
    return true;
}

static int count_messages(Process *p, const char *word)
{
    g_autofree char *said = process_stderr(p);
    g_auto(GStrv) lines = g_strsplit(said, "\n", -1);
    int n = 0;

    g_test_message("%s", said);
    for (int i = 0; lines[i]; i++) {
        n += !!strstr(lines[i], word);
    }
    return n;
}

static void check_holdover(Kind *kind, Process *p, const Look *before)
{
    QDict *event;
    Look during;

    if (!wait_event(p, "HOST_CLOCK_STATE_CHANGE", 1)) {
        return;
    }
    process_events(p, "HOST_CLOCK_STATE_CHANGE", &event);
    g_assert_cmpstr(qdict_get_str(event, "state"), ==, "holdover");
    g_assert_nonnull(qdict_get_try_str(event, "reason"));
    sleep_ns(5 * NS);
    if (process_look(p, CLOCK_ID, &during)) {
        g_autofree char *state = member(p, CLOCK_ID, "state");

        g_assert_cmpstr(state, ==, "holdover");
        check_drift(kind, "in holdover", before, &during);
    }
    /* No event for each attempt, and one message */
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 1);
    g_assert_cmpint(count_messages(p, "warning"), ==, 1);
}

static void test_unbind(Kind *kind)
{
    g_autofree char *device = NULL;
    g_autofree char *driver = NULL;
    Process *p;
    Look before, after;

    if (reference_skip_unless_lab("takes the RTC from the kernel")) {
        return;
    }
    driver = reference_rtc_driver(&device);
    if (!driver) {
        g_test_skip("the RTC is not driven by rtc_cmos");
        return;
    }
    p = process_start("-clock rtc");
    if (process_look(p, CLOCK_ID, &before) &&
        reference_write(driver, "unbind", device)) {
        check_holdover(kind, p, &before);
        reference_write(driver, "bind", device);
        /* The kernel gives it another number; udev's links do this. */
        reference_rtc_link(driver, device, kind->device);
        if (process_wait_clock(p, CLOCK_ID, "state", "running", NOTICE_S) &&
            process_look(p, CLOCK_ID, &after)) {
            check_drift(kind, "back again", &before, &after);
            g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL),
                            ==, 2);
        }
    }
    process_end(p);
}

/* Somebody sets the RTC */

/* 29 February 2028, 23:59:30 */
#define LEAP_DAY        1835481570
/* 1969-12-31 23:00:00 */
#define BEFORE_1970     (-3600)

/* The date that the RTC would have, had nobody set it */
typedef struct RtcTruth {
    int64_t calendar_s, at_ns;
} RtcTruth;

static RtcTruth rtc_truth(void)
{
    return (RtcTruth) { reference_rtc_calendar(), now_ns() };
}

static int64_t rtc_truth_now(RtcTruth *t)
{
    return t->calendar_s + (now_ns() - t->at_ns) / NS;
}

/* The date steps by @step_s, and nothing else does. */
static void check_step(Kind *kind, Process *p, const Look *before,
                       int64_t step_s, int count)
{
    QDict *event;
    Look after;

    if (!wait_event(p, "HOST_CLOCK_STEP", count)) {
        return;
    }
    process_events(p, "HOST_CLOCK_STEP", &event);
    /* The RTC's seconds are whole, before and after. */
    g_assert_cmpint(qdict_get_int(event, "step-ns") / NS, >=, step_s - 2);
    g_assert_cmpint(qdict_get_int(event, "step-ns") / NS, <=, step_s + 2);
    if (process_look(p, CLOCK_ID, &after)) {
        int64_t now = reference_rtc_calendar();

        check_drift(kind, "after a step", before, &after);
        g_assert_cmpint(after.wall_ns / NS, >=, now - 2);
        g_assert_cmpint(after.wall_ns / NS, <=, now + 2);
    }
}

static void set_and_check(Kind *kind, Process *p, int fd, int64_t date,
                          int count)
{
    int64_t old = reference_rtc_calendar();
    Look before;
    int error;

    if (!process_look(p, CLOCK_ID, &before)) {
        return;
    }
    error = reference_rtc_set(fd, date);
    g_assert_cmpint(error, ==, 0);
    if (!error) {
        check_step(kind, p, &before, date - old, count);
    }
}

/* @fd is the test's own, or also the emulator's */
static void check_set(Kind *kind, Process *p, int fd)
{
    RtcTruth truth = rtc_truth();

    /* Time to know the rate */
    sleep_ns(5 * NS);
    set_and_check(kind, p, fd, rtc_truth_now(&truth) + 86400, 1);
    set_and_check(kind, p, fd, LEAP_DAY, 2);
    set_and_check(kind, p, fd, rtc_truth_now(&truth), 3);
    /* Nobody has set it since. */
    sleep_ns(3 * NS);
    check_running(kind, p, CLOCK_ID);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STEP", NULL), ==, 3);
    g_assert_cmpint(process_events(p, "HOST_CLOCK_STATE_CHANGE", NULL), ==, 0);
}

/* By a process that has the device, so that it is seen in sysfs */
static void test_set_by_other(Kind *kind)
{
    Process *p;
    int fd;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    p = process_start("-clock rtc");
    if (process_ready(p)) {
        check_set(kind, p, fd);
    }
    process_end(p);
    close(fd);
}

/* By a process that shares the device, so that interrupts go on */
static void test_set_shared(Kind *kind)
{
    g_autofree char *args = NULL;
    Process *p;
    int fd;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    args = g_strdup_printf("-object host-clock-rtc,id=" CLOCK_ID ",fd=%d "
                           "-machine host-clock=" CLOCK_ID, fd);
    p = process_start_as(args, 0, &fd, 1);
    if (process_ready(p)) {
        check_set(kind, p, fd);
    }
    process_end(p);
    close(fd);
}

/* Dates before 1970 are no reading: holdover, and back with a sane date. */
static void test_before_1970(Kind *kind)
{
    RtcTruth truth;
    Process *p;
    Look before;
    int fd, error;

    if (reference_skip_unless_lab("sets the RTC")) {
        return;
    }
    fd = open_device(kind);
    truth = rtc_truth();
    p = process_start("-clock rtc");
    if (process_look(p, CLOCK_ID, &before)) {
        error = reference_rtc_set(fd, BEFORE_1970);
        if (error) {
            g_autofree char *reason = g_strdup_printf(
                "the driver does not set a date before 1970: %s",
                strerror(-error));

            g_test_skip(reason);
        } else {
            check_holdover(kind, p, &before);
            reference_rtc_set(fd, rtc_truth_now(&truth));
            process_wait_clock(p, CLOCK_ID, "state", "running", NOTICE_S);
        }
    }
    process_end(p);
    close(fd);
}

/* The list */

enum {
    HPET = 1, RTC = 2, BOTH = HPET | RTC,
    NO_DEVICE = 4,      /* runs where the device is missing, too */
};

static const struct {
    const char *name;
    int flags;
    void (*fn)(Kind *kind);
} tests[] = {
    { "not-a-device", BOTH | NO_DEVICE, test_not_a_device },
    { "no-such-device", BOTH | NO_DEVICE, test_no_such_device },
    { "command-line", BOTH | NO_DEVICE, test_command_line },
    { "bad-fd", BOTH | NO_DEVICE, test_bad_fd },
    { "absent", BOTH | NO_DEVICE, test_absent },
    { "no-mmap", HPET | NO_DEVICE, test_no_mmap },
    { "eacces", BOTH, test_eacces },
    { "fd", BOTH, test_fd },
    { "fdset", BOTH, test_fdset },
    { "getfd", BOTH, test_getfd },
    { "released", BOTH, test_released },
    { "alarm/device", BOTH, test_alarm },
    { "alarm/many", BOTH, test_many_alarms },
    { "alarm/no-comparator", HPET, test_no_comparator },
    { "busy", RTC, test_busy },
    { "stopped", BOTH, test_stopped },
    { "set/by-other", RTC, test_set_by_other },
    { "set/shared-fd", RTC, test_set_shared },
    { "set/before-1970", RTC, test_before_1970 },
    { "unbind", RTC, test_unbind },
    { "accuracy", BOTH, test_accuracy },
    { "share", BOTH, test_share },
};

typedef struct Test {
    Kind *kind;
    int index;
} Test;

static void run_test(const void *opaque)
{
    const Test *test = opaque;

    if (test->kind->missing && (!test->kind->built_in ||
                                !(tests[test->index].flags & NO_DEVICE))) {
        g_test_skip(test->kind->missing);
    } else {
        tests[test->index].fn(test->kind);
    }
}

static void add_tests(Kind *kind, int flag)
{
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = NULL;
        Test *test;

        if (!(tests[i].flags & flag)) {
            continue;
        }
        test = g_new(Test, 1);
        *test = (Test) { kind, i };
        path = g_strdup_printf("host-clock-device/%s/%s", kind->source,
                               tests[i].name);
        qtest_add_data_func_full(path, test, run_test, g_free);
    }
}

static void look_up(Kind *kind)
{
    for (const Source *s = host_clock_sources(); s->name; s++) {
        if (g_str_equal(s->name, kind->source)) {
            kind->built_in = true;
            kind->missing = s->missing;
            return;
        }
    }
    kind->missing = "not built into this emulator";
}

int main(int argc, char **argv)
{
    static Kind hpet = { "hpet", HPET_DEVICE }, rtc = { "rtc", RTC_DEVICE };

    g_test_init(&argc, &argv, NULL);
    /* So that one behaviour that is wrong does not hide the others */
    g_test_set_nonfatal_assertions();
    look_up(&hpet);
    look_up(&rtc);
    add_tests(&hpet, HPET);
    add_tests(&rtc, RTC);
    return g_test_run();
}
