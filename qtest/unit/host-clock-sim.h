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

/* Let time pass; timers fire on the way, each at its time */
void sim_advance(int64_t ns);

/* Somebody sets CLOCK_REALTIME; timers on it fire at once */
void sim_set_realtime(int64_t by_ns);

/*
 * The same, but the event has not reached the main loop yet: an armed timer
 * on REALTIME will say so when it is armed again, as the kernel's does.
 */
void sim_set_realtime_quietly(int64_t by_ns);

/* NTP: CLOCK_REALTIME and CLOCK_MONOTONIC run fast by @ppm */
void sim_slew(int ppm);

/* A thread that is about to look at REALTIME loses the CPU for @ns, @n times */
void sim_preempt(int64_t ns, int n);

/* Fault: timers fire early by @ns */
void sim_timers_early(int64_t ns);

/* Number of timers that exist, and how often one was armed */
unsigned sim_timers(void);
unsigned sim_arms(void);

/* The VM; QEMU_CLOCK_VIRTUAL passes while it runs, and jumps by the drift */
void sim_vm_start(void);
void sim_vm_stop(void);
int64_t sim_virtual_ns(void);
void sim_virtual_drift(int64_t ns);

/* Run what was scheduled for the main loop */
void sim_main_loop(void);

/* An object of a type, completed; NULL if that fails, with the error freed */
Object *sim_object_new(const char *type, const char *id);
void sim_object_del(Object *obj);

/* Called once at the beginning of main() */
void sim_init(void);

#endif
