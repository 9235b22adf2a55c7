/*
 * Host clocks: the next of the list takes over, on a simulated host
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "host-clock-change-test.h"

/* As documented */
#define HOLDOVER_NS (10 * SEC)
/* QEMU samples once a second at first, then once a minute, and notices. */
#define NOTICE_NS   (2 * SEC)
#define NOTICE_MAX  (100 * SEC)
/* Until the next one runs: a tick of the RTC, and a look every second */
#define NEXT_NS     (4 * SEC)

static void start(const char *names)
{
    sim_reset(START_MONO, START_REAL);
    memset(&said, 0, sizeof(said));
    host_clock_set_failover(true, &error_abort);
    g_assert_true(host_clock_configure(names, &error_abort));
    sim_vm_start();
    sim_advance(5 * SEC);
    g_assert_cmpint(said.messages, ==, 0);
}

static void check_name(const char *name)
{
    g_assert_cmpstr(host_clock_name(host_clock_machine()), ==, name);
}

static void wait_for_state(HostClockState state)
{
    int64_t end_ns = sim_mono_ns() + NOTICE_MAX;

    while (host_clock_machine()->state != state && sim_mono_ns() < end_ns) {
        sim_advance(100 * MS);
    }
    g_assert_cmpint(host_clock_machine()->state, ==, state);
}

static void hpet_fails(void)
{
    sim_hpet.open_errno = ENODEV;
    wait_for_state(HOST_CLOCK_STATE_HOLDOVER);
}

static void hpet_recovers(void)
{
    sim_hpet.open_errno = 0;
    wait_for_state(HOST_CLOCK_STATE_RUNNING);
}

/* It is being opened. */
static HostClock *wait_for_next(void)
{
    int64_t end_ns = sim_mono_ns() + HOLDOVER_NS + SEC;
    Object *obj = NULL;

    while (!obj && sim_mono_ns() < end_ns) {
        sim_advance(100 * MS);
        obj = object_resolve_path("/objects/host-clock1", NULL);
    }
    g_assert_nonnull(obj);
    g_assert_cmpint(HOST_CLOCK(obj)->state, ==, HOST_CLOCK_STATE_ACQUIRING);
    return HOST_CLOCK(obj);
}

static void check_failover(int n, const char *from, const char *to)
{
    g_assert_cmpint(said.failovers, ==, n);
    g_assert_cmpstr(said.failed, ==, from);
    g_assert_cmpstr(said.id, ==, to);
}

/* After ten seconds, and not before; the VM's time goes on. */
static void test_next(void)
{
    int64_t vm_ns, begin_ns;

    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,dynticks");
    check_name("hpet");
    hpet_fails();
    begin_ns = sim_mono_ns();
    vm_ns = view_ns(HOST_CLOCK_VIEW_TYPE_VM);
    sim_advance(HOLDOVER_NS - NOTICE_NS);
    check_name("hpet");
    g_assert_cmpint(said.failovers, ==, 0);
    sim_advance(NOTICE_NS);
    check_name("dynticks");
    check_failover(1, "host-clock0", "host-clock1");
    assert_near(view_ns(HOST_CLOCK_VIEW_TYPE_VM) - vm_ns,
                sim_mono_ns() - begin_ns);
    /* There is no way back but by hand. */
    sim_hpet.open_errno = 0;
    sim_advance(HOUR);
    check_name("dynticks");
    g_assert_cmpint(said.failovers, ==, 1);
    g_assert_true(host_clock_switch(
        host_clock_find("host-clock", "host-clock0", &error_abort),
        &error_abort));
    check_name("hpet");
}

/* The next one is a device, too. */
static void test_acquires(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,dynticks");
    hpet_fails();
    sim_advance(HOLDOVER_NS + NEXT_NS);
    check_name("rtc");
    check_failover(1, "host-clock0", "host-clock1");
    g_assert_cmpint(sim_busy_ns(), <=, 3 * MS);
    /* And fails, too. */
    sim_rtc.gone = true;
    sim_advance(70 * SEC + HOLDOVER_NS);
    check_name("dynticks");
    check_failover(2, "host-clock1", "host-clock2");
}

static void test_recovers(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,dynticks");
    for (int i = 0; i < 5; i++) {
        hpet_fails();
        sim_advance(5 * SEC);
        hpet_recovers();
        sim_advance(HOUR);
    }
    check_name("hpet");
    g_assert_cmpint(said.failovers, ==, 0);
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock1"));
}

/* Ten seconds of one holdover, not from the first to the last of two */
static void test_fails_again(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,dynticks");
    hpet_fails();
    sim_advance(3 * SEC);
    hpet_recovers();
    hpet_fails();
    sim_advance(HOLDOVER_NS - SEC);
    check_name("hpet");
    g_assert_cmpint(said.failovers, ==, 0);
    sim_advance(2 * SEC);
    check_name("dynticks");
}

/* One warning, that none is left; it goes on in holdover, and recovers. */
static void test_exhausted(void)
{
    int messages;

    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc");
    sim_rtc.missing = true;
    hpet_fails();
    messages = said.messages;
    sim_advance(HOLDOVER_NS);
    /* Why not the RTC, and that this was the last */
    g_assert_cmpint(said.messages, ==, messages + 2);
    g_assert_nonnull(strstr(said.message, "no host clock is left"));
    sim_advance(HOUR);
    g_assert_cmpint(said.messages, ==, messages + 2);
    check_name("hpet");
    g_assert_cmpint(said.failovers, ==, 0);
    hpet_recovers();
}

/* The one after takes over; what failed leaves nothing behind. */
static void test_cannot_open(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,raw");
    sim_rtc.missing = true;
    hpet_fails();
    sim_advance(HOLDOVER_NS);
    check_name("raw");
    check_failover(1, "host-clock0", "host-clock2");
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock1"));
}

/* The next one fails while it is acquired. */
static void test_cannot_acquire(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,raw");
    hpet_fails();
    wait_for_next();
    sim_rtc.gone = true;
    sim_advance(NEXT_NS);
    check_name("raw");
    check_failover(1, "host-clock0", "host-clock2");
    g_assert_null(object_resolve_path_component(object_get_objects_root(),
                                                "host-clock1"));
    g_assert_cmpint(sim_dev_files(), ==, 0);
}

/* The first of the list was not to be had at the start, either. */
static void test_not_the_first(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    sim_reset(START_MONO, START_REAL);
    sim_rtc.missing = true;
    host_clock_set_failover(true, &error_abort);
    g_assert_true(host_clock_configure("rtc,hpet,raw", &error_abort));
    sim_vm_start();
    sim_advance(5 * SEC);
    check_name("hpet");
    sim_rtc.missing = false;
    hpet_fails();
    sim_advance(HOLDOVER_NS);
    check_name("raw");
}

static void test_off(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,dynticks");
    host_clock_set_failover(false, &error_abort);
    hpet_fails();
    sim_advance(HOUR);
    check_name("hpet");
    /* It has failed for long when this is switched on. */
    host_clock_set_failover(true, &error_abort);
    sim_advance(HOLDOVER_NS);
    check_name("dynticks");
}

/* By hand meanwhile */

/* object-del of the one that is to take over: the one after does. */
static void test_deleted(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,dynticks");
    hpet_fails();
    object_unparent(OBJECT(wait_for_next()));
    sim_advance(NEXT_NS);
    check_name("dynticks");
    check_failover(1, "host-clock0", "host-clock2");
}

/* The first one recovers before the next runs: that is given back. */
static void test_recovers_late(void)
{
    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,dynticks");
    sim_rtc.no_sysfs = true;
    sim_rtc.busy = true;
    hpet_fails();
    wait_for_next();
    hpet_recovers();
    sim_rtc.busy = false;
    sim_advance(HOUR);
    check_name("hpet");
    g_assert_cmpint(said.failovers, ==, 0);
    g_assert_null(object_resolve_path("/objects/host-clock1", NULL));
    g_assert_cmpint(sim_dev_files(), ==, 0);
    /* The next time it is tried again. */
    hpet_fails();
    sim_advance(HOLDOVER_NS + NEXT_NS);
    check_name("rtc");
    check_failover(1, "host-clock0", "host-clock1");
}

/* The user takes the one that was to take over, and that fails later. */
static void test_taken(void)
{
    HostClock *next;

    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,rtc,dynticks");
    hpet_fails();
    next = wait_for_next();
    while (next->state == HOST_CLOCK_STATE_ACQUIRING) {
        sim_advance(MS);
    }
    g_assert_true(host_clock_switch(next, &error_abort));
    sim_advance(HOUR);
    check_name("rtc");
    g_assert_cmpint(said.failovers, ==, 0);
    sim_rtc.gone = true;
    sim_advance(70 * SEC + HOLDOVER_NS);
    check_name("dynticks");
    check_failover(1, "host-clock1", "host-clock2");
    g_assert_true(object_resolve_path("/objects/host-clock1", NULL) ==
                  OBJECT(next));
}

/* Another one takes over by hand: nothing is left to do. */
static void test_by_hand(void)
{
    HostClock *other;

    if (sim_in_subprocess()) {
        return;
    }
    start("hpet,dynticks");
    other = add("raw", "other", "");
    hpet_fails();
    g_assert_true(host_clock_switch(other, &error_abort));
    sim_advance(HOUR);
    check_name("raw");
    g_assert_cmpint(said.failovers, ==, 0);
}

/* Bad input */

static void check_refused(const char *names)
{
    Error *err = NULL;

    sim_reset(START_MONO, START_REAL);
    host_clock_set_failover(true, &error_abort);
    g_assert_false(host_clock_configure(names, &err));
    g_test_message("%s", error_get_pretty(err));
    g_assert_nonnull(strstr(error_get_pretty(err), "host-clock-failover=on"));
    error_free(err);
}

static void test_no_list(const void *names)
{
    if (!sim_in_subprocess()) {
        check_refused(*(const char *)names ? names : NULL);
    }
}

/* The same for a VM that exists, of which nothing changes */
static void test_no_list_later(void)
{
    Error *err = NULL;

    if (sim_in_subprocess()) {
        return;
    }
    choose_clock("hpet");
    host_clock_set_failover(true, &err);
    g_assert_nonnull(strstr(error_get_pretty(err), "host-clock-failover=on"));
    error_free(err);
    g_assert_false(host_clock_get_failover());
    hpet_fails();
    sim_advance(HOUR);
    check_name("hpet");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    core_test_init();

#define ADD(path, fn) g_test_add_func("/host-clock/failover/" path, fn)
    ADD("next", test_next);
    ADD("acquires", test_acquires);
    ADD("recovers", test_recovers);
    ADD("fails-again", test_fails_again);
    ADD("exhausted", test_exhausted);
    ADD("cannot-open", test_cannot_open);
    ADD("cannot-acquire", test_cannot_acquire);
    ADD("not-the-first", test_not_the_first);
    ADD("off", test_off);
    ADD("recovers-late", test_recovers_late);
    ADD("deleted", test_deleted);
    ADD("taken", test_taken);
    ADD("by-hand", test_by_hand);
#define NO_LIST(path, names) \
    g_test_add_data_func("/host-clock/failover/no-list/" path, names, \
                         test_no_list)
    NO_LIST("none", "");
    NO_LIST("one", "hpet");
    NO_LIST("system", "system");
    ADD("no-list/later", test_no_list_later);
    return g_test_run();
}
