/*
 * Host clocks: many threads read while the clock steps, fails, comes back, and
 * the VM stops and starts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The threads are vCPUs that read the time without the BQL; the main thread has
 * it.  What a reader must never see is monotonic time that goes back, from one
 * of its own readings to the next or behind what another thread has seen.
 * Build it with -fsanitize=thread to have the locking checked as well.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qom/object_interfaces.h"
#include "system/cpu-timers.h"
#include "system/runstate.h"
#include "../../hw/rtc/host-clock-internal.h"
#include "../../hw/rtc/host-clock-sampler.h"

#define SEC         NANOSECONDS_PER_SECOND
#define READERS     4
/* Long enough for some thousand steps, and for hundreds under a sanitizer */
#define RUN_NS      (SEC / 2)
/* CLOCK_REALTIME of the test host at its start */
#define START_REAL  (1790000000 * SEC)

/* The host: real time, with wall time set by the test */

static int64_t real_offset_ns = START_REAL;

struct HostClockOsTimer {
    int armed;
};

/* This thread is slow: what it does with a time comes late. */
static __thread bool is_slow;

int64_t host_clock_os_now_ns(HostClockOsId id)
{
    int64_t now = get_clock();

    if (is_slow) {
        g_usleep(500);
    }
    return now + (id == HOST_CLOCK_OS_REALTIME ?
                  qatomic_read(&real_offset_ns) : 0);
}

int64_t host_clock_os_now_pair_ns(HostClockOsId id, int64_t *ns,
                                  int64_t *real_ns)
{
    *ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC);
    *real_ns = *ns + qatomic_read(&real_offset_ns);
    return 1;
}

HostClockOsTimer *host_clock_os_timer_new(HostClockOsId id,
                                          HostClockOsTimerCB *cb,
                                          void *opaque, Error **errp)
{
    return g_new0(HostClockOsTimer, 1);
}

void host_clock_os_timer_free(HostClockOsTimer *timer)
{
    g_free(timer);
}

/* Readers arm timers, so this is any thread. */
bool host_clock_os_timer_arm(HostClockOsTimer *timer, int64_t deadline_ns)
{
    qatomic_inc(&timer->armed);
    return true;
}

const char *host_clock_os_alarm_name(void)
{
    return "none";
}

/* The machine */

static bool vm_running;
static int64_t virtual_ns;
static VMChangeStateHandler *vm_handler;
static void *vm_opaque;

struct VMChangeStateEntry {
    int unused;
};

VMChangeStateEntry *qemu_add_vm_change_state_handler_prio(
    VMChangeStateHandler *cb, void *opaque, int priority)
{
    static VMChangeStateEntry entry;

    vm_handler = cb;
    vm_opaque = opaque;
    return &entry;
}

void qemu_del_vm_change_state_handler(VMChangeStateEntry *entry)
{
    vm_handler = NULL;
}

bool runstate_is_running(void)
{
    return vm_running;
}

int64_t cpus_get_virtual_clock(void)
{
    return qatomic_read(&virtual_ns);
}

void cpus_set_virtual_clock(int64_t new_time)
{
    qatomic_set(&virtual_ns, new_time);
}

HostClock *host_clock_get_machine_default(void)
{
    return NULL;
}

bool host_clock_set_machine_default(HostClock *hc, Error **errp)
{
    return true;
}

/* A source that fails, and that runs back, when the test wants it to */

#define TYPE_SHAKY HOST_CLOCK_PREFIX "shaky"

static int shaky_ret;
static int64_t shaky_back_ns;

static bool shaky_open(HostClock *hc, Error **errp)
{
    return true;
}

static void shaky_close(HostClock *hc)
{
}

static int shaky_read(HostClock *hc, HostClockParts parts, HostClockReading *r)
{
    host_clock_os_now_pair_ns(HOST_CLOCK_OS_MONOTONIC, &r->mono_ns,
                              &r->wall_ns);
    r->mono_ns -= qatomic_read(&shaky_back_ns);
    return qatomic_read(&shaky_ret);
}

static void shaky_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "test";
    k->may_fail = true;
    k->open = shaky_open;
    k->close = shaky_close;
    k->read = shaky_read;
}

static const TypeInfo shaky_info = {
    .name = TYPE_SHAKY,
    .parent = TYPE_HOST_CLOCK,
    .class_init = shaky_class_init,
};

static HostClock *open_shaky(const char *id)
{
    Object *obj = object_new(TYPE_SHAKY);

    object_property_add_child(object_get_objects_root(), id, obj);
    user_creatable_complete(USER_CREATABLE(obj), &error_abort);
    return HOST_CLOCK(obj);
}

static void close_shaky(HostClock *hc)
{
    object_unparent(OBJECT(hc));
    object_unref(OBJECT(hc));
}

/* The readers */

typedef struct Shared {
    HostClock *hc;
    HostClockView *views[HOST_CLOCK_VIEW_TYPE__MAX];
    Stat64 rt_seen;
    bool stop;
    uint64_t reads;
} Shared;

/*
 * What all threads had seen before this one looked must not be ahead of it.
 */
static int64_t check_rt(Shared *s)
{
    int64_t seen = stat64_get(&s->rt_seen);
    int64_t now = host_clock_view_get_ns(s->views[HOST_CLOCK_VIEW_TYPE_RT]);

    g_assert_cmpint(now, >=, seen);
    stat64_max(&s->rt_seen, now);
    return now;
}

static void *reader(void *opaque)
{
    Shared *s = opaque;
    int64_t last_rt = 0, last_mono = 0;
    uint32_t generation = 0;
    HostClockReading r;

    while (!qatomic_read(&s->stop)) {
        int64_t rt = check_rt(s);

        g_assert_cmpint(rt, >=, last_rt);
        last_rt = rt;
        host_clock_read(s->hc, HOST_CLOCK_BOTH, &r);
        g_assert_cmpint(r.mono_ns, >=, last_mono);
        g_assert_cmpint(r.wall_ns, >=, 0);
        g_assert_cmpuint(r.generation, >=, generation);
        last_mono = r.mono_ns;
        generation = r.generation;
        g_assert_cmpint(host_clock_view_get_ns(
                            s->views[HOST_CLOCK_VIEW_TYPE_HOST]), >=, 0);
        host_clock_view_get_ns(s->views[HOST_CLOCK_VIEW_TYPE_VM]);
        qatomic_inc(&s->reads);
    }
    return NULL;
}

/* The main thread */

static void set_vm(bool running)
{
    vm_running = running;
    vm_handler(vm_opaque, running,
               running ? RUN_STATE_RUNNING : RUN_STATE_PAUSED);
}

static void timer_cb(void *opaque)
{
    QEMUTimer *timer = *(QEMUTimer **)opaque;

    timer_mod(timer, get_clock() + g_test_rand_int_range(0, SEC / 1000));
}

typedef void Disturb(Shared *s, int n);

static void disturb_step(Shared *s, int n)
{
    static const int64_t steps[] = {
        SEC, -SEC, 3600 * SEC, -3600 * SEC, 315360000 * SEC, -315360000 * SEC,
    };

    qatomic_set(&real_offset_ns, qatomic_read(&real_offset_ns) +
                steps[n % ARRAY_SIZE(steps)]);
    host_clock_check_step(s->hc, true);
}

static void disturb_failure(Shared *s, int n)
{
    static const int errors[] = { -EIO, 0, -ENODEV, 0 };

    qatomic_set(&shaky_ret, errors[n % ARRAY_SIZE(errors)]);
    qatomic_set(&shaky_back_ns, g_test_rand_int_range(0, SEC));
    /* One that fails for no longer than this is still looked at (BACK_NS). */
    qatomic_set(&s->hc->failed_at_ns.value, 1);
}

static void disturb_vm(Shared *s, int n)
{
    cpus_set_virtual_clock(virtual_ns + 1000);
    set_vm(n % 2);
}

/* Other clocks come and go, and are looked at meanwhile. */
static void disturb_close(Shared *s, int n)
{
    HostClock *other;

    qatomic_set(&shaky_ret, 0);
    other = open_shaky("other");
    host_clock_view_get_ns(host_clock_view(other, HOST_CLOCK_VIEW_TYPE_RT));
    host_clock_view_get_ns(host_clock_view(other, HOST_CLOCK_VIEW_TYPE_HOST));
    close_shaky(other);
}

static void disturb_all(Shared *s, int n)
{
    disturb_step(s, n);
    disturb_failure(s, n);
    disturb_vm(s, n);
    disturb_close(s, n);
}

static void test_threads(gconstpointer opaque)
{
    Disturb *disturb = *(Disturb **)opaque;
    Shared s = { .hc = open_shaky("hc0") };
    QemuThread threads[READERS];
    int64_t end = get_clock() + RUN_NS;
    QEMUTimer *timer;
    int n = 0;

    for (int i = 0; i < HOST_CLOCK_VIEW_TYPE__MAX; i++) {
        s.views[i] = host_clock_view(s.hc, i);
    }
    timer = host_clock_view_timer_new_ns(s.views[HOST_CLOCK_VIEW_TYPE_RT],
                                         timer_cb, &timer);
    timer_mod(timer, 0);
    for (int i = 0; i < READERS; i++) {
        qemu_thread_create(&threads[i], "reader", reader, &s,
                           QEMU_THREAD_JOINABLE);
    }
    while (get_clock() < end) {
        disturb(&s, n++);
        /* Readers that notice steps never leave it without work. */
        aio_poll(qemu_get_aio_context(), false);
        host_clock_view_expired(s.hc->views[HOST_CLOCK_VIEW_TYPE_RT]);
        check_rt(&s);
    }
    qatomic_set(&s.stop, true);
    for (int i = 0; i < READERS; i++) {
        qemu_thread_join(&threads[i]);
    }
    g_test_message("%d disturbances, %" PRIu64 " looks", n, s.reads);
    g_assert_cmpuint(s.reads, >, 0);
    timer_free(timer);
    qatomic_set(&shaky_ret, 0);
    qatomic_set(&shaky_back_ns, 0);
    aio_poll(qemu_get_aio_context(), false);
    close_shaky(s.hc);
    g_assert_null(host_clock_next(NULL));
}

/* The sampler: its line is bent while others read it */

typedef struct SharedSampler {
    HostClockSampler sampler;
    Stat64 seen;
    bool stop;
} SharedSampler;

static void *sampler_reader(void *opaque)
{
    SharedSampler *s = opaque;

    while (!qatomic_read(&s->stop)) {
        int64_t seen = stat64_get(&s->seen);
        int64_t now = host_clock_sampler_now(&s->sampler, NULL);

        g_assert_cmpint(now, >=, seen);
        stat64_max(&s->seen, now);
    }
    return NULL;
}

/* A source that is off by up to a millisecond this way or that, all the time */
static HostClockLook sampler_look(int64_t start)
{
    int64_t raw = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    int64_t ns = raw - start + g_test_rand_int_range(0, 2000000);

    return (HostClockLook) { { raw, raw + 1 }, { ns, ns + 1 } };
}

static void test_sampler(void)
{
    SharedSampler *s = g_new0(SharedSampler, 1);
    int64_t start = get_clock(), jump;
    HostClockLook look = sampler_look(start);
    QemuThread threads[READERS];

    host_clock_sampler_start(&s->sampler, &look);
    is_slow = true;
    for (int i = 0; i < READERS; i++) {
        qemu_thread_create(&threads[i], "reader", sampler_reader, s,
                           QEMU_THREAD_JOINABLE);
    }
    while (get_clock() < start + RUN_NS) {
        look = sampler_look(start);
        host_clock_sampler_look(&s->sampler, &look, &jump);
    }
    is_slow = false;
    qatomic_set(&s->stop, true);
    for (int i = 0; i < READERS; i++) {
        qemu_thread_join(&threads[i]);
    }
    g_assert_cmpuint(stat64_get(&s->seen), >, 0);
    g_free(s);
}

int main(int argc, char **argv)
{
    static Disturb *const step = disturb_step, *const failure = disturb_failure;
    static Disturb *const vm = disturb_vm, *const other = disturb_close;
    static Disturb *const all = disturb_all;

    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop(&error_abort);
    /* A unit test has no BQL; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
    type_register_static(&shaky_info);

    g_test_add_data_func("/host-clock/threads/step", &step, test_threads);
    g_test_add_data_func("/host-clock/threads/failure", &failure, test_threads);
    g_test_add_data_func("/host-clock/threads/stop", &vm, test_threads);
    g_test_add_data_func("/host-clock/threads/other", &other, test_threads);
    g_test_add_data_func("/host-clock/threads/all", &all, test_threads);
    g_test_add_func("/host-clock/threads/sampler", test_sampler);
    return g_test_run();
}
