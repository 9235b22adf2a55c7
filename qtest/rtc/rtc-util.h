/*
 * Helpers for the tests of the mc146818rtc
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * On QEMU's own clocks, without -clock.  Where a test speaks of a data sheet it
 * is that of the MC146818A.
 */

#ifndef RTC_UTIL_H
#define RTC_UTIL_H

#include "libqtest.h"
#include "hw/rtc/mc146818rtc_regs.h"

/* The PIT would be in the way when days have to pass. */
#define MACHINE "-machine pc,pit=off -nodefaults "
#define DATE    "2006-06-17T16:01:21"
#define MS      1000000LL
#define SECOND  (1000 * MS)

#define DONT_CARE   0xff

#define DV          0x20
#define DV_RESET    0x70

/* The machine under test; there is one at a time. */
extern QTestState *qts;

uint8_t cmos_read(uint8_t reg);
void cmos_write(uint8_t reg, uint8_t value);

/* Check the registers of the date; they are BCD and have 24 hours. */
void check_date(const char *right);

/* A machine that starts at DATE, on qtest's clock */
void rtc_start(const char *driftfix);

/* Step to @ns from @now, which follows. */
void step_to(int64_t *now, int64_t ns);

/* How many cycles of 32768 Hz a period of a rate has */
int tap_cycles(int rate);

/* Whether PF is set; reads it away, and the other flags */
bool periodic(void);

/* Check that the next edge is after so many cycles from @origin. */
void check_edge(int64_t *now, int64_t origin, int64_t cycles);

/* rtc-base.c, rtc-acpi.c, rtc-chain.c, rtc-move.c */
void add_base_tests(void);
void add_acpi_tests(void);
void add_chain_tests(void);
void add_move_tests(void);

#endif
