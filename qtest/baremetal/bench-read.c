/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the date, then the HPET main counter, in slices of a fixed number of
 * reads.  The clocks under test must not time themselves, so the guest knows
 * no time at all: it sends one letter on the serial line as a slice begins
 * ('d' date, 'h' HPET, '|' end of the last one) and the host stamps the
 * letters as they arrive.
 *
 * One date read is seconds, minutes, hours, weekday, day, month and year:
 * 7 CMOS registers, 14 port accesses.  UIP is not polled, for a wait on it
 * would time the clock and not the reading.  One HPET read is the low 32 bits
 * of the main counter, enabled.
 *
 * Options: date=N and hpet=N, reads a slice (0: none); slices=N of each kind.
 */
#include "io.h"

static const uint8_t date_registers[] = {
    RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_DAY_OF_WEEK,
    RTC_DAY_OF_MONTH, RTC_MONTH, RTC_YEAR,
};

static void read_date(void)
{
    for (unsigned i = 0; i < sizeof(date_registers); i++) {
        cmos_read(date_registers[i]);
    }
}

static void read_hpet(void)
{
    hpet_read(HPET_COUNTER);
}

/* A second processor would run this too, on reads and a letter of its own. */
static void run_slice(char letter, void (*read)(void), uint32_t reads)
{
    if (!reads) {
        return;
    }
    put_char(letter);
    while (reads--) {
        read();
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
    /* In turn, so that a slow spell of the host meets both kinds. */
    while (slices--) {
        run_slice('d', read_date, date);
        run_slice('h', read_hpet, hpet);
    }
    put_char('|');
    return 0;
}
