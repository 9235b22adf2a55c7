/*
 * The conformance suite of host clocks: what happens to a VM, recorded
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-recording.h"

/* Time from one look at the registers to the next */
#define LOOK_NS         (10 * MS)

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

Sample *sample(Recording *r, int i)
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

Recording *recording(Cell *cell, Scenario scenario)
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
