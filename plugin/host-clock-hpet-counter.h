/*
 * Host clock "hpet": the main counter
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_RTC_HOST_CLOCK_HPET_COUNTER_H
#define HW_RTC_HOST_CLOCK_HPET_COUNTER_H

#include "qemu/seqlock.h"
#include "host-clock-sampler.h"

/**
 * HpetCounter: the mapped counter, as a time in ns
 * @regs: the registers, or NULL while they are not mapped
 * @regs_len: how many bytes of them are mapped
 * @period_fs: femtoseconds a tick
 * @is_64: it has 64 bits, and they can be read at once
 * @lock: protects what follows
 * @base_count: the counter at some moment,
 * @base_ns: the time then,
 * @base_raw_ns: and CLOCK_MONOTONIC_RAW
 */
typedef struct HpetCounter {
    const void *regs;
    size_t regs_len;
    uint32_t period_fs;
    bool is_64;

    QemuSeqLock lock;
    uint64_t base_count;
    int64_t base_ns;
    int64_t base_raw_ns;
} HpetCounter;

/**
 * hpet_counter_map: map the counter
 * @c: a counter that is not mapped
 * @fd: the open device
 * @name: its name, for messages
 * @errp: error
 *
 * The kernel keeps the device open for as long as it is mapped.
 *
 * Returns: 0, or -errno with @errp set
 */
int hpet_counter_map(HpetCounter *c, int fd, const char *name, Error **errp);

/**
 * hpet_counter_unmap: undo hpet_counter_map()
 * @c: a counter, mapped or not; nobody reads it
 */
void hpet_counter_unmap(HpetCounter *c);

/**
 * hpet_counter_start: check a mapped counter, and begin with 0 ns
 * @c: a counter
 * @name: its name, for messages
 * @errp: error
 *
 * Returns: true; false with @errp set if this is not an HPET that counts
 */
bool hpet_counter_start(HpetCounter *c, const char *name, Error **errp);

/**
 * hpet_counter_look: look at the counter, as closely as can be had
 * @c: a counter that is mapped
 * @look: what the look tells
 *
 * Returns: what the counter was, for hpet_counter_rebase()
 */
uint64_t hpet_counter_look(HpetCounter *c, HostClockLook *look);

/**
 * hpet_counter_rebase: say which time the counter stands for
 * @c: a counter; one thread at a time
 * @count: what it was at some moment,
 * @ns: the time then,
 * @raw_ns: and CLOCK_MONOTONIC_RAW
 */
void hpet_counter_rebase(HpetCounter *c, uint64_t count, int64_t ns,
                         int64_t raw_ns);

/**
 * hpet_counter_read: one reading of the counter
 * @c: a counter that stays mapped; any thread
 * @error_ns: half-width of the interval of the true time, in ns
 *
 * Nonsense if the counter was set or stands still.
 *
 * Returns: its time in ns
 */
int64_t hpet_counter_read(HpetCounter *c, int64_t *error_ns);

#endif /* HW_RTC_HOST_CLOCK_HPET_COUNTER_H */
