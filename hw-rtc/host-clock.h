/*
 * Host clocks: the sources of time behind the emulated clock devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A host clock is a source of time on the host.  A device never looks at the
 * source itself; it takes a view of it, reads the time from the view and puts
 * its timers on the view.  What a view guarantees, whatever the source:
 *
 * host: wall time, nanoseconds of UTC since 1970-01-01.  It may step, in both
 *       directions, when somebody sets the host's clock; step notifiers run
 *       afterwards.  It goes on while the VM is stopped.
 * rt:   monotonic time in nanoseconds from an arbitrary epoch.  It never
 *       decreases, never steps and goes on while the VM is stopped.
 * vm:   monotonic time less the time that the VM was stopped.  While the VM is
 *       stopped it equals QEMU_CLOCK_VIRTUAL, so device state that was taken
 *       from this view can be saved in terms of QEMU_CLOCK_VIRTUAL and loaded
 *       by a QEMU that has another host clock, or none.
 *
 * Range: values stay below INT64_MAX; deadlines saturate there.
 * Threads: host_clock_view_get_ns() and host_clock_read() may be called from
 * any thread without the BQL; they never block.  Everything else needs the BQL.
 * Cost: one read of the source; for the built-in sources, one or two
 * clock_gettime() calls, which the kernel serves without a system call.
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
 * HostClockView: how a guest clock sees a host clock
 * @get_ns: private, NULL for a view that is a QEMU clock
 * @system_clock: private, that QEMU clock
 *
 * Only here so that host_clock_view_get_ns() can be inline.
 */
typedef struct HostClockView HostClockView;
struct HostClockView {
    int64_t (*get_ns)(HostClockView *view);
    QEMUClockType system_clock;
};

/**
 * HostClockParts:
 * @HOST_CLOCK_MONO: fill @mono_ns
 * @HOST_CLOCK_WALL: fill @wall_ns
 *
 * What a caller wants of a reading.  A source may need a system call or a
 * device access for each, so ask only for what is used.
 */
typedef enum HostClockParts {
    HOST_CLOCK_MONO = 1 << 0,
    HOST_CLOCK_WALL = 1 << 1,
    HOST_CLOCK_BOTH = HOST_CLOCK_MONO | HOST_CLOCK_WALL,
} HostClockParts;

/**
 * HostClockReading:
 * @mono_ns: monotonic time in ns; never decreases while the clock is open
 * @wall_ns: UTC in ns since 1970; may step
 * @error_ns: half-width of the interval that holds the true values, in ns
 * @generation: number of steps of @wall_ns that have been noticed
 *
 * What one look at a source returns.  Where both parts were asked for, they
 * belong to the same instant, within @error_ns.
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
 * @parts: what to read
 * @reading: result; only the parts asked for are valid
 *
 * The reading has been checked: @mono_ns does not decrease, and a source that
 * fails is replaced by CLOCK_MONOTONIC from its last good reading (holdover),
 * so this cannot fail.
 */
void host_clock_read(HostClock *hc, HostClockParts parts,
                     HostClockReading *reading);

/**
 * host_clock_start: the reading that was taken when @hc was opened
 * @hc: an open host clock
 *
 * This is the instant to which the base of -rtc refers.
 */
const HostClockReading *host_clock_start(HostClock *hc);

/**
 * host_clock_get_default: the host clock of devices that chose none
 *
 * Returns: the machine's host clock, or else the system clock.  The caller
 * does not own a reference.
 */
HostClock *host_clock_get_default(void);

/**
 * host_clock_use: choose the host clock of a device
 * @own: the device's own choice, or NULL for the default
 *
 * The clock cannot be deleted until host_clock_unuse() is called.
 *
 * Returns: the clock, never NULL
 */
HostClock *host_clock_use(HostClock *own);

/**
 * host_clock_unuse: end what host_clock_use() began
 * @hc: what host_clock_use() returned
 */
void host_clock_unuse(HostClock *hc);

/**
 * host_clock_view: get a view of a host clock
 * @hc: an open host clock
 * @type: which view
 *
 * Returns: the view.  It belongs to @hc and lives as long.
 */
HostClockView *host_clock_view(HostClock *hc, HostClockViewType type);

/**
 * host_clock_view_clock: the host clock of which @view is a view
 */
HostClock *host_clock_view_clock(HostClockView *view);

/**
 * host_clock_view_type: which view @view is
 */
HostClockViewType host_clock_view_type(HostClockView *view);

/**
 * host_clock_view_get_ns: what time is it
 * @view: a view
 *
 * Returns: the view's time in ns
 */
static inline int64_t host_clock_view_get_ns(HostClockView *view)
{
    return view->get_ns ? view->get_ns(view) :
                          qemu_clock_get_ns(view->system_clock);
}

/**
 * host_clock_view_timer_new_ns: create a timer on a view
 * @view: a view
 * @cb: called from the main loop, with the BQL, once the view's time has
 *      reached the deadline, never before
 * @opaque: passed to @cb
 *
 * The result is used and migrated like any QEMUTimer: timer_mod(), timer_del(),
 * timer_free(), VMSTATE_TIMER_PTR().  Equal deadlines fire in the order in
 * which they were armed.
 *
 * Returns: a new timer
 */
QEMUTimer *host_clock_view_timer_new_ns(HostClockView *view, QEMUTimerCB *cb,
                                        void *opaque);

/**
 * host_clock_view_add_step_notifier: learn of steps
 * @view: a view; only the host view steps
 * @notifier: called from the main loop, with the BQL, after a step and after
 *            the timers that it made expire have run.  The data argument
 *            points to the size of the step, an int64_t in ns.
 *
 * Timers on the host view keep their absolute deadlines across a step; a
 * device whose deadlines are to keep their distance recomputes them here.
 */
void host_clock_view_add_step_notifier(HostClockView *view,
                                       Notifier *notifier);

/**
 * host_clock_view_add_rebase_notifier: keep saved times in step with the view
 * @view: a view; only the vm view is ever rebased
 * @notifier: called with the BQL while the VM stops.  The data argument
 *            points to an int64_t in ns: subtract it from every time of the
 *            view that the device holds.
 *
 * When the VM stops, the vm view is set to QEMU_CLOCK_VIRTUAL.  Timers move
 * along by themselves; other device state has to follow.
 */
void host_clock_view_add_rebase_notifier(HostClockView *view,
                                         Notifier *notifier);

/**
 * host_clock_find: look up a host clock by its ID
 * @id: ID or QOM path
 * @errp: error
 *
 * Returns: the clock, or NULL with @errp set
 */
HostClock *host_clock_find(const char *id, Error **errp);

/**
 * host_clock_configure: carry out -clock
 * @names: source names, separated by commas, in order of preference
 * @errp: error
 *
 * Creates and opens the first source of the list that can be had, and makes it
 * the machine's host clock.
 *
 * Returns: true on success
 */
bool host_clock_configure(const char *names, Error **errp);

/**
 * host_clock_help: carry out -clock help
 *
 * Prints the sources to standard output in order of precedence, each with the
 * reason if it is not available on this host.
 */
void host_clock_help(void);

#endif /* HW_RTC_HOST_CLOCK_H */
