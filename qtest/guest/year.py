# SPDX-License-Identifier: GPL-2.0-or-later
"""A year of RTC alarms, one a day: qtest/baremetal/alarms.elf at 10,000 times.

In real time that is 8.64 s a day, and 53 minutes a year; the firmware is not fast
enough for its own PIT then, which stops before the rate is set. On a manual clock
beneath the scaled one a day is over as soon as its alarm was served, and a year in
seconds: it goes by hours, so that the guest has time to say what it is woken by.
"""

import time
from collections import namedtuple
from datetime import datetime, timedelta

from lib import linux_guest
from lib.emulator import Emulator, EmulatorError
from lib.paths import BUILD

GUEST = BUILD / "qtest" / "baremetal" / "alarms.elf"
RATE = 10000
HOUR_NS = 3600 * 10**9
WEEK = 7
YEAR = 366          # with a 29 February in it
START = "2027-07-01T13:00:00"
ALARM = timedelta(hours=12, minutes=34, seconds=56)
DAY = timedelta(days=1)
# An alarm is served before the hour is over where time waits for that; else it is
# late by what the machine has to do besides, times the rate, and after a day lost.
LATE = timedelta(hours=1)

# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 0.1 s when idle
BOOT_S = 120    # until the guest's first word: 1 s when idle
LINE_S = 60     # for an alarm that is due
LOOK_S = 0.1    # before more time passes on a manual clock

Alarm = namedtuple("Alarm", "date weekday count")


def arguments(parent):
    return [*linux_guest.BASE_ARGS, "-m", "16", "-kernel", str(GUEST),
            *parent, "-machine", "host-clock=s", "-rtc", "base=utc,clock=host"]


def on_manual():
    return arguments(["-object", f"host-clock-manual,id=m,wall={START}",
                      "-object", f"host-clock-scaled,id=s,clock=m,rate={RATE}"])


def in_real_time():
    ahead = datetime.fromisoformat(START + "+00:00").timestamp() - time.time()
    return arguments(["-object",
                      f"host-clock-scaled,id=s,offset-ns={int(ahead * 1e9)}"])


class Year(Emulator):
    """The VM; advance is whether its time has to be told to pass."""

    def __init__(self, binary, args, advance):
        super().__init__(str(binary), args, serial=True)
        self.advance = advance

    def wait_ready(self):
        self.qmp.open(START_S)
        deadline = time.monotonic() + BOOT_S
        while self._line(deadline) != "ready":
            pass
        self.qmp.command("qom-set", {"path": "/objects/s", "property": "rate",
                                     "value": str(RATE)})

    def _line(self, deadline):
        while time.monotonic() < deadline:
            try:
                got = self.read_line(time.monotonic() + LOOK_S)
                if got is None:
                    break
                return got[1]
            except EmulatorError:
                # The firmware waits for some milliseconds of the PM timer.
                if self.advance:
                    self.pass_ns(RATE * 10**6)
        raise EmulatorError("the guest is silent: " + self.stderr())

    def pass_ns(self, ns):
        self.qmp.command("host-clock-advance", {"id": "m", "ns": ns // RATE})

    def alarms(self, days):
        """What the guest says of each of so many alarms, with its arrival."""
        for _ in range(days):
            for _ in range(24 * self.advance):
                self.pass_ns(HOUR_NS)
            got = self.read_line(time.monotonic() + LINE_S)
            if got is None:
                raise EmulatorError("the emulator ended: " + self.stderr())
            words = got[1].split()
            if words[:1] != ["alarm"]:
                raise EmulatorError(f"the guest says {got[1]!r}")
            yield Alarm(datetime.strptime(words[1], "%Y%m%d%H%M%S"),
                        int(words[2]), int(words[3]))


def first_due(alarm):
    return datetime.combine((alarm.date - ALARM).date(), datetime.min.time()) + ALARM


def error_of(alarm, number, late):
    """What is wrong with an alarm that came so late after it was due; or None"""
    if not timedelta() <= late < DAY:
        return f"{alarm.date}, for one that is due at {alarm.date - late}"
    if alarm.weekday != alarm.date.isoweekday() % 7 + 1:
        return f"{alarm.date}: day {alarm.weekday} of the week"
    if alarm.count != number:
        return f"{alarm.date}: {alarm.count} interrupts in place of {number}"
    return None


def run(binary, days, advance):
    """(what is wrong or None, the latest alarm's lateness in guest seconds)"""
    number, due, latest = 0, None, timedelta()
    with Year(binary, on_manual() if advance else in_real_time(), advance) as vm:
        vm.wait_ready()
        try:
            for number, alarm in enumerate(vm.alarms(days), 1):
                due = due + DAY if due else first_due(alarm)
                late = alarm.date - due
                wrong = error_of(alarm, number, late)
                if wrong:
                    return f"alarm {number} of {days}: {wrong}", None
                latest = max(latest, late)
        except EmulatorError as e:
            return f"after alarm {number} of {days}, of {due}: {e}", None
    if advance and latest > LATE:
        return f"an alarm is {latest} late", None
    return None, latest.total_seconds()
