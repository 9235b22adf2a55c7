/*
 * Host clocks: readings, steps, views, timers and choice, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "host-clock-sim.h"

#define SEC     NANOSECONDS_PER_SECOND
#define HOUR    (3600 * SEC)
#define DAY     (24 * HOUR)

/* Time that the simulated host spends in looking at its clocks */
#define LOOKS   (2 * SCALE_US)

#define START_MONO  (1000 * SEC)
#define START_REAL  (1790000000 * SEC)

static HostClock *open_clock(const char *name)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj;

    sim_reset(START_MONO, START_REAL);
    obj = sim_object_new(type, "hc0");
    g_assert_nonnull(obj);
    return HOST_CLOCK(obj);
}

static void close_clock(HostClock *hc)
{
    sim_object_del(OBJECT(hc));
    g_assert_cmpuint(sim_timers(), ==, 0);
}

static int64_t mono(HostClock *hc)
{
    return host_clock_view_get_ns(host_clock_view(hc,
                                                  HOST_CLOCK_VIEW_TYPE_RT));
}

static int64_t wall(HostClock *hc)
{
    return host_clock_view_get_ns(host_clock_view(hc,
                                                  HOST_CLOCK_VIEW_TYPE_HOST));
}

#define assert_near(a, b) do {                                          \
        g_assert_cmpint(a, >=, (b) - LOOKS);                            \
        g_assert_cmpint(a, <=, (b) + LOOKS);                            \
    } while (0)

/* A source that says whatever a test wants it to say */

#define TYPE_LIAR HOST_CLOCK_PREFIX "liar"

static struct {
    int64_t mono_ns;
    int64_t wall_ns;
    int ret;
    int opens, closes;
} liar;

static bool liar_open(HostClock *hc, Error **errp)
{
    if (liar.ret == -EBUSY) {
        error_setg(errp, "the liar is busy");
        return false;
    }
    liar.opens++;
    return true;
}

static void liar_close(HostClock *hc)
{
    liar.closes++;
}

static int liar_read(HostClock *hc, HostClockParts parts, HostClockReading *r)
{
    r->mono_ns = liar.mono_ns;
    r->wall_ns = liar.wall_ns;
    return liar.ret;
}

static void liar_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "test";
    k->may_fail = true;
    k->open = liar_open;
    k->close = liar_close;
    k->read = liar_read;
}

static const TypeInfo liar_info = {
    .name = TYPE_LIAR,
    .parent = TYPE_HOST_CLOCK,
    .class_init = liar_class_init,
};

static HostClock *open_liar(void)
{
    memset(&liar, 0, sizeof(liar));
    liar.mono_ns = 5 * SEC;
    liar.wall_ns = START_REAL;
    return open_clock("liar");
}

/* Readings */

static void test_source_readings(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc), wall0 = wall(hc);

    assert_near(wall0, sim_real_ns());
    sim_advance(DAY);
    assert_near(mono(hc) - mono0, DAY);
    assert_near(wall(hc) - wall0, DAY);
    close_clock(hc);
}

static void test_source_step(const void *name)
{
    static const int64_t steps[] = {
        SEC, -SEC, HOUR, -HOUR, 3650 * DAY, -3650 * DAY, 20 * SCALE_MS,
        -20 * SCALE_MS,
    };
    HostClock *hc = open_clock(name);
    int64_t mono0 = mono(hc) - sim_mono_ns(), total = 0;
    int64_t wall0 = wall(hc) - sim_mono_ns();

    for (int i = 0; i < ARRAY_SIZE(steps); i++) {
        /* Whoever looks first, a vCPU or the main loop, sees the same. */
        if (i % 2) {
            sim_set_realtime_quietly(steps[i]);
        } else {
            sim_set_realtime(steps[i]);
        }
        total += steps[i];
        assert_near(mono(hc), mono0 + sim_mono_ns());
        assert_near(wall(hc), wall0 + sim_mono_ns() + total);
        sim_set_realtime(0);
        g_assert_cmpuint(hc->generation, ==, i + 1);
        assert_near(hc->last_step_ns, steps[i]);
        assert_near(mono(hc), mono0 + sim_mono_ns());
    }
    close_clock(hc);
}

/* Nobody has a host view, as with -rtc clock=vm: a step is noticed, once. */
static void test_source_step_unseen(const void *name)
{
    HostClock *hc = open_clock(name);

    mono(hc);
    for (int i = 1; i <= 3; i++) {
        sim_set_realtime(-HOUR);
        g_assert_cmpuint(hc->generation, ==, i);
        assert_near(hc->last_step_ns, -HOUR);
    }
    wall(hc);
    sim_set_realtime(-HOUR);
    g_assert_cmpuint(hc->generation, ==, 4);
    close_clock(hc);
}

static void test_source_slew(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t last = mono(hc);

    wall(hc);
    sim_slew(500);
    for (int i = 0; i < 1000; i++) {
        sim_advance(SEC);
        host_clock_check_step(hc, false);
        g_assert_cmpint(mono(hc), >, last);
        last = mono(hc);
    }
    g_assert_cmpuint(hc->generation, ==, 0);
    close_clock(hc);
}

/* A thread that loses the CPU between two looks must not see a step. */
static void test_preempted(const void *name)
{
    HostClock *hc = open_clock(name);
    int64_t last = mono(hc);

    for (int n = 1; n < 8; n++) {
        sim_preempt(20 * SCALE_MS, n);
        host_clock_check_step(hc, n % 2);
        g_assert_cmpint(mono(hc), >=, last + n * 20 * SCALE_MS);
        g_assert_cmpuint(hc->generation, ==, 0);
        last = mono(hc);
    }
    close_clock(hc);
}

static void test_backward_source(void)
{
    HostClock *hc = open_liar();

    g_assert_cmpint(mono(hc), ==, 5 * SEC);
    liar.mono_ns = 7 * SEC;
    g_assert_cmpint(mono(hc), ==, 7 * SEC);
    liar.mono_ns = 6 * SEC;
    g_assert_cmpint(mono(hc), ==, 7 * SEC);
    liar.mono_ns = 8 * SEC;
    g_assert_cmpint(mono(hc), ==, 8 * SEC);
    close_clock(hc);
}

static void test_unannounced_step(void)
{
    HostClock *hc = open_liar();
    HostClockReading r;

    liar.mono_ns += SEC;
    liar.wall_ns += SEC + 5 * SCALE_MS;
    host_clock_read(hc, HOST_CLOCK_BOTH, &r);
    g_assert_cmpuint(r.generation, ==, 0);
    liar.wall_ns += HOUR;
    host_clock_read(hc, HOST_CLOCK_BOTH, &r);
    g_assert_cmpuint(r.generation, ==, 1);
    g_assert_cmpint(hc->last_step_ns, ==, HOUR);
    /* One that stands still is no step, once it has been told. */
    host_clock_read(hc, HOST_CLOCK_BOTH, &r);
    g_assert_cmpuint(r.generation, ==, 1);
    close_clock(hc);
}

/* The kernel slews by 500 ppm at most, for as long as it likes. */
static void test_slew_is_no_step(void)
{
    HostClock *hc = open_liar();

    wall(hc);
    liar.mono_ns += 1000 * SEC;
    liar.wall_ns += 1000 * SEC + 400 * SCALE_MS;
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 0);
    liar.mono_ns += 1000 * SEC;
    liar.wall_ns += 1000 * SEC + 600 * SCALE_MS;
    host_clock_check_step(hc, false);
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(hc->last_step_ns, ==, 600 * SCALE_MS);
    sim_main_loop();
    close_clock(hc);
}

/* If somebody said that it was set, all but noise is a step. */
static void test_announced_step(void)
{
    HostClock *hc = open_liar();

    wall(hc);
    liar.wall_ns += SCALE_US / 2;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 0);
    liar.wall_ns += 3 * SCALE_US;
    host_clock_check_step(hc, true);
    g_assert_cmpuint(hc->generation, ==, 1);
    g_assert_cmpint(hc->last_step_ns, ==, 3 * SCALE_US);
    sim_main_loop();
    close_clock(hc);
}

static void test_wall_before_1970(void)
{
    HostClock *hc = open_liar();
    int64_t wall0 = wall(hc);

    liar.wall_ns = -DAY;
    assert_near(wall(hc), wall0);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    sim_main_loop();
    close_clock(hc);
}

static void test_holdover(void)
{
    HostClock *hc = open_liar();
    int64_t mono0, wall0;

    mono0 = mono(hc);
    wall0 = wall(hc);
    liar.ret = -ENODEV;
    sim_advance(10 * SEC);
    assert_near(mono(hc), mono0 + 10 * SEC);
    assert_near(wall(hc), wall0 + 10 * SEC);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    g_assert_cmpstr(hc->message, ==, strerror(ENODEV));

    /* It comes back with a time of its own: no jump, in either direction. */
    liar.ret = 0;
    liar.mono_ns = SEC;
    assert_near(mono(hc), mono0 + 10 * SEC);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_HOLDOVER);
    /* Once it has worked for a second, it is trusted again. */
    sim_advance(2 * SEC);
    assert_near(mono(hc), mono0 + 12 * SEC);
    g_assert_cmpint(hc->state, ==, HOST_CLOCK_STATE_RUNNING);
    g_assert_null(hc->message);
    liar.mono_ns += SEC;
    assert_near(mono(hc), mono0 + 13 * SEC);
    sim_main_loop();
    close_clock(hc);
    g_assert_cmpint(liar.opens, ==, liar.closes);
}

/* Random readings, failures and steps: mono never decreases, nothing breaks. */
static void test_hostile_source(void)
{
    HostClock *hc = open_liar();
    int64_t last_rt = 0, last_vm = 0;

    host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_VM);
    sim_vm_start();
    for (int i = 0; i < 200000; i++) {
        HostClockView *vm = host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_VM);
        int64_t rt, vm_ns;

        liar.ret = g_test_rand_int_range(0, 8) ? 0 : -EIO;
        liar.mono_ns = (int64_t)g_test_rand_int() << g_test_rand_int_range(0,
                                                                           31);
        liar.wall_ns = (int64_t)g_test_rand_int() << g_test_rand_int_range(0,
                                                                           31);
        sim_advance(g_test_rand_int_range(0, SEC / 4));
        rt = mono(hc);
        vm_ns = host_clock_view_get_ns(vm);
        g_assert_cmpint(rt, >=, last_rt);
        g_assert_cmpint(vm_ns, >=, last_vm);
        g_assert_cmpint(wall(hc), >=, 0);
        last_rt = rt;
        last_vm = vm_ns;
    }
    close_clock(hc);
}

/* Timers */

typedef struct Shot {
    HostClockView *view;
    QEMUTimer *timer;
    int64_t deadline_ns;
    int fired;
    int order;
} Shot;

static int shots_fired;

static void shot_cb(void *opaque)
{
    Shot *shot = opaque;

    g_assert_cmpint(host_clock_view_get_ns(shot->view), >=, shot->deadline_ns);
    shot->fired++;
    shot->order = ++shots_fired;
}

static void shot_init(Shot *shot, HostClock *hc, HostClockViewType type,
                      int64_t in_ns)
{
    *shot = (Shot) { .view = host_clock_view(hc, type) };
    shot->timer = host_clock_view_timer_new_ns(shot->view, shot_cb, shot);
    shot->deadline_ns = host_clock_view_get_ns(shot->view) + in_ns;
    timer_mod(shot->timer, shot->deadline_ns);
}

static void shot_free(Shot *shot)
{
    timer_free(shot->timer);
}

static void test_timer_due(const void *name)
{
    HostClock *hc = open_clock(name);
    Shot shot[3];

    sim_vm_start();
    for (int v = 0; v < 3; v++) {
        shot_init(&shot[v], hc, v, 10 * SEC);
    }
    sim_advance(10 * SEC - 2 * LOOKS);
    for (int v = 0; v < 3; v++) {
        g_assert_cmpint(shot[v].fired, ==, 0);
    }
    sim_advance(4 * LOOKS);
    for (int v = 0; v < 3; v++) {
        g_assert_cmpint(shot[v].fired, ==, 1);
        shot_free(&shot[v]);
    }
    close_clock(hc);
}

static void test_timer_never_early(void)
{
    HostClock *hc = open_clock("unix");
    unsigned arms;
    Shot shot;

    /* The alarm comes early, again and again; the callback asserts. */
    sim_timers_early(3 * SCALE_MS);
    shot_init(&shot, hc, HOST_CLOCK_VIEW_TYPE_RT, SEC);
    arms = sim_arms();
    sim_advance(SEC - SCALE_MS);
    g_assert_cmpint(shot.fired, ==, 0);
    g_assert_cmpuint(sim_arms(), >, arms);
    sim_advance(SCALE_MS + LOOKS);
    g_assert_cmpint(shot.fired, ==, 1);
    shot_free(&shot);
    close_clock(hc);
}

static void test_timer_equal_deadlines(void)
{
    HostClock *hc = open_clock("dynticks");
    Shot shot[16];
    int64_t deadline_ns;

    shots_fired = 0;
    for (int i = 0; i < 16; i++) {
        shot_init(&shot[i], hc, HOST_CLOCK_VIEW_TYPE_RT, SEC);
    }
    deadline_ns = shot[0].deadline_ns + SEC;
    for (int i = 0; i < 16; i++) {
        shot[i].deadline_ns = deadline_ns;
        timer_mod(shot[i].timer, deadline_ns);
    }
    sim_advance(3 * SEC);
    for (int i = 0; i < 16; i++) {
        g_assert_cmpint(shot[i].order, ==, i + 1);
        shot_free(&shot[i]);
    }
    close_clock(hc);
}

static void test_timer_far(void)
{
    HostClock *hc = open_clock("unix");
    Shot shot[3];

    for (int v = 0; v < 3; v++) {
        shot_init(&shot[v], hc, v, SEC);
        timer_mod(shot[v].timer, INT64_MAX);
        timer_mod(shot[v].timer, INT64_MAX - 1);
    }
    sim_advance(3650 * DAY);
    for (int v = 0; v < 3; v++) {
        g_assert_cmpint(shot[v].fired, ==, 0);
        g_assert_true(timer_pending(shot[v].timer));
        shot_free(&shot[v]);
    }
    close_clock(hc);
}

static void note_step(Notifier *notifier, void *data);

static struct {
    Notifier notifier;
    int64_t total_ns;
    int count;
    Shot *shot;
} stepped;

static void note_step(Notifier *notifier, void *data)
{
    stepped.total_ns += *(int64_t *)data;
    stepped.count++;
    /* Timers that the step made expire have run before. */
    if (stepped.shot && *(int64_t *)data > 0) {
        g_assert_cmpint(stepped.shot->fired, ==, 1);
    }
}

static void watch_steps(HostClock *hc, Shot *shot)
{
    memset(&stepped, 0, sizeof(stepped));
    stepped.notifier.notify = note_step;
    stepped.shot = shot;
    host_clock_view_add_step_notifier(
        host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_HOST), &stepped.notifier);
}

static void test_timer_forward_step(const void *name)
{
    HostClock *hc = open_clock(name);
    Shot host, rt;

    shot_init(&host, hc, HOST_CLOCK_VIEW_TYPE_HOST, 60 * SEC);
    shot_init(&rt, hc, HOST_CLOCK_VIEW_TYPE_RT, 60 * SEC);
    watch_steps(hc, &host);
    sim_set_realtime(HOUR);
    g_assert_cmpint(host.fired, ==, 1);
    g_assert_cmpint(rt.fired, ==, 0);
    g_assert_cmpint(stepped.count, ==, 1);
    assert_near(stepped.total_ns, HOUR);
    sim_advance(61 * SEC);
    g_assert_cmpint(host.fired, ==, 1);
    g_assert_cmpint(rt.fired, ==, 1);
    shot_free(&host);
    shot_free(&rt);
    close_clock(hc);
}

static void test_timer_backward_step(const void *name)
{
    HostClock *hc = open_clock(name);
    Shot host, rt;

    shot_init(&host, hc, HOST_CLOCK_VIEW_TYPE_HOST, 60 * SEC);
    shot_init(&rt, hc, HOST_CLOCK_VIEW_TYPE_RT, 60 * SEC);
    watch_steps(hc, &host);
    sim_set_realtime(-HOUR);
    assert_near(stepped.total_ns, -HOUR);
    sim_advance(61 * SEC);
    g_assert_cmpint(rt.fired, ==, 1);
    g_assert_cmpint(host.fired, ==, 0);
    sim_advance(HOUR);
    g_assert_cmpint(host.fired, ==, 1);
    shot_free(&host);
    shot_free(&rt);
    close_clock(hc);
}

/* The clock is set between computing a deadline and arming the alarm. */
static void test_timer_step_while_arming(void)
{
    HostClock *hc = open_clock("unix");
    Shot rt;

    shot_init(&rt, hc, HOST_CLOCK_VIEW_TYPE_RT, 10 * SEC);
    sim_set_realtime_quietly(-HOUR);
    timer_mod(rt.timer, rt.deadline_ns);
    sim_advance(11 * SEC);
    g_assert_cmpint(rt.fired, ==, 1);
    shot_free(&rt);
    close_clock(hc);
}

/* The same, again and again: after the looks of three attempts to arm. */
static void test_timer_steps_while_arming(void)
{
    HostClock *hc = open_clock("unix");
    Shot rt;

    shot_init(&rt, hc, HOST_CLOCK_VIEW_TYPE_RT, 10 * SEC);
    /* An attempt looks once, and so does the check for a step after it. */
    sim_set_realtime_after_looks(-HOUR, 5);
    timer_mod(rt.timer, rt.deadline_ns);
    sim_set_realtime_after_looks(0, 0);
    sim_advance(11 * SEC);
    g_assert_cmpint(rt.fired, ==, 1);
    shot_free(&rt);
    close_clock(hc);
}

/* A source that runs 200 ppm fast, on alarms that do not, is still in time. */
static void test_timer_rate_differs(void)
{
    HostClockClass *k;
    HostClock *hc = open_liar();
    Shot rt;
    int64_t begin = sim_mono_ns();
    unsigned arms;

    k = HOST_CLOCK_GET_CLASS(hc);
    k->rate_differs = true;
    shot_init(&rt, hc, HOST_CLOCK_VIEW_TYPE_RT, HOUR);
    arms = sim_arms();
    while (sim_mono_ns() < begin + HOUR + SEC && !rt.fired) {
        liar.mono_ns = 5 * SEC + (sim_mono_ns() - begin) / 10000 * 10002;
        sim_advance(SCALE_MS);
    }
    k->rate_differs = false;
    g_assert_cmpint(rt.fired, ==, 1);
    /* Looked at a few times on the way, not many */
    g_assert_cmpuint(sim_arms() - arms, >, 2);
    g_assert_cmpuint(sim_arms() - arms, <, 40);
    shot_free(&rt);
    close_clock(hc);
}

/* The kernel corrects CLOCK_MONOTONIC; the raw counter does not notice. */
static void test_raw_is_not_slewed(const void *ppm)
{
    HostClock *hc = open_clock("raw");
    int64_t mono0 = mono(hc), begin = sim_mono_ns();
    Shot shot;

    sim_slew(GPOINTER_TO_INT(ppm));
    shot_init(&shot, hc, HOST_CLOCK_VIEW_TYPE_RT, HOUR);
    while (!shot.fired) {
        sim_advance(SCALE_MS);
        g_assert_cmpint(mono(hc) - mono0, <, HOUR + 4 * SCALE_MS);
    }
    /* An hour on the raw counter, which is another time for the kernel. */
    g_assert_cmpint(mono(hc) - mono0, >=, HOUR);
    g_assert_cmpint(llabs(sim_mono_ns() - begin - HOUR), >, SEC);
    shot_free(&shot);
    close_clock(hc);
}

/* The vm view */

static void test_vm_stop(const void *name)
{
    HostClock *hc = open_clock(name);
    HostClockView *vm = host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_VM);
    Shot shot;
    int64_t before;

    sim_vm_start();
    sim_advance(5 * SEC);
    assert_near(host_clock_view_get_ns(vm), 5 * SEC);
    shot_init(&shot, hc, HOST_CLOCK_VIEW_TYPE_VM, SEC);
    sim_vm_stop();
    before = host_clock_view_get_ns(vm);
    g_assert_cmpint(before, ==, sim_virtual_ns());
    sim_advance(HOUR);
    g_assert_cmpint(host_clock_view_get_ns(vm), ==, before);
    g_assert_cmpint(shot.fired, ==, 0);
    sim_vm_start();
    sim_advance(SEC - 2 * LOOKS);
    g_assert_cmpint(shot.fired, ==, 0);
    sim_advance(4 * LOOKS);
    g_assert_cmpint(shot.fired, ==, 1);
    shot_free(&shot);
    close_clock(hc);
}

static int64_t rebased_ns;

static void note_rebase(Notifier *notifier, void *data)
{
    rebased_ns += *(int64_t *)data;
}

/* QEMU_CLOCK_VIRTUAL has run at another rate: what is held moves along. */
static void test_vm_rebase(void)
{
    HostClock *hc = open_clock("dynticks");
    HostClockView *vm = host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_VM);
    Notifier notifier = { .notify = note_rebase };
    int64_t remaining_ns, held_ns, age_ns;
    Shot shot;

    rebased_ns = 0;
    host_clock_view_add_rebase_notifier(vm, &notifier);
    sim_vm_start();
    held_ns = host_clock_view_get_ns(vm);
    sim_advance(100 * SEC);
    sim_virtual_drift(-7 * SEC);
    shot_init(&shot, hc, HOST_CLOCK_VIEW_TYPE_VM, 10 * SEC);
    age_ns = host_clock_view_get_ns(vm) - held_ns;
    sim_vm_stop();
    assert_near(rebased_ns, 7 * SEC);
    g_assert_cmpint(host_clock_view_get_ns(vm), ==, sim_virtual_ns());
    assert_near(host_clock_view_get_ns(vm) - (held_ns - rebased_ns), age_ns);
    remaining_ns = timer_expire_time_ns(shot.timer) -
                   host_clock_view_get_ns(vm);
    assert_near(remaining_ns, 10 * SEC);
    /* The deadline is one of the view as it is now. */
    shot.deadline_ns -= rebased_ns;
    sim_vm_start();
    sim_advance(10 * SEC + LOOKS);
    g_assert_cmpint(shot.fired, ==, 1);
    shot_free(&shot);
    close_clock(hc);
}

/* Choice and use */

static void check_refused(const char *names, const char *what)
{
    Error *err = NULL;

    sim_reset(START_MONO, START_REAL);
    g_assert_false(host_clock_configure(names, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    g_assert_null(host_clock_get_machine_default());
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock0"));
}

static void test_choice_refused(void)
{
    check_refused("foo", "'foo'");
    check_refused("dynticks,foo", "'foo'");
    check_refused("", "missing");
    check_refused("dynticks,", "''");
    check_refused(",dynticks", "''");
    check_refused("Dynticks", "'Dynticks'");
    check_refused("host-clock-dynticks", "'host-clock-dynticks'");
}

static void check_chosen(const char *names, const char *name)
{
    HostClock *hc;

    sim_reset(START_MONO, START_REAL);
    host_clock_configure(names, &error_abort);
    hc = host_clock_get_default();
    g_assert_cmpstr(host_clock_name(hc), ==, name);
    object_unparent(OBJECT(hc));
    sim_main_loop();
}

static void test_choice(void)
{
    check_chosen("dynticks", "dynticks");
    check_chosen("unix,dynticks", "unix");
    check_chosen("system", "system");
}

static void test_in_use(void)
{
    HostClock *hc = open_clock("dynticks");
    UserCreatable *uc = USER_CREATABLE(hc);

    g_assert_true(user_creatable_can_be_deleted(uc));
    g_assert_true(host_clock_use(hc) == hc);
    g_assert_false(user_creatable_can_be_deleted(uc));
    host_clock_unuse(hc);
    g_assert_true(user_creatable_can_be_deleted(uc));
    host_clock_set_machine_default(hc, &error_abort);
    g_assert_true(host_clock_use(NULL) == hc);
    host_clock_unuse(hc);
    g_assert_false(user_creatable_can_be_deleted(uc));
    host_clock_set_machine_default(NULL, &error_abort);
    close_clock(hc);
}

static void test_open_fails(void)
{
    open_liar();
    sim_object_del(object_resolve_path_component(object_get_objects_root(),
                                                 "hc0"));
    liar.ret = -EBUSY;
    g_assert_null(sim_object_new(TYPE_LIAR, "hc0"));
    /* Opened, but no reading: closed again */
    liar.ret = -EIO;
    g_assert_null(sim_object_new(TYPE_LIAR, "hc0"));
    g_assert_cmpint(liar.opens, ==, liar.closes);
    g_assert_null(host_clock_next(NULL));
}

static void add_for_sources(const char *path, GTestDataFunc func)
{
    static const char *const names[] = { "dynticks", "unix", "raw" };

    for (int i = 0; i < ARRAY_SIZE(names); i++) {
        g_autofree char *full = g_strdup_printf("/host-clock/%s/%s", names[i],
                                                path);

        g_test_add_data_func(full, names[i], func);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    sim_init();
    type_register_static(&liar_info);

    add_for_sources("reading/rate", test_source_readings);
    add_for_sources("reading/step", test_source_step);
    add_for_sources("reading/step-without-view", test_source_step_unseen);
    add_for_sources("reading/slew-is-no-step", test_source_slew);
    add_for_sources("reading/preempted", test_preempted);
    add_for_sources("timer/due", test_timer_due);
    add_for_sources("timer/forward-step", test_timer_forward_step);
    add_for_sources("timer/backward-step", test_timer_backward_step);
    add_for_sources("vm/stop", test_vm_stop);
    g_test_add_func("/host-clock/core/reading/backward", test_backward_source);
    g_test_add_func("/host-clock/core/reading/unannounced-step",
                    test_unannounced_step);
    g_test_add_func("/host-clock/core/reading/slew", test_slew_is_no_step);
    g_test_add_func("/host-clock/core/reading/announced-step",
                    test_announced_step);
    g_test_add_func("/host-clock/core/reading/before-1970",
                    test_wall_before_1970);
    g_test_add_func("/host-clock/core/reading/holdover", test_holdover);
    g_test_add_func("/host-clock/core/reading/hostile", test_hostile_source);
    g_test_add_func("/host-clock/core/timer/never-early",
                    test_timer_never_early);
    g_test_add_func("/host-clock/core/timer/equal-deadlines",
                    test_timer_equal_deadlines);
    g_test_add_func("/host-clock/core/timer/far", test_timer_far);
    g_test_add_func("/host-clock/core/timer/steps-while-arming",
                    test_timer_steps_while_arming);
    g_test_add_func("/host-clock/core/timer/step-while-arming",
                    test_timer_step_while_arming);
    g_test_add_func("/host-clock/core/timer/rate-differs",
                    test_timer_rate_differs);
    g_test_add_data_func("/host-clock/raw/reading/not-slewed/faster",
                         GINT_TO_POINTER(500), test_raw_is_not_slewed);
    g_test_add_data_func("/host-clock/raw/reading/not-slewed/slower",
                         GINT_TO_POINTER(-500), test_raw_is_not_slewed);
    g_test_add_func("/host-clock/core/vm/rebase", test_vm_rebase);
    g_test_add_func("/host-clock/core/choice/refused", test_choice_refused);
    g_test_add_func("/host-clock/core/choice/taken", test_choice);
    g_test_add_func("/host-clock/core/choice/in-use", test_in_use);
    g_test_add_func("/host-clock/core/choice/open-fails", test_open_fails);
    return g_test_run();
}
