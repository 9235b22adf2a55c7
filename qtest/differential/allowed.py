# SPDX-License-Identifier: GPL-2.0-or-later
"""Where ours differs from stock QEMU, each with its patch."""

from collections import namedtuple

# base: only there, not in every base
Allowed = namedtuple("Allowed", "name patch why base", defaults=(None,))

# The generator keeps away from exactly that; differential-test.py also shows that
# each difference is there, and stock-faults-test.py tests the fix.
ALLOWED = [
    Allowed("past-last", "hw/timer/hpet: do not decode the timer past the last",
            "registers of timer number num_timers are not accessed"),
    Allowed("fsb", "hw/timer/hpet: FSB delivery cannot be enabled without",
            "with msi=off Tn_FSB_EN_CNF is not set"),
    Allowed("far", "hw/timer/hpet: do not overflow on comparators far away",
            "counter and comparators are below 2^58, also before the former is "
            "enabled"),
    Allowed("exact", "hw/timer/hpet: move the comparator on when it matches, "
            "and: do not delay a timer that is programmed again, and: "
            "comparators may be written by halves",
            "on qtest's clock each periodic comparator matches exactly, and "
            "stock fires again 1 us later. So comparators are periodic in "
            "rounds on a grid only: they match between two points of it, and "
            "of a line's pulses within a step only the first counts"),
    Allowed("endless", "hw/rtc/mc146818rtc: let time pass between re-injected",
            "8192 Hz is not chosen with driftfix=slew: stock never returns"),
    Allowed("stopped", "hw/timer/hpet: masked comparators need no timer",
            "when the VM is stopped, only the HPET's ID, configuration and "
            "counter are looked at: qtest's clock goes on, and ours makes up "
            "for a masked comparator when somebody looks"),
    Allowed("masked", "hw/timer/hpet: a masked timer has no interrupt",
            "no two timers share a line, nor does one with the PIT after a "
            "load; and pending interrupts are cleared before a configuration "
            "is written"),
    Allowed("pending", "hw/timer/hpet: forget a pending interrupt on reset",
            "pending interrupts are cleared before a reset, and before a "
            "load, which is one as well"),
    Allowed("day", "hw/rtc/mc146818rtc: do not miss an alarm by a day",
            "the second of the alarm is 'don't care'"),
    Allowed("twelve", "hw/rtc/mc146818rtc: fix alarms in 12-hour mode",
            "in 12-hour mode the hour of the alarm is 'don't care'"),
    Allowed("past", "hw/rtc/mc146818rtc: no alarm is due in the past",
            "the registers of the time hold one that there is, so a round has "
            "one data mode"),
    Allowed("periodic", "hw/rtc/mc146818rtc: PF does not depend on PIE, "
            "and: periodic interrupts are taps of one divider chain, and: a "
            "flag that the guest has cleared was seen",
            "no rate is selected: each edge of one sets PF, and they come at "
            "other moments. rtc-registers-test has a model of them"),
    Allowed("chain", "hw/rtc/mc146818rtc: periodic interrupts are taps of one "
            "divider chain",
            "register A is not written while the SET bit is on, with which "
            "stock ignores that the divider was reset"),
    Allowed("write", "hw/rtc/mc146818rtc: registers of the date as the data "
            "sheet has them",
            "the date is written with the SET bit on, and is one that there "
            "is; the day of the week is left alone"),
    Allowed("held", "hw/rtc/mc146818rtc: time stands still in divider reset",
            "the VM is not saved while the divider is held in reset"),
    Allowed("2262", "hw/rtc/mc146818rtc: do not overflow past the year 2262",
            "all dates are in the 21st century: before 1970 stock computes "
            "the end of a second wrongly, too", base="10.2"),
]
