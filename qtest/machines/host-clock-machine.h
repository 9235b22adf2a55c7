/*
 * The contract of host clocks on the RTC of a machine that is no PC
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_MACHINE_H
#define HOST_CLOCK_MACHINE_H

#include "host-clock-suite.h"

/**
 * Rtc: an RTC in the memory of a machine
 * @target: architecture of the emulator
 * @args: its -machine and what else it needs
 * @type: QOM type
 * @base: where the registers are
 * @tick_ns: in what it counts
 * @date_ns: the date, in ns since 1970
 * @set_date: to a whole second
 * @set_alarm: for a whole second, with an interrupt
 * @acknowledge: clear the interrupt
 */
typedef struct Rtc {
    const char *target, *args, *type;
    uint64_t base;
    int64_t tick_ns;
    int64_t (*date_ns)(VM *vm);
    void (*set_date)(VM *vm, int64_t date);
    void (*set_alarm)(VM *vm, int64_t date);
    void (*acknowledge)(VM *vm);
} Rtc;

/* That of the emulator under test */
extern const Rtc *rtc;

const Rtc *rtc_of_target(const char *target);

/* An emulator for a cell; @args: more arguments */
VM *machine_start(Cell *cell, const char *source, const char *base,
                  const char *args);

/* When the date was set to MILLENNIUM */
Span machine_set_date(VM *vm);

/* Check the date that is read now: it was @from, exactly, @gone before. */
void check_date_ns(int64_t date_ns, int64_t from, Span gone);

/* The same with the date that @vm has now; it was set at @set, moved @by_ns */
void check_machine_date(VM *vm, Span set, int64_t by_ns);

/*
 * Let time pass until an alarm is due, @left from now, and a tick longer: it
 * interrupts once, neither before nor later.
 */
void check_alarm_once(VM *vm, Span left);

/* host-clock-machine-move.c */
void add_machine_move_tests(Cell *cell);

#endif
