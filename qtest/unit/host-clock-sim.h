/*
 * A simulated host for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stands in for hw/rtc/host-clock-os.c, the machine and the run state.  Time
 * moves only when a test says so; a test is one thread, so nothing here locks.
 */

#ifndef TESTS_UNIT_HOST_CLOCK_SIM_H
#define TESTS_UNIT_HOST_CLOCK_SIM_H

#include "qom/object.h"

/* Set the clocks, stop the VM, forget the timers and faults of another test */
void sim_reset(int64_t mono_ns, int64_t real_ns);

int64_t sim_mono_ns(void);
int64_t sim_real_ns(void);
int64_t sim_raw_ns(void);

/* Let time pass; timers fire on the way, each at its time */
void sim_advance(int64_t ns);

/* Somebody sets CLOCK_REALTIME; timers on it fire at once */
void sim_set_realtime(int64_t by_ns);

/* Time passes while the main loop is stuck: no timer fires, nothing is read */
void sim_block(int64_t ns);

/* The host is suspended; MONOTONIC and RAW stand still, REALTIME does not */
void sim_suspend(int64_t ns, bool devices_go_on);

/*
 * The same, but the event has not reached the main loop yet: an armed timer
 * on REALTIME will say so when it is armed again, as the kernel's does.
 */
void sim_set_realtime_quietly(int64_t by_ns);

/* After each of the next @n looks at REALTIME it is set like that. */
void sim_set_realtime_after_looks(int64_t by_ns, int n);

/* NTP: CLOCK_REALTIME and CLOCK_MONOTONIC run fast by @ppm */
void sim_slew(int ppm);

/* A thread that is about to look at REALTIME loses the CPU for @ns, @n times */
void sim_preempt(int64_t ns, int n);

/* Fault: timers fire early by @ns */
void sim_timers_early(int64_t ns);

/* Fault: timers fire late by up to @ns at random */
void sim_timers_late(int64_t ns);

/* Fault: who sleeps wakes up late by up to @ns at random */
void sim_sleeps_late(int64_t ns);

/* Number of timers that exist, and how often one was armed */
unsigned sim_timers(void);
unsigned sim_arms(void);

/* The VM; QEMU_CLOCK_VIRTUAL passes while it runs, and jumps by the drift */
void sim_vm_start(void);
void sim_vm_stop(void);
int64_t sim_virtual_ns(void);
void sim_virtual_drift(int64_t ns);

/*
 * The devices, in host-clock-sim-dev.c.  A test changes these to its liking;
 * sim_reset() makes both present and in order.
 */
typedef struct SimHpet {
    bool missing;
    int open_errno;
    int info_errno;
    int map_errno;
    int enable_errno;
    /* How many can be open at a time, and how many others have open */
    int comparators;
    int others;
    /* The others close one after so many attempts */
    int others_stay;
    bool is_32;
    uint32_t period_fs;
    int ppm;
    bool stopped;
    bool silent;            /* interrupts do not come */
    bool hostile;           /* the counter is anything */
    int64_t load_ns;        /* what a look costs */
    unsigned max_user_freq; /* 0: no limit */
} SimHpet;

typedef struct SimRtc {
    bool missing;
    int open_errno;
    int read_errno;
    int uie_errno;
    bool busy;
    bool no_sysfs;
    bool gone;
    bool silent;
    bool hostile;
    int ppm;
    int64_t late_ns;        /* interrupts come late by up to this */
    int64_t read_ns;        /* what a look costs */
    unsigned max_user_freq;
    const char *adjtime;    /* what /etc/adjtime holds, or NULL */
} SimRtc;

extern SimHpet sim_hpet;
extern SimRtc sim_rtc;

/* The devices' true time, in ns; the HPET's from when it was last set */
int64_t sim_hpet_ns(void);
int64_t sim_rtc_ns(void);
/* Somebody sets them. */
void sim_hpet_set(uint64_t count);
void sim_rtc_set(int64_t ns);

/* Files that are open, mappings that exist, interrupts delivered */
int sim_dev_files(void);
int sim_dev_maps(void);
unsigned sim_dev_interrupts(void);

/* Between host-clock-sim.c and host-clock-sim-dev.c */
void sim_dev_reset(void);
void sim_dev_pass(int64_t ns);
int64_t sim_dev_remaining(void);
void sim_dev_event(void);

/* Run what was scheduled for the main loop */
void sim_main_loop(void);

/* An object of a type, completed; NULL if that fails, with the error freed */
Object *sim_object_new(const char *type, const char *id);
void sim_object_del(Object *obj);

/* Called once at the beginning of main() */
void sim_init(void);

#endif
