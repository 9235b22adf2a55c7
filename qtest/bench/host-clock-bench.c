/*
 * Host clocks: what one reading costs, beside one clock_gettime()
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The core and the sources are the real ones, on the clocks of the
 * real host.  Only the devices of hpet and rtc are made up, in
 * host-clock-bench-dev.c: these two sources are sampled now and then, and
 * interpolated in between, and it is the interpolation that is timed.
 *
 * Readings and clock_gettime() take turns, a batch each, timed in CPU time of
 * the thread.  Prints CSV, one line for each pair of batches.
 *
 * usage: host-clock-bench [BATCHES]
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "../../hw/rtc/host-clock-internal.h"

/* Of accel/ nothing is linked. */
bool kvm_allowed;

/* About 0.1 ms a batch: long beside the system call that times it. */
#define READINGS    2000
#define BATCHES     300

/* Readings */

static void read_mono(HostClock *hc)
{
    int64_t ns = hc->ops->mono_ns(hc);

    asm volatile("" : : "r"(ns));
}

static void read_wall(HostClock *hc)
{
    int64_t ns = host_clock_wall_ns(hc);

    asm volatile("" : : "r"(ns));
}

static void read_both(HostClock *hc)
{
    HostClockReading r;

    host_clock_read(hc, &r);
    /* The compiler must not know that it is not used. */
    asm volatile("" : : "g"(&r) : "memory");
}

static int64_t thread_cpu_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

static double time_gettime(clockid_t id)
{
    int64_t began_ns = thread_cpu_ns();

    for (int i = 0; i < READINGS; i++) {
        struct timespec ts;

        clock_gettime(id, &ts);
        asm volatile("" : : "g"(&ts) : "memory");
    }
    return (double)(thread_cpu_ns() - began_ns) / READINGS;
}

static double time_reading(void (*read)(HostClock *hc), HostClock *hc)
{
    int64_t began_ns = thread_cpu_ns();

    for (int i = 0; i < READINGS; i++) {
        read(hc);
    }
    return (double)(thread_cpu_ns() - began_ns) / READINGS;
}

static const char *const clock_names[] = {
    [CLOCK_REALTIME] = "CLOCK_REALTIME",
    [CLOCK_MONOTONIC] = "CLOCK_MONOTONIC",
    [CLOCK_MONOTONIC_RAW] = "CLOCK_MONOTONIC_RAW",
    [CLOCK_BOOTTIME] = "CLOCK_BOOTTIME",
};

static void measure(const char *what, clockid_t id,
                    void (*read)(HostClock *hc), HostClock *hc, int batches)
{
    /* The first batches load caches and the vDSO. */
    for (int i = -3; i < batches; i++) {
        double gettime_ns = time_gettime(id);
        double reading_ns = time_reading(read, hc);

        if (i >= 0) {
            printf("%s,%s,%s,%d,%.2f,%.2f\n", host_clock_name(hc), what,
                   clock_names[id], i, reading_ns, gettime_ns);
        }
    }
}

/* Which clock of the host a source's monotonic and wall time are made of */
typedef struct Source {
    const char *type;
    clockid_t mono;
    clockid_t wall;
} Source;

static const Source sources[] = {
    { TYPE_HOST_CLOCK_SYSTEM, CLOCK_MONOTONIC, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "dynticks", CLOCK_MONOTONIC, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "unix", CLOCK_MONOTONIC, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "boottime", CLOCK_BOOTTIME, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "raw", CLOCK_MONOTONIC_RAW, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "hpet", CLOCK_MONOTONIC_RAW, CLOCK_REALTIME },
    { HOST_CLOCK_PREFIX "rtc", CLOCK_MONOTONIC_RAW,
      CLOCK_MONOTONIC_RAW },
};

static HostClock *open_source(const char *type)
{
    Object *obj = object_new(type);

    user_creatable_complete(USER_CREATABLE(obj), &error_fatal);
    return HOST_CLOCK(obj);
}

static void measure_source(const Source *source, int batches)
{
    HostClock *hc = open_source(source->type);

    measure("mono", source->mono, read_mono, hc, batches);
    measure("wall", source->wall, read_wall, hc, batches);
    measure("both", source->mono, read_both, hc, batches);
    object_unref(OBJECT(hc));
}

int main(int argc, char **argv)
{
    int batches = argc > 1 ? atoi(argv[1]) : BATCHES;

    if (batches < 1) {
        fprintf(stderr, "usage: %s [BATCHES]\n", argv[0]);
        return 1;
    }
    qemu_init_main_loop(&error_fatal);
    /* There is no BQL here; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
    printf("source,reading,clock,batch,reading_ns,clock_gettime_ns\n");
    for (int i = 0; i < ARRAY_SIZE(sources); i++) {
        measure_source(&sources[i], batches);
    }
    return 0;
}
