/*
 * Host clocks: going on with another one when the machine's has failed
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -clock names host clocks in order of preference.  With -machine
 * host-clock-failover=on the next of them takes over when the machine's has
 * been in holdover for ten seconds.  There is no way back but by hand: a device
 * that comes and goes would have time hop to and fro.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-events-host-clock.h"
#include "qemu/error-report.h"
#include "qemu/lockable.h"
#include "qemu/timer.h"
#include "host-clock-internal.h"

/* A device that others have, or that is plugged in again, is back by then. */
#define HOLDOVER_MAX_NS     (10 * NANOSECONDS_PER_SECOND)
/* How often to look whether the next one is running yet */
#define LOOK_NS             NANOSECONDS_PER_SECOND

static bool is_on;
static char **names;
static unsigned n_next;
/* We own a reference: it may be deleted. */
static HostClock *candidate;
static QEMUTimer *timer;

bool host_clock_get_failover(void)
{
    return is_on;
}

void host_clock_set_failover(bool on, Error **errp)
{
    if (on && host_clock_has_begun() && (!names || !names[n_next])) {
        error_setg(errp, "host-clock-failover=on: there is no other host clock "
                   "to go on with; name them with -clock NAME,NAME...");
        return;
    }
    is_on = on;
    if (host_clock_has_begun()) {
        host_clock_failover_look();
    }
}

void host_clock_failover_list(char **list)
{
    names = g_strdupv(list + 1);
}

static void drop_candidate(void)
{
    if (candidate && !host_clock_is_machines(candidate)) {
        object_unparent(OBJECT(candidate));
    }
    object_unref(OBJECT(candidate));
    candidate = NULL;
}

/* The next of the list that can be opened, or NULL */
static HostClock *next_candidate(void)
{
    if (candidate && !candidate->opened) {
        drop_candidate();
    }
    while (!candidate && names[n_next]) {
        g_autofree char *id = g_strdup_printf("host-clock%u", n_next + 1);
        const char *name = names[n_next++];
        Error *err = NULL;
        Object *obj = host_clock_open(name, id, &err);

        if (obj) {
            candidate = HOST_CLOCK(obj);
        } else {
            warn_reportf_err(err, "host-clock-failover: not '%s': ", name);
        }
    }
    return candidate;
}

static void go_on_with(HostClock *hc)
{
    HostClock *failed = host_clock_machine();
    g_autofree char *reason = NULL;

    WITH_QEMU_LOCK_GUARD(&failed->lock) {
        reason = g_strdup(failed->failure);
    }
    if (host_clock_switch(hc, NULL)) {
        warn_report("host-clock-failover: '%s' took over from '%s' (%s)",
                    host_clock_name(hc), host_clock_name(failed), reason);
        qapi_event_send_host_clock_failover(host_clock_id(hc),
                                            host_clock_id(failed), reason);
    }
}

static void failover_timer(void *opaque)
{
    HostClock *hc = next_candidate();

    if (!hc) {
        warn_report("host-clock-failover: no host clock is left to go on with");
    } else if (hc->state == HOST_CLOCK_STATE_RUNNING) {
        go_on_with(hc);
    } else {
        if (hc->state == HOST_CLOCK_STATE_HOLDOVER) {
            drop_candidate();
        }
        timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + LOOK_NS);
    }
}

void host_clock_failover_look(void)
{
    if (!timer) {
        timer = timer_new_ns(QEMU_CLOCK_REALTIME, failover_timer, NULL);
    }
    if (!is_on || host_clock_machine()->state != HOST_CLOCK_STATE_HOLDOVER) {
        timer_del(timer);
        /* It is tried anew the next time, unless it has taken over. */
        n_next -= candidate && !host_clock_is_machines(candidate);
        drop_candidate();
    } else if (!timer_pending(timer)) {
        timer_mod_ns(timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                            HOLDOVER_MAX_NS);
    }
}
