/*
 * Host clocks: QMP and HMP commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands-host-clock.h"
#include "qemu/lockable.h"
#include "qobject/qdict.h"
#include "host-clock-internal.h"

static HostClockInfo *host_clock_info(HostClock *hc)
{
    HostClockInfo *info = g_new0(HostClockInfo, 1);
    HostClockReading r;

    host_clock_read(hc, &r);
    info->id = g_strdup(host_clock_id(hc));
    info->qom_type = g_strdup(object_get_typename(OBJECT(hc)));
    info->q_default = hc == host_clock_machine();
    info->mono_ns = r.mono_ns;
    info->wall_ns = r.wall_ns;
    info->error_ns = r.error_ns;
    info->generation = r.generation;
    info->alarm = g_strdup(hc->alarm_name);
    info->device = g_strdup(hc->device);
    info->clock_name = g_strdup(hc->clock_name);
    info->has_method = hc->device;
    info->method = hc->method;
    QEMU_LOCK_GUARD(&hc->lock);
    info->state = hc->state;
    info->last_step_ns = hc->last_step_ns;
    info->message = g_strdup(hc->state == HOST_CLOCK_STATE_HOLDOVER ?
                             hc->failure : hc->degraded);
    return info;
}

HostClockInfoList *qmp_query_host_clocks(Error **errp)
{
    HostClockInfoList *list = NULL;

    for (HostClock *hc = host_clock_next(NULL); hc; hc = host_clock_next(hc)) {
        QAPI_LIST_PREPEND(list, host_clock_info(hc));
    }
    return list;
}

void hmp_info_host_clocks(Monitor *mon, const QDict *qdict)
{
    g_autoptr(HostClockInfoList) list = qmp_query_host_clocks(NULL);

    for (HostClockInfoList *l = list; l; l = l->next) {
        HostClockInfo *info = l->value;
        time_t wall_s = info->wall_ns / NANOSECONDS_PER_SECOND;
        g_autoptr(GDateTime) wall = g_date_time_new_from_unix_utc(wall_s);
        g_autofree char *date = g_date_time_format(wall, "%F %T UTC");

        monitor_printf(mon, "%s: %s, %s%s\n", info->id ?: "(built in)",
                       info->qom_type, HostClockState_str(info->state),
                       info->q_default ? ", default" : "");
        monitor_printf(mon, "    %s, error %" PRId64 " ns, alarm %s\n", date,
                       info->error_ns, info->alarm);
        if (info->generation) {
            monitor_printf(mon, "    steps %" PRIu32 ", last by %" PRId64
                           " ns\n", info->generation, info->last_step_ns);
        }
        if (info->device) {
            monitor_printf(mon, "    device %s%s%s, method %s\n", info->device,
                           info->clock_name ? " " : "", info->clock_name ?: "",
                           HostClockMethod_str(info->method));
        }
        if (info->message) {
            monitor_printf(mon, "    %s\n", info->message);
        }
    }
}
