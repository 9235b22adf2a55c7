/*
 * RTC: lost interrupts at the fastest rate
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "libqtest.h"

static uint8_t cmos_read(QTestState *s, uint8_t reg)
{
    qtest_outb(s, 0x70, reg);
    return qtest_inb(s, 0x71);
}

static void cmos_write(QTestState *s, uint8_t reg, uint8_t value)
{
    qtest_outb(s, 0x70, reg);
    qtest_outb(s, 0x71, value);
}

/* An emulator that hangs gives no answer, and one comes in milliseconds.  */
#define HANG_S          30

static pid_t emulator;

/* It does not see the SIGTERM that it gets when its parent exits, either.  */
static void end_emulator(int signo)
{
    kill(emulator, SIGKILL);
}

static void test_reinjection(void)
{
    const struct sigaction act = { .sa_handler = end_emulator };
    QTestState *s = qtest_init("-machine pc -rtc clock=vm,driftfix=slew");

    emulator = qtest_pid(s);
    sigaction(SIGALRM, &act, NULL);
    alarm(HANG_S);
    cmos_write(s, 0xa, 0x23);
    cmos_write(s, 0xb, 0x42);
    qtest_clock_step(s, NANOSECONDS_PER_SECOND / 10);
    g_assert_cmphex(cmos_read(s, 0xc) & 0xc0, ==, 0xc0);
    alarm(0);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/reinjection", test_reinjection);
    return g_test_run();
}
