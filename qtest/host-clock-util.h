/*
 * Helpers for the tests of host clocks: a VM, its RTC and HPET, and the time
 * that should have passed in it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What a test expects comes from here: from the host's clock, read before and
 * after each access, or from how far the test itself has moved the time.  So
 * every instant is a Span, an interval that holds it; where the test moves the
 * time, both ends are equal and the test is exact.
 */

#ifndef HOST_CLOCK_UTIL_H
#define HOST_CLOCK_UTIL_H

#include "libqtest.h"
#include "hw/rtc/mc146818rtc_regs.h"

#define NS              1000000000LL
#define MS              1000000LL
/* One cycle of the RTC's 32768 Hz, rounded up */
#define RTC_CYCLE_NS    30518
#define RTC_IRQ         8
#define HPET_TICK_NS    10

/* The zone of all emulators, UTC+6 */
#define TEST_TZ         "<+06>-6"
#define TEST_TZ_S       (6 * 3600)

/* An instant or a length of time: in ns, not before lo, not after hi */
typedef struct Span {
    int64_t lo, hi;
} Span;

/**
 * Source:
 * @name: as in -clock, or "default" for none
 * @missing: why this host does not have it, or NULL
 */
typedef struct Source {
    char *name;
    char *missing;
} Source;

typedef enum Setting { SET_HOST, SET_RT, SET_VM, SET__MAX } Setting;

extern const char *const setting_names[SET__MAX];

typedef struct VM {
    QTestState *qts;
    const char *source;
    Setting setting;
    /* How far the test has moved the manual clock, or QEMU_CLOCK_VIRTUAL */
    int64_t told_ns;
} VM;

/* The output of -clock help; "default" comes first.  The last name is NULL. */
const Source *host_clock_sources(void);

Span span_since(Span from, Span to);
Span span_add(Span a, int64_t ns);

/**
 * vm_start:
 * @source: name of the source
 * @setting: of -rtc clock=
 * @base: of -rtc base=
 * @args: more arguments
 *
 * The manual clock starts at MANUAL_WALL_S.
 */
VM *vm_start(const char *source, Setting setting, const char *base,
             const char *args);
void vm_quit(VM *vm);

#define MANUAL_WALL     "2026-03-01T12:00:00"
#define MANUAL_WALL_S   1772366400

/* Whether the time of the RTC, or of the HPET, moves by vm_pass() alone */
bool vm_rtc_is_told(VM *vm);
bool vm_hpet_is_told(VM *vm);

/* Now, on the test's own clock, for the RTC or the HPET */
int64_t vm_rtc_now(VM *vm);
int64_t vm_hpet_now(VM *vm);

/* Let at least @ns pass, in running and in stopped VMs. */
void vm_pass(VM *vm, int64_t ns);
void vms_pass(VM **vms, int n, int64_t ns);
void vms_pass_stopped(VM **vms, int n, int64_t ns);

/* Move the wall time of the manual clock. */
void vm_wall_step(VM *vm, int64_t ns);

/* Stop or continue the VM; both return when that was. */
typedef struct Moment {
    Span rtc, hpet;
} Moment;

Moment vm_qmp(VM *vm, const char *command);

uint8_t cmos_read(VM *vm, uint8_t reg);
void cmos_write(VM *vm, uint8_t reg, uint8_t value);

/* The date in the registers, which must be in binary and 24 h mode */
int64_t rtc_read_date(VM *vm, Span *when);

/*
 * Set the date by way of the divider chain: the first second ends half a second
 * after the instant that is returned.  All interrupts are off afterwards.
 */
Span rtc_set_date(VM *vm, int64_t date, uint8_t rate);

/* The machine's property rtc-time */
int64_t machine_rtc_time(VM *vm);

void hpet_enable(VM *vm);
uint64_t hpet_read(VM *vm, Span *when);

void migrate_to_file(VM *vm, const char *path);
void migrate_from_file(VM *vm, const char *path);

#endif
