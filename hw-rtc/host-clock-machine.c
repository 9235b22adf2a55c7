/*
 * Host clocks: which one is the machine's, also while the VM runs
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Any thread reads the machine's clock at any time, and takes no lock.  So a
 * clock that has once been the machine's stays in memory; object-del closes it,
 * and with it its device, all the same.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/seqlock.h"
#include "qom/object_interfaces.h"
#include "system/kvm.h"
#include "system/qtest.h"
#include "system/replay.h"
#include "host-clock-internal.h"
#include "trace.h"

static HostClock *machine_clock;
static bool was_chosen;
static bool has_begun;
static bool has_own_views;

/* What the rt view adds to the clock's time.  Written with the BQL */
static QemuSeqLock rt_lock;
static int64_t rt_offset_ns;

HostClock *host_clock_system(void)
{
    static HostClock *system_clock;

    if (!system_clock) {
        Object *obj = object_new(TYPE_HOST_CLOCK_SYSTEM);

        user_creatable_complete(USER_CREATABLE(obj), &error_abort);
        system_clock = HOST_CLOCK(obj);
    }
    return system_clock;
}

HostClock *host_clock_machine(void)
{
    HostClock *hc = qatomic_rcu_read(&machine_clock);

    if (!hc) {
        hc = host_clock_system();
        qatomic_rcu_set(&machine_clock, hc);
    }
    return hc;
}

HostClock *host_clock_chosen(void)
{
    return was_chosen ? machine_clock : NULL;
}

bool host_clock_is_machines(HostClock *hc)
{
    HostClock *machine = machine_clock;

    while (machine && machine != hc) {
        machine = machine->parent;
    }
    return machine;
}

int64_t host_clock_until_machine_ns(HostClock *hc, int64_t delta_ns)
{
    for (HostClock *c = host_clock_machine(); c != hc; c = c->parent) {
        delta_ns = c->ops->parent_delta_ns(c, delta_ns);
    }
    return delta_ns;
}

bool host_clock_has_own_views(void)
{
    return has_own_views;
}

bool host_clock_drives_vm(void)
{
    /* With -icount no deadline of the virtual clock is one of the host's. */
    return has_own_views && qemu_clock_use_for_deadline(QEMU_CLOCK_VIRTUAL);
}

int64_t host_clock_machine_wall_ns(void)
{
    return host_clock_wall_ns(host_clock_machine());
}

int64_t host_clock_machine_rt_ns(void)
{
    HostClock *hc;
    unsigned seq;
    int64_t ns;

    do {
        seq = seqlock_read_begin(&rt_lock);
        hc = host_clock_machine();
        ns = hc->ops->mono_ns(hc) + qatomic_read_i64(&rt_offset_ns);
    } while (seqlock_read_retry(&rt_lock, seq));
    return ns;
}

static void use_as_base(HostClock *hc)
{
    if (host_clock_drives_vm()) {
        cpu_set_clock_base(hc->ops->counts_as_qemu ? NULL : &hc->base);
    }
    if (kvm_enabled() && hc->parent) {
        warn_report("host clock '%s': the clocks of KVM, which are the TSC, "
                    "kvmclock and the APIC timer, are not scaled",
                    host_clock_name(hc));
    }
}

/* Who reads the old one does so before the new one is read. */
static void take_over(HostClock *hc)
{
    HostClock *old = machine_clock;

    if (!hc->is_kept) {
        hc->is_kept = true;
        object_ref(OBJECT(hc));
    }
    seqlock_write_begin(&rt_lock);
    if (has_begun) {
        int64_t rt_ns = rt_offset_ns + host_clock_mono_locked(old);

        qatomic_set_i64(&rt_offset_ns, rt_ns - hc->ops->mono_ns(hc));
    }
    qatomic_rcu_set(&machine_clock, hc);
    seqlock_write_end(&rt_lock);
    was_chosen = true;
}

bool host_clock_choose(HostClock *hc, Error **errp)
{
    assert(bql_locked());
    if (was_chosen && machine_clock != hc) {
        error_setg(errp, "host-clock=%s: the machine has the host clock '%s'",
                   host_clock_id(hc), host_clock_id(machine_clock));
        return false;
    }
    take_over(hc);
    return true;
}

bool host_clock_begin(Error **errp)
{
    ERRP_GUARD();
    HostClock *hc = host_clock_machine();

    /* With record/replay, -icount and qtest the default is QEMU's own clocks */
    has_own_views = replay_mode == REPLAY_MODE_NONE &&
        (!hc->ops->is_system ||
         (qemu_clock_use_for_deadline(QEMU_CLOCK_VIRTUAL) && !qtest_enabled()));
    has_begun = true;
    use_as_base(hc);
    host_clock_set_failover(host_clock_get_failover(), errp);
    return !*errp;
}

bool host_clock_has_begun(void)
{
    return has_begun;
}

static bool may_switch(HostClock *hc, Error **errp)
{
    const char *id = host_clock_id(hc);

    if (replay_mode != REPLAY_MODE_NONE) {
        error_setg(errp, "host-clock=%s: with record/replay the host clock "
                   "cannot be changed", id);
    } else if (!has_own_views) {
        error_setg(errp, "host-clock=%s: with -icount or -accel qtest the host "
                   "clock can be changed only if -clock chose one at the start",
                   id);
    } else if (hc->state != HOST_CLOCK_STATE_RUNNING) {
        error_setg(errp, "host-clock=%s: its state is '%s'; a clock can be "
                   "chosen once it is 'running'", id,
                   HostClockState_str(hc->state));
    } else if (hc->parent) {
        return may_switch(hc->parent, errp);
    } else {
        return true;
    }
    return false;
}

/* Returns: by how much wall time jumps, 0 if it may be the readings' error */
static int64_t wall_difference_ns(HostClock *old, HostClock *hc)
{
    HostClockReading before, now, after;
    int64_t error_ns, step_ns;

    host_clock_read_pair(old, &before);
    host_clock_read_pair(hc, &now);
    host_clock_read_pair(old, &after);
    error_ns = after.error_ns + now.error_ns +
               (after.mono_ns - before.mono_ns) / 2;
    step_ns = now.wall_ns - before.wall_ns -
              (after.wall_ns - before.wall_ns) / 2;
    return ABS(step_ns) > error_ns ? step_ns : 0;
}

bool host_clock_switch(HostClock *hc, Error **errp)
{
    HostClock *old = host_clock_machine();
    int64_t step_ns;

    assert(bql_locked());
    if (hc == old) {
        return true;
    }
    if (!may_switch(hc, errp)) {
        return false;
    }
    /* What has happened to either until now is told as what it is. */
    host_clock_check_step(old, true);
    host_clock_deliver_events(old);
    host_clock_check_step(hc, true);
    host_clock_deliver_events(hc);
    step_ns = wall_difference_ns(old, hc);
    take_over(hc);
    use_as_base(hc);
    /* For the views, which go on, QEMU was started when it was started. */
    hc->start = old->start;
    trace_host_clock_switch(host_clock_name(old), host_clock_name(hc), step_ns);
    host_clock_switched(hc, step_ns);
    host_clock_failover_look();
    return true;
}
