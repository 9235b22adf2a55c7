/*
 * The contract of host clocks on the RTC of a machine that is no PC: migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Under clock=host the guest has the wall time of the destination; under rt and
 * vm it goes on with the date from where it was.
 */

#include "qemu/osdep.h"
#include "host-clock-machine.h"

/* A guest whose date was MILLENNIUM at @set, by wall time at @wall */
typedef struct Guest {
    VM *vm;
    Span set, wall;
    /* By the clock of the source and of the destination */
    Span saved, loaded;
} Guest;

static void guest_start(Guest *g, Cell *cell)
{
    g->vm = machine_start(cell, cell->source->name, "utc", "");
    g->wall.lo = vm_wall_now(g->vm);
    g->set = machine_set_date(g->vm);
    g->wall.hi = vm_wall_now(g->vm);
}

/* How long the date has gone on in the destination, at @when on its clock */
static Span guest_gone(Guest *g, Span when)
{
    Span before, after, gone;
    int64_t wall;

    if (g->vm->setting == SET_HOST) {
        Span now = { .lo = vm_rtc_now(g->vm) };

        wall = vm_wall_now(g->vm);
        now.hi = vm_rtc_now(g->vm);
        gone = span_since(when, now);
        return span_since(g->wall, (Span) { wall - gone.hi, wall - gone.lo });
    }
    before = span_since(g->set, g->saved);
    after = span_since(g->loaded, when);
    gone = (Span) { before.lo + after.lo, before.hi + after.hi };
    if (g->vm->setting == SET_RT) {
        /* The stream has the date in ticks. */
        gone.lo -= rtc->tick_ns - 1;
        gone.hi += rtc->tick_ns - 1;
    }
    return gone;
}

static int64_t check_guest(Guest *g)
{
    Span when = { .lo = vm_rtc_now(g->vm) };
    int64_t date_ns = rtc->date_ns(g->vm);

    when.hi = vm_rtc_now(g->vm);
    check_date_ns(date_ns, MILLENNIUM, guest_gone(g, when));
    return date_ns;
}

/*
 * Move to an emulator with @source.  @pause_ns: how long it takes, by which the
 * wall time of the manual clock is further there, too.
 */
static void guest_move(Guest *g, Cell *cell, const char *source,
                       int64_t pause_ns)
{
    g_autofree char *path = temporary_file();
    VM *to;

    g->saved.lo = vm_rtc_now(g->vm);
    migrate_to_file(g->vm, path);
    g->saved.hi = vm_rtc_now(g->vm);
    to = machine_start(cell, source, "utc", "-incoming defer");
    vm_continue_clocks(to, g->vm, path);
    if (vm_is_manual(to)) {
        vm_wall_step(to, to->manual_ns + pause_ns);
    } else if (cell->setting == SET_HOST) {
        vms_pass_stopped(&to, 1, pause_ns);
    }
    g->loaded.lo = vm_rtc_now(to);
    migrate_from_file(to, path);
    qtest_qmp_eventwait(to->qts, "RESUME");
    g->loaded.hi = vm_rtc_now(to);
    unlink(path);
    vm_quit(g->vm);
    g->vm = to;
}

static void check_move(Cell *cell, const char *source)
{
    Guest g;
    int64_t before_ns;

    guest_start(&g, cell);
    vm_pass(g.vm, 600 * MS);
    before_ns = rtc->date_ns(g.vm);
    guest_move(&g, cell, source, 0);
    g_assert_cmpint(check_guest(&g), >=, before_ns);
    vm_pass(g.vm, 700 * MS);
    check_guest(&g);
    vm_quit(g.vm);
}

static void test_move(Cell *cell)
{
    check_move(cell, cell->source->name);
}

static void test_other_source(Cell *cell)
{
    bool is_system = source_is_system(cell->source->name);

    check_move(cell, is_system ? "dynticks" : "default");
}

/* Set for two seconds from the start, and not reached when the guest leaves */
static void check_alarm_after(Cell *cell, int64_t pause_ns)
{
    Guest g;
    Span now, gone;

    guest_start(&g, cell);
    rtc->set_alarm(g.vm, MILLENNIUM + 2);
    vm_pass(g.vm, 300 * MS);
    guest_move(&g, cell, cell->source->name, pause_ns);
    now.lo = now.hi = vm_rtc_now(g.vm);
    gone = guest_gone(&g, now);
    check_alarm_once(g.vm, (Span) { 2 * NS - gone.hi, 2 * NS - gone.lo });
    vm_quit(g.vm);
}

static void test_alarm_to_come(Cell *cell)
{
    check_alarm_after(cell, 0);
}

/* On the way, by wall time */
static void test_alarm_passed(Cell *cell)
{
    check_alarm_after(cell, 4 * NS);
}

/* One that the guest has seen, and one that it never set, do not come again. */
static void test_alarm_seen(Cell *cell)
{
    Guest g;

    guest_start(&g, cell);
    rtc->set_alarm(g.vm, MILLENNIUM + 1);
    vm_pass(g.vm, NS + rtc->tick_ns + (vm_rtc_is_told(g.vm) ? 0 : LATE_NS));
    g_assert_true(qtest_get_irq(g.vm->qts, 0));
    rtc->acknowledge(g.vm);
    guest_move(&g, cell, cell->source->name, 0);
    vm_pass(g.vm, 100 * MS);
    g_assert_false(qtest_get_irq(g.vm->qts, 0));
    vm_quit(g.vm);
}

void add_machine_move_tests(Cell *cell)
{
    add_test(cell, "move/date", test_move);
    add_test(cell, "move/other-source", test_other_source);
    add_test(cell, "move/alarm-to-come", test_alarm_to_come);
    add_test(cell, "move/alarm-passed", test_alarm_passed);
    add_test(cell, "move/alarm-seen", test_alarm_seen);
}
