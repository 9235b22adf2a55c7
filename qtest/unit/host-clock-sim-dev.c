/*
 * A simulated HPET and RTC for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stands in for hw/rtc/host-clock-os-dev.c.  The drivers behave like the
 * kernel's drivers/char/hpet.c and drivers/rtc/dev.c, as far as the host clocks
 * can see them.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/ctype.h"
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "../../hw/rtc/host-clock-os-dev.h"
#include "host-clock-sim.h"

#include <sys/ioctl.h>
#include <linux/hpet.h>
#include <linux/rtc.h>

#define FILES       128
#define RTC_MAJOR   254
#define SEC         NANOSECONDS_PER_SECOND

typedef enum Kind {
    KIND_NONE, KIND_HPET, KIND_RTC, KIND_PTP, KIND_NULL
} Kind;

typedef struct File {
    Kind kind;
    /* A mapping keeps the file after its descriptor is closed. */
    bool is_open;
    int maps;
    void (*cb)(void *opaque);
    void *opaque;
    /* Interrupts: period in ns, when the next is due in RAW, how many wait */
    unsigned hz;
    bool is_on;
    int64_t next_ns;
    unsigned long pending;
    /* RAW when it was opened */
    int64_t opened_ns;
} File;

SimHpet sim_hpet;
SimRtc sim_rtc;

static File files[FILES];
static int maps;
static unsigned opens;
static int64_t held_ns;
static unsigned reads;
static unsigned interrupts;

static SimCount hpet_time, rtc_time;
static uint64_t hpet_base;

void sim_dev_pass(int64_t ns)
{
    if (!sim_hpet.stopped) {
        sim_count(&hpet_time, ns, sim_hpet.ppm);
    }
    sim_count(&rtc_time, ns, sim_rtc.ppm);
    sim_ptp_pass(ns);
}

int64_t sim_hpet_ns(void)
{
    return hpet_time.ns;
}

int64_t sim_rtc_ns(void)
{
    return rtc_time.ns;
}

void sim_hpet_set(uint64_t value)
{
    hpet_base = value;
    hpet_time = (SimCount) { 0 };
}

void sim_rtc_set(int64_t ns)
{
    rtc_time = (SimCount) { .ns = ns };
}

int sim_dev_maps(void)
{
    return maps;
}

unsigned sim_dev_opens(void)
{
    return opens;
}

int64_t sim_dev_held_ns(void)
{
    return held_ns;
}

unsigned sim_dev_reads(void)
{
    return reads;
}

unsigned sim_dev_interrupts(void)
{
    return interrupts;
}

static int count_files(Kind kind)
{
    int n = 0;

    for (int i = 0; i < FILES; i++) {
        n += files[i].kind == kind;
    }
    return n;
}

int sim_dev_files(void)
{
    int n = 0;

    for (int i = 0; i < FILES; i++) {
        n += files[i].is_open;
    }
    return n;
}

void sim_dev_reset(void)
{
    memset(files, 0, sizeof(files));
    maps = 0;
    opens = 0;
    held_ns = 0;
    reads = 0;
    interrupts = 0;
    sim_hpet = (SimHpet) {
        .comparators = 3, .period_fs = 69841279, .load_ns = 700,
    };
    sim_rtc = (SimRtc) { .read_ns = 40 * SCALE_US };
    sim_hpet_set(12345678);
    sim_rtc_set(sim_real_ns() + 123456789);
    sim_ptp_reset();
}

/* Files */

static Kind path_kind(const char *path)
{
    if (g_str_equal(path, "/dev/hpet") && !sim_hpet.missing) {
        return KIND_HPET;
    }
    if (g_str_equal(path, "/dev/rtc0") && !sim_rtc.missing && !sim_rtc.gone) {
        return KIND_RTC;
    }
    if (sim_ptp_path(path)) {
        return KIND_PTP;
    }
    return g_str_equal(path, "/dev/null") ? KIND_NULL : KIND_NONE;
}

static int may_open(Kind kind)
{
    if (kind == KIND_HPET) {
        if (sim_hpet.others && sim_hpet.others_stay &&
            --sim_hpet.others_stay == 0) {
            sim_hpet.others--;
        }
        return sim_hpet.open_errno ?:
               count_files(kind) + sim_hpet.others >= sim_hpet.comparators ?
               EBUSY : 0;
    }
    if (kind == KIND_RTC) {
        if (sim_rtc.busy && sim_rtc.busy_stays && --sim_rtc.busy_stays == 0) {
            sim_rtc.busy = false;
        }
        return sim_rtc.open_errno ?:
               sim_rtc.busy || count_files(kind) ? EBUSY : 0;
    }
    return kind == KIND_PTP ? sim_ptp.open_errno :
           kind == KIND_NULL ? 0 : ENOENT;
}

int host_clock_os_dev_open(const char *path, Error **errp)
{
    Kind kind = path_kind(path);
    int err = may_open(kind);

    if (err) {
        error_setg_errno(errp, err, "Could not open '%s'", path);
        return -err;
    }
    for (int i = 0; i < FILES; i++) {
        if (files[i].kind == KIND_NONE) {
            files[i] = (File) {
                .kind = kind, .is_open = true, .opened_ns = sim_raw_ns(),
            };
            opens++;
            return i;
        }
    }
    g_assert_not_reached();
}

/* "hpet", "rtc0", "ptp0": names of descriptors that somebody opened for us */
int host_clock_os_dev_fd_param(const char *fdname, Error **errp)
{
    g_autofree char *path = g_strdup_printf("/dev/%s", fdname);

    return qemu_isdigit(fdname[0]) ? atoi(fdname) :
                                     host_clock_os_dev_open(path, errp);
}

void host_clock_os_dev_own_fd(int fd)
{
    g_assert_true(files[fd].is_open);
}

void host_clock_os_dev_close(int fd)
{
    g_assert_true(files[fd].is_open);
    g_assert_null(files[fd].cb);
    held_ns = MAX(held_ns, sim_raw_ns() - files[fd].opened_ns);
    files[fd].is_open = false;
    if (!files[fd].maps) {
        files[fd] = (File) { .kind = KIND_NONE };
    }
}

void host_clock_os_dev_watch(int fd, void (*cb)(void *opaque), void *opaque)
{
    g_assert_true(files[fd].is_open);
    files[fd].cb = cb;
    files[fd].opaque = opaque;
}

int host_clock_os_dev_id(const char *path, int fd, HostClockOsDevId *id)
{
    Kind kind = path ? path_kind(path) :
                fd < FILES ? files[fd].kind : KIND_NONE;

    switch (kind) {
    case KIND_HPET:
        *id = (HostClockOsDevId) { 10, 228 };
        return 0;
    case KIND_RTC:
        *id = (HostClockOsDevId) { RTC_MAJOR, 0 };
        return 0;
    case KIND_PTP:
        *id = (HostClockOsDevId) { SIM_PTP_MAJOR, 0 };
        return 0;
    case KIND_NULL:
        *id = (HostClockOsDevId) { 1, 3 };
        return 0;
    default:
        return !path ? -EBADF : g_str_equal(path, "/") ? -ENOTTY : -ENOENT;
    }
}

static int rtc_read_seconds(int64_t *seconds)
{
    reads++;
    sim_block(sim_rtc.read_ns);
    if (sim_rtc.gone) {
        return -ENODEV;
    }
    if (sim_rtc.read_errno) {
        return -sim_rtc.read_errno;
    }
    *seconds = rtc_time.ns / SEC - (rtc_time.ns % SEC < 0);
    if (sim_rtc.hostile) {
        *seconds = (int64_t)g_test_rand_int() << g_test_rand_int_range(0, 31);
    }
    return 0;
}

ssize_t host_clock_os_read_file(const char *path, char *buf, size_t size)
{
    int64_t seconds;
    int ret;

    if (g_str_equal(path, "/proc/devices")) {
        return snprintf(buf, size, "Character devices:\n  1 mem\n%3d ptp\n"
                        "%3d rtc\n", SIM_PTP_MAJOR, RTC_MAJOR);
    }
    if (g_str_equal(path, "/etc/adjtime") && sim_rtc.adjtime) {
        return g_strlcpy(buf, sim_rtc.adjtime, size);
    }
    if (g_str_equal(path, "/sys/dev/char/254:0/since_epoch") &&
        !sim_rtc.no_sysfs && !sim_rtc.missing && !sim_rtc.gone) {
        ret = rtc_read_seconds(&seconds);
        return ret < 0 ? ret : snprintf(buf, size, "%" PRId64 "\n", seconds);
    }
    return sim_ptp_read_file(path, buf, size);
}

/* Registers */

int host_clock_os_dev_map(int fd, size_t len, const void **regs)
{
    if (sim_hpet.map_errno) {
        return -sim_hpet.map_errno;
    }
    maps++;
    files[fd].maps++;
    *regs = &files[fd];
    return 0;
}

void host_clock_os_dev_unmap(const void *regs, size_t len)
{
    File *f = (File *)regs;

    maps--;
    g_assert_cmpint(maps, >=, 0);
    f->maps--;
    if (!f->maps && !f->is_open) {
        *f = (File) { .kind = KIND_NONE };
    }
}

static uint64_t hpet_counter(void)
{
    uint64_t n;

    reads++;
    /* The counter is read somewhere within that time. */
    sim_block(sim_hpet.load_ns / 2);
    n = hpet_base + muldiv64(hpet_time.ns, 1000000, sim_hpet.period_fs ?: 1);
    sim_block(sim_hpet.load_ns - sim_hpet.load_ns / 2);
    if (sim_hpet.hostile) {
        n = (uint64_t)g_test_rand_int() << g_test_rand_int_range(0, 33);
    }
    return n;
}

uint64_t host_clock_os_dev_load64(const void *regs, size_t offset)
{
    if (offset == 0) {
        return (uint64_t)sim_hpet.period_fs << 32 |
               (sim_hpet.is_32 ? 0x80868201 : 0x8086a201);
    }
    g_assert_cmpuint(offset, ==, 0xf0);
    return sim_hpet.is_32 ? (uint32_t)hpet_counter() : hpet_counter();
}

/* Interrupts */

static int start_interrupts(File *f, bool on)
{
    if (on && sim_hpet.enable_errno && f->kind == KIND_HPET) {
        return -sim_hpet.enable_errno;
    }
    f->is_on = on;
    f->next_ns = sim_raw_ns() + SEC / MAX(f->hz, 1);
    return 0;
}

static int set_hz(File *f, unsigned hz, unsigned max_hz)
{
    if (max_hz && hz > max_hz) {
        return -EACCES;
    }
    f->hz = hz;
    return 0;
}

static int rtc_ioctl_date(struct rtc_time *rtc)
{
    int64_t seconds = 0;
    int ret = rtc_read_seconds(&seconds);
    time_t t = seconds;
    struct tm tm = { };

    gmtime_r(&t, &tm);
    *rtc = (struct rtc_time) {
        .tm_sec = tm.tm_sec, .tm_min = tm.tm_min, .tm_hour = tm.tm_hour,
        .tm_mday = tm.tm_mday, .tm_mon = tm.tm_mon, .tm_year = tm.tm_year,
    };
    return ret;
}

static int rtc_ioctl(File *f, unsigned long request, void *arg)
{
    if (sim_rtc.gone) {
        return -ENODEV;
    }
    switch (request) {
    case RTC_RD_TIME:
        return rtc_ioctl_date(arg);
    case RTC_IRQP_SET:
        return set_hz(f, (uintptr_t)arg, sim_rtc.max_user_freq);
    case RTC_PIE_ON:
    case RTC_PIE_OFF:
        return start_interrupts(f, request == RTC_PIE_ON);
    default:
        g_assert_not_reached();
    }
}

static int hpet_ioctl(File *f, unsigned long request, void *arg)
{
    switch (request) {
    case HPET_INFO:
        return -sim_hpet.info_errno;
    case HPET_IRQFREQ:
        return set_hz(f, (uintptr_t)arg, sim_hpet.max_user_freq);
    case HPET_IE_ON:
    case HPET_IE_OFF:
        return start_interrupts(f, request == HPET_IE_ON);
    default:
        g_assert_not_reached();
    }
}

int host_clock_os_dev_ioctl(int fd, unsigned long request, void *arg)
{
    return files[fd].kind == KIND_HPET ? hpet_ioctl(&files[fd], request, arg) :
           files[fd].kind == KIND_RTC ? rtc_ioctl(&files[fd], request, arg) :
           files[fd].kind == KIND_PTP ? sim_ptp_ioctl(request, arg) :
           -ENOTTY;
}

ssize_t host_clock_os_dev_read(int fd, void *buf, size_t len)
{
    File *f = &files[fd];
    unsigned long data = f->pending;

    if (f->kind == KIND_RTC) {
        if (sim_rtc.gone) {
            return -ENODEV;
        }
        data = f->pending << 8 | RTC_IRQF | RTC_PF;
    }
    if (!f->pending) {
        return -EAGAIN;
    }
    f->pending = 0;
    *(unsigned long *)buf = data;
    return sizeof(data);
}

/* What is left of RAW until the file is readable */
static int64_t file_remaining(File *f)
{
    bool silent = f->kind == KIND_RTC ? sim_rtc.silent : sim_hpet.silent;

    if (f->kind == KIND_RTC && sim_rtc.gone && f->cb) {
        return 0;
    }
    if (!f->cb || silent || !f->is_on) {
        return INT64_MAX;
    }
    return MAX(f->next_ns - sim_raw_ns(), 0);
}

int64_t sim_dev_remaining(void)
{
    int64_t ns = INT64_MAX;

    for (int i = 0; i < FILES; i++) {
        ns = MIN(ns, file_remaining(&files[i]));
    }
    return ns;
}

void sim_dev_event(void)
{
    for (int i = 0; i < FILES; i++) {
        File *f = &files[i];

        if (file_remaining(f) > 0) {
            continue;
        }
        interrupts++;
        if (f->is_on && f->next_ns <= sim_raw_ns()) {
            f->pending++;
            f->next_ns += SEC / f->hz;
        }
        f->cb(f->opaque);
    }
}
