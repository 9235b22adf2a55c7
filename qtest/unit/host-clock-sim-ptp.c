/*
 * A simulated PTP hardware clock for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The ioctls behave like those of the kernel's drivers/ptp/ptp_chardev.c, with
 * a driver that has one, two or all of the ways to read its clock.
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "../../hw/rtc/host-clock-os-dev.h"
#include "host-clock-sim.h"

#include <linux/ptp_clock.h>

#define SEC         NANOSECONDS_PER_SECOND
#define SYSFS_NAME  "/sys/dev/char/249:0/clock_name"

SimPtp sim_ptp;

static SimCount ptp_time;

void sim_count(SimCount *c, int64_t ns, int ppm)
{
    int64_t extra = c->millionths + ns % SEC * ppm;

    c->ns += ns + ns / SEC * ppm * 1000 + extra / 1000000;
    c->millionths = extra % 1000000;
}

void sim_ptp_pass(int64_t ns)
{
    if (!sim_ptp.stopped) {
        sim_count(&ptp_time, ns, sim_ptp.ppm);
    }
}

int64_t sim_ptp_ns(void)
{
    return ptp_time.ns;
}

void sim_ptp_set(int64_t ns)
{
    ptp_time = (SimCount) { .ns = ns };
}

void sim_ptp_reset(void)
{
    sim_ptp = (SimPtp) {
        .missing = true, .clock_name = "nic", .read_ns = 1000,
    };
    sim_ptp_set(sim_real_ns() + 987654321);
}

bool sim_ptp_path(const char *path)
{
    if (g_str_equal(path, "/dev/ptp3")) {
        return sim_ptp.another;
    }
    return g_str_equal(path, "/dev/ptp0") && !sim_ptp.missing && !sim_ptp.gone;
}

ssize_t sim_ptp_read_file(const char *path, char *buf, size_t size)
{
    if (!g_str_equal(path, SYSFS_NAME) || !sim_ptp.clock_name) {
        *buf = 0;
        return -ENOENT;
    }
    return snprintf(buf, size, "%s\n", sim_ptp.clock_name);
}

static struct ptp_clock_time stamp(int64_t ns)
{
    return (struct ptp_clock_time) {
        .sec = ns / SEC - (ns % SEC < 0), .nsec = (ns % SEC + SEC) % SEC,
    };
}

/* Counts by 8 ns; the first half of the cost is before. */
static struct ptp_clock_time read_ptp(void)
{
    struct ptp_clock_time t;

    sim_block(sim_ptp.read_ns / 2);
    t = stamp(ptp_time.ns & ~7LL);
    if (sim_ptp.hostile) {
        t.sec = (int64_t)g_test_rand_int() << g_test_rand_int_range(0, 40);
        t.nsec = g_test_rand_int();
    }
    sim_block(sim_ptp.read_ns - sim_ptp.read_ns / 2);
    return t;
}

/* Who reads it may lose the CPU, and REALTIME may be set. */
static void look_away(void)
{
    if (sim_ptp.away_ns && g_test_rand_int_range(0, 3) == 0) {
        sim_block(sim_ptp.away_ns);
    }
    if (sim_ptp.set_real_ns) {
        sim_set_realtime_quietly(sim_ptp.set_real_ns);
        sim_ptp.set_real_ns = 0;
    }
}

static void do_precise(struct ptp_sys_offset_precise *p)
{
    int64_t ns = sim_ptp.read_ns - sim_ptp.read_ns / 2;

    /* The hardware takes both at one instant. */
    p->device = read_ptp();
    p->sys_monoraw = stamp(sim_raw_ns() - ns + sim_ptp.other_raw_ns);
    p->sys_realtime = stamp(sim_real_ns() - ns);
}

static void do_extended(struct ptp_sys_offset_extended *x)
{
    for (int i = 0; i < x->n_samples; i++) {
        look_away();
        x->ts[i][0] = stamp(sim_real_ns());
        x->ts[i][1] = read_ptp();
        x->ts[i][2] = stamp(sim_real_ns());
    }
}

static void do_plain(struct ptp_sys_offset *o)
{
    for (int i = 0; i < o->n_samples; i++) {
        o->ts[2 * i] = stamp(sim_real_ns());
        look_away();
        o->ts[2 * i + 1] = read_ptp();
    }
    o->ts[2 * o->n_samples] = stamp(sim_real_ns());
}

int sim_ptp_ioctl(unsigned long request, void *arg)
{
    if (sim_ptp.gone) {
        return -ENODEV;
    }
    switch (request) {
    case PTP_SYS_OFFSET_PRECISE:
        if (!sim_ptp.precise_errno) {
            do_precise(arg);
        }
        return -sim_ptp.precise_errno;
    case PTP_SYS_OFFSET_EXTENDED:
        if (!sim_ptp.extended_errno) {
            do_extended(arg);
        }
        return -sim_ptp.extended_errno;
    case PTP_SYS_OFFSET:
        if (!sim_ptp.plain_errno) {
            do_plain(arg);
        }
        return -sim_ptp.plain_errno;
    default:
        return -ENOTTY;
    }
}
