/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps time by the RTC's periodic interrupts at 64 Hz, and tells four times a
 * second what it sees, until it is ended:
 *
 *   time TICKS CCYYMMDDhhmmss COUNT SHORTEST LONGEST
 *
 * HPET ticks since the start, the RTC's date in its own BCD, interrupts until
 * now, and the shortest and longest time between two since the line before, in
 * HPET ticks.
 */
#include "cpu.h"

#define RATE            10      /* of register A: 64 Hz */
#define TICKS_A_LINE    16

/* volatile: the interrupt handler changes it */
static volatile uint32_t count;
/* volatile: as above */
static volatile uint64_t last, shortest, longest;

static INTERRUPT void rtc_tick(struct interrupt_frame *frame)
{
    uint64_t now = hpet_counter();

    (void)frame;
    cmos_read(RTC_REG_C);
    irq_end(IRQ_RTC);
    if (count++) {
        uint64_t gap = now - last;

        shortest = gap < shortest ? gap : shortest;
        longest = gap > longest ? gap : longest;
    }
    last = now;
}

static void read_date(uint8_t *date)
{
    static const uint8_t regs[] = {
        RTC_CENTURY, RTC_YEAR, RTC_MONTH, RTC_DAY_OF_MONTH, RTC_HOURS,
        RTC_MINUTES, RTC_SECONDS,
    };

    /* The same second before and after: no update came between them. */
    do {
        date[6] = cmos_read(RTC_SECONDS);
        for (unsigned i = 0; i < 6; i++) {
            date[i] = cmos_read(regs[i]);
        }
    } while (cmos_read(RTC_REG_A) & RTC_A_UIP ||
             cmos_read(RTC_SECONDS) != date[6]);
}

/* With interrupts off */
static void print_line(void)
{
    static char line[128];
    uint8_t date[7];

    read_date(date);
    put_to_buffer(line);
    put_string("time ");
    put_dec(hpet_counter(), 1);
    put_char(' ');
    for (unsigned i = 0; i < sizeof(date); i++) {
        put_hex(date[i], 2);
    }
    put_char(' ');
    put_dec(count, 1);
    put_char(' ');
    put_dec(shortest, 1);
    put_char(' ');
    put_dec(longest, 1);
    put_char('\n');
    put_buffer();
    shortest = ~0ull;
    longest = 0;
}

int guest_main(void)
{
    if (!hpet_present()) {
        put_string("timekeeper: no HPET at 0xfed00000\n");
        return 1;
    }
    irq_init();
    irq_use_apic();
    irq_set(IRQ_RTC, rtc_tick);
    hpet_enable();
    shortest = ~0ull;
    cmos_write(RTC_REG_A, RTC_A_32KHZ | RATE);
    cmos_read(RTC_REG_C);
    cmos_write(RTC_REG_B, RTC_B_24H | RTC_B_PIE);
    for (;;) {
        uint32_t next = count + TICKS_A_LINE;

        while (count < next) {
            wait_for_irq();
        }
        print_line();
    }
}
