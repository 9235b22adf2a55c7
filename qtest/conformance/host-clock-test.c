/*
 * One contract under every host clock: the conformance suite
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every source of time x every -rtc clock= setting x every behaviour, at
 * /host-clock/<source>/<setting>/<behaviour>, by the same code.  What is
 * expected follows from the table in the documentation of host clocks and from
 * the test's own clock and models, never from what the emulator says.
 *
 * The manual clock, and qtest's clock where the source is "system", move only
 * when told, and then everything is exact.  Otherwise each test waits for a
 * bounded time and compares with the host's clock.
 */

#include "qemu/osdep.h"
#include "host-clock-suite.h"

typedef struct Test {
    Cell *cell;
    CellTest *fn;
} Test;

/* VMs */

bool cell_is_manual(Cell *cell)
{
    return g_str_equal(cell->source->name, "manual");
}

VM *cell_start(Cell *cell, const char *base, const char *args)
{
    return vm_start(cell->source->name, cell->setting, base, args);
}

/* There is one at a time; NULL ends it. */
static VM *shared_vm(Cell *cell)
{
    static Cell *owner;
    static VM *vm;

    if (cell == owner) {
        return vm;
    }
    if (vm) {
        vm_quit(vm);
    }
    vm = cell ? cell_start(cell, "utc", "") : NULL;
    owner = cell;
    return vm;
}

VM *cell_vm(Cell *cell)
{
    return shared_vm(cell);
}

/* Checks */

void check_date(int64_t date, int64_t from, Span gone)
{
    assert_between(date, from + (gone.lo + NS / 2) / NS,
                   from + (gone.hi + NS / 2) / NS);
}

void check_date_since(VM *vm, int64_t from, Span set)
{
    Span when;
    int64_t date = rtc_read_date(vm, &when);

    check_date(date, from, span_since(set, when));
}

static char *regs_to_text(const DateRegs *regs)
{
    const uint8_t *r = regs->r;

    return g_strdup_printf("%02x %02x-%02x-%02x %02x:%02x:%02x, day %02x",
                           r[CENTURY], r[YEAR], r[MONTH], r[DAY], r[HOURS],
                           r[MINUTES], r[SECONDS], r[WEEKDAY]);
}

void check_regs_since(VM *vm, int64_t from, Span set, uint8_t reg_b)
{
    Span when, gone;
    DateRegs regs = rtc_read_regs(vm, &when), expected;
    g_autofree char *is = regs_to_text(&regs);
    g_autofree char *should_be = NULL;

    gone = span_since(set, when);
    for (int64_t date = from + (gone.lo + NS / 2) / NS;
         date <= from + (gone.hi + NS / 2) / NS; date++) {
        expected = rtc_encode_date(date, reg_b);
        if (!memcmp(&regs, &expected, sizeof(regs))) {
            return;
        }
    }
    should_be = regs_to_text(&expected);
    g_test_message("mode 0x%02x: %s; should be %s", reg_b, is, should_be);
    g_test_fail();
}

QDict *wait_for_event(VM *vm, const char *name)
{
    /* Nothing but a defect makes this fail, so be generous. */
    for (int64_t end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
         g_get_monotonic_time() < end; g_usleep(1000)) {
        QDict *event = qtest_qmp_event_ref(vm->qts, name);

        if (event) {
            return event;
        }
        /* Whatever has been sent comes before this reply. */
        qtest_qmp_assert_success(vm->qts, "{ 'execute': 'query-status' }");
    }
    g_test_message("no event %s within 10 s", name);
    g_test_fail();
    return NULL;
}

/* The list */

static void run_test(const void *opaque)
{
    const Test *test = opaque;

    span_set_source(test->cell->source->name);
    if (test->cell->source->missing) {
        g_test_skip(test->cell->source->missing);
    } else {
        test->fn(test->cell);
    }
}

void add_test(Cell *cell, const char *name, CellTest *fn)
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
    add_date_tests(cell);
    add_update_tests(cell);
    add_periodic_tests(cell);
    add_alarm_tests(cell);
    add_hpet_tests(cell);
    add_run_tests(cell);
    add_one_time_tests(cell);
    add_step_tests(cell);
    add_move_tests(cell);
    add_load_tests(cell);
}

int main(int argc, char **argv)
{
    int status;

    g_setenv("TZ", TEST_TZ, true);
    g_test_init(&argc, &argv, NULL);
    /* So that one behaviour that is wrong does not hide the others */
    g_test_set_nonfatal_assertions();

    for (const Source *source = host_clock_sources(); source->name; source++) {
        for (Setting setting = 0; setting < SET__MAX; setting++) {
            add_cell(source, setting);
        }
    }
    status = g_test_run();
    shared_vm(NULL);
    return status;
}
