/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOAD library: the host's wall clock, for one process, set by a test.
 *
 * The file descriptor in $STEP_CLOCK_FD is a socket.  Each message on it is an
 * int64_t, the nanoseconds by which CLOCK_REALTIME jumps from now on; the same
 * number comes back once that is so.  Timerfds on CLOCK_REALTIME have their
 * deadlines in the time that the test has made, and those with
 * TFD_TIMER_CANCEL_ON_SET say ECANCELED when it is set, as the kernel's do.
 * $STEP_CLOCK_NS is by how much the clock is off at the start.
 *
 * One thread of the emulator uses each timer, and one thread here sets the
 * clock, so a mutex is all the locking there is.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS      1000000000LL
#define MAX_FD  1024

typedef int ClockGettime(clockid_t, struct timespec *);
typedef int TimerfdSettime(int, int, const struct itimerspec *,
                           struct itimerspec *);
typedef int TimerfdCreate(int, int);
typedef ssize_t Read(int, void *, size_t);

static struct {
    bool realtime;          /* runs on CLOCK_REALTIME */
    bool cancel_on_set;
    bool cancelled;         /* the clock was set, nobody was told yet */
} timers[MAX_FD];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t offset_ns;

static ClockGettime *real_clock_gettime;
static TimerfdSettime *real_timerfd_settime;
static TimerfdCreate *real_timerfd_create;
static Read *real_read;

/* Other libraries' constructors may look at a clock before ours has run. */
static void resolve(void)
{
    if (!real_clock_gettime) {
        real_timerfd_settime =
            (TimerfdSettime *)dlsym(RTLD_NEXT, "timerfd_settime");
        real_timerfd_create =
            (TimerfdCreate *)dlsym(RTLD_NEXT, "timerfd_create");
        real_read = (Read *)dlsym(RTLD_NEXT, "read");
        real_clock_gettime =
            (ClockGettime *)dlsym(RTLD_NEXT, "clock_gettime");
    }
}

static int64_t get_offset(void)
{
    return __atomic_load_n(&offset_ns, __ATOMIC_SEQ_CST);
}

static struct timespec from_ns(int64_t ns)
{
    /* A timerfd takes no date before 1970, and zero disarms it. */
    if (ns < 1) {
        ns = 1;
    }
    return (struct timespec) { ns / NS, ns % NS };
}

static int64_t to_ns(const struct timespec *ts)
{
    if (ts->tv_sec >= INT64_MAX / NS) {
        return INT64_MAX;
    }
    return ts->tv_sec * NS + ts->tv_nsec;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ns;

    resolve();
    if (real_clock_gettime(id, ts) != 0) {
        return -1;
    }
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        ns = to_ns(ts) + get_offset();
        ts->tv_sec = ns / NS;
        ts->tv_nsec = ns % NS;
        if (ts->tv_nsec < 0) {
            ts->tv_sec--;
            ts->tv_nsec += NS;
        }
    }
    return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec ts;

    (void)tz;               /* obsolete: gettimeofday(2) */
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *result)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (result) {
        *result = ts.tv_sec;
    }
    return ts.tv_sec;
}

int timerfd_create(int id, int flags)
{
    int fd;

    resolve();
    fd = real_timerfd_create(id, flags);
    if (fd >= 0 && fd < MAX_FD) {
        pthread_mutex_lock(&lock);
        timers[fd].realtime = id == CLOCK_REALTIME;
        timers[fd].cancel_on_set = false;
        timers[fd].cancelled = false;
        pthread_mutex_unlock(&lock);
    }
    return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *its,
                    struct itimerspec *old)
{
    struct itimerspec moved = *its;
    bool cancelled;
    int ret;

    if (fd < 0 || fd >= MAX_FD || !timers[fd].realtime) {
        return real_timerfd_settime(fd, flags, its, old);
    }
    pthread_mutex_lock(&lock);
    timers[fd].cancel_on_set = flags & TFD_TIMER_CANCEL_ON_SET;
    cancelled = timers[fd].cancelled;
    timers[fd].cancelled = false;
    if ((flags & TFD_TIMER_ABSTIME) &&
        (its->it_value.tv_sec || its->it_value.tv_nsec)) {
        int64_t ns = to_ns(&its->it_value);

        if (__builtin_sub_overflow(ns, get_offset(), &ns)) {
            ns = INT64_MAX;
        }
        moved.it_value = from_ns(ns);
    }
    ret = real_timerfd_settime(fd, flags, &moved, old);
    pthread_mutex_unlock(&lock);
    if (ret == 0 && cancelled) {
        errno = ECANCELED;
        return -1;
    }
    return ret;
}

ssize_t read(int fd, void *buf, size_t count)
{
    resolve();
    if (fd >= 0 && fd < MAX_FD && timers[fd].realtime) {
        bool cancelled;

        pthread_mutex_lock(&lock);
        cancelled = timers[fd].cancelled;
        timers[fd].cancelled = false;
        pthread_mutex_unlock(&lock);
        if (cancelled) {
            real_read(fd, buf, count);
            errno = ECANCELED;
            return -1;
        }
    }
    return real_read(fd, buf, count);
}

/* Let a timer expire at once; armed is all that it has to be. */
static void cancel(int fd)
{
    static const struct itimerspec now = { .it_value.tv_nsec = 1 };

    timers[fd].cancelled = true;
    real_timerfd_settime(fd, TFD_TIMER_ABSTIME, &now, NULL);
}

static void step(int64_t ns)
{
    pthread_mutex_lock(&lock);
    __atomic_add_fetch(&offset_ns, ns, __ATOMIC_SEQ_CST);
    for (int fd = 0; fd < MAX_FD; fd++) {
        if (timers[fd].realtime && timers[fd].cancel_on_set) {
            cancel(fd);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void *serve(void *opaque)
{
    int fd = (intptr_t)opaque;
    int64_t ns;

    while (real_read(fd, &ns, sizeof(ns)) == sizeof(ns)) {
        step(ns);
        if (write(fd, &ns, sizeof(ns)) != sizeof(ns)) {
            break;
        }
    }
    return NULL;
}

static void start(void) __attribute__((constructor));

static void start(void)
{
    const char *fd = getenv("STEP_CLOCK_FD");
    const char *ns = getenv("STEP_CLOCK_NS");
    pthread_t thread;

    resolve();
    if (ns) {
        step(atoll(ns));
    }
    if (fd) {
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)atoi(fd));
    }
}
