/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes the RTC's periodic interrupts, loses some of them by keeping interrupts
 * off for longer than their period, and counts those that it gets.
 *
 * With driftfix=slew they come later, and in the end there are as many as there
 * were periods.  Time is that of the HPET.  Prints, in decimal:
 *   lost HZ TICKS COUNT     what came until interrupts are left on
 *   kept HZ TICKS COUNT     COUNT interrupts were handled TICKS of the HPET
 *                           after the interrupt was enabled; eight lines
 *
 * Options: rate=N register A's rate (10: 64 Hz), seconds=N of losing (10),
 * off=N and on=N ms of interrupts off and on, in turn (100, 200), drain=N
 * seconds in which what was lost can come (20; it goes on as soon as all of it
 * has), apic=1 for the APICs, late=1 to end each 16th interrupt a period after
 * it was seen.
 */
#include "cpu.h"

#define HPET_TICK_HZ    100000000u
#define LAST            8
#define LATE_EVERY      16

/* volatile: the interrupt handler changes it */
static volatile uint32_t count;

static uint32_t hz;
static bool late;
static uint64_t start;

static void wait_until(uint64_t ticks)
{
    while (hpet_counter() < ticks) {
        cpu_relax();
    }
}

static INTERRUPT void rtc_tick(struct interrupt_frame *frame)
{
    (void)frame;
    cmos_read(RTC_REG_C);
    count++;
    if (late && count % LATE_EVERY == 0) {
        /* A tick is due that cannot be delivered, as this one has not ended. */
        wait_until(hpet_counter() + HPET_TICK_HZ / hz);
    }
    irq_end(IRQ_RTC);
}

/* With interrupts off: no tick is between the two. */
static void print(const char *what)
{
    uint64_t ticks = hpet_counter() - start;

    put_string(what);
    put_dec(hz, 1);
    put_char(' ');
    put_dec(ticks, 1);
    put_char(' ');
    put_dec(count, 1);
    put_char('\n');
}

/* How many interrupts were due until now */
static uint32_t due(void)
{
    uint32_t rest;

    return divide(hpet_counter() - start, HPET_TICK_HZ / hz, &rest);
}

static void wait_with_irqs_until(uint64_t ticks)
{
    __asm__ volatile("sti" : : : "memory");
    wait_until(ticks);
    __asm__ volatile("cli" : : : "memory");
}

static void begin(void)
{
    uint32_t rate = option("rate", 10);

    hz = 32768 >> (rate - 1);
    late = option("late", 0);
    irq_init();
    if (option("apic", 0)) {
        irq_use_apic();
    }
    irq_set(IRQ_RTC, rtc_tick);
    hpet_enable();
    cmos_write(RTC_REG_A, RTC_A_32KHZ | rate);
    cmos_read(RTC_REG_C);
    cmos_write(RTC_REG_B, RTC_B_24H | RTC_B_PIE);
    start = hpet_counter();
}

static void lose(void)
{
    const uint64_t ms = HPET_TICK_HZ / 1000;
    uint64_t end = start + option("seconds", 10) * 1000 * ms;
    uint64_t now = start;

    while (now < end) {
        now += option("off", 100) * ms;
        wait_until(now);        /* interrupts are off */
        now += option("on", 200) * ms;
        wait_with_irqs_until(now);
    }
    print("lost ");
    end = now + option("drain", 20) * 1000 * ms;
    while (count < due() && hpet_counter() < end) {
        wait_for_irq();
    }
}

int guest_main(void)
{
    if (!hpet_present()) {
        put_string("lost-ticks: no HPET at 0xfed00000\n");
        return 1;
    }
    begin();
    lose();
    for (int i = 0; i < LAST; i++) {
        uint32_t last = count;

        while (count == last) {
            wait_for_irq();
        }
        print("kept ");
    }
    return 0;
}
