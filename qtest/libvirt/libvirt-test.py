#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Host clocks under a real libvirtd; TAP output.

    libvirt-test.py [--full] [--only WORD] [--jobs N] [--qemu PATH]

The forms of <clock> and <timer>, with and without -clock, what libvirt does with a
domain in its life, RTC_CHANGE, and `virsh domtime` with a guest agent. The short form
has each form, and each clock, at least once; --full has all clocks with all forms.
"""

import argparse
import itertools
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from lib.emulator import EmulatorError
from lib.paths import OURS
from lib.sources import list_sources
from lib.tap import Tap

import agent
import cycles
import forms
import sync
from daemon import Daemon, DaemonError

NONE = None         # a domain without -clock
# Stands still until a test moves it: `host-clock-manual-test.c` does.
STILL = "manual"
TRACKS = ("wall", "guest")


class NoPrograms(Daemon):
    """As on a machine where the packages are missing"""
    PROGRAMS = {"no-such-libvirtd": "libvirt-daemon"}


def refusal_test(daemon, *words):
    """A libvirtd that cannot start says why, and what to do."""
    try:
        with daemon:
            pass
    except DaemonError as e:
        missing = [word for word in words if word not in str(e)]
        if missing:
            raise DaemonError(f"{missing} are not in: {e}") from e
    else:
        raise DaemonError("it has started")


def pairs(rows, clocks, full):
    """Each row with each clock; or the clocks taken in turn, all rows and all clocks
    at least once."""
    if full:
        return list(itertools.product(rows, clocks))
    turns = max(len(rows), len(clocks))
    return [(rows[n % len(rows)], clocks[n % len(clocks)]) for n in range(turns)]


class Plan:
    """The tests, as (name, function, arguments)."""

    def __init__(self, one, other, clocks, full):
        self.one, self.other, self.clocks, self.full = one, other, clocks, full
        self.initramfs = one.folder / "initramfs"
        self.rows = []

    def add(self, name, host_clock, call, *args):
        """call(daemon, name of the domain, *args, host_clock)"""
        self.rows.append((f"{name}, -clock {host_clock or 'not given'}", call,
                          self.one, f"d{len(self.rows)}", *args, host_clock))

    def few(self, *clocks):
        """These clocks, or all if that was asked for."""
        return self.clocks if self.full else [c for c in clocks if c in self.clocks]

    def fill(self):
        """The longest first: two at a time, they end together."""
        for track, clock in pairs(TRACKS, self.few("unix", NONE), self.full):
            self.add(f"agent and domtime: track={track}", clock,
                     self.agent_test, track)
        for track, clock in pairs(TRACKS[::-1], self.few(NONE, "unix", "boottime"),
                                  self.full):
            self.add(f"life: track={track}", clock, self.cycle_test, track)
        for clock in self.few(NONE, "dynticks"):
            self.add("start --paused", clock, forms.paused_start_test)
        for row, clock in pairs(forms.CHANGES, self.clocks, self.full):
            self.add("RTC_CHANGE: basis={} adjustment={}".format(*row), clock,
                     forms.rtc_change_test, *row)
        for form, clock in pairs(forms.FORMS, self.clocks, self.full):
            self.add(f"clock: {form.name}", clock, forms.form_test, form)
        for row, clock in pairs(list(forms.timer_rows()), self.few(
                NONE, "dynticks", "unix", "raw"), self.full):
            self.add(f"timer: {row[0]}", clock, forms.timer_test, *row[1:])
        for present, clock in pairs((True, False), self.few(NONE, "unix"), self.full):
            self.add(f"timer: hpet present={present}", clock, forms.hpet_test, present)
        return self

    def agent_test(self, daemon, name, track, clock):
        agent.agent_test(daemon, name, track, clock, self.initramfs)

    def cycle_test(self, daemon, name, track, clock):
        cycles.cycle_test(daemon, self.other, name, track, clock)

    def others(self):
        yield ("libvirtd is not installed", refusal_test, NoPrograms("no"),
               "no-such-libvirtd is not installed", "apt-get install libvirt-daemon")
        yield ("libvirtd does not start", refusal_test,
               Daemon("broken", conf="no assignment"), "libvirtd ended at once",
               "libvirtd.conf:6: expecting an assignment", "docs/operators.rst")
        yield "the script of docs/behind.rst", sync.sync_test, self.initramfs
        yield ("no agent in the guest", agent.no_agent_test, self.one, "silent")


def attempt(tap, name, call, *args):
    """A test; what libvirt says no to is told without a traceback."""
    error = None
    try:
        call(*args)
    except DaemonError as e:
        error = str(e)
    except Exception:       # whatever it is, the next test runs
        error = traceback.format_exc()
    tap.point(name, error)


def run(tap, args, clocks):
    with ExitStack() as stack:
        try:
            one, other = (stack.enter_context(Daemon(name, args.qemu))
                          for name in ("one", "other"))
        except DaemonError as e:
            tap.point("libvirtd starts", str(e))
            return
        tap.point("libvirtd starts")
        tap.say(f"libvirt {one.virsh('--version')}")
        plan = Plan(one, other, clocks, args.full).fill()
        agent.make_initramfs(plan.initramfs)
        with ThreadPoolExecutor(args.jobs) as pool:
            jobs = [pool.submit(attempt, tap, *row)
                    for row in [*plan.rows, *plan.others()]
                    if args.only in row[0]]
            try:
                for job in jobs:
                    job.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                # What still runs fails at its next virsh.
                stack.close()
                raise


def main():
    parser = argparse.ArgumentParser(prog="libvirt-test",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="all clocks with all forms: 6 minutes")
    parser.add_argument("--only", metavar="WORD", default="",
                        help="only tests with this word in their name")
    parser.add_argument("--jobs", type=int, default=3, metavar="N",
                        help="tests at a time (default: 3)")
    parser.add_argument("--qemu", default=str(OURS), metavar="PATH",
                        help="another emulator")
    args = parser.parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no libvirtd stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    try:
        clocks = [NONE, *(name for name, source in list_sources(args.qemu).items()
                          if not source.reason and name != STILL)]
        run(tap, args, clocks)
    except (EmulatorError, DaemonError, OSError, *agent.Missing) as e:
        tap.point("the suite came to its end", str(e))
    return tap.end()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("libvirt-test: interrupted")
