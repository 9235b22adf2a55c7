/*
 * A simulated host for the unit tests of the host clocks
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stands in for the C library's clocks and sleep, hw/rtc/host-clock-os-watch.c,
 * hw/rtc/host-clock-os-dev.c and system/cpu-timers.c.  QEMU's own timers and
 * main loop are the real ones, and run on simulated time.  Time moves only when
 * a test says so, and by a few nanoseconds whenever a clock is read; a test is
 * one thread, so nothing here locks.
 */

#ifndef TESTS_UNIT_HOST_CLOCK_SIM_H
#define TESTS_UNIT_HOST_CLOCK_SIM_H

#include <sys/timex.h>

#include "hw/rtc/host-clock.h"

/* Of the last step; 0 if there was none */
int64_t last_step_ns(HostClock *hc);

/* Called once at the beginning of main() */
void sim_init(void);

/*
 * To make a clock the machine's is for good, so it takes a process of its own:
 * a test begins with "if (sim_in_subprocess()) return;".
 */
bool sim_in_subprocess(void);

/* Clocks are real until simulated time is wanted again: for a fuzzer's own */
void sim_real_time(bool on);

/* Set the clocks, stop the VM, forget the faults of another test */
void sim_reset(int64_t mono_ns, int64_t real_ns);

int64_t sim_mono_ns(void);
int64_t sim_real_ns(void);
int64_t sim_raw_ns(void);

/*
 * Let time pass: the main loop wakes up for each timer, interrupt and announced
 * step on the way
 */
void sim_advance(int64_t ns);

/* Run what is due in the main loop now */
void sim_main_loop(void);

/* Somebody sets CLOCK_REALTIME, and the main loop is told at once */
void sim_set_realtime(int64_t by_ns);

/* The same, but the main loop is told when time passes the next time */
void sim_set_realtime_quietly(int64_t by_ns);

/* After each of the next @n readings of REALTIME it is set like that. */
void sim_set_realtime_after_looks(int64_t by_ns, int n);

/* Fault: the host does not tell when REALTIME is set; not undone by a reset */
void sim_no_watch(bool on);

/* Time passes while the main loop is stuck: no timer fires, nothing is read */
void sim_block(int64_t ns);

/*
 * The host is suspended: MONOTONIC and RAW stand still, REALTIME and BOOTTIME
 * do not.  The main loop is told when time passes the next time.
 */
void sim_suspend(int64_t ns, bool devices_go_on);

/* NTP: CLOCK_REALTIME and CLOCK_MONOTONIC run fast by @ppm */
void sim_slew(int ppm);

/* What adjtimex() says, and returns as the clock's state */
extern struct timex sim_timex;
extern int sim_timex_state;

/* A thread that is about to read REALTIME loses the CPU for @ns, @n times */
void sim_preempt(int64_t ns, int n);

/* Fault: the main loop wakes up early by @ns, once for each deadline */
void sim_timers_early(int64_t ns);

/* Fault: the main loop wakes up late by up to @ns at random */
void sim_timers_late(int64_t ns);

/* Fault: who sleeps wakes up late by up to @ns at random */
void sim_sleeps_late(int64_t ns);

/* How many of the main loop's lists have a timer that is armed */
unsigned sim_timers(void);

/* How often the main loop has been woken up by a deadline */
unsigned sim_wakeups(void);

/* The longest time that the main loop has been at work without a pause */
int64_t sim_busy_ns(void);

/* How long the main loop would sleep now, in ns; -1: until something happens */
int64_t sim_sleep_ns(void);

/* The VM; QEMU_CLOCK_VIRTUAL passes while it runs, on what the core chose */
void sim_vm_start(void);
void sim_vm_stop(void);
int64_t sim_virtual_ns(void);

/*
 * The devices, in host-clock-sim-dev.c.  A test changes these to its liking;
 * sim_reset() makes the first two present and in order.
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
    int64_t load_ns;        /* what reading a register costs */
    unsigned max_user_freq; /* 0: no limit */
} SimHpet;

typedef struct SimRtc {
    bool missing;
    int open_errno;
    int read_errno;
    bool busy;              /* another process has the device open */
    int busy_stays;         /* for so many attempts; 0: for ever */
    bool no_sysfs;
    bool gone;
    bool silent;
    bool hostile;
    int ppm;
    int64_t read_ns;        /* what reading the calendar costs */
    unsigned max_user_freq;
    const char *adjtime;    /* what /etc/adjtime holds, or NULL */
} SimRtc;

/* /dev/ptp0, in host-clock-sim-ptp.c */
typedef struct SimPtp {
    bool missing;
    bool gone;              /* and its number may have been given to another */
    bool another;           /* there is /dev/ptp3, too */
    int open_errno;
    /* The three ioctls fail so. */
    int precise_errno;
    int extended_errno;
    int plain_errno;
    const char *clock_name;
    int ppm;
    bool stopped;
    bool hostile;           /* it says anything */
    int64_t read_ns;        /* what reading it costs */
    int64_t away_ns;        /* by how much more, now and then */
    int64_t other_raw_ns;   /* the kernel's RAW less that of this process */
    int64_t set_real_ns;    /* REALTIME is set while it is read */
} SimPtp;

extern SimHpet sim_hpet;
extern SimRtc sim_rtc;
extern SimPtp sim_ptp;

/* The devices' true time, in ns; the HPET's from when it was last set */
int64_t sim_hpet_ns(void);
int64_t sim_rtc_ns(void);
int64_t sim_ptp_ns(void);
/* Somebody sets them. */
void sim_hpet_set(uint64_t count);
void sim_rtc_set(int64_t ns);
void sim_ptp_set(int64_t ns);

/* Files that are open, and mappings that exist */
int sim_dev_files(void);
int sim_dev_maps(void);
/* How often a device was opened, and the longest time that one was open */
unsigned sim_dev_opens(void);
int64_t sim_dev_held_ns(void);
/* How often a device was read, and interrupts delivered */
unsigned sim_dev_reads(void);
unsigned sim_dev_interrupts(void);

/* Between host-clock-sim.c, host-clock-sim-dev.c and host-clock-sim-ptp.c */
void sim_dev_reset(void);
void sim_dev_pass(int64_t ns);
int64_t sim_dev_remaining(void);
void sim_dev_event(void);

#define SIM_PTP_MAJOR   249

/* The time of a device that is fast by ppm: whole ns, and millionths of one */
typedef struct SimCount {
    int64_t ns;
    int64_t millionths;
} SimCount;

void sim_count(SimCount *c, int64_t ns, int ppm);
void sim_ptp_reset(void);
void sim_ptp_pass(int64_t ns);
bool sim_ptp_path(const char *path);
ssize_t sim_ptp_read_file(const char *path, char *buf, size_t size);
int sim_ptp_ioctl(unsigned long request, void *arg);

/* An object of a type, completed; NULL if that fails, with the error freed */
Object *sim_object_new(const char *type, const char *id);
void sim_object_del(Object *obj);

#endif
