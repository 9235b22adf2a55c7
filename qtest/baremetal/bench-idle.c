/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Does nothing, for ever; what it costs is for the host to see.
 *
 * Options: update=1    the RTC's update interrupts, acknowledged
 *          rate=N      and its periodic interrupts; N as in register A
 *          drift=1     each period begins when the interrupt of the one before
 *                      is served: so of many guests none meets the same others
 *                      again and again
 *          letters=1   one letter on the serial line for each interrupt
 *          masked=1    all HPET comparators tick at 1 kHz with their interrupts
 *                      masked
 * Sends 'r' when it is ready.
 */
#include "cpu.h"

#define HPET_TIMERS     3
#define HPET_MS_TICKS   100000

static bool letters, drift;

static INTERRUPT void rtc_tick(struct interrupt_frame *frame)
{
    (void)frame;
    cmos_read(RTC_REG_C);
    irq_end(IRQ_RTC);
    if (drift) {
        cmos_write(RTC_REG_B, RTC_B_24H);
        cmos_write(RTC_REG_B, RTC_B_24H | RTC_B_PIE);
    }
    if (letters) {
        outb(COM1, '.');
    }
}

static void start_masked_comparators(void)
{
    for (unsigned i = 0; i < HPET_TIMERS; i++) {
        uint32_t timer = i * HPET_TN_SIZE;

        hpet_write(HPET_TN_CFG + timer, HPET_TN_PERIODIC | HPET_TN_SETVAL |
                   HPET_TN_32BIT);
        hpet_write(HPET_TN_CMP + timer, HPET_MS_TICKS);
        hpet_write(HPET_TN_CMP + timer, HPET_MS_TICKS);
    }
    hpet_enable();
}

int guest_main(void)
{
    uint8_t b = RTC_B_24H;
    uint32_t rate = option("rate", 0);

    letters = option("letters", 0);
    drift = option("drift", 0);
    irq_init();
    irq_set(IRQ_RTC, rtc_tick);
    if (option("masked", 0)) {
        start_masked_comparators();
    }
    if (rate) {
        cmos_write(RTC_REG_A, RTC_A_32KHZ | rate);
        b |= RTC_B_PIE;
    }
    if (option("update", 0)) {
        b |= RTC_B_UIE;
    }
    if (b != RTC_B_24H) {
        cmos_write(RTC_REG_B, b);
        cmos_read(RTC_REG_C);
    }
    put_char('r');
    for (;;) {
        wait_for_irq();
    }
}
