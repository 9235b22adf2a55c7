/*
 * Host clocks: QMP and HMP commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "monitor/hmp.h"
#include "monitor/monitor.h"
#include "qapi/clone-visitor.h"
#include "qapi/qapi-commands-host-clock.h"
#include "qapi/qapi-visit-host-clock.h"
#include "qemu/lockable.h"
#include "qobject/qdict.h"
#include "host-clock-internal.h"

static int64_t rate_ppb(HostClock *hc, int64_t raw_ns)
{
    int64_t mono_ns = hc->ops->mono_ns(hc) - hc->rate_mono_ns;

    return (double)(mono_ns - raw_ns) * NANOSECONDS_PER_SECOND / raw_ns;
}

/* What the root of @hc is known for; under its lock */
static void status_info(HostClock *hc, HostClockInfo *info)
{
    HostClock *root = host_clock_root(hc);
    int64_t raw_ns = host_clock_os_now_ns(HOST_CLOCK_OS_MONOTONIC_RAW) -
                     hc->rate_raw_ns;
    HostClockOsStatus os;

    info->suspended_ns = host_clock_os_suspended_ns() - hc->open_suspended_ns;
    if (info->suspended_ns < HOST_CLOCK_SUSPEND_MIN_NS) {
        info->suspended_ns = 0;
    }
    info->time_scale = root->ops->time_scale;
    info->has_rate_ppb = !root->ops->moves_when_told &&
                         raw_ns >= NANOSECONDS_PER_SECOND;
    if (info->has_rate_ppb) {
        info->rate_ppb = rate_ppb(hc, raw_ns);
    }
    if (!root->ops->pair && host_clock_os_status(&os)) {
        info->status = os.status;
        info->has_maxerror_ns = info->has_esterror_ns = info->has_leap = true;
        info->maxerror_ns = os.maxerror_ns;
        info->esterror_ns = os.esterror_ns;
        info->leap = os.leap;
        info->has_tai_offset = os.tai_offset_s;
        info->tai_offset = os.tai_offset_s;
    }
    if (root->state == HOST_CLOCK_STATE_ACQUIRING) {
        info->status = HOST_CLOCK_STATUS_INITIALIZING;
    } else if (root->state == HOST_CLOCK_STATE_HOLDOVER) {
        info->status = HOST_CLOCK_STATUS_FREERUNNING;
    }
}

static HostClockStepList *last_steps(HostClock *hc)
{
    uint32_t n = MIN(hc->generation, ARRAY_SIZE(hc->steps));
    HostClockStepList *list = NULL;

    for (uint32_t i = hc->generation - n + 1; n; n--, i++) {
        HostClockStep *step = &hc->steps[i % ARRAY_SIZE(hc->steps)];

        QAPI_LIST_PREPEND(list, QAPI_CLONE(HostClockStep, step));
    }
    return list;
}

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
    info->last_steps = last_steps(hc);
    status_info(hc, info);
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

static void print_status(Monitor *mon, const HostClockInfo *info)
{
    monitor_printf(mon, "    %s, %s", HostClockTimeScale_str(info->time_scale),
                   HostClockStatus_str(info->status));
    if (info->has_leap) {
        monitor_printf(mon, ", maxerror %" PRId64 " ns, leap %s",
                       info->maxerror_ns, HostClockLeap_str(info->leap));
    }
    if (info->has_rate_ppb) {
        monitor_printf(mon, ", rate %+" PRId64 " ppb", info->rate_ppb);
    }
    monitor_printf(mon, "\n");
}

static void print_steps(Monitor *mon, const HostClockInfo *info)
{
    monitor_printf(mon, "    steps %" PRIu32 "\n", info->generation);
    for (HostClockStepList *l = info->last_steps; l; l = l->next) {
        monitor_printf(mon, "        %s: %+" PRId64 " ns, suspended %" PRId64
                       " ns\n", HostClockStepReason_str(l->value->reason),
                       l->value->step_ns, l->value->suspended_ns);
    }
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
        print_status(mon, info);
        if (info->generation) {
            print_steps(mon, info);
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
