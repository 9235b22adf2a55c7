/*
 * Host clocks: what the core, the views and the sources know of each other
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Devices include hw/rtc/host-clock.h instead.
 */

#ifndef HW_RTC_HOST_CLOCK_INTERNAL_H
#define HW_RTC_HOST_CLOCK_INTERNAL_H

#include "hw/rtc/host-clock.h"
#include "qemu/queue.h"
#include "qemu/seqlock.h"
#include "qemu/stats64.h"
#include "qemu/thread.h"
#include "host-clock-os.h"

#define HOST_CLOCK_PREFIX TYPE_HOST_CLOCK "-"

/* What class_init is given: void * in QEMU 10.0, const void * from 10.1 on */
typedef typeof_field(TypeInfo, class_data) HostClockClassData;

/**
 * HostClockClass: a source of time
 *
 * A source is a subclass of TYPE_HOST_CLOCK in a file of its own.  It must
 * provide @open, @close and @read; the rest has defaults.
 */
struct HostClockClass {
    ObjectClass parent_class;

    /** @description: what it is, in one line, for -clock help */
    const char *description;
    /** @rating: place in -clock help; higher comes first */
    int rating;

    /**
     * @is_system: the views are QEMU's own clocks, with all that these know
     * of icount, record/replay and qtest.  Only for TYPE_HOST_CLOCK_SYSTEM.
     */
    bool is_system;
    /** @wall_is_realtime: @wall_ns is the host's CLOCK_REALTIME */
    bool wall_is_realtime;
    /**
     * @mono_is_trusted: monotonicity across threads is guaranteed by somebody
     * better than the source, so that the core need not check each reading
     */
    bool mono_is_trusted;
    /** @may_fail: @read can fail while running; costs some bookkeeping */
    bool may_fail;
    /** @alarm_clock: which clock of the host wakes the rt and vm views up */
    HostClockOsId alarm_clock;
    /**
     * @rate_differs: @alarm_clock does not run at the rate of @mono_ns, so
     * that a long sleep has to be checked on the way
     */
    bool rate_differs;

    /**
     * @open: get hold of the source
     *
     * Called once, with the BQL, after the properties have been set.  The
     * error names the device and the reason; there is nothing to close then.
     *
     * Returns: true on success, false with @errp set
     */
    bool (*open)(HostClock *hc, Error **errp);

    /** @close: release what @open acquired; with the BQL, once */
    void (*close)(HostClock *hc);

    /**
     * @read: take one reading
     *
     * Called from any thread, without the BQL, at any time between @open and
     * @close, possibly by many threads at once.  It must not block.  It fills
     * in the @parts of @reading, and @error_ns if that is not zero;
     * @generation belongs to the core.
     *
     * Returns: 0, or -errno if there is no reading to be had now
     */
    int (*read)(HostClock *hc, HostClockParts parts,
                HostClockReading *reading);

    /**
     * @read_mono: (optional) the monotonic part alone
     *
     * For a source with @mono_is_trusted and without @may_fail: what @read
     * says of it, at less cost.  The views use it.
     *
     * Returns: mono_ns
     */
    int64_t (*read_mono)(HostClock *hc);

    /**
     * @arm: (optional) wake the core up when a view reaches a deadline
     * @view: which view
     * @deadline_ns: in that view's time, INT64_MAX for never
     *
     * The source calls host_clock_view_expired() when the deadline has come;
     * too early or once too often does no harm.  Any thread, without the BQL;
     * calls for one view do not overlap.  The core has a timer of the host in
     * any case, on @alarm_clock, or on CLOCK_REALTIME for the host view of a
     * source with @wall_is_realtime.
     *
     * Returns: by how many ns after the deadline the core's timer is to back
     * the source up; 0 if the source leaves this deadline to it; INT64_MAX for
     * no timer
     */
    int64_t (*arm)(HostClock *hc, HostClockViewType view, int64_t deadline_ns);

    /** @alarm_name: (optional) says what @arm uses, for query-host-clocks */
    const char *(*alarm_name)(HostClock *hc);

    /** @device: (optional) the host device it opens, for query-host-clocks */
    const char *(*device)(HostClock *hc);

    /** @method: (optional) how it is read now, for query-host-clocks */
    HostClockMethod (*method)(HostClock *hc);
};

/* What is behind a HostClockView.  See host-clock-view.c. */
typedef struct HostClockViewState {
    HostClockView view;
    HostClock *clock;
    HostClockViewType type;
    QEMUTimerList *timers;

    /* Timers are being run; the alarm is armed afterwards, once for all. */
    bool running_timers;
    /* Serializes computing a deadline and arming the alarm with it. */
    QemuMutex alarm_lock;
    HostClockOsTimer *alarm;

    NotifierList step_notifiers;
    NotifierList rebase_notifiers;

    /* vm view: time is mono_ns + vm_offset_ns while the VM runs */
    QemuSeqLock vm_lock;
    bool vm_running;
    int64_t vm_offset_ns;
    VMChangeStateEntry *vm_state_entry;
} HostClockViewState;

struct HostClock {
    Object parent_obj;

    const HostClockClass *ops;
    bool opened;
    uint32_t users;
    QLIST_ENTRY(HostClock) next;

    HostClockReading start;
    HostClockViewState *views[HOST_CLOCK_VIEW_TYPE__MAX];
    QEMUBH *event_bh;
    /* Wakes up when CLOCK_REALTIME is set, if that is the wall time. */
    HostClockOsTimer *step_watch;

    /* Highest mono_ns handed out. */
    Stat64 mono_floor;

    /* Protects what follows; held for a few instructions only. */
    QemuSpin lock;
    /* Steps: where wall_ns - mono_ns was when last looked at. */
    int64_t wall_offset_ns;
    int64_t wall_offset_at_ns;
    int64_t last_step_ns;
    int64_t pending_step_ns;
    uint32_t generation;
    bool state_changed;
    HostClockState state;
    char *message;
    /* Holdover: the last good mono_ns, and CLOCK_MONOTONIC at that moment. */
    int64_t good_mono_ns;
    int64_t good_at_ns;
    bool held_over;
    Stat64 failed_at_ns;
    /* Added to what the source says, so that its return makes no jump. */
    int64_t mono_splice_ns;
};

/**
 * host_clock_view_expired: run the timers of a view that are due
 * @view: a view; needs the BQL, main loop only
 *
 * Arms the view's alarm again afterwards.
 */
void host_clock_view_expired(HostClockViewState *view);

/**
 * host_clock_view_stepped: tell a host view that wall time has jumped
 * @view: the host view; needs the BQL, main loop only
 * @step_ns: by how much
 */
void host_clock_view_stepped(HostClockViewState *view, int64_t step_ns);

/**
 * host_clock_view_free: release a view that has no timers left
 */
void host_clock_view_free(HostClockViewState *view);

/**
 * host_clock_check_step: look whether wall time has jumped
 * @hc: an open host clock; any thread
 * @announced: the host said that it has, so even a small change counts
 */
void host_clock_check_step(HostClock *hc, bool announced);

/**
 * host_clock_deliver_events: announce what was noticed in some thread
 * @hc: an open host clock; needs the BQL, main loop only
 *
 * Runs the timers that a step made expire, then the step notifiers, and sends
 * QMP events.  Done by itself soon after the event; a source that cannot wait
 * for the main loop calls it.
 */
void host_clock_deliver_events(HostClock *hc);

/**
 * host_clock_set_state: tell the core how the source fares
 * @hc: an open host clock; any thread
 * @state: what it does now
 * @message: what is wrong or degraded, NULL if nothing is; copied
 *
 * A change of @state is reported once, from the main loop.  A source whose
 * readings go on from an internal estimate while its device is gone calls this
 * itself; for a source whose @read fails the core does.
 */
void host_clock_set_state(HostClock *hc, HostClockState state,
                          const char *message);

/**
 * host_clock_name: the name of the source, as in -clock NAME
 */
const char *host_clock_name(HostClock *hc);

/**
 * host_clock_set_machine_default: make @hc the clock of the machine's devices
 *
 * In a file of its own so that unit tests need no machine.
 */
bool host_clock_set_machine_default(HostClock *hc, Error **errp);

/**
 * host_clock_get_machine_default: the machine's host clock, or NULL
 */
HostClock *host_clock_get_machine_default(void);

/**
 * host_clock_next: iterate over the open host clocks; needs the BQL
 * @hc: the previous one, or NULL for the first
 */
HostClock *host_clock_next(HostClock *hc);

#endif /* HW_RTC_HOST_CLOCK_INTERNAL_H */
