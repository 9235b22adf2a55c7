#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests in scaled time; TAP output.

    time-travel-test.py [--full] [--qemu PATH]

A whole Linux guest under TCG at 10 times the host's pace, and, with --full, at 100
times and at a quarter of it: its uptime, RTC, HPET and `sleep` agree with each other,
and with the rate, within 1 %. Then the rate is changed while it runs.

Linux guests that pass 2038-01-19T03:14:07, as with './run experiment --y2038'. A
guest that lives through a year of daily alarms at 10,000 times: on a manual clock in
seconds; a week of it in a minute of real time, with --full the year in 53 minutes.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from fractions import Fraction
from pathlib import Path

import y2038
import year
from clocks_guest import ClocksGuest, make_initramfs
from lib.emulator import Emulator, EmulatorError
from lib.packages import PackageError
from lib.paths import OURS
from lib.tap import Tap
from table import tap_points

# How far two clocks may be apart.
BOUND = 0.01
# How exactly each end of an interval is known, of the interval: the guest and the
# host try again until it is, however busy the machine.
EDGE = 0.002
# A sleep is never early, but for what uptime is rounded by. It is late by what the
# machine has to do besides, times the rate; so the best of these is judged.
ROUNDED_S = 0.02
SLEEPS = 3

# At 100 times Linux cannot measure its TSC: reading the HPET takes longer than it
# may. The HPET itself is no way out, as Linux takes 32 bits of it, which are over in
# 0.4 s of the host. Nor has the guest the CPU for what its watchdogs expect.
FAST = "tsc=reliable tsc_early_khz={} nowatchdog rcupdate.rcu_cpu_stall_suppress=1"

Row = namedtuple("Row", "rate clock sleep_s sources append")
ROWS = [Row("10/1", "host", 100, ["tsc"], "")]
FULL_ROWS = [*ROWS, Row("100/1", "vm", 1000, ["tsc-early", "tsc"], FAST),
             Row("1/4", "rt", 5, ["tsc"], "")]
# The rate that the first of them gets while it runs
LATER = Row("5/1", "host", 75, ["hpet"], "")


def deviation(shortest_s, longest_s, true_s):
    """(how far an interval is from what it is to be, at the most; the middle), of 1"""
    return (max(abs(shortest_s / true_s - 1), abs(longest_s / true_s - 1)),
            (shortest_s + longest_s) / 2 / true_s - 1)


class Measured:
    """An interval of a guest by each of its clocks."""

    def __init__(self, guest, row):
        self.rate = Fraction(row.rate)
        total_s = row.sleep_s * SLEEPS
        self.sleep_s = row.sleep_s
        first = guest.edge(EDGE * total_s)
        begin = guest.now(EDGE * total_s / float(self.rate))
        self.slept = [guest.sleep(row.sleep_s, row.sleep_s / float(self.rate))
                      for _ in range(SLEEPS)]
        end = guest.now(EDGE * total_s / float(self.rate))
        last = guest.edge(EDGE * total_s)
        self.edges, self.ends = (first, last), (begin, end)

    def checks(self):
        """(name, what is wrong or None, what was seen)"""
        first, last = self.edges
        begin, end = self.ends
        uptime = last.from_s - first.to_s, last.to_s - first.from_s
        yield self._check("uptime and RTC", *uptime, last.rtc_s - first.rtc_s)
        yield self._check("uptime and HPET", *uptime, last.hpet_s - first.hpet_s)
        yield self._check("uptime and rate", *(
            (end.uptime_s - begin.uptime_s) / float(self.rate) / host_s
            for host_s in (end.got_s - begin.sent_s, end.sent_s - begin.got_s)), 1)
        best = min(self.slept)
        yield ("no sleep is early", None if best >= self.sleep_s - ROUNDED_S
               else f"{best} s", "")
        yield self._check("sleep", best, best, self.sleep_s)

    def _check(self, name, shortest_s, longest_s, true_s):
        worst, middle = deviation(shortest_s, longest_s, true_s)
        seen = f"{middle:+.3%}, at most {worst:.3%}"
        return name, None if worst <= BOUND else f"{seen}; allowed are {BOUND:.0%}", seen

    def seconds(self):
        return self.edges[1].rtc_s - self.edges[0].rtc_s


def measure(tap, guest, row, name):
    measured = Measured(guest, row)
    for what, wrong, seen in measured.checks():
        tap.point(f"{name}: {what}", wrong)
        if seen:
            tap.say(f"{measured.seconds()} guest seconds: {seen}")


def wait_source(guest, sources, seconds, host_s):
    """What is wrong with the clock source that the guest ends up with; or None"""
    for _ in range(seconds):
        if guest.source() in sources:
            return None
        guest.sleep(1, host_s)
    return f"it is {guest.source()}"


def change_rate(tap, guest, name):
    """TCG's TSC does not follow, and Linux may not notice: it is told."""
    guest.ask(f"use {LATER.sources[0]}")
    tap.point(f"{name}: keeps time by the HPET", wait_source(guest, LATER.sources, 1, 1))
    guest.qmp.command("qom-set", {"path": "/objects/s", "property": "rate",
                                  "value": LATER.rate})
    measure(tap, guest, LATER, name)


def check_linux(tap, binary, row, initramfs, tsc_khz):
    """Returns: how fast the host's TSC is, by the guest."""
    name, rate = f"Linux at {row.rate}", Fraction(row.rate)
    clock = ["-object", f"host-clock-scaled,id=s,rate={row.rate}",
             "-machine", "host-clock=s", "-rtc", f"clock={row.clock}"]
    append = row.append.format(round(tsc_khz / rate))
    with ClocksGuest(binary, initramfs, clock, append) as guest:
        guest.wait_ready()
        # It has measured the TSC for a second time, more exactly, by then.
        tap.point(f"{name}: keeps time by the TSC",
                  wait_source(guest, row.sources, 30, 1 / float(rate)))
        tsc_khz = guest.tsc_khz() * rate
        measure(tap, guest, row, name)
        if row == ROWS[0]:
            change_rate(tap, guest, f"{name}, then {LATER.rate}")
    return tsc_khz


def check_rates(tap, args):
    tsc_khz = 0
    with tempfile.TemporaryDirectory(prefix="time-travel-") as folder:
        initramfs = Path(folder) / "initramfs"
        make_initramfs(initramfs)
        for row in FULL_ROWS if args.full else ROWS:
            tsc_khz = check_linux(tap, args.qemu, row, initramfs, tsc_khz)


def check_year(tap, args, days, is_manual):
    wrong, late_s = year.run(args.qemu, days, is_manual)
    tap.point(f"{days} days of alarms, " + ("on a manual clock" if is_manual else
                                            "in real time"), wrong)
    if not is_manual and not wrong:
        tap.say(f"an alarm was served {late_s / year.RATE * 1e3:.1f} ms late at most")


def check_y2038(tap, args):
    tap_points(tap, y2038.run_rows(args.qemu, 2, tap.say))


def check_years(tap, args):
    check_year(tap, args, year.YEAR, True)
    check_year(tap, args, year.YEAR if args.full else year.WEEK, False)


def run(tap, args):
    for check in check_rates, check_y2038, check_years:
        try:
            check(tap, args)
        except (EmulatorError, PackageError, OSError, ValueError,
                subprocess.CalledProcessError) as e:
            tap.point(f"{check.__name__} comes to its end", f"{e!r}")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all rates, the whole year")
    parser.add_argument("--qemu", default=str(OURS), metavar="PATH")
    return parser.parse_args()


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    try:
        run(tap, args)
    except KeyboardInterrupt:
        Emulator.kill_all()
        raise
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
