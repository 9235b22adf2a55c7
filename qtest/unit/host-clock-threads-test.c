/*
 * A host for tests with many threads
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "monitor/monitor.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/rcu.h"
#include "qom/object_interfaces.h"
#include "system/cpu-timers.h"
#include "host-clock-threads-test.h"

#include <dlfcn.h>
#include <sys/syscall.h>

/* The host: real time, with wall time set by the test */

int64_t real_offset_ns = START_REAL;

__thread bool is_slow;
#define SLOW_US     20000

HostClockSampler sampler;
int64_t peeked_ns;

/* Of accel/ nothing is linked. */
bool kvm_allowed;

static void peek(void)
{
    is_slow = false;
    /* An odd number: the writer is at work, and a reader would wait. */
    if (!(qatomic_read(&sampler.lock.sequence) & 1)) {
        peeked_ns = host_clock_sampler_now(&sampler);
    }
    is_slow = true;
}

static int (*real_clock_gettime)(clockid_t id, struct timespec *ts);

int clock_gettime(clockid_t id, struct timespec *ts)
{
    bool is_real = id == CLOCK_REALTIME;
    clockid_t real_id = is_real ? CLOCK_MONOTONIC : id;
    int ret = real_clock_gettime ? real_clock_gettime(real_id, ts) :
                                   syscall(SYS_clock_gettime, real_id, ts);

    if (is_real) {
        ts->tv_sec += qatomic_read(&real_offset_ns) / SEC;
    }
    if (is_slow) {
        usleep(SLOW_US);
        peek();
    }
    return ret;
}

bool host_clock_os_watch(void (*cb)(void))
{
    return false;
}

/* Hundreds of messages, which say nothing here */

int error_vprintf(const char *fmt, va_list ap)
{
    return 0;
}

int error_vprintf_unless_qmp(const char *fmt, va_list ap)
{
    return 0;
}

/* The machine, whose virtual time test-cpu-clock-base is about */

int64_t cpus_get_virtual_clock(void)
{
    return get_clock();
}

void cpus_set_virtual_clock(int64_t new_time)
{
    g_assert_not_reached();
}

int64_t cpus_virtual_clock_sleep_ns(int64_t delta_ns)
{
    return delta_ns;
}

/* The vm view is QEMU's own clock here. */
void cpu_set_clock_base(CPUClockBase *base)
{
}

/* A source that is sampled; its wall time is as much ahead as REALTIME's. */

#define TYPE_BENT HOST_CLOCK_PREFIX "bent"

static int64_t sampler_from_ns;
int64_t suspended_ns;

HostClockSample sample_now(void)
{
    int64_t raw_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    int64_t ns = raw_ns - sampler_from_ns + suspended_ns +
                 g_test_rand_int_range(0, 2000000);

    return (HostClockSample) { { raw_ns, raw_ns + 1 }, { ns, ns + 1 } };
}

static bool bent_open(HostClock *hc, Error **errp)
{
    HostClockSample sample;

    sampler_from_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW);
    sample = sample_now();
    host_clock_sampler_start(&sampler, &sample);
    return true;
}

static int64_t bent_mono_ns(HostClock *hc)
{
    return host_clock_sampler_now(&sampler);
}

static void bent_pair(HostClock *hc, HostClockReading *r)
{
    r->mono_ns = host_clock_sampler_now_error(&sampler, &r->error_ns);
    r->wall_ns = r->mono_ns + qatomic_read(&real_offset_ns);
}

static void bent_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "test";
    k->open = bent_open;
    k->mono_ns = bent_mono_ns;
    k->pair = bent_pair;
}

/* A source of which a thread that is slow takes a reading, and then sleeps */

#define TYPE_LATE HOST_CLOCK_PREFIX "late"

int64_t late_wall_ns;
bool late_has_read;
bool late_is_over;

static int64_t late_mono_ns(HostClock *hc)
{
    return SEC;
}

static void late_pair(HostClock *hc, HostClockReading *r)
{
    r->mono_ns = SEC;
    r->wall_ns = qatomic_read(&late_wall_ns);
    r->error_ns = 0;
    if (is_slow) {
        qatomic_set(&late_has_read, true);
        /* The other one may have to wait for this one. */
        for (int i = 0; i < 200 && !qatomic_read(&late_is_over); i++) {
            usleep(1000);
        }
    }
}

static void late_class_init(ObjectClass *oc, HostClockClassData data)
{
    HostClockClass *k = HOST_CLOCK_CLASS(oc);

    k->description = "test";
    k->mono_ns = late_mono_ns;
    k->pair = late_pair;
}

static const TypeInfo test_types[] = {
    {
        .name = TYPE_BENT,
        .parent = TYPE_HOST_CLOCK,
        .class_init = bent_class_init,
    },
    {
        .name = TYPE_LATE,
        .parent = TYPE_HOST_CLOCK,
        .class_init = late_class_init,
    },
};

HostClock *open_clock(const char *name, const char *id)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj = object_new(type);

    object_property_add_child(object_get_objects_root(), id, obj);
    user_creatable_complete(USER_CREATABLE(obj), &error_abort);
    return HOST_CLOCK(obj);
}

void close_clock(HostClock *hc)
{
    object_unparent(OBJECT(hc));
    object_unref(OBJECT(hc));
}

void main_loop(void)
{
    for (int i = 0; i < 3; i++) {
        main_loop_wait(true);
    }
}

void threads_test_init(void)
{
    /* A system call for each look would be too slow to see what is wrong. */
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    qemu_init_main_loop(&error_abort);
    rcu_disable_atfork();
    /* A unit test has no BQL; the stub says that it is held from now on. */
    rust_bql_mock_lock();
    module_call_init(MODULE_INIT_QOM);
    type_register_static_array(test_types, ARRAY_SIZE(test_types));
}
