/*
 * Fuzzer: a host clock whose source says anything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The input is a list of Actions.  A source must not let monotonic time go
 * back; but whatever else it says of wall time, of its error and of how long to
 * sleep, and whatever the host and the device do that a sampler looks at, no
 * timer may be early, no time may go back and nothing must break.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-core-test.h"
#include "hw/rtc/host-clock-sampler.h"

typedef struct Action {
    uint8_t what;
    uint8_t how;
    int64_t a, b;
} QEMU_PACKED Action;

static int64_t sleep_ns;

/* The machine's clock is chosen for good, so there is one for all inputs. */
static HostClock *machine;
static QEMUTimer *timers[HOST_CLOCK_VIEW_TYPE__MAX];
static int64_t due_ns[HOST_CLOCK_VIEW_TYPE__MAX];
static HostClockSampler sampler;
static int64_t last_ns[HOST_CLOCK_VIEW_TYPE__MAX], last_sampled_ns;

/* 1: no sooner than a source that stands still can be looked at again */
static int64_t any_sleep_ns(HostClock *hc, int64_t delta_ns)
{
    return sleep_ns ? MAX(sleep_ns, -1) : MAX(delta_ns, 1);
}

static void timer_cb(void *opaque)
{
    int view = GPOINTER_TO_INT(opaque);

    g_assert(view_ns(view) >= due_ns[view]);
}

static void look(void)
{
    int64_t now[HOST_CLOCK_VIEW_TYPE__MAX], sampled_ns, error_ns;
    HostClockReading r;

    for (int v = 0; v < HOST_CLOCK_VIEW_TYPE__MAX; v++) {
        now[v] = view_ns(v);
        /* Wall time steps, but is never before 1970. */
        g_assert(now[v] >= (v == HOST_CLOCK_VIEW_TYPE_HOST ? 0 : last_ns[v]));
        last_ns[v] = now[v];
    }
    host_clock_read(machine, &r);
    g_assert(r.wall_ns >= 0 && r.mono_ns == made.mono_ns);
    sampled_ns = host_clock_sampler_now_error(&sampler, &error_ns);
    g_assert(sampled_ns >= last_sampled_ns && error_ns >= 0);
    last_sampled_ns = sampled_ns;
}

/* What a device says is bounded by its driver; here, by 36 years. */
static void add_sample(const Action *action)
{
    int64_t step_ns, raw_ns = sim_raw_ns(), from_ns = action->a >> 3;
    int64_t width_ns = (uint64_t)action->b % (2 * NANOSECONDS_PER_SECOND);
    HostClockSample sample = {
        { raw_ns, raw_ns + (action->how & 1 ? 1 : 1000) },
        { from_ns, from_ns + width_ns },
    };

    sim_block(sample.raw_ns[1] - raw_ns);
    if (action->how & 2) {
        sample.ns[0] = last_sampled_ns + action->a % NANOSECONDS_PER_SECOND;
        sample.ns[1] = sample.ns[0] + width_ns;
    }
    if (host_clock_sampler_add(&sampler, &sample, HOST_CLOCK_STEP_MIN_NS,
                               &step_ns) == HOST_CLOCK_SAMPLE_STEPPED) {
        if (action->how & 4 && step_ns > 0 &&
            step_ns < INT64_MAX / 8 - last_sampled_ns) {
            host_clock_sampler_apply_step(&sampler, step_ns);
        } else {
            host_clock_sampler_discard_step(&sampler, step_ns);
        }
    }
}

static void report(const Action *action)
{
    switch (action->how % 4) {
    case 0:
        host_clock_report_failure(machine, "failed");
        break;
    case 1:
        host_clock_report_ok(machine);
        break;
    case 2:
        host_clock_mono_jumped(machine);
        break;
    case 3:
        host_clock_deliver_events(machine);
        break;
    }
}

static void arm(const Action *action)
{
    int view = action->how % HOST_CLOCK_VIEW_TYPE__MAX;

    due_ns[view] = action->how & 64 ? action->a :
                   view_ns(view) + action->a % NANOSECONDS_PER_SECOND;
    timer_mod(timers[view], due_ns[view]);
}

static void act(const Action *action)
{
    switch (action->what % 10) {
    case 0:
        made.wall_ns = action->a;
        made.error_ns = (uint64_t)action->b >> (action->how % 63 + 1);
        break;
    case 1:
        made.mono_ns = MIN(made.mono_ns + (uint64_t)action->a %
                          NANOSECONDS_PER_SECOND, INT64_MAX / 2);
        made.wall_ns += (uint64_t)action->b % NANOSECONDS_PER_SECOND;
        break;
    case 2:
        made.mono_ns = MIN(made.mono_ns + ((uint64_t)action->a >> 2),
                          INT64_MAX / 2);
        break;
    case 3:
        /* An alarm of a source that stands still comes every 100 ns. */
        sim_advance((uint64_t)action->a % (SCALE_MS / 10));
        break;
    case 4:
        arm(action);
        break;
    case 5:
        host_clock_check_step(machine, action->how & 1);
        break;
    case 6:
        if (action->how & 1) {
            sim_vm_start();
        } else {
            sim_vm_stop();
        }
        break;
    case 7:
        sleep_ns = action->how & 1 ? action->a : 0;
        break;
    case 8:
        report(action);
        break;
    case 9:
        add_sample(action);
        break;
    }
}

static void reset(void)
{
    HostClockSample sample = {
        { NANOSECONDS_PER_SECOND, NANOSECONDS_PER_SECOND + 1 }, { 0, 1 }
    };

    sim_reset(NANOSECONDS_PER_SECOND, NANOSECONDS_PER_SECOND);
    memset(&made, 0, sizeof(made));
    sleep_ns = 0;
    memset(last_ns, 0, sizeof(last_ns));
    last_sampled_ns = 0;
    host_clock_sampler_start(&sampler, &sample);
    host_clock_check_step(machine, true);
    sim_main_loop();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    core_test_init();
    sim_reset(NANOSECONDS_PER_SECOND, NANOSECONDS_PER_SECOND);
    machine = HOST_CLOCK(sim_object_new(TYPE_PAIRED, "hc0"));
    HOST_CLOCK_GET_CLASS(machine)->sleep_ns = any_sleep_ns;
    host_clock_choose(machine, &error_abort);
    host_clock_begin(&error_abort);
    cpu_set_clock_base(&machine->base);
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        timers[i] = host_clock_view_timer_new_ns(host_clock_view(i), timer_cb,
                                                 GINT_TO_POINTER(i));
    }
    sim_real_time(true);
    return 0;
}

/* What libFuzzer measures is real time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sim_real_time(false);
    reset();
    for (; size >= sizeof(Action); size -= sizeof(Action)) {
        act((const Action *)data);
        look();
        data += sizeof(Action);
    }
    sim_main_loop();
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        timer_del(timers[i]);
    }
    sim_main_loop();
    sim_real_time(true);
    return 0;
}
