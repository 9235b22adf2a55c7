/*
 * Host clocks: what a source has to do, and what it can call
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For the files that implement a source.  Devices include hw/rtc/host-clock.h.
 */

#ifndef HW_RTC_HOST_CLOCK_SOURCE_H
#define HW_RTC_HOST_CLOCK_SOURCE_H

#include "hw/rtc/host-clock.h"
#include "qemu/queue.h"
#include "qemu/thread.h"
#include "system/cpu-timers.h"
#include "host-clock-os.h"

#define HOST_CLOCK_PREFIX TYPE_HOST_CLOCK "-"

/* Wall time ends here, so that sums with deadlines of devices are in range. */
#define HOST_CLOCK_END_S (INT64_MAX / NANOSECONDS_PER_SECOND - 365 * 86400)
#define HOST_CLOCK_END_NS                                                    \
    ((int64_t)(HOST_CLOCK_END_S * NANOSECONDS_PER_SECOND))
/* No suspend is shorter. */
#define HOST_CLOCK_SUSPEND_MIN_NS (100 * SCALE_MS)

/* What class_init is given: void * in QEMU 10.0, const void * from 10.1 on */
typedef typeof_field(TypeInfo, class_data) HostClockClassData;

/**
 * HostClockClass: a source of time, a subclass of TYPE_HOST_CLOCK
 *
 * It must provide @mono_ns; the rest has defaults, which the core applies.
 */
struct HostClockClass {
    ObjectClass parent_class;

    /** @description: what it is, in one line, for -clock help */
    const char *description;
    /** @rating: place in -clock help; higher comes first */
    int rating;
    /** @is_system: the views are QEMU's own clocks; TYPE_HOST_CLOCK_SYSTEM */
    bool is_system;
    /** @moves_when_told: steps are those that were asked for */
    bool moves_when_told;
    /** @time_scale: of wall time */
    HostClockTimeScale time_scale;
    /** @counts_as_qemu: @mono_ns counts what get_clock() counts */
    bool counts_as_qemu;
    /**
     * @rate_error_ppb: by how many parts in 10^9 the rate of @mono_ns may
     * differ from that of CLOCK_MONOTONIC, in either direction
     */
    uint32_t rate_error_ppb;
    /**
     * @step_reference: against which clock of the host a step of CLOCK_REALTIME
     * is measured; CLOCK_MONOTONIC by default
     */
    HostClockOsId step_reference;

    /**
     * @open: (optional) get hold of the source
     *
     * Called once, with the BQL, after the properties have been set.
     *
     * Returns: true; or false, without @close, and @errp names the device
     */
    bool (*open)(HostClock *hc, Error **errp);

    /** @close: (optional) release what @open acquired; with the BQL, once */
    void (*close)(HostClock *hc);

    /**
     * @mono_ns: monotonic time
     *
     * Called from many threads at once, without the BQL, between @open and
     * @close.  It must not block, it cannot fail, and no thread may see it go
     * back.
     *
     * Returns: ns from an arbitrary epoch, 0 to INT64_MAX / 2
     */
    int64_t (*mono_ns)(HostClock *hc);

    /**
     * @pair: (optional) monotonic and wall time of one instant
     *
     * For a source with a wall time of its own; threads as for @mono_ns.  It
     * fills in all but @generation, and in error_ns what @error_ns does not
     * say.  By default wall time is CLOCK_REALTIME.
     */
    void (*pair)(HostClock *hc, HostClockReading *reading);

    /**
     * @error_ns: (optional) half-width in ns of the interval that holds the
     * true monotonic time; threads as for @mono_ns; default 0
     */
    int64_t (*error_ns)(HostClock *hc);

    /**
     * @sleep_ns: (optional) how long to sleep
     * @delta_ns: until this much of @mono_ns will have passed; not negative
     *
     * Threads as for @mono_ns.  To sleep too short does no harm.
     *
     * Returns: ns of CLOCK_MONOTONIC; -1 to sleep until something happens
     */
    int64_t (*sleep_ns)(HostClock *hc, int64_t delta_ns);

    /**
     * @parent_delta_ns: (optional) how far its parent has to go
     * @delta_ns: until this much of @mono_ns will have passed; -1: for ever
     *
     * In place of @sleep_ns for a clock that is made of another one, which
     * @open puts into HostClock.parent.  Threads as for @mono_ns.
     *
     * Returns: ns of the parent's @mono_ns, -1 for -1
     */
    int64_t (*parent_delta_ns)(HostClock *hc, int64_t delta_ns);

    /**
     * @clock_was_set: (optional) CLOCK_REALTIME was set, or the host has been
     * suspended; from the main loop, with the BQL
     */
    void (*clock_was_set)(HostClock *hc);
};

struct HostClock {
    Object parent_obj;

    const HostClockClass *ops;
    bool opened;
    /* Is, or was, the machine's */
    bool is_kept;
    /* The one it is made of, or NULL; how many are made of it */
    HostClock *parent;
    unsigned n_children;
    QLIST_ENTRY(HostClock) next;
    CPUClockBase base;
    HostClockReading start;
    QEMUBH *event_bh;
    /* Steps that no event has told, and when the last one did; with the BQL */
    HostClockStep untold;
    int64_t told_at_ns;
    QEMUTimer *event_timer;
    /* For query-host-clocks; @method is how @device, if any, is read */
    const char *alarm_name;
    const char *device;
    const char *clock_name;
    HostClockMethod method;

    /* Protects what follows; any thread. */
    QemuMutex lock;
    /*
     * Steps: where wall_ns - mono_ns was at the last look, when that was, and
     * what CLOCK_MONOTONIC was
     */
    int64_t wall_offset_ns;
    int64_t wall_offset_at_ns;
    int64_t wall_offset_os_ns;
    /* How long the host had been suspended when that was told, and at first */
    int64_t suspended_ns;
    int64_t open_suspended_ns;
    uint32_t generation;
    /* The last ones, that of generation N at N modulo their number */
    HostClockStep steps[8];
    HostClockStep pending;
    /* From where on the rate is measured */
    int64_t rate_raw_ns;
    int64_t rate_mono_ns;
    /* Holdover.  A source whose @open is not done yet sets it to ACQUIRING. */
    HostClockState state;
    bool state_changed;
    char *failure;
    char *degraded;
    /* CLOCK_MONOTONIC at the last failure */
    int64_t failed_at_ns;
};

/**
 * host_clock_report_failure: the source goes on from an estimate of its own
 * @hc: an open host clock; any thread
 * @fmt: what is wrong, as a sentence without a full stop
 *
 * It is in holdover until host_clock_report_ok(), which is announced once.
 */
void G_GNUC_PRINTF(2, 3) host_clock_report_failure(HostClock *hc,
                                                   const char *fmt, ...);

/**
 * host_clock_report_ok: the source works; any thread
 *
 * Ends a holdover of @hc, unless it failed less than a second ago.
 */
void host_clock_report_ok(HostClock *hc);

/** host_clock_report_acquired: @hc, in state ACQUIRING, is open; needs BQL */
void host_clock_report_acquired(HostClock *hc);

/**
 * host_clock_report_degraded: the source works, but not as the user wished
 * @hc: a host clock; needs the BQL
 * @fmt: what cannot be had, as a sentence without a full stop; NULL: nothing
 *
 * Says so once, and in query-host-clocks for as long as it holds.
 */
void G_GNUC_PRINTF(2, 3) host_clock_report_degraded(HostClock *hc,
                                                    const char *fmt, ...);

/**
 * host_clock_default_sleep_ns: what HostClockClass.sleep_ns is by default
 * @hc: an open host clock; any thread
 * @delta_ns: time of @hc in ns; not negative
 *
 * Returns: ns of CLOCK_MONOTONIC: @delta_ns, or less if @rate_error_ppb could
 * make the sleep end more than a millisecond too late
 */
int64_t host_clock_default_sleep_ns(HostClock *hc, int64_t delta_ns);

/**
 * host_clock_check_step: look whether wall time has stepped
 * @hc: an open host clock; any thread
 * @announced: the host or the source said so: even a small change counts
 */
void host_clock_check_step(HostClock *hc, bool announced);

/**
 * host_clock_deliver_events: announce what was noticed in some thread
 * @hc: an open host clock; needs the BQL, main loop only
 *
 * Runs the timers that a step made expire, then the step notifiers, and sends
 * QMP events.  Done by itself soon; for a source that cannot wait.
 */
void host_clock_deliver_events(HostClock *hc);

/**
 * host_clock_mono_jumped: time has jumped forward, or its rate has changed
 * @hc: an open host clock, whose deadlines are looked at again; needs the BQL
 */
void host_clock_mono_jumped(HostClock *hc);

/**
 * host_clock_may_set: can the property @name of the host clock @obj be set now
 *
 * Returns: true; false with @errp set when the clock is open
 */
bool host_clock_may_set(Object *obj, const char *name, Error **errp);

/*
 * Define get_FIELD() and set_FIELD(), for object_class_property_add(): a field
 * of @CAST(obj) that can be set until the clock is open.  @FREE takes the old
 * value: g_free for a string, else (void).
 */
#define HOST_CLOCK_PROPERTY(CAST, FIELD, VISIT, FREE)                         \
    static void get_ ## FIELD(Object *obj, Visitor *v, const char *name,      \
                              void *opaque, Error **errp)                     \
    {                                                                         \
        VISIT(v, name, &CAST(obj)->FIELD, errp);                              \
    }                                                                         \
                                                                              \
    static void set_ ## FIELD(Object *obj, Visitor *v, const char *name,      \
                              void *opaque, Error **errp)                     \
    {                                                                         \
        if (host_clock_may_set(obj, name, errp)) {                            \
            FREE(CAST(obj)->FIELD);                                           \
            VISIT(v, name, &CAST(obj)->FIELD, errp);                          \
        }                                                                     \
    }

/** host_clock_name: the name of the source, as in -clock NAME */
const char *host_clock_name(HostClock *hc);

#endif /* HW_RTC_HOST_CLOCK_SOURCE_H */
