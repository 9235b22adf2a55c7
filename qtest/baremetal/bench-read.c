/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the date, then the HPET main counter, in slices of a fixed number of
 * reads.  The clocks under test must not time themselves, so the guest knows
 * no time at all: it sends one letter on the serial line as a slice begins
 * ('d' date, 'h' HPET, '|' end of the last one) and the host stamps the
 * letters as they arrive.
 *
 * One date read is CMOS registers 0 to 9: the date and the alarm in between,
 * 10 registers, 20 port accesses.  UIP is not polled, for a wait on it would
 * time the clock and not the reading.  One HPET read is the low 32 bits of the
 * main counter, enabled.
 *
 * With cpus=N all processors do each slice's reads at once.  They take turns
 * at the RTC's index register without a lock: which register a read then gets
 * is of no interest here, and a lock would measure itself.
 *
 * Options: date=N and hpet=N, reads a slice (0: none); slices=N of each kind;
 * cpus=1 to 8.
 */
#include "cpu.h"

/*
 * What the other processors are to do, a new number each time; and how often
 * one of them has done it.
 * volatile: the other processors change it, or look at it.
 */
static void (*volatile shared_read)(void);
/* volatile: as above */
static volatile uint32_t shared_reads, shared_order, shared_done;
static uint32_t others;

static void read_date(void)
{
    for (uint8_t i = RTC_SECONDS; i <= RTC_YEAR; i++) {
        cmos_read(i);
    }
}

static void read_hpet(void)
{
    hpet_read(HPET_COUNTER);
}

static void read_many(void (*read)(void), uint32_t reads)
{
    while (reads--) {
        read();
    }
}

static void other_processor(void)
{
    uint32_t done = 0;

    for (;;) {
        while (done == shared_order) {
            cpu_relax();
        }
        read_many(shared_read, shared_reads);
        done++;
        __atomic_add_fetch(&shared_done, 1, __ATOMIC_SEQ_CST);
    }
}

static void run_slice(char letter, void (*read)(void), uint32_t reads)
{
    if (!reads) {
        return;
    }
    put_char(letter);
    shared_read = read;
    shared_reads = reads;
    shared_order++;
    read_many(read, reads);
    while (shared_done != others * shared_order) {
        cpu_relax();
    }
}

int guest_main(void)
{
    uint32_t date = option("date", 10000);
    uint32_t hpet = option("hpet", 50000);
    uint32_t slices = option("slices", 1);

    if (hpet && !hpet_present()) {
        put_string("bench-read: no HPET at 0xfed00000\n");
        return 1;
    }
    if (hpet) {
        hpet_enable();
    }
    others = option("cpus", 1) - 1;
    if (others && !cpu_start_others(others, other_processor)) {
        put_string("bench-read: not as many processors\n");
        return 1;
    }
    /* For callgrind: what the firmware does must not count. */
    cpu_id();
    /* In turn, so that a slow spell of the host meets both kinds. */
    while (slices--) {
        run_slice('d', read_date, date);
        run_slice('h', read_hpet, hpet);
    }
    put_char('|');
    return 0;
}
