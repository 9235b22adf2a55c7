/*
 * Host clocks: the sources of time behind the emulated clock devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A host clock is a source of time on the host.  A machine has one at a time:
 * while the VM runs it is what QEMU_CLOCK_VIRTUAL counts.  A device reads the
 * time from a view of it, and puts its timers on the view.  What a view
 * guarantees, whatever the source:
 *
 * host: wall time, nanoseconds of UTC since 1970-01-01.  It may step, in both
 *       directions; step notifiers run afterwards.  It goes on while the VM is
 *       stopped.
 * rt:   monotonic time in nanoseconds from an arbitrary epoch.  It never
 *       decreases, never steps and goes on while the VM is stopped.
 * vm:   QEMU_CLOCK_VIRTUAL.
 *
 * Range: values stay below INT64_MAX; deadlines saturate there.
 * Threads: where nothing else is said, the BQL is needed.
 */

#ifndef HW_RTC_HOST_CLOCK_H
#define HW_RTC_HOST_CLOCK_H

#include "qapi/qapi-types-host-clock.h"
#include "qemu/notify.h"
#include "qemu/timer.h"
#include "qom/object.h"

#define TYPE_HOST_CLOCK "host-clock"
#define TYPE_HOST_CLOCK_SYSTEM TYPE_HOST_CLOCK "-system"

OBJECT_DECLARE_TYPE(HostClock, HostClockClass, HOST_CLOCK)

/**
 * HostClockView: how a guest clock sees the machine's host clock
 * @get_ns: private, NULL for a view that is a QEMU clock
 * @qemu_clock: private, that QEMU clock
 */
typedef struct HostClockView {
    int64_t (*get_ns)(void);
    QEMUClockType qemu_clock;
} HostClockView;

/**
 * HostClockReading: two times of one instant, within @error_ns
 * @mono_ns: monotonic time in ns; never decreases while the clock is open
 * @wall_ns: UTC in ns since 1970; may step
 * @error_ns: half-width of the interval that holds the true values, in ns
 * @generation: number of steps that have been noticed
 */
typedef struct HostClockReading {
    int64_t mono_ns;
    int64_t wall_ns;
    int64_t error_ns;
    uint32_t generation;
} HostClockReading;

/**
 * host_clock_read: take one reading
 * @hc: an open host clock
 * @reading: result
 *
 * Any thread, without the BQL.  Also looks whether wall time has stepped.
 */
void host_clock_read(HostClock *hc, HostClockReading *reading);

/**
 * host_clock_start: the reading that was taken when @hc was opened
 * @hc: an open host clock
 *
 * Of the machine's clock it is the instant to which the base of -rtc refers, in
 * the time of the views, also after another clock took over.
 */
const HostClockReading *host_clock_start(HostClock *hc);

/**
 * host_clock_machine: the machine's host clock
 *
 * Returns: what -clock or -machine host-clock= chose, or else the system
 * clock; never NULL.  The caller does not own a reference.
 */
HostClock *host_clock_machine(void);

/**
 * host_clock_drives_vm: is QEMU_CLOCK_VIRTUAL made of a chosen host clock
 *
 * Returns: false without a choice, and with -icount
 */
bool host_clock_drives_vm(void);

/**
 * host_clock_view: get a view of the machine's host clock
 * @type: which view
 *
 * Returns: the view; it lives as long as the process
 */
HostClockView *host_clock_view(HostClockViewType type);

/** host_clock_view_type: which view @view is */
HostClockViewType host_clock_view_type(HostClockView *view);

/**
 * host_clock_view_get_ns: what time is it
 * @view: a view
 *
 * Any thread, without the BQL; never blocks.  Costs one reading of the source.
 *
 * Returns: the view's time in ns
 */
static inline int64_t host_clock_view_get_ns(HostClockView *view)
{
    return view->get_ns ? view->get_ns() :
                          qemu_clock_get_ns(view->qemu_clock);
}

/**
 * host_clock_view_timer_new_ns: create a timer on a view
 * @view: a view
 * @cb: called from the main loop, with the BQL, once the view's time has
 *      reached the deadline, never before
 * @opaque: passed to @cb
 *
 * Returns: a new timer, which is used and migrated like any QEMUTimer.  Equal
 * deadlines fire in the order in which they were armed.
 */
QEMUTimer *host_clock_view_timer_new_ns(HostClockView *view, QEMUTimerCB *cb,
                                        void *opaque);

/**
 * host_clock_add_step_notifier: learn of steps of the host view
 * @notifier: called from the main loop, with the BQL, after a step and after
 *            the timers that it made expire have run.  The data argument
 *            points to the size of the step, an int64_t in ns.  It is 0 if
 *            wall time has not jumped, but the host was suspended, or another
 *            host clock became the machine's.
 *
 * Timers on the host view keep their absolute deadlines across a step; a
 * device whose deadlines are to keep their distance recomputes them here.
 */
void host_clock_add_step_notifier(Notifier *notifier);

/**
 * HostClockLag: whether the date of an RTC has fallen behind
 * @ahead_s, @ahead_ns: private; its date less wall time when it was set
 * @is_loaded: it has been loaded since; set by the device
 */
typedef struct HostClockLag {
    int64_t ahead_s;
    int64_t ahead_ns;
    bool is_loaded;
} HostClockLag;

/**
 * host_clock_lag_begin: an RTC was set, by -rtc base= or by the guest
 * @lag: of that RTC
 * @date_s: a date, in seconds since 1970
 * @ns: nanoseconds since then, any number of them
 *
 * After a load into another process it is what -rtc base= says there.
 */
void host_clock_lag_begin(HostClockLag *lag, int64_t date_s, int64_t ns);

/**
 * host_clock_lag_tell: the VM goes on; send HOST_CLOCK_LAG if it has to be sent
 * @lag: of an RTC
 * @rtc: that RTC
 * @date_s: its date, in seconds since 1970
 * @ns: nanoseconds since then, any number of them
 */
void host_clock_lag_tell(HostClockLag *lag, Object *rtc, int64_t date_s,
                         int64_t ns);

/**
 * host_clock_find: look up a host clock by its ID
 * @option: whose value @id is, for the error
 * @id: ID or QOM path
 * @errp: error
 *
 * Returns: the clock, or NULL with @errp set
 */
HostClock *host_clock_find(const char *option, const char *id, Error **errp);

/**
 * host_clock_choose: make a clock the machine's
 * @hc: an open host clock
 * @errp: error
 *
 * Returns: true; false with @errp set if another one was chosen before
 */
bool host_clock_choose(HostClock *hc, Error **errp);

/**
 * host_clock_switch: make another clock the machine's while the VM exists
 * @hc: an open host clock
 * @errp: error
 *
 * QEMU_CLOCK_VIRTUAL and the rt view go on; the host view steps by what the two
 * differ, if that is more than the errors of their readings.  Main loop only.
 *
 * Returns: true, also if @hc is the machine's already; false with @errp set
 */
bool host_clock_switch(HostClock *hc, Error **errp);

/** host_clock_get_failover: is -machine host-clock-failover= on */
bool host_clock_get_failover(void);

/**
 * host_clock_set_failover: go on to the next of the list when a clock fails
 * @on: or not
 * @errp: error if there is no next one, at the start or when the VM exists
 */
void host_clock_set_failover(bool on, Error **errp);

/**
 * host_clock_configure: carry out -clock, and start with the machine's clock
 * @names: source names, separated by commas, in order of preference, or NULL
 *         if there was no -clock
 * @errp: error
 *
 * Creates and opens the first source of the list that can be had and makes it
 * the machine's.  From now on QEMU_CLOCK_VIRTUAL counts the time of the
 * machine's host clock, unless it counts instructions (-icount).
 *
 * Returns: true on success
 */
bool host_clock_configure(const char *names, Error **errp);

/**
 * host_clock_help: carry out -clock help
 *
 * Prints the sources in order of precedence, each with the reason if it is not
 * available on this host.
 */
void host_clock_help(void);

/**
 * host_clock_qtest_step: carry out clock_step and clock_set of qtest
 * @ns: by how much to move QEMU_CLOCK_VIRTUAL, while host_clock_drives_vm()
 * @errp: error
 *
 * Returns: true; false with @errp set if the clock moves by itself, or cannot
 * move by that much
 */
bool host_clock_qtest_step(int64_t ns, Error **errp);

#endif /* HW_RTC_HOST_CLOCK_H */
