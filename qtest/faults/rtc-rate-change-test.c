/*
 * RTC: the rate is changed after the clock was set back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "libqtest.h"

static void cmos_write(QTestState *s, uint8_t reg, uint8_t value)
{
    qtest_outb(s, 0x70, reg);
    qtest_outb(s, 0x71, value);
}

/* 20 s, although a migration to a file takes less than one */
static void wait_migrated(QTestState *s)
{
    for (int i = 0; i < 1000; i++) {
        g_autofree char *said = qtest_hmp(s, "info migrate");

        if (strstr(said, "completed")) {
            return;
        }
        g_usleep(20 * 1000);
    }
    g_assert_not_reached();
}

/*
 * Load the state on a clock that is 0 again, and change the rate.  Recording,
 * the RTC keeps the period that it has loaded; and what qtest is asked on
 * standard input is done when the emulator is told to end.  Returns what qtest
 * answers.
 */
static char *change_rate(const char *dir, int wait_ms)
{
    static const char asked[] = "outb 0x70 0x0b\ninb 0x71\n"
        "outb 0x70 0x0a\noutb 0x71 0x2f\ninb 0x71\n";
    g_autofree char *line =
        g_strdup_printf("%s -machine pc -nodefaults -display none "
                        "-rtc clock=vm -qtest stdio -qtest-log /dev/null "
                        "-accel tcg -S "
                        "-incoming file:%s/state "
                        "-icount shift=7,rr=record,rrfile=%s/log",
                        getenv("QTEST_QEMU_BINARY"), dir, dir);
    g_auto(GStrv) argv = g_strsplit(line, " ", 0);
    char *said = g_malloc0(256);
    int in, out, len = 0, more;
    GPid pid;

    g_assert_true(g_spawn_async_with_pipes(NULL, argv, NULL,
                                           G_SPAWN_DO_NOT_REAP_CHILD |
                                           G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                                           NULL, &pid, &in, &out, NULL, NULL));
    g_assert_cmpint(write(in, asked, strlen(asked)), ==, strlen(asked));
    g_usleep(wait_ms * 1000);
    kill(pid, SIGTERM);
    while ((more = read(out, said + len, 255 - len)) > 0) {
        len += more;
    }
    close(in);
    close(out);
    waitpid(pid, NULL, 0);
    return said;
}

static void test_rate_change(void)
{
    g_autofree char *dir = g_dir_make_tmp("qtest-rtc-XXXXXX", NULL);
    g_autofree char *state = g_build_filename(dir, "state", NULL);
    g_autofree char *log = g_build_filename(dir, "log", NULL);
    g_autofree char *said = NULL;
    QTestState *s = qtest_init("-machine pc -nodefaults -rtc clock=vm");

    qtest_clock_step(s, 3600 * NANOSECONDS_PER_SECOND);
    cmos_write(s, 0xa, 0x26);
    cmos_write(s, 0xb, 0x42);
    g_free(qtest_hmp(s, "migrate file:%s", state));
    wait_migrated(s);
    qtest_quit(s);
    /* Register B says whether it was loaded before it had to end.  */
    for (int ms = 500; ms < 20000; ms *= 2) {
        g_free(said);
        said = change_rate(dir, ms);
        if (strstr(said, "OK 0x0042")) {
            break;
        }
    }
    g_assert_cmpstr(said, ==, "OK\nOK 0x0042\nOK\nOK\nOK 0x002f\n");
    unlink(state);
    unlink(log);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("rtc/rate-change", test_rate_change);
    return g_test_run();
}
