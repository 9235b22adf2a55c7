/*
 * Host clocks: many threads read while wall time steps, the line of a source
 * that samples is bent, it fails and comes back, and while rate or clock change
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The threads are vCPUs that read the time without the BQL; the main thread has
 * it.  What a reader must never see is monotonic time that goes back, from one
 * of its own readings to the next or behind what another thread has seen.  And
 * however many look for steps at the same time, each step counts once.
 * Build it with -fsanitize=thread to have the locking checked as well.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/stats64.h"
#include "host-clock-threads-test.h"

#define READERS     4
/* Long enough for some thousand steps, and for hundreds under a sanitizer */
#define RUN_NS      (SEC / 2)

/* The readers */

typedef struct Shared {
    HostClock *hc;
    HostClockView *views[HOST_CLOCK_VIEW_TYPE__MAX];
    Stat64 rt_seen;
    bool stop;
    uint64_t reads;
    uint64_t fired;
} Shared;

/* What all threads had seen before this one looked must not be ahead of it. */
static int64_t check_rt(Shared *s)
{
    int64_t seen = stat64_get(&s->rt_seen);
    int64_t now = host_clock_view_get_ns(s->views[HOST_CLOCK_VIEW_TYPE_RT]);

    g_assert_cmpint(now, >=, seen);
    stat64_max(&s->rt_seen, now);
    return now;
}

typedef struct Reader {
    Shared *shared;
    QemuThread thread;
    QEMUTimer *timer;
    /* Its timer is armed, or its callback is still to be run. */
    bool waits;
    int64_t due_ns;
} Reader;

static void reader_timer(void *opaque)
{
    Reader *reader = opaque;

    g_assert_cmpint(check_rt(reader->shared), >=,
                    qatomic_read(&reader->due_ns));
    reader->shared->fired++;
    qatomic_set(&reader->waits, false);
}

static void *read_on(void *opaque)
{
    Reader *reader = opaque;
    Shared *s = reader->shared;
    int64_t last_rt = 0, last_mono = 0;
    uint32_t generation = 0;
    HostClockReading r;

    while (!qatomic_read(&s->stop)) {
        int64_t rt = check_rt(s);

        g_assert_cmpint(rt, >=, last_rt);
        last_rt = rt;
        host_clock_read(s->hc, &r);
        g_assert_cmpint(r.mono_ns, >=, last_mono);
        g_assert_cmpint(r.wall_ns, >=, 0);
        g_assert_cmpuint(r.generation, >=, generation);
        last_mono = r.mono_ns;
        generation = r.generation;
        g_assert_cmpint(host_clock_view_get_ns(
                            s->views[HOST_CLOCK_VIEW_TYPE_HOST]), >=, 0);
        if (!qatomic_read(&reader->waits)) {
            qatomic_set(&reader->waits, true);
            qatomic_set(&reader->due_ns, rt + 1000);
            timer_mod(reader->timer, rt + 1000);
        }
        qatomic_inc(&s->reads);
    }
    return NULL;
}

/* The main thread */

typedef void Disturb(Shared *s, int n);

static unsigned steps;

static void disturb_step(Shared *s, int n)
{
    static const int64_t ns[] = {
        10 * SEC, -10 * SEC, HOUR, -HOUR, 87600 * HOUR, -87600 * HOUR,
    };

    qatomic_set(&real_offset_ns,
                qatomic_read(&real_offset_ns) + ns[n % ARRAY_SIZE(ns)]);
    host_clock_check_step(s->hc, true);
    steps++;
}

static void disturb_bend(Shared *s, int n)
{
    HostClockSample sample = sample_now();
    int64_t step_ns;

    if (host_clock_sampler_add(&sampler, &sample, 5000000, &step_ns) ==
        HOST_CLOCK_SAMPLE_STEPPED) {
        host_clock_sampler_discard_step(&sampler, step_ns);
        suspended_ns -= step_ns;
    }
    if (n % 100 == 0) {
        suspended_ns += SEC;
        host_clock_sampler_apply_step(&sampler, SEC);
        host_clock_mono_jumped(s->hc);
    }
}

static void disturb_report(Shared *s, int n)
{
    switch (n % 4) {
    case 0:
        host_clock_report_failure(s->hc, "failure %d", n);
        break;
    case 2:
        WITH_QEMU_LOCK_GUARD(&s->hc->lock) {
            s->hc->failed_at_ns = 0;
        }
        break;
    default:
        host_clock_report_ok(s->hc);
        host_clock_report_degraded(s->hc, n % 8 == 1 ? "degraded" : NULL);
        break;
    }
}

/* Other clocks come and go. */
static void disturb_other(Shared *s, int n)
{
    HostClock *other = open_clock("raw", "other");
    HostClockReading r;

    host_clock_read(other, &r);
    close_clock(other);
}

static void disturb_rate(Shared *s, int n)
{
    g_autofree char *rate = g_strdup_printf("%d/%d",
                                            g_test_rand_int_range(1, 100),
                                            g_test_rand_int_range(1, 100));

    object_property_set_str(OBJECT(s->hc), "rate", rate, &error_abort);
}

/*
 * To and fro.  The other one's wall time is another, so there are steps, but
 * they cancel out, but for the time that it is in use.
 */
static void disturb_switch(Shared *s, int n)
{
    static HostClock *other;
    uint32_t generation = s->hc->generation;

    if (!other) {
        other = open_clock("scaled", "other");
    }
    object_property_set_str(OBJECT(other), "rate", n % 2 ? "3/2" : "2/3",
                            &error_abort);
    host_clock_switch(other, &error_abort);
    check_rt(s);
    host_clock_switch(s->hc, &error_abort);
    steps += s->hc->generation - generation;
}

static void disturb_all(Shared *s, int n)
{
    disturb_step(s, n);
    disturb_bend(s, n);
    disturb_report(s, n);
    disturb_other(s, n);
}

static int64_t stepped_ns;

static void note_step(Notifier *notifier, void *data)
{
    stepped_ns += *(int64_t *)data;
}

static void check_threads(const char *name, Disturb *disturb)
{
    static Notifier notifier = { .notify = note_step };
    Shared s = { .hc = open_clock(name, "hc0") };
    Reader readers[READERS];
    int64_t end, stepped_by;
    int n = 0;

    host_clock_choose(s.hc, &error_abort);
    host_clock_begin(&error_abort);
    host_clock_add_step_notifier(&notifier);
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        s.views[i] = host_clock_view(i);
    }
    for (int i = 0; i < READERS; i++) {
        readers[i] = (Reader) { .shared = &s };
        readers[i].timer = host_clock_view_timer_new_ns(
            s.views[HOST_CLOCK_VIEW_TYPE_RT], reader_timer, &readers[i]);
        qemu_thread_create(&readers[i].thread, "reader", read_on, &readers[i],
                           QEMU_THREAD_JOINABLE);
    }
    end = get_clock() + RUN_NS;
    while (get_clock() < end) {
        disturb(&s, n++);
        main_loop();
        check_rt(&s);
    }
    qatomic_set(&s.stop, true);
    for (int i = 0; i < READERS; i++) {
        qemu_thread_join(&readers[i].thread);
        timer_free(readers[i].timer);
    }
    main_loop();
    g_test_message("%d disturbances, %" PRIu64 " looks, %" PRIu64 " timers, "
                   "%u steps", n, s.reads, s.fired, steps);
    g_assert_cmpuint(s.reads, >, 0);
    g_assert_cmpuint(s.fired, >, 0);
    g_assert_cmpuint(s.hc->generation, ==, steps);
    /* Within what the readings of so many steps may be off */
    stepped_by = real_offset_ns - START_REAL;
    g_assert_cmpint(llabs(stepped_ns - stepped_by), <, SEC);
}

typedef struct Case {
    const char *path;
    const char *name;
    Disturb *disturb;
} Case;

/* To choose a clock is for good, so each takes a process of its own. */
static void test_threads(gconstpointer opaque)
{
    const Case *c = opaque;

    if (g_test_subprocess()) {
        check_threads(c->name, c->disturb);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
}

/*
 * A reading from before a step that is stored after it would be a step back,
 * and the next one a step forward again.
 */

static void *look_late(void *opaque)
{
    is_slow = true;
    host_clock_check_step(opaque, false);
    return NULL;
}

static void *look_meanwhile(void *opaque)
{
    host_clock_check_step(opaque, true);
    qatomic_set(&late_is_over, true);
    return NULL;
}

static void test_stored_late(void)
{
    HostClock *hc = open_clock("late", "hc0");
    QemuThread threads[2];

    qemu_thread_create(&threads[0], "late", look_late, hc,
                       QEMU_THREAD_JOINABLE);
    while (!qatomic_read(&late_has_read)) {
        usleep(100);
    }
    qatomic_set(&late_wall_ns, HOUR);
    qemu_thread_create(&threads[1], "meanwhile", look_meanwhile, hc,
                       QEMU_THREAD_JOINABLE);
    for (int i = 0; i < 2; i++) {
        qemu_thread_join(&threads[i]);
    }
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(hc->steps[1].step_ns, ==, HOUR);
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 1);
    main_loop();
    close_clock(hc);
}

/* The line is bent by a thread that is slow: between its look and the bend. */
static void *sampler_reader(void *opaque)
{
    Shared *s = opaque;

    while (!qatomic_read(&s->stop)) {
        int64_t seen = stat64_get(&s->rt_seen);
        int64_t now = host_clock_sampler_now(&sampler);

        g_assert_cmpint(now, >=, seen);
        stat64_max(&s->rt_seen, now);
    }
    return NULL;
}

static void test_sampler(void)
{
    Shared s = { .hc = open_clock("bent", "hc0") };
    QemuThread threads[READERS];
    int64_t end;

    for (int i = 0; i < READERS; i++) {
        qemu_thread_create(&threads[i], "reader", sampler_reader, &s,
                           QEMU_THREAD_JOINABLE);
    }
    /* Some dozen bends, of which half are to a slower rate */
    end = get_clock() + 3 * RUN_NS;
    for (int n = 1; get_clock() < end; n++) {
        is_slow = true;
        disturb_bend(&s, n);
        is_slow = false;
        g_assert_cmpint(host_clock_sampler_now(&sampler), >=, peeked_ns);
    }
    qatomic_set(&s.stop, true);
    for (int i = 0; i < READERS; i++) {
        qemu_thread_join(&threads[i]);
    }
    g_assert_cmpuint(stat64_get(&s.rt_seen), >, 0);
    close_clock(s.hc);
}

int main(int argc, char **argv)
{
    static const Case cases[] = {
        { "step/raw", "raw", disturb_step },
        { "step/bent", "bent", disturb_step },
        { "step/scaled", "scaled", disturb_step },
        { "bend", "bent", disturb_bend },
        { "report", "raw", disturb_report },
        { "other", "raw", disturb_other },
        { "rate", "scaled", disturb_rate },
        { "switch/raw", "raw", disturb_switch },
        { "switch/bent", "bent", disturb_switch },
        { "all", "bent", disturb_all },
    };

    g_test_init(&argc, &argv, NULL);
    threads_test_init();

    for (int i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strconcat("/host-clock/threads/",
                                            cases[i].path, NULL);

        g_test_add_data_func(path, &cases[i], test_threads);
    }
    g_test_add_func("/host-clock/threads/stored-late", test_stored_late);
    g_test_add_func("/host-clock/threads/sampler", test_sampler);
    return g_test_run();
}
