/*
 * The conformance suite of host clocks: migration and snapshots
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guest moves to an emulator with the same host clock, with another one, and
 * to and from stock QEMU.  Under clock=host it then has the wall time of the
 * destination; under rt it goes on from the registers; under vm it goes on, and
 * so does the HPET under each of them.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "qobject/qdict.h"

#define HOUR_S          3600

/* Where QEMU without this series can be found, of the same version */
#define STOCK_BINARY    "QTEST_QEMU_BINARY_STOCK"

/*
 * What has happened to a guest, on the clocks of the emulators that it was in.
 * @date was right at @wall, and when @gone had passed; half a second before a
 * second ended if @gone is 0.
 */
typedef struct Guest {
    VM *vm;
    int64_t date;
    Span wall;
    Span gone;          /* up to @since, without what does not count */
    Span since;
    uint64_t hpet;
    Span hpet_gone, hpet_since;
} Guest;

static Span span_plus(Span a, Span b)
{
    return (Span) { a.lo + b.lo, a.hi + b.hi };
}

static Guest guest_start(VM *vm)
{
    Guest g = { .vm = vm, .date = MILLENNIUM };

    hpet_enable(vm);
    g.hpet = hpet_read(vm, &g.hpet_since);
    g.wall.lo = vm_wall_now(vm);
    g.since = rtc_set_date(vm, MILLENNIUM, 6);
    g.wall.hi = vm_wall_now(vm);
    return g;
}

/* How long the guest's date has gone on, at @when on its VM's clock */
static Span guest_gone(Guest *g, Span when)
{
    Span now, ago;
    int64_t wall;

    if (g->vm->setting != SET_HOST) {
        return span_plus(g->gone, span_since(g->since, when));
    }
    now.lo = vm_rtc_now(g->vm);
    wall = vm_wall_now(g->vm);
    now.hi = vm_rtc_now(g->vm);
    ago = span_since(when, now);
    return span_since(g->wall, (Span) { wall - ago.hi, wall - ago.lo });
}

static void check_guest(Guest *g)
{
    Span when, gone;
    int64_t date = rtc_read_date(g->vm, &when);
    uint64_t ticks;
    /* From far before, because division does not round down below zero */
    const int64_t before_s = 100 * 31556952LL;

    check_date(date, g->date - before_s,
               span_shift(guest_gone(g, when), before_s * NS));
    ticks = hpet_read(g->vm, &when) - g->hpet;
    gone = span_plus(g->hpet_gone, span_since(g->hpet_since, when));
    assert_between(ticks * HPET_TICK_NS, gone.lo - HPET_TICK_NS,
                   gone.hi + HPET_TICK_NS);
}

/* Look at it for a while: a few seconds if that takes no time. */
static void watch_guest(Guest *g)
{
    int n = vm_rtc_is_told(g->vm) ? 30 : 7;

    for (int i = 0; i < n && !g_test_failed(); i++) {
        check_guest(g);
        vm_pass(g->vm, 100 * MS);
    }
    check_guest(g);
}

/* Moving */

/* Stock QEMU loses the fraction of a second under clock=rt. */
static bool through_stock;

typedef struct Moments {
    Moment stop, cont;
    Span saved, loaded;
} Moments;

/*
 * The guest stood still from @m->stop to @m->cont, which was on the clock of
 * @to; it is in @to now.
 */
static void guest_moved(Guest *g, VM *to, const Moments *m)
{
    Span gone;

    g->hpet_gone = span_plus(g->hpet_gone,
                             span_since(g->hpet_since, m->stop.hpet));
    g->hpet_since = m->cont.hpet;
    if (to->setting == SET_RT) {
        gone = span_plus(g->gone, span_since(g->since, m->saved));
        if (through_stock) {
            /* On from the registers: seconds start when they are loaded. */
            gone.lo = (gone.lo + NS / 2) / NS * NS - NS / 2;
            gone.hi = (gone.hi + NS / 2) / NS * NS - NS / 2;
        }
        g->gone = gone;
        g->since = m->loaded;
    } else {
        g->gone = span_plus(g->gone, span_since(g->since, m->stop.rtc));
        g->since = m->cont.rtc;
    }
    if (g->vm != to) {
        vm_quit(g->vm);
        g->vm = to;
    }
}

static void save(VM *vm, const char *path, bool stop, Moments *m)
{
    m->stop.rtc.lo = vm_rtc_now(vm);
    m->stop.hpet.lo = vm_hpet_now(vm);
    if (stop) {
        m->stop = vm_qmp(vm, "stop");
    }
    m->saved.lo = vm_rtc_now(vm);
    migrate_to_file(vm, path);
    m->saved.hi = vm_rtc_now(vm);
    if (!stop) {
        m->stop.rtc.hi = m->saved.hi;
        m->stop.hpet.hi = vm_hpet_now(vm);
    }
}

static bool is_running(VM *vm)
{
    QDict *rsp = qtest_qmp_assert_success_ref(vm->qts,
                                              "{ 'execute': 'query-status' }");
    bool running = qdict_get_bool(rsp, "running");

    qobject_unref(rsp);
    return running;
}

static void load(VM *vm, const char *path, bool stopped, Moments *m)
{
    m->loaded.lo = m->cont.rtc.lo = vm_rtc_now(vm);
    m->cont.hpet.lo = vm_hpet_now(vm);
    migrate_from_file(vm, path);
    m->loaded.hi = vm_rtc_now(vm);
    if (stopped) {
        m->cont = vm_qmp(vm, "cont");
    }
    /* It starts a little later than it says that it is done. */
    while (!is_running(vm)) {
        g_usleep(1000);
    }
    m->cont.rtc.hi = vm_rtc_now(vm);
    m->cont.hpet.hi = vm_hpet_now(vm);
}

static void move(Guest *g, VM *to, bool stopped)
{
    g_autofree char *path = temporary_file();
    Moments m;

    save(g->vm, path, stopped, &m);
    vm_continue_clocks(to, g->vm, path);
    load(to, path, stopped, &m);
    guest_moved(g, to, &m);
    unlink(path);
}

static VM *destination(Cell *cell, const char *source, const char *binary)
{
    return vm_start_with(&(VMOptions) { .binary = binary }, source,
                         cell->setting, "utc", "-incoming defer");
}

/* There and back by way of @source in @binary */
static void check_there_and_back(Cell *cell, const char *source,
                                 const char *binary)
{
    Guest g = guest_start(cell_start(cell, "utc", ""));

    vm_pass(g.vm, NS * 6 / 10);
    check_guest(&g);
    move(&g, destination(cell, source, binary), false);
    check_guest(&g);
    vm_pass(g.vm, NS * 3 / 10);
    check_guest(&g);
    move(&g, destination(cell, cell->source->name, NULL), true);
    watch_guest(&g);
    vm_quit(g.vm);
}

static void test_running(Cell *cell)
{
    check_there_and_back(cell, cell->source->name, NULL);
}

static void test_other_source(Cell *cell)
{
    bool is_system = source_is_system(cell->source->name);

    check_there_and_back(cell, is_system ? "dynticks" : "default", NULL);
}

static void test_stock(Cell *cell)
{
    if (!g_getenv(STOCK_BINARY)) {
        g_test_skip(STOCK_BINARY " is not set: it names an emulator of the "
                    "same version without host clocks");
        return;
    }
    through_stock = true;
    check_there_and_back(cell, "default", STOCK_BINARY);
    through_stock = false;
}

/* On the other side of an alarm */

/* At 23:59:59, half a second after the date is set */
static void arm_alarm(Guest *g)
{
    cmos_write(g->vm, RTC_SECONDS_ALARM, 59);
    cmos_write(g->vm, RTC_MINUTES_ALARM, 59);
    cmos_write(g->vm, RTC_HOURS_ALARM, 23);
    cmos_read(g->vm, RTC_REG_C);
    cmos_write(g->vm, RTC_REG_B, BINARY_24H | REG_B_AIE);
}

/*
 * Look for AF until the guest is half a second past the alarm; it must come
 * once, and not before it is time in the guest.
 */
static void check_alarm_once(Guest *g)
{
    Span before, when = { .lo = vm_rtc_now(g->vm) };
    int n = 0;

    do {
        uint8_t flags;

        vm_pass(g->vm, 5 * MS);
        before = when;
        when.lo = vm_rtc_now(g->vm);
        flags = cmos_read(g->vm, RTC_REG_C);
        when.hi = vm_rtc_now(g->vm);
        if (flags & REG_C_AF) {
            n++;
            g_assert_cmpint(guest_gone(g, when).hi, >=, NS / 2);
            g_assert_true(flags & REG_C_IRQF);
        } else if (!n) {
            /* If it is late, then not by much. */
            g_assert_cmpint(guest_gone(g, before).lo, <=,
                            MAX(NS / 2, guest_gone(g, g->since).hi) + LATE_NS);
        }
    } while (guest_gone(g, when).lo < NS ||
             when.lo < g->since.hi + 2 * LATE_NS);
    g_assert_cmpint(n, ==, 1);
}

/*
 * Under clock=host the alarm has passed when the guest arrives, by wall time;
 * under the others it is still to come.
 */
static void test_alarm_passed(Cell *cell)
{
    g_autofree char *path = temporary_file();
    Guest g = guest_start(cell_start(cell, "utc", ""));
    VM *to;
    Moments m;
    bool in_time;

    arm_alarm(&g);
    vm_pass(g.vm, NS * 2 / 10);
    save(g.vm, path, false, &m);
    to = destination(cell, cell->source->name, NULL);
    vm_continue_clocks(to, g.vm, path);
    if (vm_is_manual(to)) {
        vm_wall_step(to, g.vm->manual_ns + 100 * NS);
    } else if (cell->setting == SET_HOST) {
        vm_pass_until(g.vm, m.saved.hi + NS / 2);
    }
    in_time = cell->setting == SET_HOST ||
              guest_gone(&g, m.saved).hi < NS / 2;
    load(to, path, false, &m);
    guest_moved(&g, to, &m);
    if (in_time) {
        check_alarm_once(&g);
    } else {
        g_test_skip("this host is too slow to save a guest within 0.3 s");
    }
    unlink(path);
    vm_quit(g.vm);
}

/* It went off before the move; what the guest has not seen yet stays. */
static void test_alarm_pending(Cell *cell)
{
    Guest g = guest_start(cell_start(cell, "utc", ""));
    VM *to;

    arm_alarm(&g);
    vm_pass(g.vm, NS / 2 + LATE_NS);
    to = destination(cell, cell->source->name, NULL);
    if (vm_is_manual(to)) {
        /* Not behind, or the alarm would be due again */
        vm_wall_step(to, g.vm->manual_ns);
    }
    move(&g, to, false);
    g_assert_cmphex(cmos_read(g.vm, RTC_REG_C) & ~REG_C_PF, ==,
                    REG_C_IRQF | REG_C_AF | REG_C_UF);
    vm_pass(g.vm, NS / 2 + LATE_NS);
    g_assert_cmphex(cmos_read(g.vm, RTC_REG_C) & REG_C_AF, ==, 0);
    vm_quit(g.vm);
}

/*
 * The destination's clock is an hour behind.  The next update is a second away
 * at most, all the same.
 */
static void test_behind(Cell *cell)
{
    int64_t now_s = cell_is_manual(cell) ? MANUAL_WALL_S : time(NULL);
    VMOptions ahead = { .manual_wall_s = now_s + HOUR_S };
    Guest g = guest_start(vm_start_with(&ahead, "manual", cell->setting, "utc",
                                        ""));
    int64_t end;

    vm_pass(g.vm, NS * 7 / 10);
    /* With UF clear, and not read again: reading it looks for the next one. */
    cmos_read(g.vm, RTC_REG_C);
    cmos_write(g.vm, RTC_REG_B, BINARY_24H | REG_B_UIE);
    move(&g, destination(cell, cell->source->name, NULL), false);
    if (vm_is_manual(g.vm)) {
        /* In real time the second may be over by now. */
        g_assert_false(vm_irq(g.vm));
    }
    for (end = vm_rtc_now(g.vm) + NS + LATE_NS; vm_rtc_now(g.vm) < end;
         vm_pass(g.vm, 10 * MS)) {
        check_guest(&g);
    }
    g_assert_true(vm_irq(g.vm));
    g_assert_true(cmos_read(g.vm, RTC_REG_C) & REG_C_UF);
    vm_quit(g.vm);
}

/* Snapshots */

static VM *start_with_image(Cell *cell, const char *path)
{
    g_autofree char *args = g_strdup_printf(
        "-drive if=none,id=disk,format=qcow2,file=%s", path);

    return cell_start(cell, "utc", args);
}

static char *make_image(void)
{
    char *path;

    if (!have_qemu_img()) {
        g_test_skip("QTEST_QEMU_IMG is not set: it names qemu-img");
        return NULL;
    }
    path = temporary_file();
    g_assert_true(mkimg(path, "qcow2", 1));
    return path;
}

static void hmp(VM *vm, const char *command)
{
    g_autofree char *text = qtest_hmp(vm->qts, "%s", command);

    g_assert_cmpstr(text, ==, "");
}

static void save_snapshot(VM *vm, Moments *m)
{
    m->stop.rtc.lo = m->saved.lo = vm_rtc_now(vm);
    m->stop.hpet.lo = vm_hpet_now(vm);
    hmp(vm, "savevm here");
    m->stop.rtc.hi = m->saved.hi = vm_rtc_now(vm);
    m->stop.hpet.hi = vm_hpet_now(vm);
}

static void load_snapshot(VM *vm, Moments *m)
{
    m->cont.rtc.lo = m->loaded.lo = vm_rtc_now(vm);
    m->cont.hpet.lo = vm_hpet_now(vm);
    hmp(vm, "loadvm here");
    m->cont.rtc.hi = m->loaded.hi = vm_rtc_now(vm);
    m->cont.hpet.hi = vm_hpet_now(vm);
}

/* Into another emulator */
static void test_snapshot(Cell *cell)
{
    g_autofree char *path = make_image();
    Guest g;
    VM saved;
    Moments m;

    if (!path) {
        return;
    }
    g = guest_start(start_with_image(cell, path));
    vm_pass(g.vm, NS * 7 / 10);
    save_snapshot(g.vm, &m);
    /* The image has one user at a time. */
    saved = *g.vm;
    vm_quit(g.vm);
    g.vm = start_with_image(cell, path);
    vm_continue_clocks(g.vm, &saved, NULL);
    load_snapshot(g.vm, &m);
    guest_moved(&g, g.vm, &m);
    watch_guest(&g);
    vm_quit(g.vm);
    unlink(path);
}

/*
 * Back in the same emulator: what came after did not happen.  Only that wall
 * time has passed.
 */
static void test_revert(Cell *cell)
{
    g_autofree char *path = NULL;
    Guest g;
    Moments m;

    if (cell->setting == SET_VM && source_is_system(cell->source->name)) {
        g_test_skip("qtest's clock, which is this cell's, cannot go back");
        return;
    }
    path = make_image();
    if (!path) {
        return;
    }
    g = guest_start(start_with_image(cell, path));
    vm_pass(g.vm, NS * 7 / 10);
    save_snapshot(g.vm, &m);
    rtc_set_date(g.vm, 0, 6);
    vm_pass(g.vm, vm_rtc_is_told(g.vm) ? 1000 * NS : NS * 6 / 10);
    load_snapshot(g.vm, &m);
    guest_moved(&g, g.vm, &m);
    if (source_is_system(cell->source->name)) {
        /* The HPET is on qtest's clock. */
        g.hpet = hpet_read(g.vm, &g.hpet_since);
        g.hpet_gone = (Span) {};
    }
    watch_guest(&g);
    vm_quit(g.vm);
    unlink(path);
}

void add_move_tests(Cell *cell)
{
    add_test(cell, "migrate/running", test_running);
    add_test(cell, "migrate/other-source", test_other_source);
    add_test(cell, "migrate/stock", test_stock);
    add_test(cell, "migrate/alarm-passed", test_alarm_passed);
    add_test(cell, "migrate/alarm-pending", test_alarm_pending);
    add_test(cell, "migrate/clock-behind", test_behind);
    add_test(cell, "snapshot/load", test_snapshot);
    add_test(cell, "snapshot/revert", test_revert);
}
