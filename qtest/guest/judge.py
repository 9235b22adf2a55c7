# SPDX-License-Identifier: GPL-2.0-or-later
"""What the experiment compares: rows, what a guest must show, and how far off
it may be. Where the guest ran, on this host or in the lab, makes no difference.
"""

import calendar
import itertools
import json
import statistics
import time
from collections import Counter, namedtuple
from dataclasses import asdict, dataclass, field

# The host of the original experiment was 6 hours east of Greenwich. POSIX
# counts zones westwards: its TZ for UTC+6 ends in -6; '+06' is only the name.
ZONE_TZ = "<+06>-6"
ZONE_S = 6 * 3600
DATE = "2006-06-17T16:01:21"

CLASSIC = ["dynticks", "hpet", "rtc", "unix"]
NONE = "none"               # the emulator without -clock
SYSTEM = "system"

# Tolerance of the date. The guest prints each new second as soon as it sees
# it, the host notes when the line arrives; 'late' is expected minus seen.
# Four seconds are printed and the least late one counts: a hiccup of the host
# makes a line late, a wrong clock makes all four wrong.
EARLY_S = 0.1       # no second can show before it begins; slewing of the host
WHOLE_SECOND_S = 1  # the RTC has no fraction to load at power-on: 1 s late at
                    # most; where QEMU subtracts two times in whole seconds
                    # (clock=rt, a date with clock=host) 1 s early, too
LATENCY_S = 0.5     # the guest's look, the serial line, two busy host cores
# The start of the emulator is added where time counts from power-on (clock=rt,
# clock=vm, a date given): power-on lies between the start of the process and
# the moment QMP says 'running', 0.1 s on an idle machine.

# Tolerance of rates: median of the slopes between all pairs of the four
# seconds. One line 0.3 s late moves it by less; wrong clocks seen in practice
# (PIT or HPET taken for one another, ticks lost) are off by more.
RATE = 0.1

# HOST or LAB: where a row's emulator ran.
HOST = "host"
LAB = "lab"
# What ran its guest's code.
TCG = "tcg"
KVM = "kvm"

# hpet: on or off, or None for a machine that has none
Row = namedtuple("Row", "source base clock hpet")


def row_name(row):
    name = f"{row.source} base={row.base} clock={row.clock}"
    return name + " hpet=off" if row.hpet is False else name


@dataclass
class Check:
    """One thing that was compared; passed is None where it was skipped."""
    name: str
    passed: bool | None
    detail: str


@dataclass
class Result:
    row: Row
    checks: list = field(default_factory=list)
    skipped: str = ""       # why this row did not run
    error: str = ""         # why there is nothing to compare
    command: str = ""
    tail: list = field(default_factory=list)
    expected: float | None = None
    shown: float | None = None
    late: float | None = None
    allowed: tuple = ()     # bounds of late
    rate: float | None = None
    hpet_rate: float | None = None
    hpet_seen: bool | None = None
    took: float = 0
    where: str = HOST
    accel: str = TCG

    def fill_in(self, names, outcome):
        """Make checks of the outcome, (passed, detail) by name."""
        self.checks = [Check(name, *outcome.get(
            name, (False, "nothing to measure"))) for name in names]

    def fail(self, error, names):
        """There is nothing to compare."""
        self.error = error
        self.checks = [Check(name, False, error) for name in names]

    def verdict(self):
        if self.skipped:
            return "skipped"
        return "PASS" if all(c.passed for c in self.checks) else "FAIL"


def to_json(result):
    """A result as a line of text; from_json() makes it a result again."""
    return json.dumps(asdict(result))


def from_json(text):
    fields = json.loads(text)
    fields["row"] = Row(*fields["row"])
    fields["checks"] = [Check(**check) for check in fields["checks"]]
    return Result(**fields)


def parse_time(text):
    """Seconds since 1970 of a calendar date, taken as UTC."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def expected_time(row, start, arrival):
    """What the guest's RTC must show at arrival, were it without delay."""
    if row.clock == "host":
        elapsed = arrival.wall - start.wall
    else:
        elapsed = arrival.mono - start.mono
    if row.base == "utc":
        return start.wall + elapsed
    if row.base == "localtime":
        return start.wall + elapsed + ZONE_S
    return parse_time(row.base.replace("T", " ")) + elapsed


def date_tolerance(row, start_s):
    """Bounds of how late the guest's date may be, in seconds."""
    early, late = -EARLY_S, WHOLE_SECOND_S + LATENCY_S
    if row.clock != "host" or row.base == DATE:     # counts from power-on
        late += start_s
        if row.clock != "vm":
            early -= WHOLE_SECOND_S
    return early, late


def slope(points):
    """Median of the slopes between all pairs of (x, y)."""
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2)
                             in itertools.combinations(points, 2))


def judge_seconds(result, seconds, start, running, rate_name="rate over 3 s",
                  latency_s=0):
    """The date and its rate, of (arrival, date) at each new second that the
    guest printed; the emulator was started at start and ran at running. The
    lines may come latency_s later than on this host."""
    late = [(expected_time(result.row, start, arrival) - rtc, rtc)
            for arrival, rtc in seconds]
    result.late, result.shown = min(late)
    result.expected = result.shown + result.late
    result.rate = slope([(a.mono, rtc) for a, rtc in seconds])
    early, limit = date_tolerance(result.row, running.mono - start.mono)
    limit += latency_s
    result.allowed = early, limit
    return {
        "date at power-on": (
            early <= result.late <= limit,
            f"late by {result.late:.2f} s, allowed {early} to {limit:.2f}"),
        rate_name: (
            abs(result.rate - 1) <= RATE,
            f"{result.rate:.3f} s a second, allowed 1 ± {RATE}"),
    }


def judge_hpet_rate(result, points):
    """The rate of the guest's HPET, of (host's time, HPET's time)."""
    result.hpet_rate = slope(points)
    return (abs(result.hpet_rate - 1) <= RATE,
            f"{result.hpet_rate:.3f} s a second, allowed 1 ± {RATE}")


def judge_clock(row, clocks):
    """The default of query-host-clocks, or words that say why there is none."""
    used = (clocks if isinstance(clocks, str) else
            " ".join(c["qom-type"] for c in clocks if c["default"]))
    return used == f"host-clock-{row.source}", f"query-host-clocks: {used}"


def skip_row(row, reason, names):
    return Result(row, skipped=reason,
                  checks=[Check(name, None, reason) for name in names])


def count_checks(results):
    """How many passed, failed, were skipped."""
    count = Counter(c.passed for r in results for c in r.checks)
    return count[True], count[False], count[None]


def tolerance_text():
    return (f"Date: the least late of four printed seconds may be "
            f"{EARLY_S} s early ({EARLY_S + WHOLE_SECOND_S} s where QEMU "
            "subtracts whole seconds: clock=rt, and a date with clock=host), "
            f"and late by {WHOLE_SECOND_S} s (an RTC has "
            f"whole seconds only) + {LATENCY_S} s (serial line, busy host) "
            "+ the measured start of the emulator where time counts from "
            f"power-on. Rates: 1 ± {RATE} over 3 s of the host's "
            "CLOCK_MONOTONIC. In the lab, where all is emulated twice, 6 s, "
            "and a line may come 0.5 s later.")
