/*
 * The conformance suite of host clocks: VMs, checks and the list of tests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
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
    return source_is_manual(cell->source->name);
}

VM *cell_start(Cell *cell, const char *base, const char *args)
{
    return vm_start(cell->source->name, cell->setting, base, args);
}

/* There is one at a time. */
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

void cell_vm_quit(void)
{
    shared_vm(NULL);
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
