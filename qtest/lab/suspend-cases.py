#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that sleeps, with VMs under every clock; TAP. For the lab alone.

    suspend-cases.py [--full]

The lab suspends to RAM and is woken up by its RTC, twice, and once in the
middle of a migration. Each VM tells time before and after. What each must show
is docs/suspend.rst's table.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from lib import kvm
from lib.paths import OURS
from lib.sources import list_sources
from lib.tap import Tap
from timekeeper import NONE, TICK_HZ, LinuxTeller, Timekeeper, asleep_s

# The kernel needs some of it until it sleeps: a second, or five beside others.
ASLEEP_S = 12
LEAST_S = 4
# VMs beside each other: with more of them interrupts are late in the lab.
AT_A_TIME = 14

RTC = Path("/sys/class/rtc/rtc0")

# By source: what a VM's time does while the host is asleep (with clock=vm and
# rt, HPET and interrupts), and whether the wall time is said to have moved.
STANDS, GOES_ON = 0, 1
MONOTONIC = {NONE: STANDS, "system": STANDS, "dynticks": STANDS, "unix": STANDS,
             "raw": STANDS, "boottime": GOES_ON, "rtc": GOES_ON,
             # The driver sets it to the kernel's date when it wakes up.
             "ptp": GOES_ON,
             # That of a PC is reset by its firmware.
             "hpet": STANDS}

# Every 16 s and every second a sample is taken, which does not always notice before.
# Then the beginning of a second is looked for: in a machine whose samples are 60 ms
# late, for 20 s once in a hundred times.
SAMPLED_S = {"rtc": 60, "ptp": 5}

# The lab's sleep is known to a second, its RTC's; a guest's line comes 0.25 s
# after the one before, and later in a machine that has just been woken up.
SLACK_S = 2.5
# With interrupts every 16 ms: what may be served together when the machine has
# been held up for so long.
HELD_UP_S = 1.0

# Of a VM's lines before the sleep, and after it, the least late one counts.
LINES = 4

Case = namedtuple("Case", "source clock accel")
LinuxCase = namedtuple("LinuxCase", "source clocksource")

# Without --full: one that stands still while the host sleeps, and one that goes on
IN_MIGRATION = ("dynticks", "boottime")

# KVM's own clock is its host's CLOCK_BOOTTIME; -clock has no part in it.
LINUX = {LinuxCase(NONE, "kvm-clock"): GOES_ON,
         LinuxCase(NONE, "hpet"): STANDS,
         LinuxCase("boottime", "hpet"): GOES_ON}


def hardware_s():
    """The seconds of the lab's RTC."""
    return int((RTC / "since_epoch").read_text())


def sleep():
    """Suspend this machine to RAM until ASLEEP_S from now; returns for how
    long it was asleep."""
    had = asleep_s()
    alarm = RTC / "wakealarm"
    # What was set before would be in the way.
    alarm.write_text("0")
    alarm.write_text(f"+{ASLEEP_S}")
    Path("/sys/power/state").write_text("mem")
    slept = asleep_s() - had
    check(LEAST_S <= slept <= ASLEEP_S,
          f"the lab was asleep for {slept:.1f} s, not for {ASLEEP_S}")
    return slept


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def least_late(lines):
    return min(lines, key=lambda line: line.arrival.mono - line.hpet)


class Seen:
    """What a VM said before the sleep, and later."""

    def __init__(self, lines, slept):
        woken = lines[-1].asleep - slept / 2
        before = [line for line in lines if line.asleep < woken][-LINES:]
        self.after = [line for line in lines if line.asleep > woken]
        self.last, self.slept = before[-1], slept
        begin, end = least_late(before), least_late(self.after[-LINES:])
        self.awake = end.arrival.mono - begin.arrival.mono
        self.hpet, self.date = end.hpet - begin.hpet, end.date - begin.date
        self.interrupts = self.after[-1].count - self.last.count
        self.interrupts_s = self.after[-1].arrival.mono - self.last.arrival.mono

    def __str__(self):
        return (f"asleep {self.slept:.1f} s, awake {self.awake:.1f}: HPET "
                f"{self.hpet:.1f}, RTC {self.date}; {self.interrupts} "
                f"interrupts in {self.interrupts_s:.1f}")


def wrong(case, vm, seen):
    """What is not as it must be."""
    vm_s = seen.awake + MONOTONIC[case.source] * seen.slept
    rtc_s = seen.awake + seen.slept if case.clock == "host" else vm_s
    wall_s = hardware_s() if case.source == "rtc" else time.time()
    is_s = vm.host_wall_s() or wall_s
    for what, off_s, slack_s in (("HPET", seen.hpet - vm_s, SLACK_S),
                                 ("RTC", seen.date - rtc_s, SLACK_S + 1),
                                 ("host clock's UTC", is_s - wall_s, SLACK_S)):
        if abs(off_s) > slack_s:
            yield f"{what} is off by {off_s:.2f} s"
    # Periodic interrupts: none for the time that it slept, all at once; and
    # none early. That there are lines shows that they go on.
    if seen.interrupts > (seen.interrupts_s + HELD_UP_S) * TICK_HZ:
        yield "a burst of interrupts"
    first, last = seen.after[0], seen.after[-1]
    if last.count - first.count > (last.hpet - first.hpet) * TICK_HZ + 2:
        yield "interrupts came early"


def check_told(case, vm, slept):
    """One event: that the host slept, and by how much wall time went ahead."""
    vm.qmp.command("query-status")
    steps = [event["data"] for event in vm.qmp.events
             if event["event"] == "HOST_CLOCK_STEP"]
    jump_s = 0 if MONOTONIC[case.source] == GOES_ON else slept
    check(len(steps) == 1 and steps[0]["reason"] == "suspend"
          and abs(steps[0]["suspended-ns"] / 1e9 - slept) < SLACK_S
          and abs(steps[0]["step-ns"] / 1e9 - jump_s) < SLACK_S,
          f"events: {steps}")


def check_vm(say, case, vm, slept):
    """A VM is as it must be, at once or as soon as its source is sampled."""
    end = time.monotonic() + SAMPLED_S.get(case.source, 0)
    while True:
        seen = Seen(vm.seen, slept)
        found = list(wrong(case, vm, seen))
        if not found or time.monotonic() > end:
            break
        vm.next_lines(LINES)
    say(f"figure: {name(case)}: {seen}")
    check(not found, "; ".join(found))
    check_told(case, vm, slept)


def name(case):
    return f"{case.accel}/{case.source}/{case.clock}"


class Machines:
    """The VMs of all cases, at the same time."""

    def __init__(self, tap, cases):
        self.tap, self.vms = tap, {}
        # Said one by one, as it takes minutes: a lab that is silent is given up.
        for case in cases:
            tap.say(f"{name(case)} starts")
            self.vms[case] = Timekeeper(
                OURS, case.source, case.accel, case.clock,
                "host" if case.accel == "kvm" else "qemu64")
        for case, vm in self.vms.items():
            vm.next_lines(LINES)
            tap.say(f"{name(case)} runs")

    def close(self):
        for vm in self.vms.values():
            vm.close()

    def sleep(self, number):
        """One sleep; a point for each VM."""
        for vm in self.vms.values():
            vm.qmp.command("query-status")
            vm.qmp.events.clear()
        slept = sleep()
        had = {case: len(vm.seen) for case, vm in self.vms.items()}
        for case, vm in self.vms.items():
            vm.lines_from(0, had[case] + 2 * LINES)
            self.tap.attempt(f"suspend-{number}/{name(case)}", check_vm,
                             self.tap.say, case, vm, slept)


def check_migration(source):
    """The host sleeps while a VM is being moved, and the move goes on."""
    with tempfile.TemporaryDirectory() as folder:
        state = f"{folder}/state"
        with Timekeeper(OURS, source) as vm:
            before = vm.next_lines(2)[-1]
            # So slow that it takes longer than to fall asleep.
            vm.qmp.command("migrate-set-parameters", {"max-bandwidth": 50_000})
            vm.qmp.command("migrate", {"uri": f"file:{state}"})
            status = vm.qmp.command("query-migrate")["status"]
            check(status in ("setup", "active"), f"migration: {status}")
            slept = sleep()
            vm.qmp.command("migrate-set-parameters", {"max-bandwidth": 10**9})
            vm.wait_migrated()
        with Timekeeper(OURS, source, extra=["-incoming", "defer"]) as vm:
            vm.load(state)
            after = vm.next_lines(4)
        gone = after[0].hpet - before.hpet
        awake = after[0].arrival.mono - before.arrival.mono
        most = awake + MONOTONIC[source] * slept + SLACK_S
        # What it slept is lost to a VM that leaves before the next sample.
        least = 0 if source in SAMPLED_S else MONOTONIC[source] * (slept - SLACK_S)
        check(least < gone <= most,
              f"HPET moved {gone:.2f} s, not {least:.2f} to {most:.2f} s")
        check(after[-1].count - after[0].count
              <= (after[-1].hpet - after[0].hpet) * TICK_HZ + 2, "a burst")


def check_linux(say, vm, moves, slept):
    """Linux's own clock after a sleep: its date, which it does not set again by
    the RTC, and its uptime."""
    woken = vm.seen[-1].asleep - slept / 2
    begin, end = (
        min(lines, key=lambda line: line.arrival.mono - line.uptime) for lines in
        ([line for line in vm.seen if line.asleep < woken][-LINES:],
         [line for line in vm.seen if line.asleep > woken][-LINES:]))
    awake = end.arrival.mono - begin.arrival.mono
    uptime, date = end.uptime - begin.uptime, end.date - begin.date
    say(f"figure: asleep {slept:.1f} s, awake {awake:.1f}: uptime {uptime:.1f}, "
        f"date {date}")
    due = awake + moves * slept
    check(abs(uptime - due) <= SLACK_S, f"uptime is off by {uptime - due:.2f} s")
    check(abs(date - due) <= SLACK_S + 1, f"date is off by {date - due:.2f} s")


def linux_points(tap):
    """Two sleeps with Linux guests."""
    vms = {}
    try:
        for case in LINUX:
            vms[case] = LinuxTeller(*case)
            vms[case].next_lines(LINES)
        for number in (1, 2):
            slept = sleep()
            had = {case: len(vm.seen) for case, vm in vms.items()}
            for case, vm in vms.items():
                vm.lines_from(0, had[case] + 2 * LINES)
                tap.attempt(f"suspend-linux-{number}/{case.source}/"
                            f"{case.clocksource}", check_linux, tap.say, vm,
                            LINUX[case], slept)
    finally:
        for vm in vms.values():
            vm.close()


def cases(sources, full):
    accels = ["tcg", *(["kvm"] if os.path.exists(kvm.DEVICE) else [])]
    if full:
        yield from map(Case._make, itertools.product(
            sources, ["host", "rt", "vm"], accels))
        return
    # HPET and interrupts show what clock=vm would, so that is left out. Both
    # accelerators take turns: guests under KVM are slow beside each other.
    for n, source in enumerate(sources):
        yield Case(source, "host", accels[n % len(accels)])
    for source in {"unix", "boottime"}.intersection(sources):
        yield Case(source, "rt", "tcg")


def main():
    parser = argparse.ArgumentParser(prog="suspend-cases",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="each setting under TCG and KVM")
    parser.add_argument("--linux", action="store_true", help="Linux guests only")
    parser.add_argument("--sources", metavar="LIST", help="host clocks, with "
                        "commas")
    args = parser.parse_args()
    if not os.environ.get("HOST_CLOCK_LAB"):
        parser.error("it suspends the machine that it runs on: "
                     "qtest/lab/lab-test.py --boots suspend runs it in the lab")
    tap = Tap()
    sources = [NONE, *(s.name for s in list_sources(str(OURS)).values()
                       if s.name in MONOTONIC and (not s.reason or s.name == "ptp"))]
    if args.sources:
        sources = args.sources.split(",")
    # Three Linux guests under TCG's KVM take minutes to boot beside other labs.
    if args.full or args.linux:
        linux_points(tap)
    if args.linux:
        return tap.end()
    todo = list(cases(sources, args.full))
    for n in range(0, len(todo), AT_A_TIME):
        machines = Machines(tap, todo[n:n + AT_A_TIME])
        try:
            machines.sleep(1)
            machines.sleep(2)
        finally:
            machines.close()
    for source in sources if args.full else IN_MIGRATION:
        tap.attempt(f"suspend-in-migration/{source}", check_migration, source)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
