# SPDX-License-Identifier: GPL-2.0-or-later
"""The faults of time in stock QEMU: how to see each of them."""

import time
from collections import namedtuple

from lib import machine
from lib.emulator import EmulatorError, cpu_ns
from lib.machine import NS, Machine
from lib.qtest import Died, Hang

A, B, C = 0x0a, 0x0b, 0x0c
PIE, UIE, DM, H24 = 0x40, 0x10, 0x04, 0x02
AIE, SET = 0x20, 0x80
PF, AF, UF = 0x40, 0x20, 0x10
HOURS, SEC_ALARM, MIN_ALARM, HOUR_ALARM = 4, 1, 3, 5
SECONDS, MINUTES, WEEKDAY, DAY, MONTH = 0, 2, 6, 7, 8
DONT_CARE = 0xc0
HOUR = 3600 * NS

# Stock QEMU needs 5 s and more where it hangs, or never comes back.
HANG_CPU_S = 1
# Periodic and update interrupts here come once in half a second and in a
# second; 4 s make up for a busy host.
WAIT_S = 4
# 483,000 callbacks for 59 s at 8192 Hz take stock QEMU 30 ms and more of
# processor time; to answer without them takes 0.5 ms.
STALL_S, STALL_CPU_MS = 59, 5

HOST = "base=utc,clock=host"
VM = "base=utc,clock=vm"
JUNE = "base=2006-06-17T16:01:21,clock=vm"


# The faults: each function returns what is wrong with a machine, or None.

def abort_at_rate_change(m):
    m.cmos_write(A, 0x26)
    m.cmos_write(B, PIE | H24)
    m.step(-HOUR)
    try:
        m.cmos_write(A, 0x2f)
        m.cmos_read(C)
    except Died as e:
        return str(e)
    return None


def hang_at_step(m, step_ns):
    m.cmos_write(A, 0x23)
    m.cmos_write(B, PIE | H24)
    m.step(step_ns)
    try:
        # The first may be answered before the main loop looks at its timers.
        m.cmos_read(C, cpu_s=HANG_CPU_S)
        m.cmos_read(C, cpu_s=HANG_CPU_S)
    except Hang as e:
        return str(e)
    return None


def hang_at_hour(m):
    return hang_at_step(m, HOUR)


def hang_at_decade(m):
    return hang_at_step(m, 3652 * 24 * HOUR)


def hpet_timer_past_last(m):
    reg = 0x100 + 3 * 0x20              # of the default 3 timers, the fourth
    m.hpet_write(reg, 0x04)
    value = m.hpet_read(reg)
    return f"T3_CFG reads {value:#x}" if value else None


def date_after_step_back(m):
    m.step(-HOUR)
    date = m.date()
    right = time.gmtime(m.now_s() - 3600)
    if abs(date.year - right.tm_year) > 1:
        return f"year {date.year} instead of {right.tm_year}"
    return None


def interrupts_stop(m, rate, enable, flag):
    m.cmos_write(A, 0x20 | rate)
    m.cmos_write(B, enable | H24)
    if not m.wait_flag(flag, WAIT_S):
        return "it did not even start"
    m.step(-HOUR)
    # One may have been due before the step.
    m.cmos_read(C)
    return None if m.wait_flag(flag, WAIT_S) else f"none within {WAIT_S} s"


def periodic_stops(m):
    return interrupts_stop(m, 15, PIE, PF)


def update_stops(m):
    return interrupts_stop(m, 6, UIE, UF)


def late_periods(binary, m, source, folder):
    """Load the state of m into a machine whose clock is STALL_S ahead."""
    stream = f"file:{folder}/stall"
    m.cmos_write(A, 0x23)
    m.cmos_write(B, PIE | H24)
    m.ask("clock_step 1000000")
    m.vm.qmp.command("stop")
    m.vm.qmp.command("migrate", {"uri": stream})
    m.vm.wait_migrated()
    with Machine(binary, source, "base=utc,clock=vm",
                 args=["-incoming", "defer"]) as to:
        to.ask(f"clock_set {STALL_S * NS}")
        to.vm.qmp.command("migrate-incoming", {"uri": stream})
        to.vm.wait_migrated()
        begin = cpu_ns(to.pid)
        to.vm.qmp.command("cont")
        to.cmos_read(C)
        used_ms = (cpu_ns(to.pid) - begin) / 1e6
    return f"{used_ms:.0f} ms of processor time" if used_ms > STALL_CPU_MS \
        else None


def reinjection_hangs(m):
    """With driftfix=slew, and the fastest rate; nobody takes the interrupts."""
    m.cmos_write(A, 0x23)
    m.cmos_write(B, PIE | H24)
    try:
        m.advance(NS // 10, cpu_s=HANG_CPU_S)
        m.cmos_read(C, cpu_s=HANG_CPU_S)
    except (Hang, EmulatorError) as e:
        return str(e)
    return None


def hpet_tiny_period(m):
    """The guest alone can do this: the counter far ahead of the comparator."""
    m.hpet_write(machine.HPET_COUNTER, 1 << 50)
    m.hpet_write(0x100, 0x08 | 0x40)            # periodic, set the comparator
    m.hpet_write(0x108, 1)                      # and a period of one tick
    m.hpet_write(machine.HPET_CONFIG, 1)
    try:
        m.advance(NS // 1000, cpu_s=HANG_CPU_S)
        m.hpet_read(machine.HPET_CONFIG, cpu_s=HANG_CPU_S)
    except (Hang, EmulatorError) as e:
        return str(e)
    return None


def hpet_fsb(m):
    m.hpet_write(0x100, 1 << 14)
    return "Tn_FSB_EN_CNF is set" if m.hpet_read(0x100) & 1 << 14 else None


def hpet_reset_comparator(m):
    m.hpet_write(0x100, 0x02)                   # level: the status bit stays
    m.hpet_write(machine.HPET_CONFIG, 1)
    m.advance(NS // 1000)
    return "fires at once" if m.hpet_read(machine.HPET_STATUS) & 1 else None


PERIOD = 1_000_000                              # ticks of 10 ns
LINE = 20


def hpet_periodic(m):
    """Timer 0, edges on an unused line, first due in PERIOD ticks."""
    m.watch_irqs()
    m.hpet_write(machine.HPET_CONFIG, 1)
    m.hpet_write(0x100, 0x04 | 0x08 | 0x40 | LINE << 9)
    m.hpet_write(0x108, PERIOD)


def hpet_fires_twice(m):
    hpet_periodic(m)
    m.advance(PERIOD * 10 + 5000)
    edges = m.qtest.irqs.count((LINE, True))
    return f"{edges} interrupts" if edges != 1 else None


def hpet_delays(m):
    hpet_periodic(m)
    m.hpet_write(0x100, 0x04 | 0x08 | LINE << 9)
    m.advance(PERIOD * 10)
    edges = m.qtest.irqs.count((LINE, True))
    return None if edges else "not there in time"


def hpet_level(m, config=0x04):
    """Timer 0, a level on an unused line, pending."""
    m.watch_irqs()
    m.hpet_write(machine.HPET_CONFIG, 1)
    m.hpet_write(0x100, 0x02 | config | LINE << 9)
    m.hpet_write(0x108, m.hpet_read(machine.HPET_COUNTER) + PERIOD)
    m.advance(PERIOD * 10)
    m.hpet_read(machine.HPET_STATUS)


def hpet_pending_after_reset(m):
    hpet_level(m)
    m.reset()
    status = m.hpet_read(machine.HPET_STATUS)
    return f"status {status:#x}" if status else None


def hpet_masked_pending(m):
    hpet_level(m)
    m.hpet_write(0x100, 0x02 | LINE << 9)
    return "its line stays high" if m.qtest.irqs[-1:] == [(LINE, True)] \
        else None


def hpet_masked_match(m):
    """Timer 1, on the same line, masked"""
    hpet_level(m)
    m.hpet_write(0x120, 0x02 | LINE << 9)
    m.hpet_write(0x128, m.hpet_read(machine.HPET_COUNTER) + PERIOD)
    m.advance(PERIOD * 10)
    m.hpet_read(machine.HPET_STATUS)
    return None if m.qtest.irqs[-1:] == [(LINE, True)] else \
        "it lowers the line of timer 0"


def set_alarm(m, hour, minute, second):
    for reg, value in ((HOUR_ALARM, hour), (MIN_ALARM, minute),
                       (SEC_ALARM, second)):
        m.cmos_write(reg, value)


def alarm_in_12_hours(m):
    """It is two seconds to four in the afternoon."""
    m.cmos_write(B, 0)
    m.cmos_read(HOURS)              # the registers are in the new mode now
    set_alarm(m, 0x84, 0x00, 0x00)
    return None if m.wait_flag(AF, WAIT_S) else "no alarm at 4 pm"


def alarm_missed_by_a_day(m):
    """Every minute, set in the second that matches. The update-ended flag is
    set, so nobody computes the alarm again."""
    m.advance(2 * NS + NS // 2)
    set_alarm(m, DONT_CARE, DONT_CARE, 0x00)
    m.advance(61 * NS)
    return None if m.cmos_read(C) & AF else "no alarm in the next minute"


def alarm_in_the_past(m):
    """Time stands still on an hour that there is not, updates go on."""
    m.cmos_write(B, SET | H24)
    m.cmos_write(HOURS, 0x35)
    set_alarm(m, 0x01, 0x00, 0x00)
    m.cmos_read(C)
    return "at once" if m.wait_flag(AF, WAIT_S // 2) else None


def date_in_divider_reset(m):
    m.cmos_write(A, 0x76)
    m.cmos_write(HOURS, 0x05)
    m.vm.qmp.command("qom-get", {"path": "/machine", "property": "rtc-time"})
    hours = m.cmos_read(HOURS)
    return None if hours == 0x05 else f"hour {hours:#04x} instead of 0x05"


def updates_after_load(binary, m, source, folder):
    """Load the state of m into a machine whose clock is an hour behind."""
    stream = f"file:{folder}/updates"
    m.cmos_write(B, UIE | H24)
    m.step(HOUR)
    m.wait_flag(UF, WAIT_S)
    m.vm.qmp.command("stop")
    m.vm.qmp.command("migrate", {"uri": stream})
    m.vm.wait_migrated()
    with Machine(binary, source, HOST, args=["-incoming", "defer"]) as to:
        to.vm.qmp.command("migrate-incoming", {"uri": stream})
        to.vm.wait_migrated()
        to.vm.qmp.command("cont")
        to.cmos_read(C)
        return None if to.wait_flag(UF, WAIT_S) else f"none within {WAIT_S} s"


def hpet_by_halves(m):
    """Tn_VAL_SET_CNF once; then the halves of comparator and period"""
    m.watch_irqs()
    m.hpet_write(machine.HPET_CONFIG, 1)
    m.hpet_write(0x100, 0x04 | 0x08 | 0x40 | LINE << 9)
    for value in (2 * PERIOD, PERIOD):
        for half in (0, 4):
            m.ask(f"writel {machine.HPET + 0x108 + half:#x} "
                  f"{0 if half else value:#x}")
    m.advance(PERIOD * 10)
    early = m.qtest.irqs.count((LINE, True))
    m.advance(3 * PERIOD * 10)
    edges = m.qtest.irqs.count((LINE, True))
    return None if not early and edges in (2, 3) else \
        f"{early} interrupts too early, {edges} in all"


def acpi_alarm(m):
    """PIIX4: PMBASE is set, and I/O enabled; an alarm in every second"""
    m.ask("outl 0xcf8 0x80000b40", "outl 0xcfc 0xb001",
          "outl 0xcf8 0x80000b80", "outb 0xcfc 1")
    set_alarm(m, DONT_CARE, DONT_CARE, DONT_CARE)
    m.cmos_write(B, AIE | H24)
    m.wait_flag(AF, WAIT_S)
    status = int(m.ask("inw 0xb000")[0][1], 0)
    return None if status & 0x400 else "PM1_STS.RTC_STS is clear"


def periodic_flag(m):
    m.cmos_write(A, 0x26)
    m.cmos_write(B, H24)
    m.cmos_read(C)
    m.advance(NS // 100)
    return None if m.cmos_read(C) & PF else "PF is clear after ten periods"


def rate_change(m):
    """To 2 Hz, 0.4 s after the chain was reset"""
    m.cmos_write(A, 0x76)
    m.cmos_write(A, 0x26)
    m.cmos_write(B, PIE | H24)
    m.advance(NS * 4 // 10)
    m.cmos_write(A, 0x2f)
    m.cmos_read(C)
    m.advance(NS * 2 // 10)
    return None if m.cmos_read(C) & PF else "no edge after 0.5 s"


def second_after_write(m):
    m.advance(NS * 9 // 10)
    m.cmos_write(MINUTES, 0x30)
    second = m.cmos_read(SECONDS)
    m.advance(NS * 2 // 10)
    return None if m.cmos_read(SECONDS) != second else \
        "the second began anew"


def day_before_month(m):
    m.cmos_write(DAY, 0x31)
    m.cmos_write(MONTH, 0x12)
    day = m.cmos_read(DAY)
    return None if day == 0x31 else f"day {day:#x}"


def weekday(m):
    m.cmos_write(WEEKDAY, 3)
    day = m.cmos_read(WEEKDAY)
    return None if day == 3 else f"it is {day}"


def lower_case_t(m):
    hour = m.date().hour
    return None if hour == 16 else f"hour {hour}"


def far_date(m):
    """Centuries are there in nanoseconds only up to 2262-04-11."""
    base = m.rtc.removeprefix("base=").partition(",")[0]
    date = "%d-%02d-%02d" % m.date()[:3]
    return None if date == base else f"{date} instead of {base}"


# Where a fault can be looked for
def anywhere(_):
    return True


def hpet_told(source):
    """It takes a deadline that is met to the nanosecond."""
    return source in (None, "system", "manual")


def qtest_clock(source):
    """It takes a clock that can be set before the state is loaded."""
    return source in (None, "system")


# A fault may have come or gone with the RTC's nanoseconds, after 10.0.
ALL, OLD, NEW = "10.0 and later", "10.0", "later than 10.0"
Fault = namedtuple("Fault", "name run rtc where of", defaults=(ALL,))
FAR_DATES = "2262-04-12", "2300-01-01", "9999-12-30"
FAULTS = [
    # Section 1 of the design
    Fault("rtc/abort-at-rate-change", abort_at_rate_change, HOST, anywhere),
    Fault("rtc/hang-at-step/1h", hang_at_hour, HOST, anywhere),
    Fault("rtc/hang-at-step/10y", hang_at_decade, HOST, anywhere),
    *(Fault(f"rtc/base={date}/clock={clock}", far_date,
            f"base={date},clock={clock}", anywhere, NEW)
      for date in FAR_DATES for clock in ("host", "rt", "vm")),
    Fault("hpet/timer-past-last", hpet_timer_past_last, VM, anywhere),
    # Found on the way
    Fault("rtc/date-after-step-back", date_after_step_back, HOST, anywhere,
          OLD),
    Fault("rtc/periodic-stops-at-step-back", periodic_stops, HOST, anywhere),
    Fault("rtc/update-stops-at-step-back", update_stops, HOST, anywhere),
    Fault("rtc/59s-late", late_periods, VM, qtest_clock),
    Fault("rtc/endless-reinjection", reinjection_hangs,
          VM + ",driftfix=slew", hpet_told),
    Fault("hpet/tiny-period-late", hpet_tiny_period, VM, anywhere),
    Fault("hpet/fsb-without-capability", hpet_fsb, VM, anywhere),
    Fault("hpet/reset-comparator", hpet_reset_comparator, VM, anywhere),
    Fault("hpet/fires-twice", hpet_fires_twice, VM, hpet_told),
    Fault("hpet/programmed-again", hpet_delays, VM, hpet_told),
    Fault("hpet/pending-after-reset", hpet_pending_after_reset, VM, hpet_told),
    Fault("hpet/masked-while-pending", hpet_masked_pending, VM, hpet_told),
    Fault("hpet/masked-match", hpet_masked_match, VM, hpet_told),
    Fault("rtc/alarm-in-12-hour-mode", alarm_in_12_hours,
          "base=2006-06-17T15:59:58,clock=host", anywhere),
    Fault("rtc/alarm-missed-by-a-day", alarm_missed_by_a_day,
          "base=2006-06-17T11:59:58,clock=vm", hpet_told),
    Fault("rtc/alarm-in-the-past", alarm_in_the_past, HOST, anywhere),
    Fault("rtc/date-in-divider-reset", date_in_divider_reset, HOST, anywhere),
    Fault("rtc/updates-after-load", updates_after_load, HOST, anywhere),
    # From public reports
    Fault("hpet/by-halves", hpet_by_halves, VM, hpet_told),
    Fault("rtc/acpi-alarm", acpi_alarm, HOST, anywhere),
    Fault("rtc/periodic-flag", periodic_flag, VM, hpet_told),
    Fault("rtc/rate-change", rate_change, JUNE, hpet_told),
    Fault("rtc/second-after-write", second_after_write, JUNE, hpet_told),
    Fault("rtc/day-before-month", day_before_month, JUNE, hpet_told),
    Fault("rtc/weekday", weekday, JUNE, anywhere),
    Fault("rtc/base-lower-case", lower_case_t,
          "base=2006-06-17t16:01:21,clock=vm", hpet_told),
]
