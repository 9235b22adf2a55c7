#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Time under KVM, with guests that take their interrupts; TAP.

    kvm-cases.py [--full]

For the lab, and any machine with KVM. Each guest is bare metal: one counts the
RTC's interrupts, losing some on purpose; one tells time.
"""

import argparse
import itertools
import sys
import tempfile
import time
from dataclasses import dataclass

from lib import kvm
from lib.emulator import Emulator
from lib.paths import BUILD, OURS, STOCK
from lib.sources import list_running
from lib.tap import Tap
from timekeeper import COMMON_CPU, HPET_HZ, NONE, TICK_HZ, Stalls, Timekeeper

LOST_TICKS = BUILD / "qtest" / "baremetal" / "lost-ticks.elf"

# kernel-irqchip=, and by what the guest takes its interrupts. KVM of today has
# no APIC outside the kernel.
IRQCHIPS = [("on", "apic"), ("on", "pic"), ("split", "apic"), ("split", "pic"),
            ("off", "pic")]
# QEMU's own I/O APIC takes a line that is high and raised again for another
# interrupt, so that a guest that counts those is one or two ahead.
SLEW_IS_RIGHT = [pair for pair in IRQCHIPS if pair != ("split", "apic")]

# Clocks whose stop is tried without --full, too
DEVICES = ["hpet", "rtc"]

# The guest's first line comes 3 s after the start, in the lab.
START_S = 60
# The newest machine that has a kvmclock only if the processor offers it: TCG
# cannot load one.
NO_KVMCLOCK = "pc-i440fx-5.1"
# A third of all ticks comes while interrupts are off for 100 ms, six periods;
# the first of them is not lost.
LOST_SHARE = 0.2

# In the lab what a host does in a millisecond takes ten. What this process is
# itself held up comes on top.
LATE_S = 0.3
STALLS = Stalls()
# So many come even on a machine that is busy with other things.
LEAST_SHARE = 0.25


def count_ticks(chip, way, driftfix, options):
    """What the guest counted, and what it had to: the closest of its lines."""
    args = ["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            "-accel", f"kvm,kernel-irqchip={chip}",
            "-cpu", "qemu64,-svm,-apic,kvm=off" if chip == "off" else "host",
            "-m", "16", "-kernel", str(LOST_TICKS),
            "-append", f"apic={int(way == 'apic')} {options}",
            "-rtc", f"clock=vm,driftfix={driftfix}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    seen = []
    with Emulator(str(OURS), args, serial=True) as vm:
        deadline = time.monotonic() + START_S
        while got := vm.read_line(deadline):
            words = got[1].split()
            if words[:1] in (["lost"], ["kept"]):
                deadline = time.monotonic() + START_S
            if words[:1] == ["kept"]:
                hz, ticks, count = map(int, words[1:])
                seen.append((count, ticks * hz / HPET_HZ))
    check(seen, f"the guest said nothing: {vm.stderr()}")
    return min(seen, key=lambda pair: abs(pair[0] - pair[1]))


def check_slew(say, chip, way, seconds):
    """What it loses while interrupts are off it gets later, to the last one."""
    count, due = count_ticks(chip, way, "slew", f"seconds={seconds} late=1")
    say(f"figure: irqchip {chip}, {way}: {count} interrupts of {due:.1f}")
    check(abs(count - due) <= 1, f"{count} interrupts, {due:.1f} due")


def check_none(seconds):
    """Without driftfix the guest misses what it loses: it does lose some."""
    count, due = count_ticks("on", "apic", "none",
                             f"seconds={seconds} drain=0")
    check(due - count >= LOST_SHARE * seconds * TICK_HZ,
          f"{count} interrupts, {due:.1f} due: the guest lost none")


def check_irqs(chip, way):
    """Interrupts come, and none of them twice."""
    count, due = count_ticks(chip, way, "none", "off=0 seconds=1 drain=0")
    check(due * LEAST_SHARE <= count <= due + 1,
          f"{count} interrupts, {due:.1f} due")


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_run(lines, what):
    """All clocks of a VM that runs do so at the host's rate."""
    half = len(lines) // 2
    # The line of each half that came with the least delay
    first, last = (min(some, key=lambda line: line.arrival.mono - line.hpet)
                   for some in (lines[:half], lines[half:]))
    took = last.arrival.mono - first.arrival.mono
    slack = LATE_S + STALLS.since(lines[0].arrival.mono - 1)
    for clock, gone, more in (("HPET", last.hpet - first.hpet, 0),
                              ("date", last.date - first.date, 1)):
        check(abs(gone - took) <= slack + more, f"{what}: {clock} {gone:.2f} s, "
              f"host {took:.2f} s, stalls {slack - LATE_S:.2f} s")
    # A VM that is held up gets them later, but never too many.
    for line in lines:
        check(line.count <= line.hpet * TICK_HZ + 1, f"{what}: {line.count} "
              f"interrupts, {line.hpet * TICK_HZ:.1f} due")


def check_gone_on(last, first, ran_s, what):
    """Of a VM that stood still between two lines but for ran_s at most."""
    hpet = first.hpet - last.hpet
    slack = LATE_S + STALLS.since(last.arrival.mono - 1)
    check(0 < hpet <= ran_s + slack,
          f"{what}: HPET moved {hpet:.2f} s, of {ran_s:.2f} s")
    check(0 <= first.date - last.date <= hpet + 1,
          f"{what}: date moved {first.date - last.date} s, HPET {hpet:.2f} s")


def check_stop(source):
    with Timekeeper(OURS, source, "kvm", cpu="host", driftfix="slew") as vm:
        check_run(vm.next_lines(8), "before")
        vm.qmp.command("stop")
        stopped = time.monotonic()
        # What the guest wrote before comes meanwhile.
        time.sleep(2)
        last, cont = vm.seen[-1], time.monotonic()
        vm.qmp.command("cont")
        first = vm.next_lines(1)[0]
        check_gone_on(last, first, stopped - last.arrival.mono
                      + first.arrival.mono - cont, "stop")
        check_run(vm.next_lines(8), "after")


def wait_clock(vm, name):
    """Until a host clock that was added has its first sample."""
    end = time.monotonic() + START_S
    while not any(clock.get("id") == name and clock["state"] == "running"
                  for clock in vm.qmp.command("query-host-clocks")):
        check(time.monotonic() < end, f"{name} is not running in {START_S} s")
        time.sleep(0.1)


def check_switch(sources):
    """The machine takes one clock after the other while it runs."""
    with Timekeeper(OURS, NONE, "kvm", cpu="host", driftfix="slew") as vm:
        check_run(vm.next_lines(6), "before")
        for name in sources:
            vm.qmp.command("object-add", {"qom-type": f"host-clock-{name}", "id": name})
            wait_clock(vm, name)
            vm.qmp.command("qom-set", {"path": "/machine", "property": "host-clock",
                                       "value": name})
            check_run(vm.next_lines(6), f"on {name}")
        seen = list(vm.seen)
        check_run(seen, "from one to the other")
        check(all(one.hpet < two.hpet and one.date <= two.date
                  for one, two in zip(seen, seen[1:])), "time went back")


@dataclass
class Side:
    """What a VM runs on, before or after it is moved."""
    source: str
    accel: str = "kvm"
    binary: object = OURS
    machine: str = "pc"

    def __str__(self):
        return "-".join([*(["stock"] if self.binary == STOCK else []),
                         *(["tcg"] if self.accel == "tcg" else []),
                         self.source])

    def start(self, *extra):
        return Timekeeper(self.binary, self.source, self.accel, cpu=COMMON_CPU,
                          driftfix="slew",
                          extra=["-machine", self.machine, *extra])


def check_move(before, after):
    """Save and load, while the VM runs."""
    with tempfile.TemporaryDirectory() as folder:
        with before.start() as vm:
            check_run(vm.next_lines(6), "before")
            vm.save(f"{folder}/state")
            saved = time.monotonic()
            # What the guest wrote before comes meanwhile.
            time.sleep(1)
            last = vm.seen[-1]
        with after.start("-incoming", "defer") as vm:
            load = time.monotonic()
            vm.load(f"{folder}/state")
            first = vm.next_lines(1)[0]
            check_gone_on(last, first, saved - last.arrival.mono
                          + first.arrival.mono - load, "move")
            check_run(vm.next_lines(6), "after")


def moves(sources, full):
    """Between clocks, in a ring or all of them; to and from stock QEMU; from
    one accelerator to the other."""
    sides = [Side(NONE), *map(Side, sources)]
    stock = Side(NONE, binary=STOCK)
    if full:
        yield from itertools.permutations([*sides, stock], 2)
    else:
        yield from zip(sides, [*sides[1:], stock])
        yield stock, sides[-1]
    for source in sources if full else sources[:1]:
        there = Side(source, machine=NO_KVMCLOCK)
        back = Side(source, "tcg", machine=NO_KVMCLOCK)
        yield there, back
        yield back, there


def check_kvm():
    why = kvm.why_not(str(OURS))
    check(not why, why)


def points(tap, full):
    """Name, function and arguments of each point."""
    yield "KVM runs a guest", check_kvm
    sources = list_running(str(OURS))
    seconds = 60 if full else 6
    for chip, way in IRQCHIPS:
        yield f"interrupts/{chip}/{way}", check_irqs, chip, way
    for chip, way in SLEW_IS_RIGHT:
        yield (f"driftfix-slew/{chip}/{way}", check_slew, tap.say, chip, way,
               seconds)
    yield "driftfix-none", check_none, 6
    for source in [NONE, *(s for s in sources if full or s in DEVICES)]:
        yield f"stop-cont/{source}", check_stop, source
    yield "switch", check_switch, sources
    for before, after in moves(sources, full):
        yield f"move/{before}-to-{after}", check_move, before, after


def main():
    parser = argparse.ArgumentParser(prog="kvm-cases",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="a minute of lost ticks, and all moves")
    parser.add_argument("--only", metavar="WORD", default="",
                        help="points with this word in their name")
    args = parser.parse_args()
    tap = Tap()
    for name, *call in points(tap, args.full):
        if args.only in name:
            tap.attempt(name, *call)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
