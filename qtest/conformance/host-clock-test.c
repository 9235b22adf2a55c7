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
 * The manual clock, "scaled", which is one at 3/2 here, and qtest's clock where
 * the source is "system", move only when told, and then everything is exact.
 * Otherwise each test waits for a bounded time and compares with the host's
 * clock.
 */

#include "qemu/osdep.h"
#include "host-clock-cells.h"

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
    cell_vm_quit();
    return status;
}
