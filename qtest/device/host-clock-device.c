/*
 * Tests of the host clocks that open devices: what their files share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-device.h"

double middle_ms(Span s)
{
    return (s.lo + s.hi) / 2e6;
}

double half_ms(Span s)
{
    return (s.hi - s.lo) / 2e6;
}

Span drift(Kind *kind, const Look *from, const Look *to, int64_t *limit_ns)
{
    int64_t moved = to->mono_ns - from->mono_ns;
    Span gone = span_since(from->at, to->at);

    *limit_ns = from->error_ns + to->error_ns +
                gone.hi / 1000000 * reference_crystal_ppm(kind->source);
    return (Span) { moved - gone.hi, moved - gone.lo };
}

bool check_drift(Kind *kind, const char *what, const Look *from,
                 const Look *to)
{
    int64_t limit;
    Span d = drift(kind, from, to, &limit);

    /* Wrong is what no instant within the look explains. */
    if (d.lo > limit || d.hi < -limit) {
        g_test_message("%s: off by " MS_TEXT ", allowed %.3f ms", what,
                       middle_ms(d), half_ms(d), limit / 1e6);
        g_test_fail();
        return false;
    }
    return true;
}

/* The last comparator is not taken: other VMs need one to start. */
const char *expected_alarm(Kind *kind)
{
    int fds[HPET_COMPARATORS], n, all;

    if (!is_hpet(kind)) {
        return "device interrupts";
    }
    all = n = reference_occupy(kind->device, fds);
    while (n) {
        close(fds[--n]);
    }
    return all > 1 ? "device interrupts" : "main loop";
}

void figure(const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_test_message("figure: %s", text);
}

void assert_says(const char *text, const char *word)
{
    if (!text || !strstr(text, word)) {
        g_test_message("it said: %s; it should have said: %s",
                       text ?: "nothing", word);
        g_test_fail();
    }
}

char *member(Process *p, const char *id, const char *name)
{
    QDict *clock = process_clock(p, id);
    char *value = clock ? g_strdup(qdict_get_try_str(clock, name)) : NULL;

    qobject_unref(clock);
    return value;
}

void check_running(Kind *kind, Process *p, const char *id)
{
    g_autofree char *state = member(p, id, "state");
    Look from, to;

    g_assert_cmpstr(state, ==, "running");
    if (process_look(p, id, &from)) {
        sleep_ns(2 * NS);
        if (process_look(p, id, &to)) {
            check_drift(kind, id, &from, &to);
            g_assert_cmpint(to.mono_ns, >, from.mono_ns);
        }
    }
}

int open_device(Kind *kind)
{
    /* As sources do it; -add-fd wants the same mode. */
    int fd = open(kind->device, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        g_test_message("%s: %s", kind->device, strerror(errno));
        g_test_fail();
    }
    return fd;
}
