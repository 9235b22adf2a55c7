/*
 * Host clocks: when a device is sampled, and what the samples mean
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "host-clock-internal.h"
#include "host-clock-sampled.h"

/* While others have the device, as those that sample do, try again. */
#define BUSY_WAIT_NS        (20 * SCALE_MS)
#define BUSY_TRIES          200
/* It may be busy for so long before something is wrong. */
#define BUSY_MAX_NS         (60 * NANOSECONDS_PER_SECOND)

/* So many samples, one a second, until the rate is well known */
#define FAST_SAMPLES        100
#define FAST_NS             NANOSECONDS_PER_SECOND
/* Then, while its time is not used: less than one wake-up in 10 s */
#define IDLE_NS             (16 * NANOSECONDS_PER_SECOND)

/* A tick that is so near is worth waiting for, sample by sample. */
#define NEAR_NS             (2 * SCALE_MS)
/* What a plan cannot be better than, and what is no usual lateness */
#define MARGIN_NS           (100 * SCALE_US)
#define LATE_MAX_NS         (250 * SCALE_MS)

/* After the device was set: the beginning of a tick is to be known so well. */
#define SEARCH_NS           (4 * SCALE_MS)
#define KNOWN_NS            HOST_CLOCK_STEP_MIN_NS

/* Opening waits for a tick; on a busy host, for several. */
#define ACQUIRE_NS          (2 * SCALE_MS)
#define ACQUIRE_TICKS       10

/* The kernel measures a suspend in whole seconds of an RTC. */
#define SUSPEND_SLACK_NS    (2 * NANOSECONDS_PER_SECOND)

/* Written once a sample: threads that read do not fight for its cache line. */
static inline void mark_used(HostClockSampled *s)
{
    if (!qatomic_read(&s->is_used)) {
        qatomic_set(&s->is_used, true);
    }
}

/* By any thread; a QOM cast would cost as much as the reading itself. */
static int64_t sampled_mono_ns(HostClock *hc)
{
    HostClockSampled *s = (HostClockSampled *)hc;

    mark_used(s);
    return host_clock_sampler_now(&s->sampler);
}

static int64_t sampled_error_ns(HostClock *hc)
{
    int64_t error_ns;

    host_clock_sampler_now_error(&((HostClockSampled *)hc)->sampler, &error_ns);
    return error_ns;
}

void host_clock_sampled_pair(HostClock *hc, HostClockReading *r)
{
    r->error_ns = 0;
    r->mono_ns = sampled_mono_ns(hc);
    r->wall_ns = r->mono_ns + stat64_get(&((HostClockSampled *)hc)->offset_ns);
}

/* What a sample says */

static int64_t now_raw(void)
{
    return host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
}

/* While the host is suspended RAW stands still, and the device may go on. */
static bool was_suspended(HostClockSampled *s, int64_t step_ns)
{
    int64_t suspended_ns = host_clock_os_suspended_ns() - s->suspended_ns;

    return step_ns > 0 && suspended_ns > HOST_CLOCK_SUSPEND_MIN_NS &&
           ABS(step_ns - suspended_ns) <= SUSPEND_SLACK_NS + suspended_ns / 100;
}

static void sampled_stepped(HostClockSampled *s, int64_t step_ns)
{
    HostClock *hc = HOST_CLOCK(s);

    s->good = 0;
    s->ambiguous = 0;
    s->edge_ns = 0;
    /* While it is opened nobody reads it: it steps to where it should be. */
    if (!s->is_acquired || was_suspended(s, step_ns)) {
        host_clock_sampler_apply_step(&s->sampler, step_ns);
        host_clock_mono_jumped(hc);
        return;
    }
    host_clock_sampler_discard_step(&s->sampler, step_ns);
    stat64_set(&s->offset_ns, stat64_get(&s->offset_ns) + step_ns);
    if (hc->ops->pair) {
        host_clock_check_step(hc, true);
    } else {
        host_clock_report_failure(hc, "%s was set or stopped: it is %" PRId64
                                  " ms off", s->name, step_ns / SCALE_MS);
    }
}

/* Once a sample */
static int64_t next_interval_ns(HostClockSampled *s)
{
    int64_t ns = HOST_CLOCK_SAMPLED_GET_CLASS(s)->interval_ns;
    bool was_used = qatomic_read(&s->is_used);
    /* This reads it, too.  -1, for ever, is far away. */
    uint64_t deadline_ns = host_clock_sampled_deadline_ns(s);

    qatomic_set(&s->is_used, false);
    if (s->good < FAST_SAMPLES) {
        return FAST_NS;
    }
    return was_used || deadline_ns < IDLE_NS ? ns : MAX(ns, IDLE_NS);
}

static void sampled_consistent(HostClockSampled *s, int64_t next_edge_ns)
{
    HostClockSampledClass *k = HOST_CLOCK_SAMPLED_GET_CLASS(s);

    s->ambiguous = 0;
    /* The tick that was waited for has begun: wait for another. */
    if (next_edge_ns > s->edge_ns) {
        s->good++;
        s->edge_ns = next_edge_ns;
        s->edge_ns += k->tick_ns ? next_interval_ns(s) - k->tick_ns : 0;
    }
    if (s->is_acquired) {
        host_clock_report_ok(HOST_CLOCK(s));
    }
}

static void sampled_add(HostClockSampled *s, const HostClockSample *sample,
                        int64_t known_ns)
{
    int64_t step_ns;

    switch (host_clock_sampler_add(&s->sampler, sample, known_ns, &step_ns)) {
    case HOST_CLOCK_SAMPLE_CONSISTENT:
        sampled_consistent(s, sample->ns[1]);
        break;
    case HOST_CLOCK_SAMPLE_AMBIGUOUS:
        s->ambiguous++;
        return;
    case HOST_CLOCK_SAMPLE_STEPPED:
        sampled_stepped(s, step_ns);
        break;
    }
    /* A suspend is in one step: the next may come before another sample. */
    s->suspended_ns = host_clock_os_suspended_ns();
}

/* Taking samples */

static int take(HostClockSampled *s, HostClockSample *sample, Error **errp)
{
    int64_t offset_ns = stat64_get(&s->offset_ns);
    int ret = HOST_CLOCK_SAMPLED_GET_CLASS(s)->sample(s, sample, errp);

    host_clock_sampled_release(s, ret == -ENODEV);
    sample->ns[0] -= offset_ns;
    sample->ns[1] -= offset_ns;
    return ret;
}

static bool take_or_fail(HostClockSampled *s, HostClockSample *sample)
{
    Error *err = NULL;
    int ret = take(s, sample, &err);

    s->is_busy = ret == -EBUSY && now_raw() - s->sampled_ns < BUSY_MAX_NS;
    if (ret == 0) {
        s->sampled_ns = sample->raw_ns[1];
    } else if (!s->is_busy) {
        host_clock_report_failure(HOST_CLOCK(s), "%s", error_get_pretty(err));
        s->good = 0;
        s->ambiguous = 0;
    }
    error_free(err);
    return ret == 0;
}

/* CLOCK_MONOTONIC_RAW when the device will say @ns, or before that */
static int64_t earliest_raw_at(HostClockSampled *s, int64_t ns)
{
    int64_t error_ns;

    host_clock_sampler_now_error(&s->sampler, &error_ns);
    return host_clock_sampler_raw_at(&s->sampler, ns) - error_ns;
}

/* Can the tick after @sample begin before @until_ns? */
static bool edge_is_near(HostClockSampled *s, const HostClockSample *sample,
                         int64_t until_ns)
{
    return HOST_CLOCK_SAMPLED_GET_CLASS(s)->tick_ns && !s->ambiguous &&
           sample->raw_ns[1] < until_ns &&
           earliest_raw_at(s, sample->ns[1]) < until_ns;
}

/* One sample, or the last of one tick and the first of the next */
static void sample_now(HostClockSampled *s)
{
    int64_t until_ns = now_raw() + NEAR_NS;
    HostClockSample sample, last;

    if (!take_or_fail(s, &sample)) {
        return;
    }
    while (edge_is_near(s, &sample, until_ns)) {
        last = sample;
        if (!take_or_fail(s, &sample)) {
            return;
        }
        if (sample.ns[0] != last.ns[0]) {
            sampled_add(s, &last, KNOWN_NS);
            break;
        }
    }
    sampled_add(s, &sample, KNOWN_NS);
}

static int64_t wait_ns(HostClockSampled *s)
{
    HostClockSampledClass *k = HOST_CLOCK_SAMPLED_GET_CLASS(s);
    int64_t left_ns = earliest_raw_at(s, s->edge_ns) - now_raw();

    if (s->is_busy) {
        return g_random_int_range(1, BUSY_WAIT_NS);
    }
    if (s->ambiguous) {
        /* Less and less often, if it is so hard to find */
        return SEARCH_NS * (1 + s->ambiguous / 500);
    }
    if (!k->tick_ns || !s->good) {
        return next_interval_ns(s);
    }
    /* However late, it is there before, and nears it; if idle, in one go. */
    return left_ns - MIN(2 * s->late_ns + MARGIN_NS,
                         left_ns > IDLE_NS / 2 ? NEAR_NS / 2 : left_ns / 2);
}

static void wait_for(HostClockSampled *s, int64_t ns)
{
    timer_mod_ns(s->timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + ns);
}

static void plan(HostClockSampled *s)
{
    int64_t ns = MAX(wait_ns(s), SCALE_MS);

    s->planned_ns = now_raw() + ns;
    wait_for(s, ns);
}

/* Find the beginning of a tick, so that the date is right from the start. */
static void acquire_begin(HostClockSampled *s, const HostClockSample *first)
{
    HostClockSample *last = &s->acquire.last;

    /* Monotonic time begins with 0. */
    stat64_set(&s->offset_ns, first->ns[0]);
    *last = *first;
    last->ns[1] -= last->ns[0];
    last->ns[0] = 0;
    host_clock_sampler_start(&s->sampler, last);
    s->acquire.until_ns = last->raw_ns[1] +
        ACQUIRE_TICKS * HOST_CLOCK_SAMPLED_GET_CLASS(s)->tick_ns;
    s->acquire.closer_ns = INT64_MAX;
}

/* Returns: false with @errp set if no tick has begun for too long */
static bool acquire_add(HostClockSampled *s, const HostClockSample *sample,
                        Error **errp)
{
    int64_t tick_ns = HOST_CLOCK_SAMPLED_GET_CLASS(s)->tick_ns;
    HostClockSample *last = &s->acquire.last;

    if (sample->ns[0] != last->ns[0]) {
        sampled_add(s, last, KNOWN_NS);
        sampled_add(s, sample, KNOWN_NS);
        s->is_acquired = !s->ambiguous;
        /* The host is busy.  Sample without a pause where the next comes */
        s->acquire.closer_ns = last->raw_ns[0] + tick_ns - ACQUIRE_NS;
    }
    *last = *sample;
    if (s->is_acquired || sample->raw_ns[1] < s->acquire.until_ns) {
        return true;
    }
    if (s->acquire.closer_ns == INT64_MAX) {
        error_setg(errp, "the time of %s stands still", s->name);
        return false;
    }
    /* Make do with what is known, and make up for the rest later. */
    sampled_add(s, sample, tick_ns);
    s->is_acquired = true;
    return true;
}

/* Returns: how long to wait for the next sample, in ns; -1 with @errp set */
static int64_t acquire(HostClockSampled *s, Error **errp)
{
    HostClockSample sample;
    Error *err = NULL;
    int ret = take(s, &sample, &err);

    if (ret == -EBUSY && ++s->acquire.busy < BUSY_TRIES) {
        error_free(err);
        return g_random_int_range(1, BUSY_WAIT_NS);
    }
    if (ret < 0) {
        error_propagate(errp, err);
        return -1;
    }
    s->acquire.busy = 0;
    if (!s->acquire.until_ns) {
        acquire_begin(s, &sample);
    } else if (!acquire_add(s, &sample, errp)) {
        return -1;
    }
    if (s->is_acquired) {
        host_clock_sampled_hold(s);
        s->sampled_ns = now_raw();
        s->suspended_ns = host_clock_os_suspended_ns();
        plan(s);
    }
    return sample.raw_ns[1] < s->acquire.closer_ns ? ACQUIRE_NS : 0;
}

static void acquire_in_background(HostClockSampled *s)
{
    Error *err = NULL;
    int64_t ns = acquire(s, &err);

    if (ns < 0) {
        host_clock_report_failure(HOST_CLOCK(s), "%s", error_get_pretty(err));
        error_free(err);
    } else if (s->is_acquired) {
        host_clock_report_acquired(HOST_CLOCK(s));
    } else {
        wait_for(s, ns);
    }
}

static void sampled_timer(void *opaque)
{
    HostClockSampled *s = opaque;
    int64_t late_ns = MIN(now_raw() - s->planned_ns, LATE_MAX_NS);

    if (!s->is_acquired) {
        acquire_in_background(s);
        return;
    }
    s->late_ns += (late_ns - s->late_ns) / 8;
    sample_now(s);
    plan(s);
}

/* The device may have gone on while the host was suspended. */
static void sampled_clock_was_set(HostClock *hc)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(hc);

    if (s->is_acquired) {
        sample_now(s);
        plan(s);
    }
}

/* Life */

OBJECT_DEFINE_ABSTRACT_TYPE(HostClockSampled, host_clock_sampled,
                            HOST_CLOCK_SAMPLED, HOST_CLOCK)

static void sampled_close(HostClock *hc)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(hc);

    timer_free(s->timer);
    host_clock_sampled_release(s, true);
}

static bool sampled_open(HostClock *hc, Error **errp)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(hc);
    int64_t ns;

    s->timer = timer_new_ns(QEMU_CLOCK_REALTIME, sampled_timer, s);
    ns = host_clock_sampled_identify(s, errp) ? acquire(s, errp) : -1;
    if (ns >= 0 && host_clock_has_begun()) {
        /* A tick may be a second away, and the VM runs. */
        hc->state = HOST_CLOCK_STATE_ACQUIRING;
        wait_for(s, ns);
        return true;
    }
    while (ns >= 0 && !s->is_acquired) {
        if (ns) {
            host_clock_os_sleep_ns(ns);
        }
        ns = acquire(s, errp);
    }
    if (ns < 0) {
        sampled_close(hc);
    }
    return s->is_acquired;
}

static void host_clock_sampled_init(Object *obj)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(obj);

    s->fd = -1;
    s->alarm_hz = 1024;
}

static void host_clock_sampled_finalize(Object *obj)
{
    HostClockSampled *s = HOST_CLOCK_SAMPLED(obj);

    /* The parent's turn, and with it @close, comes after this. */
    g_clear_pointer(&s->device, g_free);
    g_clear_pointer(&s->fdname, g_free);
    g_clear_pointer(&s->name, g_free);
}

static void host_clock_sampled_class_init(ObjectClass *oc,
                                          HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    /* Of the device against RAW, while it is made up for, of RAW itself */
    k->rate_error_ppb = HOST_CLOCK_RATE_MAX_PPB + 2 * HOST_CLOCK_SLEW_MAX_PPB;
    k->open = sampled_open;
    k->close = sampled_close;
    k->clock_was_set = sampled_clock_was_set;
    k->mono_ns = sampled_mono_ns;
    k->error_ns = sampled_error_ns;
    host_clock_sampled_dev_class_init(k);
}
