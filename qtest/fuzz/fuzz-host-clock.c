/*
 * Fuzzer: a host clock whose source says anything
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The input is a list of Actions.  Whatever readings, errors, steps and stops
 * it makes, monotonic time must not go back and nothing must break.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/module.h"
#include "hw/rtc/host-clock-internal.h"
#include "host-clock-sim.h"
#include "system/runstate.h"

#define TYPE_ANY HOST_CLOCK_PREFIX "any"

typedef struct Action {
    uint8_t what;
    uint8_t ret;
    int64_t a, b;
} QEMU_PACKED Action;

static struct {
    int64_t mono_ns, wall_ns;
    int ret;
} any;

static int64_t last_rt, last_vm;

static bool any_open(HostClock *hc, Error **errp)
{
    return true;
}

static void any_close(HostClock *hc)
{
}

static int any_read(HostClock *hc, HostClockParts parts, HostClockReading *r)
{
    r->mono_ns = any.mono_ns;
    r->wall_ns = any.wall_ns;
    return any.ret;
}

static void any_class_init(ObjectClass *oc, void *data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "fuzzer";
    k->may_fail = true;
    k->open = any_open;
    k->close = any_close;
    k->read = any_read;
}

static const TypeInfo any_info = {
    .name = TYPE_ANY,
    .parent = TYPE_HOST_CLOCK,
    .class_init = any_class_init,
};

static void timer_cb(void *opaque)
{
}

static void look(HostClock *hc)
{
    HostClockReading r;
    int64_t rt = host_clock_view_get_ns(
        host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_RT));
    int64_t vm = host_clock_view_get_ns(
        host_clock_view(hc, HOST_CLOCK_VIEW_TYPE_VM));

    g_assert(rt >= last_rt);
    g_assert(!runstate_is_running() || vm >= last_vm);
    last_rt = rt;
    last_vm = vm;
    host_clock_read(hc, HOST_CLOCK_BOTH, &r);
    g_assert(r.wall_ns >= 0 && r.mono_ns >= last_rt);
}

static void act(HostClock *hc, QEMUTimer **timers, const Action *action)
{
    switch (action->what % 8) {
    case 0:
        any.mono_ns = action->a;
        any.wall_ns = action->b;
        any.ret = -(action->ret % 4 == 3);
        break;
    case 1:
        any.mono_ns += action->a % NANOSECONDS_PER_SECOND;
        any.wall_ns += action->b % NANOSECONDS_PER_SECOND;
        break;
    case 2:
        /* A source that stands still has its alarm come every 100 ns. */
        sim_advance((uint64_t)action->a % SCALE_MS);
        break;
    case 3:
        timer_mod(timers[action->ret % HOST_CLOCK_VIEW_TYPE__MAX], action->a);
        break;
    case 4:
        host_clock_check_step(hc, action->ret & 1);
        break;
    case 5:
        sim_vm_start();
        last_vm = 0;
        break;
    case 6:
        sim_vm_stop();
        break;
    case 7:
        sim_main_loop();
        break;
    }
}


int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    sigset_t set;

    sim_init();
    /* The main loop has blocked the signal of libFuzzer's -timeout. */
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    type_register_static(&any_info);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    QEMUTimer *timers[HOST_CLOCK_VIEW_TYPE__MAX];
    HostClock *hc;

    sim_reset(NANOSECONDS_PER_SECOND, NANOSECONDS_PER_SECOND);
    memset(&any, 0, sizeof(any));
    last_rt = last_vm = 0;
    hc = HOST_CLOCK(sim_object_new(TYPE_ANY, "hc0"));
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        timers[i] = host_clock_view_timer_new_ns(host_clock_view(hc, i),
                                                 timer_cb, NULL);
    }
    for (; size >= sizeof(Action); size -= sizeof(Action)) {
        act(hc, timers, (const Action *)data);
        look(hc);
        data += sizeof(Action);
    }
    sim_main_loop();
    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        timer_free(timers[i]);
    }
    sim_object_del(OBJECT(hc));
    return 0;
}
