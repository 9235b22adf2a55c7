/*
 * Host clocks: how wrong a sampled source is, and how wrong it says it may be
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The sources hpet and rtc on the simulated host of the unit tests, which knows
 * the devices' true time.  Crystals are off by what crystals are off by, and
 * every timer and interrupt comes late, as on a busy host.  Prints CSV, a line
 * for each second of simulated time.
 *
 * usage: host-clock-accuracy [--seed=SEED] [SECONDS]
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "../unit/host-clock-sim.h"

#define SEC         NANOSECONDS_PER_SECOND
#define SECONDS     600

#define START_MONO  (1000 * SEC)
#define START_REAL  (1790000000 * SEC)

#define HPET_PPM    150
#define RTC_PPM     (-80)
/* A timer may be late by as much; so may an interrupt */
#define LATE_NS     (2 * SCALE_MS)

static int64_t true_ns(bool is_rtc)
{
    return is_rtc ? sim_rtc_ns() : sim_hpet_ns();
}

static void print_line(const char *name, HostClock *hc, bool is_rtc,
                       int64_t epoch_ns, int second)
{
    int64_t before_ns = true_ns(is_rtc), after_ns;
    HostClockReading r;

    host_clock_read(hc, &r);
    after_ns = true_ns(is_rtc);
    printf("%s,%d,%" PRId64 ",%" PRId64 "\n", name, second,
           (is_rtc ? r.wall_ns : r.mono_ns) - epoch_ns -
           (before_ns + (after_ns - before_ns) / 2), r.error_ns);
}

static void run(const char *name, bool is_rtc, int seconds)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    HostClockReading r;
    int64_t epoch_ns;
    Object *obj;

    sim_reset(START_MONO, START_REAL);
    sim_hpet.ppm = HPET_PPM;
    sim_rtc.ppm = RTC_PPM;
    sim_timers_late(LATE_NS);
    obj = sim_object_new(type, NULL);
    g_assert_nonnull(obj);
    host_clock_read(HOST_CLOCK(obj), &r);
    epoch_ns = is_rtc ? 0 : r.mono_ns - true_ns(false);

    for (int second = 0; second <= seconds; second++) {
        print_line(name, HOST_CLOCK(obj), is_rtc, epoch_ns, second);
        sim_advance(SEC);
    }
    sim_object_del(obj);
}

int main(int argc, char **argv)
{
    int seconds;

    g_test_init(&argc, &argv, NULL);
    seconds = argc > 1 ? atoi(argv[1]) : SECONDS;
    if (seconds < 1) {
        fprintf(stderr, "usage: %s [--seed=SEED] [SECONDS]\n", argv[0]);
        return 1;
    }
    sim_init();
    printf("source,second,error_ns,bound_ns\n");
    run("hpet", false, seconds);
    run("rtc", true, seconds);
    return 0;
}
