/*
 * The host clocks that open devices, against the real ones: who may open them,
 * who shares them, and what happens when they are gone, set, or stopped
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Paths are /host-clock-device/<source>/<behaviour>.  A host that lacks what a
 * test needs skips it with the reason; the lab (qtest/lab) has it all.  What
 * would disturb a real machine is done in the lab alone.
 */

#include "qemu/osdep.h"
#include "host-clock-device-tests.h"

enum {
    HPET = 1, RTC = 2, BOTH = HPET | RTC,
    NO_DEVICE = 4,      /* runs where the device is missing, too */
};

static const struct {
    const char *name;
    int flags;
    void (*fn)(Kind *kind);
} tests[] = {
    { "not-a-device", BOTH | NO_DEVICE, test_not_a_device },
    { "no-such-device", BOTH | NO_DEVICE, test_no_such_device },
    { "command-line", BOTH | NO_DEVICE, test_command_line },
    { "bad-fd", BOTH | NO_DEVICE, test_bad_fd },
    { "absent", BOTH | NO_DEVICE, test_absent },
    { "no-mmap", HPET | NO_DEVICE, test_no_mmap },
    { "eacces", BOTH, test_eacces },
    { "fd", BOTH, test_fd },
    { "fdset", BOTH, test_fdset },
    { "getfd", BOTH, test_getfd },
    { "released", BOTH, test_released },
    { "alarm/device", BOTH, test_alarm },
    { "alarm/many", BOTH, test_many_alarms },
    { "alarm/no-comparator", HPET, test_no_comparator },
    { "busy", RTC, test_busy },
    { "stopped", BOTH, test_stopped },
    { "set/by-other", RTC, test_set_by_other },
    { "set/shared-fd", RTC, test_set_shared },
    { "set/before-1970", RTC, test_before_1970 },
    { "unbind", RTC, test_unbind },
    { "failover", RTC, test_failover },
    { "accuracy", BOTH, test_accuracy },
    { "share", BOTH, test_share },
};

typedef struct Test {
    Kind *kind;
    int index;
} Test;

static void run_test(const void *opaque)
{
    const Test *test = opaque;

    if (test->kind->missing && (!test->kind->built_in ||
                                !(tests[test->index].flags & NO_DEVICE))) {
        g_test_skip(test->kind->missing);
    } else {
        tests[test->index].fn(test->kind);
    }
}

static void add_tests(Kind *kind, int flag)
{
    for (int i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = NULL;
        Test *test;

        if (!(tests[i].flags & flag)) {
            continue;
        }
        test = g_new(Test, 1);
        *test = (Test) { kind, i };
        path = g_strdup_printf("host-clock-device/%s/%s", kind->source,
                               tests[i].name);
        qtest_add_data_func_full(path, test, run_test, g_free);
    }
}

static void look_up(Kind *kind)
{
    for (const Source *s = host_clock_sources(); s->name; s++) {
        if (g_str_equal(s->name, kind->source)) {
            kind->built_in = true;
            kind->missing = s->missing;
            return;
        }
    }
    kind->missing = "not built into this emulator";
}

int main(int argc, char **argv)
{
    static Kind hpet = { "hpet", HPET_DEVICE }, rtc = { "rtc", RTC_DEVICE };

    g_test_init(&argc, &argv, NULL);
    /* So that one behaviour that is wrong does not hide the others */
    g_test_set_nonfatal_assertions();
    look_up(&hpet);
    look_up(&rtc);
    add_tests(&hpet, HPET);
    add_tests(&rtc, RTC);
    return g_test_run();
}
