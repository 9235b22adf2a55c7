/*
 * The conformance suite of host clocks: running, stopping, reset, migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Several tests judge the one Recording of a source and its scenario.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"
#include "host-clock-recording.h"

/* Judging a run */

static void test_rate(Cell *cell)
{
    Recording *r = recording(cell, RUN);

    for (int i = 0; r && i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i);

        check_date(s->date, MILLENNIUM, span_since(r->set, s->date_when));
    }
}

/* @flag is raised at @first and every @period_ns from then on. */
static void check_flag(Recording *r, uint8_t flag, Span first,
                       int64_t period_ns)
{
    int64_t late_ns = r->told ? 0 : LATE_NS;
    Sample *s = &r->start;
    Span due = first;
    int n = 0;

    for (int i = 0; i < r->samples->len && !g_test_failed(); i++) {
        int64_t before = s->when.lo;

        s = sample(r, i);
        if (s->flags & flag) {
            /* Not early, so none is doubled; not late, so none is lost. */
            g_assert_cmpint(s->when.hi, >=, due.lo);
            g_assert_cmpint(before, <=, due.hi + late_ns);
            g_assert_true(s->flags & REG_C_IRQF);
            due = span_add(first, ++n * period_ns);
        }
        if (r->told) {
            g_assert_cmpint(s->irq, ==, !!(s->flags & REG_C_IRQF));
        } else if (s->irq) {
            g_assert_true(s->flags & REG_C_IRQF);
        }
    }
    g_assert_cmpint(s->when.lo, <=, due.hi + late_ns);
}

static void check_periodic(Recording *r, Span from)
{
    if (r->gaps) {
        g_test_skip("this host is too busy: it missed periods of 500 ms, too");
        return;
    }
    /* Periods are counted in whole cycles of 32768 Hz. */
    from.lo -= RTC_CYCLE_NS;
    from.hi += 1;
    check_flag(r, REG_C_PF, span_add(from, r->period_ns), r->period_ns);
}

static void test_periodic(Cell *cell)
{
    Recording *r = recording(cell, RUN);

    if (r) {
        /* To set the date has reset the divider chain. */
        check_periodic(r, r->set);
    }
}

static void test_update(Cell *cell)
{
    Recording *r = recording(cell, RUN);

    if (r) {
        check_flag(r, REG_C_UF, span_add(r->set, NS / 2), NS);
    }
}

/* At midnight, once */
static void test_alarm(Cell *cell)
{
    Recording *r = recording(cell, RUN);

    if (r) {
        check_flag(r, REG_C_AF, span_add(r->set, NS + NS / 2), 86400 * NS);
    }
}

static void check_hpet(uint64_t ticks, Span gone)
{
    assert_between(ticks * HPET_TICK_NS, gone.lo - HPET_TICK_NS,
                   gone.hi + HPET_TICK_NS);
}

static void test_hpet_rate(Cell *cell)
{
    Recording *r = recording(cell, RUN);
    uint64_t last = 0;

    for (int i = 0; r && i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i);

        g_assert_cmpint(s->hpet, >=, last);
        last = s->hpet;
        check_hpet(s->hpet - r->start.hpet,
                   span_since(r->start.hpet_when, s->hpet_when));
    }
}

/* Judging a stop and a reset */

/* The time that the VM has run from @from to @to, stopped from @s to @c */
static Span run_time(Span from, Span s, Span c, Span to)
{
    Span a = span_since(from, s), b = span_since(c, to);

    return (Span) { a.lo + b.lo, a.hi + b.hi };
}

static void check_hpet_after_cont(Recording *r)
{
    uint64_t last = r->start.hpet;

    for (int i = 0; i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i);

        g_assert_cmpint(s->hpet, >=, last);
        last = s->hpet;
        check_hpet(s->hpet - r->start.hpet,
                   run_time(r->start.hpet_when, r->stop.hpet, r->cont.hpet,
                            s->hpet_when));
    }
}

static void test_stop(Cell *cell)
{
    Recording *r = recording(cell, STOP);
    bool vm = cell->setting == SET_VM;

    if (!r) {
        return;
    }
    for (int i = 0; i < ARRAY_SIZE(r->frozen); i++) {
        Sample *s = &r->frozen[i];

        check_date(s->date, MILLENNIUM,
                   span_since(r->set, vm ? r->stop.rtc : s->date_when));
    }
    /* Up to where the next second ends under any setting */
    for (int i = 0; i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i);

        check_date(s->date, MILLENNIUM,
                   vm ? run_time(r->set, r->stop.rtc, r->cont.rtc, s->date_when)
                      : span_since(r->set, s->date_when));
    }
}

static void test_hpet_stop(Cell *cell)
{
    Recording *r = recording(cell, STOP);

    if (r) {
        g_assert_cmpint(r->frozen[0].hpet, ==, r->frozen[1].hpet);
        check_hpet(r->frozen[0].hpet - r->start.hpet,
                   span_since(r->start.hpet_when, r->stop.hpet));
        check_hpet_after_cont(r);
    }
}

/* Time goes on, and the date that the guest has set stays. */
static void test_reset(Cell *cell)
{
    Recording *r = recording(cell, RESET);

    for (int i = 0; r && i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i);

        check_date(s->date, MILLENNIUM, span_since(r->set, s->date_when));
        /* No periodic interrupt and no alarm until the guest wants them */
        g_assert_true(!(s->flags & REG_C_IRQF) || s->flags & REG_C_UF);
    }
}

/* Judging a migration */

static void check_migrated_date(Cell *cell, Recording *r, Sample *s)
{
    Span when = s->date_when, save, since_load;

    switch (cell->setting) {
    case SET_HOST:
        /* The destination's wall time */
        when = span_shift(when, cell_is_manual(cell) ? MIGRATE_WALL_NS : 0);
        check_date(s->date, MILLENNIUM, span_since(r->set, when));
        break;
    case SET_RT:
        /* On from where it was saved, to the fraction */
        save = span_since(r->set, r->save);
        since_load = span_since(r->load, when);
        check_date(s->date, MILLENNIUM, (Span) { save.lo + since_load.lo,
                                                 save.hi + since_load.hi });
        break;
    case SET_VM:
        check_date(s->date, MILLENNIUM,
                   run_time(r->set, r->stop.rtc, r->cont.rtc, when));
        break;
    default:
        g_assert_not_reached();
    }
}

static void test_migrate(Cell *cell)
{
    Recording *r = recording(cell, MIGRATE);

    for (int i = 0; r && i < r->samples->len && !g_test_failed(); i++) {
        check_migrated_date(cell, r, sample(r, i));
    }
}

static void test_hpet_migrate(Cell *cell)
{
    Recording *r = recording(cell, MIGRATE);

    if (r) {
        check_hpet_after_cont(r);
    }
}

void add_run_tests(Cell *cell)
{
    add_test(cell, "run/date", test_rate);
    add_test(cell, "run/periodic", test_periodic);
    add_test(cell, "run/update", test_update);
    add_test(cell, "run/alarm", test_alarm);
    add_test(cell, "run/hpet", test_hpet_rate);
    add_test(cell, "stop/date", test_stop);
    add_test(cell, "stop/hpet", test_hpet_stop);
    add_test(cell, "reset/date", test_reset);
    add_test(cell, "migrate/date", test_migrate);
    add_test(cell, "migrate/hpet", test_hpet_migrate);
}
