/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOAD library: CLOCK_MONOTONIC runs half as fast again as it should.
 * can-fail-test.py runs the experiment on an emulator that it deceives.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

#define NS 1000000000LL

int clock_gettime(clockid_t id, struct timespec *ts)
{
    static int (*real)(clockid_t, struct timespec *);
    long long ns;

    if (!real) {
        real = (int (*)(clockid_t, struct timespec *))
            dlsym(RTLD_NEXT, "clock_gettime");
    }
    if (real(id, ts) != 0) {
        return -1;
    }
    if (id == CLOCK_MONOTONIC) {
        ns = ts->tv_sec * NS + ts->tv_nsec;
        ns += ns / 2;
        ts->tv_sec = ns / NS;
        ts->tv_nsec = ns % NS;
    }
    return 0;
}
