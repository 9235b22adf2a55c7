/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "io.h"

#define UART_LSR        (COM1 + 5)
#define UART_LSR_DR     0x01
#define UART_LSR_THRE   0x20

#define INFO_CMDLINE    0x4         /* flag: the cmdline field is valid */

struct multiboot_info {
    uint32_t flags;
    uint32_t mem[2];
    uint32_t boot_device;
    uint32_t cmdline;
};

static const char *command_line = "";

void guest_start(const struct multiboot_info *info)
{
    if (info->flags & INFO_CMDLINE) {
        command_line = (const char *)info->cmdline;
    }
    guest_exit(guest_main());
}

void guest_exit(int code)
{
    outb(DEBUG_EXIT, code);
    halt();
}

/* The value after "name=", when word starts with that; else NULL. */
static const char *value_of(const char *word, const char *name)
{
    while (*name && *word == *name) {
        word++;
        name++;
    }
    return !*name && *word == '=' ? word + 1 : 0;
}

uint32_t option(const char *name, uint32_t fallback)
{
    const char *at = command_line;

    while (*at) {
        const char *digit = value_of(at, name);

        if (digit) {
            uint32_t number = 0;

            for (; *digit >= '0' && *digit <= '9'; digit++) {
                number = number * 10 + (*digit - '0');
            }
            return number;
        }
        while (*at && *at++ != ' ') {
            /* on to the next word */
        }
    }
    return fallback;
}

static char *buffer, *buffer_at;

void put_to_buffer(char *to)
{
    buffer = buffer_at = to;
}

void put_buffer(void)
{
    uint32_t count = buffer_at - buffer;

    __asm__ volatile("rep outsb" : "+S"(buffer), "+c"(count)
                     : "d"(COM1) : "memory");
    buffer = 0;
}

void put_char(char c)
{
    if (buffer) {
        *buffer_at++ = c;
        return;
    }
    while (!(inb(UART_LSR) & UART_LSR_THRE)) {
        /* the transmitter is busy */
    }
    outb(COM1, c);
}

char get_char(void)
{
    while (!(inb(UART_LSR) & UART_LSR_DR)) {
        /* nothing has come yet */
    }
    return inb(COM1);
}

void put_string(const char *s)
{
    while (*s) {
        put_char(*s++);
    }
}

uint64_t divide(uint64_t value, uint32_t by, uint32_t *rest)
{
    uint32_t high = value >> 32, low = value, q_high, q_low;

    __asm__("divl %4" : "=a"(q_high), "=d"(high)
            : "a"(high), "d"(0), "rm"(by));
    __asm__("divl %4" : "=a"(q_low), "=d"(*rest)
            : "a"(low), "d"(high), "rm"(by));
    return (uint64_t)q_high << 32 | q_low;
}

void put_dec(uint64_t value, int width)
{
    char digits[20];
    int count = 0;

    do {
        uint32_t digit;

        value = divide(value, 10, &digit);
        digits[count++] = '0' + digit;
    } while (value || count < width);
    while (count) {
        put_char(digits[--count]);
    }
}

void put_hex(uint64_t value, int digits)
{
    while (digits--) {
        put_char("0123456789abcdef"[value >> (digits * 4) & 0xf]);
    }
}

bool hpet_present(void)
{
    uint32_t period = hpet_read(HPET_PERIOD);

    return period != 0 && period <= HPET_PERIOD_MAX;
}

void hpet_enable(void)
{
    hpet_write(HPET_CFG, hpet_read(HPET_CFG) | HPET_CFG_ENABLE);
}

uint64_t hpet_counter(void)
{
    uint32_t high, low;

    do {
        high = hpet_read(HPET_COUNTER + 4);
        low = hpet_read(HPET_COUNTER);
    } while (hpet_read(HPET_COUNTER + 4) != high);
    return (uint64_t)high << 32 | low;
}
