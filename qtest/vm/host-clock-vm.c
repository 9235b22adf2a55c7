/*
 * One VM, one time: what the files of host-clock-vm-test share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-vm.h"
#include "qobject/qdict.h"

const Source *next_source(const Source *last)
{
    static const char *const others[] = {
        "system", "hpet", "ptp", "rtc", NULL
    };
    const Source *s = last ? last + 1 : host_clock_sources();

    while (s->name && g_strv_contains(others, s->name)) {
        s++;
    }
    return s->name ? s : NULL;
}

uint8_t process_cmos_read(Process *p, uint8_t reg)
{
    process_qtest_value(p, "outb 0x70 %d", reg);
    return process_qtest_value(p, "inb 0x71");
}

void process_cmos_write(Process *p, uint8_t reg, uint8_t value)
{
    process_qtest_value(p, "outb 0x70 %d", reg);
    process_qtest_value(p, "outb 0x71 %d", value);
}

int64_t manual_mono_ns(Process *p)
{
    QDict *clock = process_clock(p, MANUAL_ID);
    int64_t ns = clock ? qdict_get_int(clock, "mono-ns") : -1;

    qobject_unref(clock);
    return ns;
}

char *manual_advance(Process *p, const char *id, int64_t ns)
{
    char *error = NULL;

    qobject_unref(process_qmp(p, &error, "{ 'execute': 'host-clock-advance',"
                              " 'arguments': { 'id': %s, 'ns': %" PRId64
                              " } }", id, ns));
    return error;
}

void check_says(char *text, const char *words)
{
    if (!text || !strstr(text, words)) {
        g_test_message("'%s' does not say '%s'", text ?: "", words);
        g_test_fail();
    }
    g_free(text);
}
