/*
 * Host clocks: choosing one
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * -clock NAME[,NAME...] is short for -object host-clock-NAME,id=host-clock0 and
 * -machine host-clock=host-clock0.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/qapi-types-qom.h"
#include "qapi/util.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "qemu/config-file.h"
#include "qom/object_interfaces.h"
#include "host-clock-internal.h"

/* The id of the object that -clock creates */
#define DEFAULT_ID "host-clock0"

HostClock *host_clock_find(const char *option, const char *id, Error **errp)
{
    Object *obj = object_resolve_path_component(object_get_objects_root(), id);

    if (!obj && *id == '/') {
        obj = object_resolve_path(id, NULL);
    }
    if (!obj) {
        error_setg(errp, "%s=%s: there is no object with this ID", option, id);
        error_append_hint(errp, "Create it with -object host-clock-NAME,id=%s"
                          ".\n", id);
        return NULL;
    }
    if (!object_dynamic_cast(obj, TYPE_HOST_CLOCK)) {
        error_setg(errp, "%s=%s: this object is a %s, not a host clock",
                   option, id, object_get_typename(obj));
        return NULL;
    }
    return HOST_CLOCK(obj);
}

/* Whether built in or not, as the QAPI schema has them. */
static char *source_names(void)
{
    GString *names = g_string_new(NULL);

    for (int i = 0; i < OBJECT_TYPE__MAX; i++) {
        const char *name;

        if (strstart(ObjectType_str(i), HOST_CLOCK_PREFIX, &name)) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", name);
        }
    }
    return g_string_free(names, false);
}

Object *host_clock_open(const char *name, const char *id, Error **errp)
{
    g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, name, NULL);
    Object *obj;

    if (!module_object_class_by_name(type)) {
        error_setg(errp, "not built in, and no module hw-rtc-%s found", type);
        return NULL;
    }
    obj = object_new(type);
    if ((!id || object_property_try_add_child(object_get_objects_root(), id,
                                              obj, errp)) &&
        user_creatable_complete(USER_CREATABLE(obj), errp)) {
        return obj;
    }
    object_unparent(obj);
    object_unref(obj);
    return NULL;
}

static bool check_names(char **list, Error **errp)
{
    for (char **name = list; *name; name++) {
        g_autofree char *type = g_strconcat(HOST_CLOCK_PREFIX, *name, NULL);

        if (qapi_enum_parse(&ObjectType_lookup, type, -1, NULL) < 0) {
            g_autofree char *names = source_names();

            error_setg(errp, "there is no host clock named '%s'", *name);
            error_append_hint(errp, "Host clocks are: %s. '-clock help' says "
                              "which of them this host has.\n", names);
            return false;
        }
    }
    return true;
}

static bool choose_first(char **list, GString *reasons, Error **errp)
{
    for (char **name = list; *name; name++) {
        Error *err = NULL;
        Object *obj = host_clock_open(*name, DEFAULT_ID, &err);

        if (obj) {
            bool ok = host_clock_choose(HOST_CLOCK(obj), errp);

            host_clock_failover_list(name);
            object_unref(obj);
            return ok;
        }
        g_string_append_printf(reasons, "%s%s: %s", reasons->len ? "; " : "",
                               *name, error_get_pretty(err));
        error_free(err);
    }
    error_setg(errp, "no host clock of the list can be opened (%s)",
               reasons->str);
    error_append_hint(errp, "'-clock help' says which host clocks this host "
                      "has; 'system' is always there.\n");
    return false;
}

static bool choose_by_name(const char *names, Error **errp)
{
    ERRP_GUARD();
    g_auto(GStrv) list = g_strsplit(names, ",", -1);
    g_autoptr(GString) reasons = g_string_new(NULL);

    if (host_clock_chosen()) {
        error_setg(errp, "-clock %s: -machine host-clock= has already chosen "
                   "one; use one of the two", names);
        return false;
    }
    if (!*list) {
        g_autofree char *known = source_names();

        error_setg(errp, "-clock '': the name of a host clock is missing");
        error_append_hint(errp, "Host clocks are: %s.\n", known);
        return false;
    }
    if (!check_names(list, errp) || !choose_first(list, reasons, errp)) {
        error_prepend(errp, "-clock %s: ", names);
        return false;
    }
    if (reasons->len) {
        info_report("-clock %s: took '%s' (%s)", names,
                    host_clock_name(host_clock_machine()), reasons->str);
    }
    return true;
}

/* It was a property of the devices; now a machine has one clock. */
static int check_global(void *opaque, QemuOpts *opts, Error **errp)
{
    if (g_strcmp0(qemu_opt_get(opts, "property"), "host-clock") != 0) {
        return 0;
    }
    error_setg(errp, "all devices of a machine have one host clock; use "
               "-machine host-clock=%s or -clock NAME",
               qemu_opt_get(opts, "value"));
    return -1;
}

bool host_clock_configure(const char *names, Error **errp)
{
    if (qemu_opts_foreach(qemu_find_opts("global"), check_global, NULL,
                          errp) ||
        (names && !choose_by_name(names, errp))) {
        return false;
    }
    return host_clock_begin(errp);
}

static gint by_rating(gconstpointer a, gconstpointer b)
{
    return HOST_CLOCK_CLASS(b)->rating - HOST_CLOCK_CLASS(a)->rating;
}

static void help_line(gpointer data, gpointer user_data)
{
    ObjectClass *oc = data;
    const char *name = object_class_get_name(oc) + strlen(HOST_CLOCK_PREFIX);
    Error *err = NULL;
    Object *obj = host_clock_open(name, NULL, &err);

    printf("%-10s %s", name, HOST_CLOCK_CLASS(oc)->description);
    if (obj) {
        object_unref(obj);
    } else {
        printf(" [not available: %s]", error_get_pretty(err));
        error_free(err);
    }
    printf("\n");
}

void host_clock_help(void)
{
    g_autoptr(GSList) classes = NULL;

    for (int i = 0; i < OBJECT_TYPE__MAX; i++) {
        const char *type = ObjectType_str(i);

        if (g_str_has_prefix(type, HOST_CLOCK_PREFIX)) {
            ObjectClass *oc = module_object_class_by_name(type);

            if (oc) {
                classes = g_slist_insert_sorted(classes, oc, by_rating);
            }
        }
    }
    printf("Host clocks, in order of precedence:\n");
    g_slist_foreach(classes, help_line, NULL);
}
