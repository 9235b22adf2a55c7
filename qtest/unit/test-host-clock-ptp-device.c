/*
 * Host clock "ptp" on a real PTP clock, which the test sets and steers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The host clock is linked in, so that what it says can be compared with the
 * PTP clock to microseconds.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "monitor/monitor.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "../../hw/rtc/host-clock-sampled.h"

#include <sys/timex.h>

#define DEVICE      "/dev/ptp0"
#define SEC         NANOSECONDS_PER_SECOND
#define US          ((int64_t)SCALE_US)
#define MS          ((int64_t)SCALE_MS)
#define HOUR        (3600 * SEC)

/* What it has to be known to, beside what a sample is uncertain by */
#define GOAL_NS     (2 * US)
#define LOOKS       200

/* Of accel/ nothing is linked. */
bool kvm_allowed;

static int phc = -1;

/* There is no monitor, and no fd=. */
int monitor_fd_param(Monitor *mon, const char *fdname, Error **errp)
{
    g_assert_not_reached();
}

/* clock_gettime(2), "Dynamic clocks" */
static clockid_t phc_id(void)
{
    return (~(clockid_t)phc << 3) | 3;
}

static int64_t phc_ns(void)
{
    struct timespec ts;

    g_assert_cmpint(clock_gettime(phc_id(), &ts), ==, 0);
    return ts.tv_sec * SEC + ts.tv_nsec;
}

static void phc_set(int64_t ns)
{
    struct timespec ts = { ns / SEC, ns % SEC };

    g_assert_cmpint(clock_settime(phc_id(), &ts), ==, 0);
}

static void phc_step(int64_t s)
{
    struct timex t = { .modes = ADJ_SETOFFSET, .time.tv_sec = s };

    g_assert_cmpint(clock_adjtime(phc_id(), &t), >=, 0);
}

static void phc_set_ppm(int ppm)
{
    struct timex t = { .modes = ADJ_FREQUENCY, .freq = ppm * 65536 };

    g_assert_cmpint(clock_adjtime(phc_id(), &t), >=, 0);
}

/* What the latest sample is uncertain by */
static int64_t window_ns(HostClock *hc)
{
    HostClockSampler *s = &HOST_CLOCK_SAMPLED(hc)->sampler;
    HostClockSample *last = &s->samples[s->n_samples - 1];

    return last->raw_ns[1] - last->raw_ns[0] + last->ns[1] - last->ns[0];
}

/* The main loop, for so long: it wakes up for each sample. */
static void pass(int64_t ns)
{
    int64_t end_ns = get_clock() + ns;

    while (get_clock() < end_ns) {
        main_loop_wait(false);
    }
}

static HostClock *open_ptp(void)
{
    Object *obj = object_new(HOST_CLOCK_PREFIX "ptp");

    object_property_parse(obj, "device", DEVICE, &error_abort);
    object_property_parse(obj, "time-scale", "utc", &error_abort);
    user_creatable_complete(USER_CREATABLE(obj), &error_abort);
    return HOST_CLOCK(obj);
}

/* Its wall time lies between two readings of the PTP clock; by how much not? */
static void check_wall(HostClock *hc, const char *when)
{
    int64_t outside_ns = 0, closest_ns = INT64_MAX, off_ns = 0;
    HostClockReading r;

    for (int i = 0; i < LOOKS; i++) {
        int64_t before_ns = phc_ns(), after_ns;

        host_clock_read(hc, &r);
        after_ns = phc_ns();
        outside_ns = MAX(outside_ns, MAX(before_ns - r.wall_ns,
                                         r.wall_ns - after_ns));
        if (after_ns - before_ns < closest_ns) {
            closest_ns = after_ns - before_ns;
            off_ns = r.wall_ns - (before_ns + after_ns) / 2;
        }
    }
    g_test_message("figure: %s: off by %" PRId64 " ns +- %" PRId64 ", by its "
                   "own word by %" PRId64 " at most; its last sample was "
                   "uncertain by %" PRId64, when, off_ns, closest_ns / 2,
                   r.error_ns, window_ns(hc));
    g_assert_cmpint(outside_ns, <=, GOAL_NS);
    g_assert_cmpint(ABS(off_ns), <=,
                    GOAL_NS + window_ns(hc) + closest_ns / 2);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
}

/* What it says of its own error counts, too. */
static void check_goal(HostClock *hc, const char *when)
{
    HostClockReading r;

    check_wall(hc, when);
    host_clock_read(hc, &r);
    g_assert_cmpint(r.error_ns, <=, GOAL_NS + window_ns(hc));
}

static bool skip(void)
{
    if (phc < 0) {
        g_test_skip("no " DEVICE);
        return true;
    }
    if (!g_getenv("HOST_CLOCK_LAB")) {
        g_test_skip("it sets " DEVICE "; done in the lab, or with "
                    "HOST_CLOCK_LAB=1 in the environment");
        return true;
    }
    return false;
}

/*
 * When its rate is set, that of QEMU's igb jumps by twice the change since the
 * machine was started, and is set again.
 */
static void test_rate(void)
{
    HostClock *hc;

    if (skip()) {
        return;
    }
    phc_set_ppm(100);
    phc_set(host_clock_os_now_ns(HOST_CLOCK_OS_REALTIME));
    hc = open_ptp();
    pass(10 * SEC);
    check_goal(hc, "100 ppm fast, after 10 s");
    pass(5 * SEC);
    check_goal(hc, "100 ppm fast, after 15 s");
    g_assert_cmpuint(hc->generation, ==, 0);
    g_assert_cmpint(hc->method, ==, HOST_CLOCK_METHOD_EXTENDED);
    object_unref(OBJECT(hc));
}

static void test_step(void)
{
    static const int64_t steps[] = { HOUR, -HOUR, -HOUR, HOUR };
    HostClock *hc;

    if (skip()) {
        return;
    }
    hc = open_ptp();
    pass(3 * SEC);
    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        int64_t mono_ns = hc->ops->mono_ns(hc), off_ns;
        int64_t raw_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);

        phc_step(steps[i] / SEC);
        /* Seen with the next sample, within a second */
        pass(3 * SEC);
        check_wall(hc, "3 s after a step");
        g_assert_cmpuint(hc->generation, ==, i + 1);
        off_ns = hc->steps[i + 1].step_ns - steps[i];
        g_assert_cmpint(ABS(off_ns), <, MS);
        off_ns = hc->ops->mono_ns(hc) - mono_ns + raw_ns -
                 host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
        g_assert_cmpint(ABS(off_ns), <, 5 * MS);
    }
    object_unref(OBJECT(hc));
}

/* The change is small enough for what igb jumps by to be no step. */
static void test_slew(void)
{
    HostClock *hc;

    if (skip()) {
        return;
    }
    hc = open_ptp();
    pass(5 * SEC);
    phc_set_ppm(110);
    pass(15 * SEC);
    check_goal(hc, "slewed, after 15 s");
    g_assert_cmpuint(hc->generation, ==, 0);
    object_unref(OBJECT(hc));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop(&error_abort);
    /* There is no BQL here; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
    phc = open(DEVICE, O_RDWR | O_CLOEXEC);

    g_test_add_func("/host-clock/ptp-device/rate", test_rate);
    g_test_add_func("/host-clock/ptp-device/step", test_step);
    g_test_add_func("/host-clock/ptp-device/slew", test_slew);
    return g_test_run();
}
