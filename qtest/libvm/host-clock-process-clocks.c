/*
 * Emulators that a test starts itself: their host clocks, and what they hold
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-process.h"
#include "qobject/qlist.h"

/* Host clocks */

static bool is_acquiring(Process *p, const char *id)
{
    QDict *clock = process_clock(p, id);
    bool is = clock && g_str_equal(qdict_get_str(clock, "state"), "acquiring");

    qobject_unref(clock);
    return is;
}

char *process_add_clock(Process *p, const char *source, const char *id,
                        const char *props)
{
    g_autofree char *text = g_strdup_printf(
        "{'execute': 'object-add', 'arguments': { 'qom-type': "
        "'host-clock-%s', 'id': '%s'%s%s } }\n", source, id,
        *props ? ", " : "", props);
    char *error = NULL;
    QObject *result = process_command(p, &error, text, -1);

    if (!result && !error) {
        return g_strdup("no answer");
    }
    qobject_unref(result);
    /* Its device is waited for in the background, for ten of its ticks. */
    for (int i = 0; i < 120 && !error && is_acquiring(p, id); i++) {
        sleep_ns(100 * MS);
    }
    return error;
}

void process_del_clock(Process *p, const char *id)
{
    qobject_unref(process_qmp(p, NULL, "{'execute': 'object-del', "
                              "'arguments': { 'id': %s } }", id));
}

static QDict *find_clock(QObject *answer, const char *id)
{
    const QListEntry *e;

    if (!answer) {
        return NULL;
    }
    QLIST_FOREACH_ENTRY(qobject_to(QList, answer), e) {
        QDict *clock = qobject_to(QDict, qlist_entry_obj(e));
        const char *its = qdict_get_try_str(clock, "id");

        if (its && g_str_equal(its, id)) {
            return qobject_ref(clock);
        }
    }
    return NULL;
}

QDict *process_clock(Process *p, const char *id)
{
    QObject *answer = process_qmp(p, NULL, "{'execute': 'query-host-clocks'}");
    QDict *clock = find_clock(answer, id);

    qobject_unref(answer);
    return clock;
}

bool process_wait_clock(Process *p, const char *id, const char *member,
                        const char *value, int seconds)
{
    int64_t deadline = now_ns() + seconds * NS;
    g_autofree char *last = NULL;

    do {
        QDict *clock = process_clock(p, id);
        const char *is = clock ? qdict_get_try_str(clock, member) : NULL;
        bool done = !g_strcmp0(is, value);

        g_free(last);
        last = g_strdup(is);
        qobject_unref(clock);
        if (done) {
            return true;
        }
        sleep_ns(100 * MS);
    } while (now_ns() < deadline && process_check_alive(p));
    g_test_message("after %d s '%s' of '%s' is '%s', not '%s'", seconds, member,
                   id, last ?: "absent", value);
    g_test_fail();
    return false;
}

static bool look_once(Process *p, const char *id, Look *look)
{
    QObject *answer;
    QDict *clock;

    look->at.lo = now_ns();
    answer = process_qmp(p, NULL, "{'execute': 'query-host-clocks'}");
    look->at.hi = now_ns();
    clock = find_clock(answer, id);
    qobject_unref(answer);
    if (!clock) {
        return false;
    }
    look->mono_ns = qdict_get_int(clock, "mono-ns");
    look->wall_ns = qdict_get_int(clock, "wall-ns");
    look->error_ns = qdict_get_int(clock, "error-ns");
    qobject_unref(clock);
    return true;
}

bool process_look(Process *p, const char *id, Look *look)
{
    int64_t last = INT64_MIN, best = INT64_MAX;

    if (!process_ready(p)) {
        return false;
    }
    for (int i = 0; i < 8; i++) {
        Look l;

        if (!look_once(p, id, &l)) {
            return false;
        }
        if (l.mono_ns < last) {
            g_test_message("mono-ns goes back from %" PRId64 " to %" PRId64,
                           last, l.mono_ns);
            g_test_fail();
        }
        last = l.mono_ns;
        if (l.at.hi - l.at.lo < best) {
            best = l.at.hi - l.at.lo;
            *look = l;
        }
    }
    return true;
}

int64_t process_rtc_time(Process *p)
{
    QObject *result = process_qmp(p, NULL, "{'execute': 'qom-get', 'arguments':"
                                  " { 'path': '/machine',"
                                  " 'property': 'rtc-time' } }");
    QDict *tm = qobject_to(QDict, result);
    int64_t seconds = -1;

    if (tm) {
        g_autoptr(GDateTime) date = g_date_time_new_utc(
            qdict_get_int(tm, "tm_year") + 1900,
            qdict_get_int(tm, "tm_mon") + 1, qdict_get_int(tm, "tm_mday"),
            qdict_get_int(tm, "tm_hour"), qdict_get_int(tm, "tm_min"),
            qdict_get_int(tm, "tm_sec"));

        seconds = date ? g_date_time_to_unix(date) : -1;
    }
    qobject_unref(result);
    return seconds;
}

/* What a process holds */

static int compare_text(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char **)a, *(char **)b);
}

static void add_descriptors(Process *p, GPtrArray *found)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", process_pid(p));
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        char *target = g_file_read_link(path, NULL);

        if (target) {
            g_ptr_array_add(found, target);
        }
    }
}

static void add_mappings(Process *p, GPtrArray *found)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/maps", process_pid(p));
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return;
    }
    lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i]; i++) {
        const char *device = strstr(lines[i], "/dev/");

        if (device) {
            g_ptr_array_add(found, g_strdup_printf("mapping of %s", device));
        }
    }
}

char *process_holdings(Process *p)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);

    process_ready(p);
    add_descriptors(p, found);
    add_mappings(p, found);
    g_ptr_array_sort(found, compare_text);
    g_ptr_array_add(found, NULL);
    return g_strjoinv("\n", (char **)found->pdata);
}
