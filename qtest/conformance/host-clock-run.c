/*
 * The conformance suite of host clocks: running, stopping, reset, migration
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What happens to a VM while it is looked at every few ms.  All settings of a
 * source are recorded at the same time, because most of that is waiting;
 * several tests then judge the one Recording.
 */

#include "qemu/osdep.h"
#include "host-clock-suite.h"

/* Time from one look at the registers to the next */
#define LOOK_NS         (10 * MS)

typedef struct Sample {
    Span when;          /* register C was read, by the RTC's time */
    uint8_t flags;      /* register C */
    bool irq;           /* IRQ 8, just before */
    Span date_when;
    int64_t date;
    Span hpet_when;
    uint64_t hpet;
} Sample;

typedef struct Recording {
    bool told, hpet_told;
    int64_t period_ns;  /* of the periodic interrupt */
    bool gaps;          /* not every period was seen */
    Span set;           /* the date was set to MILLENNIUM */
    Sample start;       /* right after that */
    Moment stop, cont;
    Sample frozen[2];   /* at the beginning and the end of the stop */
    Span save, load;
    GArray *samples;
} Recording;

typedef enum Scenario { RUN, STOP, RESET, MIGRATE, SCENARIO__MAX } Scenario;

/*
 * The rate of the periodic interrupt: 62 ms, slow enough for a busy host not to
 * miss one; up to 500 ms for a host that is slow itself, as an emulated one is
 */
#define FIRST_RATE      12
#define LAST_RATE       15
#define TRIES           9
#define rate_to_ns(rate) (NS / (32768 >> ((rate) - 1)))

#define ALL_IRQS        (REG_B_UIE | REG_B_AIE | REG_B_PIE)

static Sample take_sample(VM *vm)
{
    Sample s;

    s.irq = vm_irq(vm);
    s.when.lo = vm_rtc_now(vm);
    s.flags = cmos_read(vm, RTC_REG_C);
    s.when.hi = vm_rtc_now(vm);
    s.date = rtc_read_date(vm, &s.date_when);
    s.hpet = hpet_read(vm, &s.hpet_when);
    return s;
}

static Sample *sample(Recording *r, int i)
{
    return &g_array_index(r->samples, Sample, i);
}

/*
 * If the test did not get to look for so long that two periods became one
 * flag, nothing can be said.
 */
static bool has_gaps(Recording *r)
{
    for (int i = 1; i < r->samples->len; i++) {
        if (sample(r, i)->when.hi - sample(r, i - 1)->when.lo >= r->period_ns) {
            return true;
        }
    }
    return false;
}

/* Look at the VMs until @ns have passed. */
static void record(VM **vms, Recording **rs, int64_t ns)
{
    int64_t end[SET__MAX];
    bool more;

    for (int i = 0; i < SET__MAX; i++) {
        end[i] = vm_rtc_now(vms[i]) + ns;
    }
    do {
        more = false;
        for (int i = 0; i < SET__MAX; i++) {
            if (vm_rtc_now(vms[i]) <= end[i]) {
                Sample s = take_sample(vms[i]);

                g_array_append_val(rs[i]->samples, s);
                more = true;
            }
        }
        vms_pass(vms, SET__MAX, LOOK_NS);
    } while (more);
}

static Recording *prepare(VM *vm, int rate)
{
    Recording *r = g_new0(Recording, 1);

    r->period_ns = rate_to_ns(rate);
    r->samples = g_array_new(false, false, sizeof(Sample));
    r->told = vm_rtc_is_told(vm);
    r->hpet_told = vm_hpet_is_told(vm);
    hpet_enable(vm);
    /* At midnight, which is when the second second ends */
    cmos_write(vm, RTC_SECONDS_ALARM, 0);
    cmos_write(vm, RTC_MINUTES_ALARM, 0);
    cmos_write(vm, RTC_HOURS_ALARM, 0);
    r->set = rtc_set_date(vm, MILLENNIUM, rate);
    cmos_write(vm, RTC_REG_B, BINARY_24H | ALL_IRQS);
    r->start = take_sample(vm);
    return r;
}

static void stop_and_cont(VM **vms, Recording **rs)
{
    for (int i = 0; i < SET__MAX; i++) {
        rs[i]->stop = vm_qmp(vms[i], "stop");
        rs[i]->frozen[0] = take_sample(vms[i]);
    }
    vms_pass_stopped(vms, SET__MAX, NS * 8 / 10);
    for (int i = 0; i < SET__MAX; i++) {
        rs[i]->frozen[1] = take_sample(vms[i]);
        rs[i]->cont = vm_qmp(vms[i], "cont");
    }
}

/* The destination's wall time is ahead by this much, where that can be told. */
#define MIGRATE_WALL_NS (100 * NS)

static void move_state(VM *from, VM *to, Recording *r)
{
    g_autofree char *path = temporary_file();

    r->save.lo = vm_rtc_now(from);
    migrate_to_file(from, path);
    r->save.hi = vm_rtc_now(from);
    vm_continue_clocks(to, from, path);
    if (vm_is_manual(to)) {
        vm_wall_step(to, from->manual_ns + MIGRATE_WALL_NS);
    }
    r->load.lo = vm_rtc_now(to);
    migrate_from_file(to, path);
    r->load.hi = vm_rtc_now(to);
    unlink(path);
}

static void migrate(const Source *source, VM **vms, Recording **rs)
{
    VM *to[SET__MAX];

    for (int i = 0; i < SET__MAX; i++) {
        to[i] = vm_start(source->name, i, "utc", "-incoming defer");
        rs[i]->stop = vm_qmp(vms[i], "stop");
    }
    vms_pass_stopped(vms, SET__MAX, NS * 4 / 10);
    for (int i = 0; i < SET__MAX; i++) {
        move_state(vms[i], to[i], rs[i]);
        vm_quit(vms[i]);
        rs[i]->cont = vm_qmp(to[i], "cont");
        vms[i] = to[i];
    }
}

static void play(const Source *source, Scenario scenario, int rate,
                 Recording **rs)
{
    VM *vms[SET__MAX];

    for (int i = 0; i < SET__MAX; i++) {
        vms[i] = vm_start(source->name, i, "utc", "");
    }
    for (int i = 0; i < SET__MAX; i++) {
        rs[i] = prepare(vms[i], rate);
    }
    switch (scenario) {
    case RUN:
        record(vms, rs, NS * 17 / 10);
        break;
    case STOP:
        stop_and_cont(vms, rs);
        record(vms, rs, NS * 8 / 10);
        break;
    case RESET:
        for (int i = 0; i < SET__MAX; i++) {
            qtest_system_reset(vms[i]->qts);
        }
        record(vms, rs, NS * 6 / 10);
        break;
    case MIGRATE:
        migrate(source, vms, rs);
        record(vms, rs, NS * 11 / 10);
        break;
    default:
        g_assert_not_reached();
    }
    for (int i = 0; i < SET__MAX; i++) {
        vm_quit(vms[i]);
    }
}

static void free_recordings(Recording **rs)
{
    for (int i = 0; i < SET__MAX; i++) {
        g_array_free(rs[i]->samples, true);
        g_clear_pointer(&rs[i], g_free);
    }
}

/* Each period is looked for in a run only. */
static bool misses_periods(Scenario scenario, Recording **rs)
{
    bool gaps = false;

    for (int i = 0; scenario == RUN && i < SET__MAX; i++) {
        rs[i]->gaps = has_gaps(rs[i]);
        gaps |= rs[i]->gaps;
    }
    return gaps;
}

/* Try to have no gaps; on a host too busy for that they stay. */
static void play_without_gaps(const Source *source, Scenario scenario,
                              Recording **rs)
{
    /* What was too fast for this host once is not tried again. */
    static int rate = FIRST_RATE;

    play(source, scenario, rate, rs);
    for (int n = 0; n < TRIES && misses_periods(scenario, rs); n++) {
        g_test_message("this host is busy; once more");
        free_recordings(rs);
        rate = MIN(rate + n % 2, LAST_RATE);
        play(source, scenario, rate, rs);
    }
}

static Recording *recording(Cell *cell, Scenario scenario)
{
    /* By the source's name, an array of recordings */
    static GHashTable *all;
    Recording **rs;

    if (!all) {
        all = g_hash_table_new(g_str_hash, g_str_equal);
    }
    rs = g_hash_table_lookup(all, cell->source->name);
    if (!rs) {
        rs = g_new0(Recording *, SCENARIO__MAX * SET__MAX);
        g_hash_table_insert(all, cell->source->name, rs);
    }
    rs += scenario * SET__MAX;
    if (!rs[0]) {
        play_without_gaps(cell->source, scenario, rs);
    }
    return rs[cell->setting];
}

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
