/*
 * Host clocks: from one to another while the VM runs, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qom/object_interfaces.h"
#include "system/qtest.h"
#include "system/replay.h"
#include "host-clock-change-test.h"

/* Among all sources */

#define SWITCHES    10000
/* Of the scaled clock that is fastest */
#define FASTEST     100

typedef struct Entry {
    const char *name;
    const char *id;
    const char *props;
    HostClock *hc;
} Entry;

/* The first is the machine's at the start; parents come first. */
static Entry entries[] = {
    { "dynticks", "hc0", "" },
    { "system", "system", "" },
    { "unix", "unix", "" },
    { "raw", "raw", "" },
    { "boottime", "boottime", "" },
    { "hpet", "hpet", "" },
    { "rtc", "rtc", "" },
    { "plain", "plain", "" },
    { "scaled", "same", "clock=raw" },
    { "scaled", "slow", "clock=hpet,rate=1/4,offset-ns=-77777777777" },
    { "scaled", "fast", "clock=boottime,rate=100" },
    { "scaled", "bent", "clock=slow,rate=3/2,offset-ns=86400000000000" },
};

static void open_all(void)
{
    made = (Made) { .mono_ns = 5 * SEC, .ppb = 1000 };
    entries[0].hc = open_clock(entries[0].name);
    sim_hpet.ppm = 37;
    sim_rtc.ppm = -20;
    for (int i = 1; i < ARRAY_SIZE(entries); i++) {
        entries[i].hc = add(entries[i].name, entries[i].id, entries[i].props);
    }
    choose(entries[0].hc);
}

/* Step notifiers are told of each step of the host view, as QMP is. */
static int64_t notified_ns;

static void note_step(Notifier *notifier, void *data)
{
    notified_ns += *(int64_t *)data;
}

/* What all that can be read on the way takes */
static int64_t since_ns(int64_t begin_ns)
{
    return (sim_mono_ns() - begin_ns) * FASTEST + 2;
}

#define assert_within(a, b, ns) do {                    \
        int64_t differ_ns_ = (a) - (b);                 \
        g_assert_cmpint(ABS(differ_ns_), <=, (ns));     \
    } while (0)

/* It goes on; by how much more than it should is what the readings take. */
static void check_goes_on(HostClockViewType type, int64_t before_ns,
                          int64_t begin_ns)
{
    int64_t after_ns = view_ns(type);

    g_assert_cmpint(after_ns, >=, before_ns);
    g_assert_cmpint(after_ns - before_ns, <=, since_ns(begin_ns));
}

static void check_switch(HostClock *hc)
{
    HostClock *old = host_clock_machine();
    int64_t begin_ns = sim_mono_ns(), rt_ns, vm_ns, host_ns, step_ns;
    uint32_t generation = hc->generation;
    HostClockReading from, to;
    HostClockStep step;

    host_clock_read_pair(old, &from);
    host_clock_read_pair(hc, &to);
    rt_ns = view_ns(HOST_CLOCK_VIEW_TYPE_RT);
    vm_ns = view_ns(HOST_CLOCK_VIEW_TYPE_VM);
    host_ns = view_ns(HOST_CLOCK_VIEW_TYPE_HOST);
    notified_ns = 0;

    g_assert_true(host_clock_switch(hc, &error_abort));
    g_assert_true(host_clock_machine() == hc);
    check_goes_on(HOST_CLOCK_VIEW_TYPE_RT, rt_ns, begin_ns);
    check_goes_on(HOST_CLOCK_VIEW_TYPE_VM, vm_ns, begin_ns);
    step_ns = hc == old ? 0 : to.wall_ns - from.wall_ns;
    assert_within(view_ns(HOST_CLOCK_VIEW_TYPE_HOST) - host_ns, step_ns,
                  since_ns(begin_ns));
    if (hc->generation != generation) {
        step = hc->steps[hc->generation % ARRAY_SIZE(hc->steps)];
        g_assert_cmpuint(hc->generation, ==, generation + 1);
        g_assert_cmpint(notified_ns, ==, step.step_ns);
        assert_within(step.step_ns, step_ns, since_ns(begin_ns));
        g_assert_cmpint(step.reason, ==, HOST_CLOCK_STEP_REASON_SWITCH);
    } else {
        g_assert_cmpint(notified_ns, ==, 0);
        assert_within(step_ns, 0,
                      from.error_ns + to.error_ns + since_ns(begin_ns));
    }
}

/*
 * A timer that has fired is armed again, at a time of any order of magnitude up
 * to some seconds.  What has not fired although it is due is lost.
 */
static unsigned check_shot(Shot *shot, HostClockViewType type)
{
    bool has_fired = shot->fired;

    g_assert_cmpint(shot->fired, <=, 1);
    if (has_fired) {
        shot_free(shot);
        shoot(shot, type, any_size());
    } else {
        g_assert_cmpint(view_ns(type), <, shot->due_ns + FASTEST * MS);
    }
    return has_fired;
}

static void check_start(HostClockReading *start)
{
    const HostClockReading *now = host_clock_start(host_clock_machine());

    g_assert_cmpint(now->mono_ns, ==, start->mono_ns);
    g_assert_cmpint(now->wall_ns, ==, start->wall_ns);
}

static void test_random(void)
{
    static Notifier notifier = { .notify = note_step };
    Shot shots[3 * HOST_CLOCK_VIEW_TYPE__MAX];
    HostClockReading start;
    unsigned fired = 0;

    if (sim_in_subprocess()) {
        return;
    }
    open_all();
    host_clock_add_step_notifier(&notifier);
    start = *host_clock_start(host_clock_machine());
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        shoot(&shots[i], i % HOST_CLOCK_VIEW_TYPE__MAX, any_size());
    }
    for (int n = 0; n < SWITCHES; n++) {
        sim_slew(g_test_rand_int_range(-500, 501));
        check_switch(entries[g_test_rand_int_range(0,
                             ARRAY_SIZE(entries))].hc);
        check_start(&start);
        sim_advance(any_size() >> 3);
        for (int i = 0; i < ARRAY_SIZE(shots); i++) {
            fired += check_shot(&shots[i], i % HOST_CLOCK_VIEW_TYPE__MAX);
        }
        g_assert_cmpint(said.states, ==, 0);
    }
    g_test_message("%u timers", fired);
    g_assert_cmpuint(fired, >, SWITCHES / 10);
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        shot_free(&shots[i]);
    }
}

/* A stopped VM changes its clock, and its time stands still all the same. */
static void test_stopped(void)
{
    int64_t vm_ns;

    if (sim_in_subprocess()) {
        return;
    }
    open_all();
    sim_advance(SEC);
    sim_vm_stop();
    vm_ns = view_ns(HOST_CLOCK_VIEW_TYPE_VM);
    for (int n = 0; n < 100; n++) {
        int64_t rt_ns = view_ns(HOST_CLOCK_VIEW_TYPE_RT), now_ns;

        g_assert_true(host_clock_switch(entries[n % ARRAY_SIZE(entries)].hc,
                                        &error_abort));
        sim_advance(MS);
        g_assert_cmpint(view_ns(HOST_CLOCK_VIEW_TYPE_VM), ==, vm_ns);
        now_ns = view_ns(HOST_CLOCK_VIEW_TYPE_RT);
        g_assert_cmpint(now_ns, >, rt_ns);
    }
    sim_vm_start();
    sim_advance(MS);
    g_assert_cmpint(view_ns(HOST_CLOCK_VIEW_TYPE_VM), >, vm_ns);
}

/* Who sleeps until a far deadline of the one wakes up for that of the other. */
static void test_sleeper(void)
{
    Shot shots[HOST_CLOCK_VIEW_TYPE__MAX];
    HostClock *fast;

    if (sim_in_subprocess()) {
        return;
    }
    open_clock("dynticks");
    fast = scale("fast", "clock=hc0,rate=100");
    choose(scale("slow", "clock=hc0,rate=1/100"));
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        shoot(&shots[i], i, 10 * SEC);
    }
    sim_advance(SEC);
    g_assert_true(host_clock_switch(fast, &error_abort));
    sim_advance(110 * MS);
    for (int i = 0; i < ARRAY_SIZE(shots); i++) {
        g_assert_cmpint(shots[i].fired, ==, 1);
        shot_free(&shots[i]);
    }
}

/* Steps, and why */

static HostClockStepReason reason_after(int64_t set_ns, int64_t suspend_ns)
{
    memset(&said, 0, sizeof(said));
    if (suspend_ns) {
        sim_suspend(suspend_ns, true);
    }
    if (set_ns) {
        sim_set_realtime_quietly(set_ns);
    }
    sim_advance(100 * MS + LOOKS);
    g_assert_cmpint(said.steps, ==, 1);
    assert_near(said.step_ns, set_ns + suspend_ns);
    return said.step.reason;
}

static void test_reasons(const void *name)
{
    HostClock *hc = open_clock(name);

    g_assert_cmpint(reason_after(HOUR, 0), ==, HOST_CLOCK_STEP_REASON_SET);
    g_assert_cmpint(reason_after(0, HOUR), ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    g_assert_cmpint(reason_after(-DAY, 0), ==, HOST_CLOCK_STEP_REASON_SET);
    g_assert_cmpint(reason_after(0, SEC), ==, HOST_CLOCK_STEP_REASON_SUSPEND);
    /* Both at once: the host was suspended, whatever else. */
    g_assert_cmpint(reason_after(-2 * HOUR, HOUR), ==,
                    HOST_CLOCK_STEP_REASON_SUSPEND);
    g_assert_cmpint(reason_after(SEC, 0), ==, HOST_CLOCK_STEP_REASON_SET);
    close_clock(hc);
}

/*
 * What has happened to either clock before is told first, and told as what it
 * is; what the new one has of it is no part of the difference.
 */
static void test_set_before(void)
{
    HostClock *hc, *ahead;

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_clock("dynticks");
    ahead = scale("ahead", "clock=hc0,offset-ns=1000000000");
    choose(hc);
    sim_set_realtime_quietly(HOUR);
    g_assert_true(host_clock_switch(ahead, &error_abort));
    g_assert_cmpuint(hc->generation, ==, 1);
    assert_near(last_step_ns(hc), HOUR);
    g_assert_cmpuint(ahead->generation, ==, 2);
    assert_near(last_step_ns(ahead), SEC);
    /* The second event of a clock has to wait. */
    g_assert_cmpint(said.steps, ==, 2);
    /* It was announced, too; there is nothing more. */
    sim_advance(SEC);
    g_assert_cmpint(said.steps, ==, 3);
    g_assert_cmpint(said.step.reason, ==, HOST_CLOCK_STEP_REASON_SWITCH);
}

/* Refused */

static void check_refused(HostClock *hc, const char *what)
{
    HostClock *old = host_clock_machine();
    int64_t rt_ns = view_ns(HOST_CLOCK_VIEW_TYPE_RT);
    Error *err = NULL;

    g_assert_false(host_clock_switch(hc, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), "host-clock=other: "));
    g_assert_nonnull(strstr(error_get_pretty(err), what));
    error_free(err);
    g_assert_true(host_clock_machine() == old);
    assert_near(view_ns(HOST_CLOCK_VIEW_TYPE_RT), rt_ns);
    g_assert_cmpint(said.steps, ==, 0);
}

static void test_refused(void)
{
    HostClock *hc, *other;

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_clock("dynticks");
    other = add("raw", "other", "");
    choose(hc);
    host_clock_report_failure(other, "made up");
    sim_main_loop();
    check_refused(other, "'holdover'");
    replay_mode = REPLAY_MODE_PLAY;
    check_refused(other, "record/replay");
    replay_mode = REPLAY_MODE_RECORD;
    check_refused(other, "record/replay");
    /* To itself nothing happens, whatever else. */
    g_assert_true(host_clock_switch(hc, &error_abort));
    g_assert_cmpint(said.steps, ==, 0);
    g_assert_cmpuint(hc->generation, ==, 0);
}

/* qtest moves QEMU's clocks; without -clock at the start it stays so. */
static void test_qtest(void)
{
    HostClock *other;

    if (sim_in_subprocess()) {
        return;
    }
    sim_reset(START_MONO, START_REAL);
    qtest_allowed = true;
    host_clock_configure(NULL, &error_abort);
    other = add("raw", "other", "");
    check_refused(other, "-accel qtest");
}

/* Deletion */

static bool can_delete(HostClock *hc)
{
    return user_creatable_can_be_deleted(USER_CREATABLE(hc));
}

/* The former one gives its device back, and the VM goes on. */
static void test_delete(const void *name)
{
    HostClock *former, *hc;
    int64_t vm_ns;
    unsigned reads;
    Shot shot;

    if (sim_in_subprocess()) {
        return;
    }
    hc = open_clock("dynticks");
    former = add(name, "former", "alarm=device");
    choose(former);
    shoot(&shot, HOST_CLOCK_VIEW_TYPE_RT, HOUR);
    sim_advance(SEC);
    g_assert_cmpint(sim_dev_files(), ==, 1);
    g_assert_false(can_delete(former));
    g_assert_true(host_clock_switch(hc, &error_abort));
    g_assert_true(can_delete(former));
    g_assert_false(can_delete(hc));

    /* This test's reference, that of /objects, and one for good */
    g_assert_cmpuint(OBJECT(former)->ref, ==, 3);
    sim_object_del(OBJECT(former));
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "former"));
    g_assert_cmpint(sim_dev_files(), ==, 0);
    g_assert_cmpint(sim_dev_maps(), ==, 0);
    for (HostClock *c = host_clock_next(NULL); c; c = host_clock_next(c)) {
        g_assert_true(c != former);
    }
    reads = sim_dev_reads();
    vm_ns = view_ns(HOST_CLOCK_VIEW_TYPE_VM);
    sim_advance(2 * HOUR);
    assert_near(view_ns(HOST_CLOCK_VIEW_TYPE_VM), vm_ns + 2 * HOUR);
    g_assert_cmpint(shot.fired, ==, 1);
    g_assert_cmpuint(sim_dev_reads(), ==, reads);
    /* Who began to read it before then still can. */
    g_assert_cmpint(former->ops->mono_ns(former), >, 0);
    shot_free(&shot);
}

/* What the machine's is made of stays; what it was made of can go. */
static void test_delete_parent(void)
{
    HostClock *parent, *hc, *other;

    if (sim_in_subprocess()) {
        return;
    }
    parent = open_clock("raw");
    hc = scale("s", "clock=hc0,rate=3/2");
    other = add("dynticks", "other", "");
    choose(parent);
    g_assert_true(host_clock_switch(hc, &error_abort));
    g_assert_false(can_delete(parent));
    g_assert_true(host_clock_switch(other, &error_abort));
    g_assert_false(can_delete(parent));
    sim_object_del(OBJECT(hc));
    g_assert_true(can_delete(parent));
    sim_object_del(OBJECT(parent));
    sim_advance(SEC);
    memset(&said, 0, sizeof(said));
    sim_set_realtime(HOUR);
    g_assert_cmpint(said.steps, ==, 1);
    sim_advance(HOUR);
}

int main(int argc, char **argv)
{
    /* boottime goes on over a suspend, so wall time does not step there. */
    static const char *const reasons[] = { "dynticks", "unix", "raw" };

    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/switch/" path, fn)
    ADD("random", test_random);
    ADD("stopped", test_stopped);
    ADD("sleeper", test_sleeper);
    for (int i = 0; i < ARRAY_SIZE(reasons); i++) {
        g_autofree char *path = g_strconcat("/host-clock/switch/reasons/",
                                            reasons[i], NULL);

        g_test_add_data_func(path, reasons[i], test_reasons);
    }
    ADD("set-before", test_set_before);
    ADD("refused", test_refused);
    ADD("qtest", test_qtest);
    g_test_add_data_func("/host-clock/switch/delete/hpet", "hpet", test_delete);
    g_test_add_data_func("/host-clock/switch/delete/rtc", "rtc", test_delete);
    ADD("delete/parent", test_delete_parent);
    return g_test_run();
}
