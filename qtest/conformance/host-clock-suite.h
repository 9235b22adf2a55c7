/*
 * The conformance suite of host clocks: what its files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Every source of time x every -rtc clock= setting is a Cell.  Each file adds
 * the tests of one part of the contract for one cell.
 */

#ifndef HOST_CLOCK_SUITE_H
#define HOST_CLOCK_SUITE_H

#include "host-clock-util.h"

/* How late a timer may be served, on a busy host */
#define LATE_NS         (50 * MS * host_clock_slowness())

/* 1999-12-31 23:59:58: everything rolls over with the second second. */
#define MILLENNIUM      (946684800 - 2)

/* The modes of register B in which the date can be */
#define BINARY_24H      (REG_B_DM | REG_B_24H)
#define BCD_24H         REG_B_24H
#define BINARY_12H      REG_B_DM
#define BCD_12H         0

typedef struct Cell {
    const Source *source;
    Setting setting;
} Cell;

typedef void CellTest(Cell *cell);

/* At /host-clock/<source>/<setting>/<name> */
void add_test(Cell *cell, const char *name, CellTest *fn);

bool cell_is_manual(Cell *cell);

VM *cell_start(Cell *cell, const char *base, const char *args);

/*
 * A VM that the tests of a cell share, because starting one takes longer than
 * most of them.  Each sets what it relies on.
 */
VM *cell_vm(Cell *cell);

/* End it. */
void cell_vm_quit(void);

#define assert_between(n, low, high) \
    do { \
        int64_t n_ = (n); \
        g_assert_cmpint(n_, >=, (low)); \
        g_assert_cmpint(n_, <=, (high)); \
    } while (0)

/*
 * check_date:
 * @date: what was read
 * @gone: how long after rtc_set_date(), which ended half a second before the
 *        first second did
 * @from: what had been set
 */
void check_date(int64_t date, int64_t from, Span gone);

/* The same with the date that the VM has now */
void check_date_since(VM *vm, int64_t from, Span set);

/* The same with all registers of the date, in the mode that @reg_b says */
void check_regs_since(VM *vm, int64_t from, Span set, uint8_t reg_b);

/*
 * Wait for an event for as long as the test may take; fail, and return NULL,
 * if there is none.
 */
QDict *wait_for_event(VM *vm, const char *name);

#endif
