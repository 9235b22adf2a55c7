/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Prints what the guest sees of its clocks, each time at the edge of an RTC
 * second:
 *
 *   RTC 2026-11-22 23:25:17 wday=1 regA=26 regB=02
 *   HPET present period=10000000 counter=1234567 delta=200012345
 *
 * (or "HPET absent").  period is in femtoseconds, delta in ticks since the
 * line before; on the first line it is that of two readings one after the
 * other.  The last line is "DONE".  An RTC that stands still is reported as
 * "RTC stands still" after limit= 10^9 TSC ticks, and the guest leaves with 1.
 *
 * Options: times=N lines (3), gap=N RTC seconds between them (2), limit=N (60).
 */
#include "io.h"

struct date {
    uint8_t second, minute, hour, weekday, day, month, year, century;
};

static uint64_t deadline_tsc;

static void extend_deadline(void)
{
    deadline_tsc = rdtsc() + option("limit", 60) * 1000000000ull;
}

static void check_deadline(void)
{
    if (rdtsc() > deadline_tsc) {
        put_string("RTC stands still\n");
        guest_exit(1);
    }
}

/*
 * Reads all registers outside an update.  With UIP clear at least 244 us are
 * left, which an emulator may overrun: only the same second before and after
 * makes the set whole.
 */
static void read_raw(struct date *d)
{
    do {
        check_deadline();
        while (cmos_read(RTC_REG_A) & RTC_A_UIP) {
            check_deadline();
        }
        d->second = cmos_read(RTC_SECONDS);
        d->minute = cmos_read(RTC_MINUTES);
        d->hour = cmos_read(RTC_HOURS);
        d->weekday = cmos_read(RTC_DAY_OF_WEEK);
        d->day = cmos_read(RTC_DAY_OF_MONTH);
        d->month = cmos_read(RTC_MONTH);
        d->year = cmos_read(RTC_YEAR);
        d->century = cmos_read(RTC_CENTURY);
    } while (cmos_read(RTC_SECONDS) != d->second ||
             cmos_read(RTC_REG_A) & RTC_A_UIP);
}

static uint32_t decode(uint8_t value, uint8_t reg_b)
{
    return reg_b & RTC_B_BINARY ? value : (value >> 4) * 10 + (value & 0xf);
}

static uint32_t decode_hour(uint8_t value, uint8_t reg_b)
{
    if (reg_b & RTC_B_24H) {
        return decode(value, reg_b);
    }
    return decode(value & 0x7f, reg_b) % 12 + (value & 0x80 ? 12 : 0);
}

static void print_rtc(const struct date *d)
{
    uint8_t b = cmos_read(RTC_REG_B);

    put_string("RTC ");
    put_dec(decode(d->century, b) * 100 + decode(d->year, b), 4);
    put_char('-');
    put_dec(decode(d->month, b), 2);
    put_char('-');
    put_dec(decode(d->day, b), 2);
    put_char(' ');
    put_dec(decode_hour(d->hour, b), 2);
    put_char(':');
    put_dec(decode(d->minute, b), 2);
    put_char(':');
    put_dec(decode(d->second, b), 2);
    put_string(" wday=");
    put_dec(decode(d->weekday, b), 1);
    put_string(" regA=");
    put_hex(cmos_read(RTC_REG_A), 2);
    put_string(" regB=");
    put_hex(b, 2);
    put_char('\n');
}

static void print_hpet(uint64_t counter, uint64_t delta)
{
    if (!hpet_present()) {
        put_string("HPET absent\n");
        return;
    }
    put_string("HPET present period=");
    put_dec(hpet_read(HPET_PERIOD), 1);
    put_string(" counter=");
    put_dec(counter, 1);
    put_string(" delta=");
    put_dec(delta, 1);
    put_char('\n');
}

/* Comes back just after the second changed count times. */
static void wait_seconds(uint32_t count, struct date *d)
{
    uint8_t before;

    read_raw(d);
    while (count--) {
        extend_deadline();
        before = d->second;
        while (d->second == before) {
            read_raw(d);
        }
    }
}

int guest_main(void)
{
    uint32_t times = option("times", 3);
    uint32_t gap = option("gap", 2);
    uint64_t counter = 0, last = 0;
    struct date d;

    if (hpet_present()) {
        hpet_enable();
    }
    extend_deadline();
    for (uint32_t i = 0; i < times; i++) {
        wait_seconds(i ? gap : 1, &d);
        if (hpet_present()) {
            last = i ? counter : hpet_counter();
            counter = hpet_counter();
        }
        print_rtc(&d);
        print_hpet(counter, counter - last);
    }
    put_string("DONE\n");
    return 0;
}
