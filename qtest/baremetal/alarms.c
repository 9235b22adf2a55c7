/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Has the RTC wake it at 12:34:56 every day, and tells each time what it sees,
 * until it is ended:
 *
 *   ready
 *   alarm CCYYMMDDhhmmss WEEKDAY COUNT
 *
 * The RTC's date in its own BCD, its day of the week, 1 for Sunday, and how
 * often it was woken until now.  Nothing else wakes it.
 */
#include "cpu.h"

#define RTC_SECONDS_ALARM   0x01
#define RTC_MINUTES_ALARM   0x03
#define RTC_HOURS_ALARM     0x05
#define RTC_B_AIE           0x20
#define RTC_C_AF            0x20

/* volatile: the interrupt handler changes it */
static volatile uint32_t count;

static INTERRUPT void rtc_alarm(struct interrupt_frame *frame)
{
    (void)frame;
    count += (cmos_read(RTC_REG_C) & RTC_C_AF) != 0;
    irq_end(IRQ_RTC);
}

static void read_date(uint8_t *date)
{
    static const uint8_t regs[] = {
        RTC_CENTURY, RTC_YEAR, RTC_MONTH, RTC_DAY_OF_MONTH, RTC_HOURS,
        RTC_MINUTES, RTC_SECONDS, RTC_DAY_OF_WEEK,
    };
    uint8_t day;

    /* A second is some microseconds, so only the day stays for long enough. */
    do {
        day = cmos_read(RTC_DAY_OF_MONTH);
        for (unsigned i = 0; i < sizeof(regs); i++) {
            date[i] = cmos_read(regs[i]);
        }
    } while (cmos_read(RTC_DAY_OF_MONTH) != day);
}

static void print_alarm(void)
{
    static char line[64];
    uint8_t date[8];

    read_date(date);
    put_to_buffer(line);
    put_string("alarm ");
    for (unsigned i = 0; i < 7; i++) {
        put_hex(date[i], 2);
    }
    put_char(' ');
    put_hex(date[7], 1);
    put_char(' ');
    put_dec(count, 1);
    put_char('\n');
    put_buffer();
}

int guest_main(void)
{
    irq_init();
    irq_set(IRQ_RTC, rtc_alarm);
    cmos_write(RTC_HOURS_ALARM, 0x12);
    cmos_write(RTC_MINUTES_ALARM, 0x34);
    cmos_write(RTC_SECONDS_ALARM, 0x56);
    cmos_read(RTC_REG_C);
    cmos_write(RTC_REG_B, RTC_B_24H | RTC_B_AIE);
    put_string("ready\n");
    for (;;) {
        uint32_t last = count;

        while (count == last) {
            wait_for_irq();
        }
        print_alarm();
    }
}
