/*
 * The host's own HPET and RTC, read by the test itself
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/rtc.h>
#include "host-clock-process.h"
#include "host-clock-reference.h"

#define CLOCKSOURCE         "/sys/devices/system/clocksource/clocksource0/" \
                            "current_clocksource"
/* The kernel slews CLOCK_MONOTONIC by no more; crystals are this good. */
#define SLEW_PPM            500
#define CRYSTAL_PPM         200

#define RTC_CLASS           "/sys/class/rtc"
/* A new second comes within one; a nested machine may be busy for a while. */
#define EDGE_S              20

int reference_crystal_ppm(const char *source)
{
    g_autofree char *kept_by = NULL;

    if (g_getenv("HOST_CLOCK_LAB")) {
        return 0;
    }
    if (g_str_equal(source, "hpet") &&
        g_file_get_contents(CLOCKSOURCE, &kept_by, NULL, NULL) &&
        g_str_equal(g_strstrip(kept_by), "hpet")) {
        return SLEW_PPM;
    }
    return SLEW_PPM + 2 * CRYSTAL_PPM;
}

bool reference_can_map(const char *device)
{
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    void *page;

    if (fd < 0) {
        return false;
    }
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (page != MAP_FAILED) {
        munmap(page, 4096);
    }
    return page != MAP_FAILED;
}

int reference_occupy(const char *device, int *fds)
{
    int n = 0;

    while (n < HPET_COMPARATORS) {
        fds[n] = open(device, O_RDONLY | O_CLOEXEC);
        if (fds[n] < 0) {
            break;
        }
        n++;
    }
    g_test_message("%s could be opened %d times", device, n);
    return n;
}

/* The first entry of a folder, to be freed, or NULL */
static char *first_entry(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

    return dir ? g_strdup(g_dir_read_name(dir)) : NULL;
}

int64_t reference_rtc_calendar(void)
{
    g_autofree char *name = first_entry(RTC_CLASS);
    g_autofree char *path = NULL;
    g_autofree char *text = NULL;

    if (!name) {
        return -1;
    }
    path = g_build_filename(RTC_CLASS, name, "since_epoch", NULL);
    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return -1;
    }
    return g_ascii_strtoll(text, NULL, 10);
}

/* The third line of /etc/adjtime says whether the RTC is on local time. */
static bool rtc_is_local(void)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents("/etc/adjtime", &text, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    return g_strv_length(lines) >= 3 && g_str_equal(lines[2], "LOCAL");
}

static int64_t calendar_to_utc(int64_t calendar_s)
{
    time_t t = calendar_s;
    struct tm tm;

    if (!rtc_is_local()) {
        return calendar_s;
    }
    gmtime_r(&t, &tm);
    tm.tm_isdst = -1;
    return mktime(&tm);
}

bool reference_rtc_edge(int64_t *utc_s, Span *edge)
{
    int64_t deadline = now_ns() + EDGE_S * NS, look = now_ns();
    int64_t first = reference_rtc_calendar(), now;

    do {
        /*
         * When a look reads the registers is not known, so it began after the
         * look before this one did, which still saw the old second.
         */
        edge->lo = look;
        look = now_ns();
        now = reference_rtc_calendar();
        edge->hi = now_ns();
        if (edge->hi > deadline || now < 0) {
            g_test_message("the RTC stands still, or cannot be read");
            g_test_fail();
            return false;
        }
    } while (now == first);
    *utc_s = calendar_to_utc(now);
    return true;
}

int reference_rtc_set(int fd, int64_t calendar_s)
{
    struct rtc_time rt = { 0 };
    time_t t = calendar_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    rt.tm_sec = tm.tm_sec;
    rt.tm_min = tm.tm_min;
    rt.tm_hour = tm.tm_hour;
    rt.tm_mday = tm.tm_mday;
    rt.tm_mon = tm.tm_mon;
    rt.tm_year = tm.tm_year;
    return ioctl(fd, RTC_SET_TIME, &rt) ? -errno : 0;
}

char *reference_rtc_driver(char **device)
{
    static const char *const buses[] = { "pnp", "platform" };

    for (int i = 0; i < ARRAY_SIZE(buses); i++) {
        g_autofree char *folder = g_strdup_printf(
            "/sys/bus/%s/drivers/rtc_cmos", buses[i]);
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
            g_autofree char *rtc = g_build_filename(folder, name, "rtc", NULL);

            if (g_file_test(rtc, G_FILE_TEST_IS_DIR)) {
                *device = g_strdup(name);
                return g_steal_pointer(&folder);
            }
        }
    }
    return NULL;
}

void reference_rtc_link(const char *driver, const char *device,
                        const char *path)
{
    g_autofree char *folder = g_build_filename(driver, device, "rtc", NULL);
    g_autofree char *name = first_entry(folder);
    g_autofree char *node = g_strconcat("/dev/", name, NULL);

    if (name && !g_file_test(path, G_FILE_TEST_EXISTS) &&
        symlink(node, path)) {
        g_test_message("cannot link %s to %s: %s", path, node,
                       strerror(errno));
        g_test_fail();
    }
}

bool reference_write(const char *folder, const char *name, const char *word)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, word, strlen(word)) == strlen(word);

    if (!ok) {
        g_test_message("%s: %s", path, strerror(errno));
        g_test_fail();
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

bool reference_skip_unless_lab(const char *what)
{
    g_autofree char *reason = NULL;

    if (g_getenv("HOST_CLOCK_LAB")) {
        return false;
    }
    reason = g_strdup_printf("it %s; done in the lab, or with HOST_CLOCK_LAB=1 "
                             "in the environment", what);
    g_test_skip(reason);
    return true;
}
