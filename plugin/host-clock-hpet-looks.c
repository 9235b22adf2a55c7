/*
 * Host clock "hpet": having the device, and looking at its counter
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel lets nobody look at the counter who does not have the device open,
 * and that takes a comparator, of which there are few; a mapping keeps the
 * device open (drivers/char/hpet.c).  So the counter is mapped for a look every
 * few seconds, which takes some microseconds, and interpolated in between
 * (host-clock-sampler.h).  Any number of VMs can share it like this.
 *
 * A VM whose alarm is the device, or that reads the counter each time
 * (sampling=off), keeps its comparator; but not the last one.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/timer.h"
#include "host-clock-hpet.h"

/* While all comparators are taken, by VMs that look, try again. */
#define BUSY_WAIT_NS        (20 * SCALE_MS)
#define OPEN_TRIES          200
/* For so long a look may fail like that before something is wrong. */
#define BUSY_MAX_NS         (60LL * NANOSECONDS_PER_SECOND)
/* Looks come closer together until the rate is known. */
#define FAST_LOOKS          16
#define FAST_NS             NANOSECONDS_PER_SECOND
#define SLOW_NS             (16LL * NANOSECONDS_PER_SECOND)

/* Having the device, for a look or for longer */

static bool hpet_must_hold(HostClockHpet *h)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);

    return dev->fdname || dev->alarm_ready || !h->sampling;
}

static int hpet_attach(HostClockHpet *h, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    int ret = 0;

    if (dev->fd < 0) {
        ret = host_clock_dev_open(dev, errp);
    }
    if (ret == 0 && !h->counter.regs) {
        ret = hpet_counter_map(&h->counter, dev->fd, dev->name, errp);
    }
    return ret;
}

void hpet_detach(HostClockHpet *h)
{
    hpet_counter_unmap(&h->counter);
    host_clock_dev_close(HOST_CLOCK_DEV(h));
}

void hpet_detach_unless_held(HostClockHpet *h)
{
    if (!hpet_must_hold(h)) {
        hpet_detach(h);
    }
}

/* Looks, from the main loop */

/*
 * RAW stands still while the host is suspended.  If the counter went on for as
 * long, that is the truth; else it was set, and only RAW knows the time.
 *
 * Returns: by how much what the counter says is to be corrected
 */
static int64_t hpet_jumped(HostClockHpet *h, int64_t jump_ns)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);

    if (host_clock_dev_slept(dev, jump_ns)) {
        host_clock_sampler_skip(&h->sampler, jump_ns);
        host_clock_dev_run_timers(dev);
        return 0;
    }
    host_clock_sampler_relabel(&h->sampler, jump_ns);
    host_clock_dev_failed(dev, "the counter of %s was set or stopped: it is "
                          "%" PRId64 " ms off", dev->name, jump_ns / SCALE_MS);
    return -jump_ns;
}

static void hpet_take_look(HostClockHpet *h)
{
    HostClockLook look;
    uint64_t count = hpet_counter_look(&h->counter, &look);
    int64_t ns = look.ns[0], jump_ns;

    if (host_clock_sampler_look(&h->sampler, &look, &jump_ns) ==
        HOST_CLOCK_LOOK_JUMPED) {
        ns += hpet_jumped(h, jump_ns);
        h->looks = 0;
    } else {
        host_clock_dev_works(HOST_CLOCK_DEV(h));
        h->looks++;
    }
    hpet_counter_rebase(&h->counter, count, ns, look.raw_ns[0]);
    h->looked_ns = look.raw_ns[1];
}

static void hpet_look(HostClockHpet *h)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    Error *err = NULL;
    int ret = hpet_attach(h, &err);

    h->is_busy = ret == -EBUSY;
    if (ret == 0) {
        hpet_take_look(h);
    } else if (!h->is_busy ||
               host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW) -
               h->looked_ns > BUSY_MAX_NS) {
        host_clock_dev_failed(dev, "%s", error_get_pretty(err));
    }
    error_free(err);
    hpet_detach_unless_held(h);
}

static void hpet_arm_timer(HostClockHpet *h)
{
    int64_t now_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    int64_t wait_ns = h->looks < FAST_LOOKS ? FAST_NS : SLOW_NS;

    if (HOST_CLOCK(h)->state != HOST_CLOCK_STATE_RUNNING) {
        wait_ns = FAST_NS;
    } else if (h->is_busy) {
        wait_ns = g_random_int_range(1, BUSY_WAIT_NS);
    }
    host_clock_os_timer_arm(h->timer, now_ns + wait_ns);
}

void hpet_timer(void *opaque, bool clock_was_set)
{
    hpet_look(opaque);
    hpet_arm_timer(opaque);
}

/* The first look */

static bool hpet_attach_patiently(HostClockHpet *h, Error **errp)
{
    Error *err = NULL;
    int ret, tries = OPEN_TRIES;

    while ((ret = hpet_attach(h, &err)) == -EBUSY && --tries) {
        error_free(err);
        err = NULL;
        host_clock_os_sleep_ns(g_random_int_range(1, BUSY_WAIT_NS));
    }
    if (ret == -EBUSY) {
        error_append_hint(&err, "All comparators of the HPET are in use, or "
                          "the host has none.\n");
    }
    error_propagate(errp, err);
    return ret == 0;
}

bool hpet_start_looks(HostClockHpet *h, Error **errp)
{
    HostClockDev *dev = HOST_CLOCK_DEV(h);
    HostClockLook look;

    if (!hpet_attach_patiently(h, errp) ||
        !hpet_counter_start(&h->counter, dev->name, errp)) {
        hpet_detach(h);
        return false;
    }
    hpet_counter_look(&h->counter, &look);
    host_clock_sampler_start(&h->sampler, &look);
    h->looked_ns = look.raw_ns[1];
    host_clock_dev_works(dev);
    hpet_arm_timer(h);
    return true;
}
