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

/**
 * VM:
 * @qts: the emulator
 * @source: name of its host clock
 * @setting: of -rtc clock=
 * @rate: by which the scaled clock is faster than the manual one beneath it
 * @parent_ns: how far the test has advanced that
 * @manual_ns: how far the test has moved the manual or scaled clock
 * @manual_wall_ns: its wall time, less @manual_ns
 * @virtual_ns: where the test has set QEMU_CLOCK_VIRTUAL
 */
typedef struct VM {
    QTestState *qts;
    const char *source;
    Setting setting;
    int rate[2];
    int64_t parent_ns;
    int64_t manual_ns;
    int64_t manual_wall_ns;
    int64_t virtual_ns;
} VM;

/*
 * How many times later than elsewhere things may be: the lab is emulated, and
 * an emulator in it twice over.
 */
int host_clock_slowness(void);

/* The output of -clock help; "default" comes first.  The last name is NULL. */
const Source *host_clock_sources(void);

/* Moves only when told: "manual", and "scaled", which is made of one here */
bool source_is_manual(const char *source);
/* With these, qtest's clock is the time of the vm view. */
bool source_is_system(const char *source);

/* Of which source the times are; before any other span is computed */
void span_set_source(const char *source);
Span span_since(Span from, Span to);
/* The instant @ns of the source's time later */
Span span_add(Span a, int64_t ns);
/* The same span by another name: @n is exact, and no time passes */
Span span_shift(Span a, int64_t n);

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

#define MANUAL_WALL     "2026-03-01T12:00:00"
#define MANUAL_WALL_S   1772366400

/**
 * VMOptions: what is seldom asked for
 * @machine: arguments of -machine for another one than the PC
 * @binary: environment variable that names the emulator, or NULL for ours
 * @manual_wall_s: with what the manual clock starts; 0 for MANUAL_WALL_S
 * @rate: of the scaled clock; 0 for 3/2
 * @real_irqs: let interrupts reach the APIC, those of a PIT, too; vm_irq()
 *             cannot be used then, nor with @machine
 */
typedef struct VMOptions {
    const char *machine;
    const char *binary;
    int64_t manual_wall_s;
    int rate[2];
    bool real_irqs;
} VMOptions;

VM *vm_start_with(const VMOptions *options, const char *source,
                  Setting setting, const char *base, const char *args);
void vm_quit(VM *vm);

bool vm_is_manual(VM *vm);

/* Whether the time of the RTC, or of the HPET, moves by vm_pass() alone */
bool vm_rtc_is_told(VM *vm);
bool vm_hpet_is_told(VM *vm);

/* Now, on the test's own clock, for the RTC or the HPET */
int64_t vm_rtc_now(VM *vm);
int64_t vm_hpet_now(VM *vm);

/* The UTC of the VM's host clock */
int64_t vm_wall_now(VM *vm);

/*
 * For who moves the manual or scaled clock by other means: note that it moves
 * by @ns, or by what it takes to have moved by that; returns how far the manual
 * clock has to go.
 */
int64_t vm_note_pass(VM *vm, int64_t ns);

/* Let at least @ns pass, in running and in stopped VMs. */
void vm_pass(VM *vm, int64_t ns);
/* Less, up to the last instant before: a ns less, or two of "scaled" */
void vm_pass_short_of(VM *vm, int64_t ns);
/* Let time pass until vm_rtc_now() is @ns, or at least that. */
void vm_pass_until(VM *vm, int64_t ns);
void vms_pass(VM **vms, int n, int64_t ns);
void vms_pass_stopped(VM **vms, int n, int64_t ns);

/* Move the wall time of the manual clock. */
void vm_wall_step(VM *vm, int64_t ns);

/* Stop or continue the VM; both return when that was. */
typedef struct Moment {
    Span rtc, hpet;
} Moment;

Moment vm_qmp(VM *vm, const char *command);

bool vm_irq(VM *vm);

/* Processor time that the emulator has used */
int64_t vm_cpu_ns(VM *vm);

uint8_t cmos_read(VM *vm, uint8_t reg);
void cmos_write(VM *vm, uint8_t reg, uint8_t value);

/* The registers of the date, and the century's; register B says how */
typedef enum DateReg {
    SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY, DATE_REG__MAX
} DateReg;

typedef struct DateRegs {
    uint8_t r[DATE_REG__MAX];
} DateRegs;

uint8_t rtc_encode(int value, uint8_t reg_b);
uint8_t rtc_encode_hour(int hour, uint8_t reg_b);
DateRegs rtc_encode_date(int64_t date, uint8_t reg_b);

/* All of them, from the same second */
DateRegs rtc_read_regs(VM *vm, Span *when);
void rtc_write_regs(VM *vm, const DateRegs *regs);

/* The date in the registers, which must be in binary and 24 h mode */
int64_t rtc_read_date(VM *vm, Span *when);

/*
 * Set the date by way of the divider chain: the first second ends half a second
 * after the instant that is returned.  All interrupts are off afterwards.
 */
Span rtc_set_date(VM *vm, int64_t date, uint8_t rate);
Span rtc_set_date_in(VM *vm, int64_t date, uint8_t rate, uint8_t reg_b);

/* The machine's property rtc-time */
int64_t machine_rtc_time(VM *vm);

/* What HOST_CLOCK_LAG told with the last RESUME; 0 for nothing: not late */
int64_t told_lag_ns(QTestState *qts, const char *reason);

void hpet_enable(VM *vm);
uint64_t hpet_read(VM *vm, Span *when);

/* The path of a new empty file; unlink() and g_free() it. */
char *temporary_file(void);

/**
 * vm_continue_clocks: let clocks go on where those of another VM are
 * @to: of which nothing has been told yet
 * @from: the VM whose state was saved
 * @path: of the stream, or NULL if both have the same source
 *
 * A stream has QEMU_CLOCK_VIRTUAL in it, except that qtest's clock, which takes
 * its place without a host clock, is neither saved nor loaded.
 */
void vm_continue_clocks(VM *to, VM *from, const char *path);

void migrate_to_file(VM *vm, const char *path);
void migrate_from_file(VM *vm, const char *path);

#endif
