/*
 * The conformance suite of host clocks: its parts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_CELLS_H
#define HOST_CLOCK_CELLS_H

#include "host-clock-suite.h"

/* host-clock-dates.c */
void add_date_tests(Cell *cell);
/* host-clock-run.c */
void add_run_tests(Cell *cell);
/* host-clock-update.c */
void add_update_tests(Cell *cell);
/* host-clock-periodic.c */
void add_periodic_tests(Cell *cell);
/* host-clock-alarm.c */
void add_alarm_tests(Cell *cell);
/* host-clock-hpet.c */
void add_hpet_tests(Cell *cell);
/* host-clock-one-time.c */
void add_one_time_tests(Cell *cell);
/* host-clock-step.c */
void add_step_tests(Cell *cell);
/* host-clock-load.c */
void add_load_tests(Cell *cell);
/* host-clock-move.c */
void add_move_tests(Cell *cell);

#endif
