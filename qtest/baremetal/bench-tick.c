/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stamps the periodic interrupts of the RTC, or of the HPET.
 *
 * The stamps are of the TSC, which under TCG is the host's TSC, whatever the
 * host clock.  Before and after the run the guest reads TSC and HPET counter
 * together, so that the stamps can be told in terms of the time on which the
 * interrupts are due; that this time passes as it should is for the host to
 * check, which stamps the lines.
 *
 * A turn begins when a byte comes.
 *
 * Prints, all numbers in hex:
 *   ready                      and waits for a byte
 *   run PERIOD                 cycles of 32768 Hz, or HPET ticks
 *   due TICKS                  when the first one is due (HPET)
 *   pair TICKS TSC             HPET counter and TSC at one moment; twice
 *   stamps ADDRESS NUMBER      where TSCs are in memory, 64 bits each: to print
 *                              them would take longer than the interrupts did
 *   done                       and waits for a byte
 *
 * Options: rtc=HZ or hpet=HZ; turns=N, count=N interrupts in each.
 */
#include "cpu.h"

#define MAX_STAMPS      65536
#define HPET_TICK_HZ    100000000u
/* The HPET counts from 0; its first interrupt is due at 10 ms. */
#define HPET_FIRST      (HPET_TICK_HZ / 100)
#define PAIR_TRIES      64

/* volatile: the interrupt handlers change it */
static volatile uint32_t n_stamps;
static uint64_t stamps[MAX_STAMPS];

static void stamp(uint64_t tsc)
{
    if (n_stamps < MAX_STAMPS) {
        stamps[n_stamps++] = tsc;
    }
}

static INTERRUPT void rtc_tick(struct interrupt_frame *frame)
{
    uint64_t tsc = rdtsc();

    (void)frame;
    cmos_read(RTC_REG_C);
    irq_end(IRQ_RTC);
    stamp(tsc);
}

static INTERRUPT void hpet_tick(struct interrupt_frame *frame)
{
    uint64_t tsc = rdtsc();

    (void)frame;
    irq_end(IRQ_TIMER);
    stamp(tsc);
}

/* The closest of many */
static void print_pair(void)
{
    uint64_t best = ~0ull, best_tsc = 0;
    uint32_t best_ticks = 0;

    for (int i = 0; i < PAIR_TRIES; i++) {
        uint64_t before = rdtsc();
        uint32_t ticks = hpet_read(HPET_COUNTER);
        uint64_t after = rdtsc();

        if (after - before < best) {
            best = after - before;
            best_tsc = before + best / 2;
            best_ticks = ticks;
        }
    }
    put_string("pair ");
    put_hex(best_ticks, 8);
    put_char(' ');
    put_hex(best_tsc, 16);
    put_char('\n');
}

static void print_stamps(void)
{
    put_string("stamps ");
    put_hex((uintptr_t)stamps, 8);
    put_char(' ');
    put_hex(n_stamps, 8);
    put_char('\n');
}

static void print_run(uint32_t period)
{
    put_string("run ");
    put_hex(period, 8);
    put_char('\n');
}

static void hpet_restart(uint32_t config)
{
    hpet_write(HPET_CFG, 0);
    hpet_write(HPET_COUNTER, 0);
    hpet_write(HPET_COUNTER + 4, 0);
    hpet_write(HPET_CFG, HPET_CFG_ENABLE | config);
}

static void run_rtc(uint32_t hz, uint32_t count)
{
    uint32_t period = 32768 / hz, rate = 1;

    while (1u << (rate - 1) < period) {
        rate++;
    }
    print_run(period);
    hpet_restart(0);
    print_pair();
    n_stamps = 0;
    /* The periods begin with the turn, and not with the host's second. */
    cmos_write(RTC_REG_A, RTC_A_RESET);
    cmos_write(RTC_REG_A, RTC_A_32KHZ | rate);
    cmos_read(RTC_REG_C);
    cmos_write(RTC_REG_B, RTC_B_24H | RTC_B_PIE);
    while (n_stamps < count) {
        wait_for_irq();
    }
    cmos_write(RTC_REG_B, RTC_B_24H);
    cmos_read(RTC_REG_C);
    print_pair();
}

static void run_hpet(uint32_t hz, uint32_t count)
{
    uint32_t period = HPET_TICK_HZ / hz;

    print_run(period);
    put_string("due ");
    put_hex(HPET_FIRST, 8);
    put_char('\n');
    n_stamps = 0;
    hpet_write(HPET_CFG, 0);
    hpet_write(HPET_TN_CFG, HPET_TN_ENABLE | HPET_TN_PERIODIC |
               HPET_TN_SETVAL | HPET_TN_32BIT);
    hpet_write(HPET_TN_CMP, HPET_FIRST);
    hpet_write(HPET_TN_CMP, period);
    hpet_restart(HPET_CFG_LEGACY);
    print_pair();
    while (n_stamps < count) {
        wait_for_irq();
    }
    hpet_write(HPET_TN_CFG, HPET_TN_32BIT);
    print_pair();
}

int guest_main(void)
{
    uint32_t rtc = option("rtc", 0), hpet = option("hpet", 0);
    uint32_t count = option("count", 1), turns = option("turns", 1);

    if (!hpet_present()) {
        put_string("bench-tick: no HPET at 0xfed00000\n");
        return 1;
    }
    irq_init();
    irq_set(IRQ_RTC, rtc_tick);
    irq_set(IRQ_TIMER, hpet_tick);
    put_string("ready\n");
    get_char();
    while (turns--) {
        /* The one that came as the last turn ended is not of this turn. */
        take_irq();
        if (rtc) {
            run_rtc(rtc, count);
        } else {
            run_hpet(hpet, count);
        }
        print_stamps();
        put_string("done\n");
        get_char();
    }
    return 0;
}
