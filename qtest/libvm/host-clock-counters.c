/*
 * Counters of a PC beside the HPET's: the ACPI PM timer and the PIT
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "host-clock-counters.h"

/* PIIX4, function 3: power management */
#define PIIX4_PM        0x80000b00
#define PMBASE          0x40
#define PMREGMISC       0x80
/* ACPI specification, "Power Management Timer" */
#define PM_TMR          (PM_PORT + 8)

/* 8254: channel 2, low and high byte, mode 2, from 65536 down to 1 */
#define PIT_CHANNEL_2   0x42
#define PIT_CONTROL     0x43
#define PIT_LOAD        0xb4
#define PIT_LATCH       0x80

/* A look that takes less was not interrupted. */
#define CLOSE_NS        (200 * 1000)
#define TRIES           20

static void pci_config_write(VM *vm, uint8_t reg, uint32_t value)
{
    qtest_outl(vm->qts, 0xcf8, PIIX4_PM | reg);
    qtest_outl(vm->qts, 0xcfc, value);
}

void pm_enable(VM *vm)
{
    pci_config_write(vm, PMBASE, PM_PORT | 1);
    pci_config_write(vm, PMREGMISC, 1);
}

static int64_t pm_timer_read(VM *vm)
{
    return qtest_inl(vm->qts, PM_TMR);
}

static int64_t pit_read(VM *vm)
{
    int low, high;

    qtest_outb(vm->qts, PIT_CONTROL, PIT_LATCH);
    low = qtest_inb(vm->qts, PIT_CHANNEL_2);
    high = qtest_inb(vm->qts, PIT_CHANNEL_2);
    return -(high << 8 | low) & 0xffff;
}

const Counter pm_timer = { "PM timer", 3579545, 1 << 24, pm_timer_read };
const Counter pit = { "PIT", 1193182, 1 << 16, pit_read };

void counters_start(VM *vm)
{
    pm_enable(vm);
    hpet_enable(vm);
    qtest_outb(vm->qts, PIT_CONTROL, PIT_LOAD);
    qtest_outb(vm->qts, PIT_CHANNEL_2, 0);
    qtest_outb(vm->qts, PIT_CHANNEL_2, 0);
}

static CounterLook look_once(VM *vm, const Counter *c)
{
    Span before, after;
    CounterLook look;

    look.hpet.lo = hpet_read(vm, &before);
    look.ticks = c->read(vm);
    look.hpet.hi = hpet_read(vm, &after);
    look.when = (Span) { before.lo, after.hi };
    return look;
}

CounterLook counter_look(VM *vm, const Counter *c)
{
    CounterLook best = look_once(vm, c);

    for (int i = 0; i < TRIES &&
         (best.hpet.hi - best.hpet.lo) * HPET_TICK_NS > CLOSE_NS; i++) {
        CounterLook look = look_once(vm, c);

        if (look.hpet.hi - look.hpet.lo < best.hpet.hi - best.hpet.lo) {
            best = look;
        }
    }
    return best;
}

Span counter_gain(const Counter *c, const CounterLook *from,
                  const CounterLook *to)
{
    int64_t ticks = (to->ticks - from->ticks + c->wrap) % c->wrap;
    int64_t wrap_ns = c->wrap * NS / c->hz;
    /* Each of the two readings was up to a tick old. */
    Span hpet = {
        (to->hpet.lo - from->hpet.hi - 1) * HPET_TICK_NS,
        (to->hpet.hi - from->hpet.lo + 1) * HPET_TICK_NS,
    };
    int64_t behind_ns = hpet.lo / 2 + hpet.hi / 2 - ticks * NS / c->hz;

    /* The wraps that passed; one more to round down, also below 0 */
    ticks += ((behind_ns + wrap_ns * 3 / 2) / wrap_ns - 1) * c->wrap;
    return (Span) {
        (ticks - 1) * NS / c->hz - hpet.hi,
        (ticks + 1) * NS / c->hz - hpet.lo,
    };
}

void check_alike(const Counter *c, const CounterLook *from,
                 const CounterLook *to)
{
    Span gain = counter_gain(c, from, to);

    if (gain.lo > 0 || gain.hi < 0) {
        g_test_message("while the HPET moved by %" PRId64 " ns, the %s gained "
                       "%" PRId64 " to %" PRId64 " ns on it",
                       (to->hpet.lo - from->hpet.lo) * HPET_TICK_NS, c->name,
                       gain.lo, gain.hi);
        g_test_fail();
    }
}

int64_t counter_expect(const Counter *c, int64_t ns)
{
    return muldiv64(ns, c->hz, NS) & (c->wrap - 1);
}
