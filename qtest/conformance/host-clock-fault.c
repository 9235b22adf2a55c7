/*
 * Faults of time: what their tests share
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "host-clock-fault.h"

int64_t moved(const Case *c)
{
    return c->setting == SET_HOST ? c->step_s : 0;
}

VM *start(const Case *c)
{
    return vm_start(c->source, c->setting, "utc", c->args ?: "");
}

void arm_all(VM *vm, uint8_t rate)
{
    cmos_write(vm, RTC_SECONDS_ALARM, DONT_CARE);
    cmos_write(vm, RTC_MINUTES_ALARM, DONT_CARE);
    cmos_write(vm, RTC_HOURS_ALARM, DONT_CARE);
    rtc_set_date(vm, DATE, rate);
    cmos_write(vm, RTC_REG_B, REG_B_24H | REG_B_DM | ALL_IRQS);
}

int64_t eighths(uint8_t rate, int64_t n)
{
    return n * (1 << (rate - 1)) * NS / 32768 / 8;
}

int64_t told(VM *vm)
{
    return vm_is_manual(vm) ? vm->manual_ns : vm->virtual_ns;
}
