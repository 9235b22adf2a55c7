/*
 * The host clocks that open devices: which device it may be, who may open it,
 * and what is held open
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-device-tests.h"

/* The user and group 'nobody' of most systems; it owns no file. */
#define NOBODY          65534

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

void test_not_a_device(Kind *kind)
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

void test_no_such_device(Kind *kind)
{
    Process *p = process_start("-machine none");

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    check_refused(p, kind, "/dev/nosuch", strerror(ENOENT));
    check_refused(p, kind, "/dev/null/x", strerror(ENOTDIR));
    process_end(p);
}

/* On the command line it is one error, and exit status 1. */
void test_command_line(Kind *kind)
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
void test_absent(Kind *kind)
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
void test_no_mmap(Kind *kind)
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

void test_eacces(Kind *kind)
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

void test_fd(Kind *kind)
{
    check_inherited(kind, "-name fd%d -sandbox on "
                    "-object host-clock-%s,id=a,fd=%d -machine host-clock=a");
}

void test_fdset(Kind *kind)
{
    check_inherited(kind, "-add-fd fd=%d,set=7 -sandbox on "
                    "-object host-clock-%s,id=a,device=/dev/fdset/7 "
                    "-name fd%d -machine host-clock=a");
}

/* getfd over QMP; an unprivileged management application does this. */
void test_getfd(Kind *kind)
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

void test_bad_fd(Kind *kind)
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

void test_released(Kind *kind)
{
    Process *p = process_start("-machine none");
    bool alarms = g_str_equal(expected_alarm(kind), "device interrupts");

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    check_released(kind, p, "", false);
    check_released(kind, p, "'alarm': 'device'", alarms);
    process_end(p);
}

/*
 * More clocks than there can be comparators, of an HPET, or devices.  With each
 * a sampled RTC waits for a new second, and with all but one for the device.
 */
#define CROWD           64
#define RTC_CROWD       4

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

void test_many_alarms(Kind *kind)
{
    Process *p = process_start("-machine none");
    int crowd = is_hpet(kind) ? CROWD : RTC_CROWD;
    bool there[CROWD];
    int with = 0, without = 0, refused = 0;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    g_free(process_add_clock(p, kind->source, "warm", "'device': '/nosuch'"));
    before = process_holdings(p);
    for (int i = 0; i < crowd; i++) {
        g_autofree char *id = g_strdup_printf("a%d", i);

        there[i] = check_one_of_many(kind, p, id, &with, &without);
        refused += !there[i];
    }
    figure("%s: of %d clocks with alarm=device, %d have device interrupts, "
           "%d have none, %d were refused as busy", kind->source, crowd, with,
           without, refused);
    g_assert_cmpint(with + without, >, 0);
    for (int i = 0; i < crowd; i++) {
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
void test_no_comparator(Kind *kind)
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
        /* It has been waited for in vain. */
        assert_says(message, strerror(EBUSY));
    }
    while (n) {
        close(fds[--n]);
    }
    process_end(p);
}
