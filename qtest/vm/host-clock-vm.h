/*
 * One VM, one time: what the files of host-clock-vm-test share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HOST_CLOCK_VM_H
#define HOST_CLOCK_VM_H

#include "host-clock-process.h"

/* How late something may be on a busy host */
#define LATE_NS         (50 * MS * host_clock_slowness())
/* Nothing but a defect takes so long. */
#define BOUND_S         (10 * host_clock_slowness())

/* The id of the clock of MANUAL_ARGS */
#define MANUAL_ID       "m"
#define MANUAL_ARGS     "-object host-clock-manual,id=" MANUAL_ID \
                        ",wall=" MANUAL_WALL " -machine host-clock=" MANUAL_ID
/* The same, and one that is made of it */
#define SCALED_ARGS     MANUAL_ARGS " -object host-clock-scaled,id=s,clock=" \
                        MANUAL_ID ",rate=3/2 -machine host-clock=s"

/*
 * Sources for which no device is opened, "system" being "default": the next one
 * of host_clock_sources() after @last, or after its beginning; NULL at the end
 */
const Source *next_source(const Source *last);

/* The RTC of a process, over qtest's protocol */
uint8_t process_cmos_read(Process *p, uint8_t reg);
void process_cmos_write(Process *p, uint8_t reg, uint8_t value);

/* mono-ns of the manual clock, or -1 */
int64_t manual_mono_ns(Process *p);

/* host-clock-advance; returns NULL or the words of the error, to be freed */
char *manual_advance(Process *p, const char *id, int64_t ns);

/* Check that some words are in a text, and free it. */
void check_says(char *text, const char *words);

/* host-clock-vm-advance.c */
void add_advance_tests(void);
/* host-clock-vm-host.c */
void add_host_tests(void);

#endif
