/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bare-metal test guests share: port and memory access, the serial
 * line, the command line, CMOS RTC and HPET registers.
 *
 * A guest defines guest_main(), prints on COM1, takes its options from the
 * kernel command line (-append "name=value ...") and leaves with guest_exit(),
 * which needs "-device isa-debug-exit,iobase=0xf4,iosize=4".
 */
#ifndef BAREMETAL_IO_H
#define BAREMETAL_IO_H

#include <stdbool.h>
#include <stdint.h>

#define COM1            0x3f8
#define DEBUG_EXIT      0xf4
#define CMOS_INDEX      0x70
#define CMOS_DATA       0x71
#define HPET_BASE       0xfed00000u

enum {                          /* MC146818 registers */
    RTC_SECONDS = 0x00,
    RTC_MINUTES = 0x02,
    RTC_HOURS = 0x04,
    RTC_DAY_OF_WEEK = 0x06,
    RTC_DAY_OF_MONTH = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_REG_A = 0x0a,
    RTC_REG_B = 0x0b,
    RTC_REG_C = 0x0c,
    RTC_CENTURY = 0x32,         /* where QEMU and the PC keep it */
};

#define RTC_A_UIP       0x80
#define RTC_A_32KHZ     0x20
#define RTC_A_RESET     0x60
#define RTC_B_PIE       0x40
#define RTC_B_UIE       0x10
#define RTC_B_24H       0x02
#define RTC_B_BINARY    0x04

enum {                          /* HPET registers */
    HPET_ID = 0x000,            /* low half: vendor, timers; see HPET_PERIOD */
    HPET_PERIOD = 0x004,        /* femtoseconds a tick */
    HPET_CFG = 0x010,
    HPET_COUNTER = 0x0f0,
    HPET_TN_CFG = 0x100,        /* of timer n: + n * HPET_TN_SIZE */
    HPET_TN_CMP = 0x108,
    HPET_TN_SIZE = 0x020,
};

#define HPET_CFG_ENABLE     0x1
#define HPET_CFG_LEGACY     0x2
#define HPET_TN_ENABLE      0x004
#define HPET_TN_PERIODIC    0x008
#define HPET_TN_SETVAL      0x040
#define HPET_TN_32BIT       0x100
#define HPET_PERIOD_MAX     0x05f5e100u     /* the specification's 100 ns */

/* Where start.S goes; info is the loader's. */
struct multiboot_info;
void guest_start(const struct multiboot_info *info) __attribute__((noreturn));

/* The guest's program; its return value goes to guest_exit(). */
int guest_main(void);

/* Ends the emulator with exit status (code << 1) | 1; halts without it. */
void guest_exit(int code) __attribute__((noreturn));
void halt(void) __attribute__((noreturn));

/* The number after "name=" on the command line, or fallback. */
uint32_t option(const char *name, uint32_t fallback);

/*
 * What is put goes to a buffer, and from there to COM1 at once, without asking
 * whether that is busy: the emulated one is not, as long as the host reads it.
 * A guest under a slow KVM is so quicker a hundred times.
 */
void put_to_buffer(char *to);
void put_buffer(void);

char get_char(void);
void put_char(char c);
void put_string(const char *s);
void put_dec(uint64_t value, int width);    /* width: leading zeros up to it */
void put_hex(uint64_t value, int digits);

/* Quotient; the remainder goes to *rest.  (No libgcc in a guest.) */
uint64_t divide(uint64_t value, uint32_t by, uint32_t *rest);

/* True when an HPET answers at its usual address. */
bool hpet_present(void);
void hpet_enable(void);
/* All 64 bits, consistent although they come in two halves. */
uint64_t hpet_counter(void);

static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint64_t rdtsc(void)
{
    uint64_t value;

    __asm__ volatile("rdtsc" : "=A"(value));
    return value;
}

static inline uint32_t hpet_read(uint32_t reg)
{
    /* volatile: each access to a device register must happen, in order */
    return *(volatile uint32_t *)(HPET_BASE + reg);
}

static inline void hpet_write(uint32_t reg, uint32_t value)
{
    /* volatile: as above */
    *(volatile uint32_t *)(HPET_BASE + reg) = value;
}

static inline uint8_t cmos_read(uint8_t reg)
{
    outb(CMOS_INDEX, reg);
    return inb(CMOS_DATA);
}

static inline void cmos_write(uint8_t reg, uint8_t value)
{
    outb(CMOS_INDEX, reg);
    outb(CMOS_DATA, value);
}

#endif
