/*
 * One contract under every host clock: the conformance suite
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every source of time x every -rtc clock= setting x every behaviour, at
 * /host-clock/<source>/<setting>/<behaviour>, by the same code.  What is
 * expected follows from the table in the documentation of host clocks and from
 * the test's own clock, never from what the emulator says.
 *
 * The manual clock, and qtest's clock where the source is "system", move only
 * when told, and then everything is exact.  Otherwise each test waits for a
 * bounded time and compares with the host's clock.
 */

#include "qemu/osdep.h"
#include "host-clock-util.h"
#include "qobject/qdict.h"

/* How long the emulator may take to serve a timer that is due, on a busy host */
#define LATE_NS         (50 * MS)
/* Time from one look at the registers to the next */
#define LOOK_NS         (5 * MS)

/* 1999-12-31 23:59:58: everything rolls over with the second second. */
#define MILLENNIUM      (946684800 - 2)

#define BASE_DATE       "2006-06-17T16:01:21"
#define BASE_DATE_S     1150560081

typedef struct Recording Recording;

typedef struct Cell {
    const Source *source;
    Setting setting;
    Recording *recording;
} Cell;

typedef void CellTest(Cell *cell);

typedef struct Test {
    Cell *cell;
    CellTest *fn;
} Test;

static VM *start(Cell *cell, const char *base, const char *args)
{
    return vm_start(cell->source->name, cell->setting, base, args);
}

static bool is_manual(Cell *cell)
{
    return g_str_equal(cell->source->name, "manual");
}

#define assert_between(n, low, high) \
    do { \
        int64_t n_ = (n); \
        g_assert_cmpint(n_, >=, (low)); \
        g_assert_cmpint(n_, <=, (high)); \
    } while (0)

/*
 * @date is what was read when @gone had passed since rtc_set_date() set @from,
 * half a second before the first second ended.
 */
static void check_date(int64_t date, int64_t from, Span gone)
{
    assert_between(date, from + (gone.lo + NS / 2) / NS,
                   from + (gone.hi + NS / 2) / NS);
}

/* The same with the VM's time as it is now */
static void check_date_since(VM *vm, int64_t from, Span set)
{
    Span when;
    int64_t date = rtc_read_date(vm, &when);

    check_date(date, from, span_since(set, when));
}

/* Power-on date */

static int64_t utc_s(Cell *cell)
{
    return is_manual(cell) ? MANUAL_WALL_S : time(NULL);
}

/*
 * The RTC counts whole seconds from the instant at which it was created, so it
 * is behind by less than one.
 */
static void test_power_on(Cell *cell, const char *base)
{
    int64_t created = utc_s(cell), read, done, date, property;
    VM *vm = start(cell, base, "");
    bool told = vm_rtc_is_told(vm);
    Span expected;

    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM);
    read = utc_s(cell);
    date = rtc_read_date(vm, NULL);
    property = machine_rtc_time(vm);
    done = utc_s(cell);

    expected.lo = told ? created : MAX(created, read - 1);
    expected.hi = done;
    if (g_str_equal(base, "localtime")) {
        expected = span_add(expected, TEST_TZ_S);
    } else if (g_str_equal(base, BASE_DATE)) {
        expected.lo = BASE_DATE_S;
        expected.hi = BASE_DATE_S + (told ? 0 : done - created + 1);
    }
    assert_between(date, expected.lo, expected.hi);
    assert_between(property, date, expected.hi);
    vm_quit(vm);
}

static void test_power_on_utc(Cell *cell)
{
    test_power_on(cell, "utc");
}

static void test_power_on_localtime(Cell *cell)
{
    test_power_on(cell, "localtime");
}

static void test_power_on_date(Cell *cell)
{
    test_power_on(cell, BASE_DATE);
}

/* The guest sets the date */

/* The offset that RTC_CHANGE should carry if the guest sets @date now */
static int64_t offset_of(Cell *cell, const char *base, int64_t date)
{
    int64_t now = utc_s(cell);

    return date - now - (g_str_equal(base, "localtime") ? TEST_TZ_S : 0);
}

static int64_t wait_rtc_change(VM *vm)
{
    QDict *event = qtest_qmp_eventwait_ref(vm->qts, "RTC_CHANGE");
    int64_t offset = qdict_get_int(qdict_get_qdict(event, "data"), "offset");

    qobject_unref(event);
    return offset;
}

static void test_set_date_from(Cell *cell, const char *base)
{
    VM *vm = start(cell, base, "");
    int64_t latest = offset_of(cell, base, MILLENNIUM), offset;
    Span set = rtc_set_date(vm, MILLENNIUM, 6);

    offset = wait_rtc_change(vm);
    /* The later it is, the smaller the offset; and seconds are cut off twice. */
    assert_between(offset, offset_of(cell, base, MILLENNIUM) -
                   !is_manual(cell), latest + !is_manual(cell));
    g_assert_cmpint(machine_rtc_time(vm), ==, rtc_read_date(vm, NULL));

    /* The date goes on from there, half a second ahead. */
    vm_pass(vm, NS * 6 / 10);
    check_date_since(vm, MILLENNIUM, set);
    vm_quit(vm);
}

static void test_set_date_utc(Cell *cell)
{
    test_set_date_from(cell, "utc");
}

static void test_set_date_localtime(Cell *cell)
{
    test_set_date_from(cell, "localtime");
}

/* Guest reset: time goes on, and the date that the guest has set stays. */
static void test_reset(Cell *cell)
{
    VM *vm = start(cell, BASE_DATE, "");
    Span set = rtc_set_date(vm, MILLENNIUM, 6);

    qtest_system_reset(vm->qts);
    check_date_since(vm, MILLENNIUM, set);
    vm_pass(vm, NS * 6 / 10);
    check_date_since(vm, MILLENNIUM, set);
    vm_quit(vm);
}

/*
 * Time passes while all interrupts are on.  The VM is looked at every few ms;
 * each look is a Sample, and several tests judge the one Recording.
 */

typedef struct Sample {
    Span when;          /* register C was read, by the RTC's time */
    uint8_t flags;      /* register C */
    bool irq;           /* IRQ 8, just before */
    Span date_when;
    int64_t date;
    Span hpet_when;
    uint64_t hpet;
} Sample;

struct Recording {
    Span set;           /* the date was set */
    Span pie;           /* periodic interrupts were enabled */
    GArray *samples;
    bool told, hpet_told;
};

/* 16 Hz: slow enough for a busy host not to miss one */
#define RATE            12
#define PERIOD_NS       (NS / 16)

static Sample take_sample(VM *vm)
{
    Sample s;

    s.irq = qtest_get_irq(vm->qts, RTC_IRQ);
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
static bool recording_has_gaps(Recording *r)
{
    for (int i = 1; i < r->samples->len; i++) {
        if (sample(r, i)->when.hi - sample(r, i - 1)->when.lo >= PERIOD_NS) {
            return true;
        }
    }
    return false;
}

static Recording *record_once(Cell *cell)
{
    Recording *r = g_new0(Recording, 1);
    VM *vm = start(cell, BASE_DATE, "");

    r->samples = g_array_new(false, false, sizeof(Sample));
    r->told = vm_rtc_is_told(vm);
    r->hpet_told = vm_hpet_is_told(vm);
    hpet_enable(vm);
    cmos_write(vm, RTC_SECONDS_ALARM, 0);
    cmos_write(vm, RTC_MINUTES_ALARM, 0);
    cmos_write(vm, RTC_HOURS_ALARM, 0);
    r->set = rtc_set_date(vm, MILLENNIUM, RATE);
    r->pie.lo = vm_rtc_now(vm);
    cmos_write(vm, RTC_REG_B,
               REG_B_24H | REG_B_DM | REG_B_UIE | REG_B_AIE | REG_B_PIE);
    r->pie.hi = vm_rtc_now(vm);

    do {
        Sample s = take_sample(vm);

        g_array_append_val(r->samples, s);
        vm_pass(vm, LOOK_NS);
    } while (vm_rtc_now(vm) < r->set.hi + NS * 17 / 10);

    vm_quit(vm);
    return r;
}

static void recording_free(Recording *r)
{
    g_array_free(r->samples, true);
    g_free(r);
}

static Recording *record(Cell *cell)
{
    for (int i = 0; !cell->recording && i < 10; i++) {
        Recording *r = record_once(cell);

        if (recording_has_gaps(r)) {
            g_test_message("this host is busy; once more");
            recording_free(r);
        } else {
            cell->recording = r;
        }
    }
    if (!cell->recording) {
        g_test_skip("this host is too busy: 10 recordings, all with gaps");
    }
    return cell->recording;
}

static void test_rate(Cell *cell)
{
    Recording *r = record(cell);

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
    Span due = first;
    Sample *s = NULL;

    for (int i = 0; i < r->samples->len && !g_test_failed(); i++) {
        int64_t before = s ? s->when.lo : INT64_MIN;

        s = sample(r, i);
        if (s->flags & flag) {
            /* Not early, so none is doubled; not late, so none is lost. */
            g_assert_cmpint(s->when.hi, >=, due.lo);
            g_assert_cmpint(before, <=, due.hi + late_ns);
            g_assert_true(s->flags & REG_C_IRQF);
            due = span_add(due, period_ns);
        }
        if (r->told) {
            g_assert_cmpint(s->irq, ==, !!(s->flags & REG_C_IRQF));
        } else if (s->irq) {
            g_assert_true(s->flags & REG_C_IRQF);
        }
    }
    g_assert_cmpint(s->when.lo, <=, due.hi + late_ns);
}

static void test_periodic(Cell *cell)
{
    Recording *r = record(cell);

    if (r) {
        Span first = span_add(r->pie, PERIOD_NS);

        /* Periods are counted in whole cycles of 32768 Hz. */
        first.lo -= RTC_CYCLE_NS;
        first.hi += 1;
        check_flag(r, REG_C_PF, first, PERIOD_NS);
    }
}

static void test_update(Cell *cell)
{
    Recording *r = record(cell);

    if (r) {
        check_flag(r, REG_C_UF, span_add(r->set, NS / 2), NS);
    }
}

/* At midnight, once */
static void test_alarm(Cell *cell)
{
    Recording *r = record(cell);

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
    Recording *r = record(cell);

    for (int i = 1; r && i < r->samples->len && !g_test_failed(); i++) {
        Sample *s = sample(r, i), *first = sample(r, 0);

        g_assert_cmpint(s->hpet, >=, sample(r, i - 1)->hpet);
        check_hpet(s->hpet - first->hpet,
                   span_since(first->hpet_when, s->hpet_when));
    }
}

/* VM stopped and continued */

#define STOP_NS         (NS * 8 / 10)

/* The time that the VM has run from @from to @to, stopped from @s to @c */
static Span run_time(Span from, Span s, Span c, Span to)
{
    Span a = span_since(from, s), b = span_since(c, to);

    return (Span) { a.lo + b.lo, a.hi + b.hi };
}

static void check_date_after_stop(Cell *cell, VM *vm, Span set, Moment s,
                                  Moment c)
{
    Span when;
    int64_t date = rtc_read_date(vm, &when);

    check_date(date, MILLENNIUM, cell->setting == SET_VM ?
               run_time(set, s.rtc, c.rtc, when) : span_since(set, when));
}

static void check_hpet_after_stop(VM *vm, uint64_t ticks, Span from, Moment s,
                                  Moment c)
{
    Span when;
    uint64_t now = hpet_read(vm, &when);

    check_hpet(now - ticks, run_time(from, s.hpet, c.hpet, when));
}

static void test_stop(Cell *cell)
{
    VM *vm = start(cell, "utc", "");
    Span set, hpet_from, when;
    uint64_t ticks, frozen;
    Moment s, c;

    hpet_enable(vm);
    set = rtc_set_date(vm, MILLENNIUM, 6);
    ticks = hpet_read(vm, &hpet_from);
    s = vm_qmp(vm, "stop");
    frozen = hpet_read(vm, &when);
    check_hpet(frozen - ticks, span_since(hpet_from, s.hpet));
    vm_pass_stopped(vm, STOP_NS);
    if (cell->setting == SET_VM) {
        check_date(rtc_read_date(vm, NULL), MILLENNIUM, span_since(set, s.rtc));
    } else {
        check_date_since(vm, MILLENNIUM, set);
    }
    g_assert_cmpint(hpet_read(vm, &when), ==, frozen);
    c = vm_qmp(vm, "cont");

    /* Up to where the next second ends under any setting */
    for (int i = 0; i < 16 && !g_test_failed(); i++) {
        check_date_after_stop(cell, vm, set, s, c);
        check_hpet_after_stop(vm, ticks, hpet_from, s, c);
        vm_pass(vm, NS / 20);
    }
    vm_quit(vm);
}

/* Save and load */

#define MIGRATE_WALL_NS (100 * NS)

/* What the registers have to show on the destination */
static void check_migrated_date(Cell *cell, VM *vm, Span set, Moment s,
                                Span save, Span load, Moment c)
{
    Span when;
    int64_t date = rtc_read_date(vm, &when);

    switch (cell->setting) {
    case SET_HOST:
        /* The destination's wall time */
        when = span_add(when, is_manual(cell) ? MIGRATE_WALL_NS : 0);
        check_date(date, MILLENNIUM, span_since(set, when));
        break;
    case SET_RT:
        /* On from the registers: seconds start when they are loaded. */
        save = span_since(set, save);
        when = span_since(load, when);
        assert_between(date,
                       MILLENNIUM + (save.lo + NS / 2) / NS + when.lo / NS,
                       MILLENNIUM + (save.hi + NS / 2) / NS + when.hi / NS);
        break;
    case SET_VM:
        check_date(date, MILLENNIUM, run_time(set, s.rtc, c.rtc, when));
        break;
    default:
        g_assert_not_reached();
    }
}

static void move_state(Cell *cell, VM *from, VM *to, Span *save, Span *load)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("host-clock-test-XXXXXX", &path, NULL);

    g_assert(fd >= 0);
    close(fd);
    save->lo = vm_rtc_now(from);
    migrate_to_file(from, path);
    save->hi = vm_rtc_now(from);
    /* Both moves happen while the VM is stopped. */
    to->told_ns = from->told_ns;
    if (is_manual(cell)) {
        vm_wall_step(to, from->told_ns + MIGRATE_WALL_NS);
    }
    load->lo = vm_rtc_now(to);
    migrate_from_file(to, path);
    load->hi = vm_rtc_now(to);
    unlink(path);
}

static void test_migrate(Cell *cell)
{
    VM *to = start(cell, "utc", "-incoming defer");
    VM *from = start(cell, BASE_DATE, "");
    Span set, hpet_from, save, load;
    uint64_t ticks;
    Moment s, c;

    hpet_enable(from);
    set = rtc_set_date(from, MILLENNIUM, 6);
    ticks = hpet_read(from, &hpet_from);
    vm_pass(from, NS / 5);
    s = vm_qmp(from, "stop");
    vm_pass_stopped(from, NS / 2);
    move_state(cell, from, to, &save, &load);
    vm_quit(from);

    c = vm_qmp(to, "cont");
    for (int i = 0; i < 11 && !g_test_failed(); i++) {
        check_migrated_date(cell, to, set, s, save, load, c);
        check_hpet_after_stop(to, ticks, hpet_from, s, c);
        vm_pass(to, NS / 10);
    }
    vm_quit(to);
}

/* The list */

static const struct {
    const char *name;
    CellTest *fn;
} tests[] = {
    { "power-on/utc", test_power_on_utc },
    { "power-on/localtime", test_power_on_localtime },
    { "power-on/date", test_power_on_date },
    { "set-date/utc", test_set_date_utc },
    { "set-date/localtime", test_set_date_localtime },
    { "reset", test_reset },
    { "rate", test_rate },
    { "periodic", test_periodic },
    { "update", test_update },
    { "alarm", test_alarm },
    { "hpet-rate", test_hpet_rate },
    { "stop", test_stop },
    { "migrate", test_migrate },
};

static void run_test(const void *opaque)
{
    const Test *test = opaque;

    if (test->cell->source->missing) {
        g_test_skip(test->cell->source->missing);
    } else {
        test->fn(test->cell);
    }
}

static void add_test(Cell *cell, const char *name, CellTest *fn)
{
    Test *test = g_new(Test, 1);
    g_autofree char *path = g_strdup_printf("/host-clock/%s/%s/%s",
                                            cell->source->name,
                                            setting_names[cell->setting], name);

    *test = (Test) { cell, fn };
    qtest_add_data_func_full(path, test, run_test, g_free);
}

static void add_cell(const Source *source, Setting setting)
{
    Cell *cell = g_new0(Cell, 1);

    cell->source = source;
    cell->setting = setting;
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        add_test(cell, tests[i].name, tests[i].fn);
    }
}

int main(int argc, char **argv)
{
    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);
    /* So that one behaviour that is wrong does not hide the others */
    g_test_set_nonfatal_assertions();

    for (const Source *source = host_clock_sources(); source->name; source++) {
        for (Setting setting = 0; setting < SET__MAX; setting++) {
            add_cell(source, setting);
        }
    }
    return g_test_run();
}
