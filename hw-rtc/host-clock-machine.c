/*
 * Host clocks: the machine's choice
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "hw/boards.h"
#include "host-clock-internal.h"

HostClock *host_clock_get_machine_default(void)
{
    return current_machine ? current_machine->host_clock : NULL;
}

bool host_clock_set_machine_default(HostClock *hc, Error **errp)
{
    return object_property_set_str(OBJECT(current_machine), "host-clock",
        object_get_canonical_path_component(OBJECT(hc)), errp);
}
