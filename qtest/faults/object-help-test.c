/*
 * The help of -object loads modules
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"

static void test_object_help(void)
{
    const char *qemu = g_getenv("QTEST_QEMU_BINARY");
    const char *args[] = { qemu, "-object", "qtest-accel,help", NULL };
    g_autofree char *error = NULL;
    int status;

    g_assert_true(g_spawn_sync(NULL, (char **)args, NULL,
                               G_SPAWN_STDOUT_TO_DEV_NULL,
                               NULL, NULL, NULL, &error, &status, NULL));
    g_assert_cmpstr(error, ==, "");
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("object-help/module", test_object_help);
    return g_test_run();
}
