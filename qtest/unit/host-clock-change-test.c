/*
 * What the tests of scaled clocks, and of the change from one clock to another,
 * have in common
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qom/object_interfaces.h"
#include "host-clock-change-test.h"

/* As in hw/rtc/host-clock-scaled.c */
#define RATE_MAX    10000

HostClock *try_add(const char *name, const char *id, const char *props,
                   Error **errp)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    g_auto(GStrv) list = g_strsplit(props, ",", -1);
    Object *obj = object_new(type);
    Error *err = NULL;

    object_property_add_child(object_get_objects_root(), id, obj);
    for (char **prop = list; *prop && !err; prop++) {
        char *value = strchr(*prop, '=');

        *value++ = '\0';
        object_property_parse(obj, *prop, value, &err);
    }
    if (!err && user_creatable_complete(USER_CREATABLE(obj), &err)) {
        return HOST_CLOCK(obj);
    }
    error_propagate(errp, err);
    object_unparent(obj);
    object_unref(obj);
    return NULL;
}

HostClock *add(const char *name, const char *id, const char *props)
{
    return try_add(name, id, props, &error_abort);
}

HostClock *scale(const char *id, const char *props)
{
    return add("scaled", id, props);
}

HostClock *choose_scaled(const char *parent, const char *props)
{
    HostClock *hc;

    if (g_str_equal(parent, "paired")) {
        open_made(parent);
    } else {
        open_clock(parent);
    }
    hc = scale("s", props);
    choose(hc);
    return hc;
}

void set_rate(HostClock *hc, uint32_t num, uint32_t den)
{
    g_autofree char *rate = g_strdup_printf("%u/%u", num, den);

    object_property_set_str(OBJECT(hc), "rate", rate, &error_abort);
}

void pass_paired(int64_t ns)
{
    made.mono_ns += ns;
    made.wall_ns += ns;
}

uint32_t any_size(void)
{
    return MAX((uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32), 1);
}

void any_rate(uint32_t *num, uint32_t *den)
{
    do {
        *num = any_size();
        *den = any_size();
    } while (*num > (uint64_t)*den * RATE_MAX ||
             *den > (uint64_t)*num * RATE_MAX);
}
