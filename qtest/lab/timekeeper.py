# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs that tell the time, as qtest/baremetal/timekeeper.elf does, or Linux."""

import calendar
import threading
import time
from collections import namedtuple

from lib import linux_guest
from lib.emulator import Emulator, EmulatorError
from lib.lab import LINUX_GUEST
from lib.paths import BUILD, OURS

NONE = "none"       # the emulator without -clock

GUEST = BUILD / "qtest" / "baremetal" / "timekeeper.elf"
HPET_HZ = 100_000_000       # QEMU's
TICK_HZ = 64                # the guest's periodic interrupts
# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 1 s in the lab
LINE_S = 180    # until the next line: the first one in 3 s, Linux's in 12, then 1/4 s
FOREVER_S = 86400

# A line of the guest: its arrival, for how long the host has been asleep by then,
# and what it says; times in seconds.
Line = namedtuple("Line", "arrival asleep hpet date count shortest longest")

# And of a Linux guest: its date, and its uptime.
LinuxLine = namedtuple("LinuxLine", "arrival asleep date uptime")

# The processor of VMs that are saved under KVM and loaded under TCG: one that
# both have, without what KVM alone offers its guests.
COMMON_CPU = ("qemu64,-svm,-x2apic,-kvmclock,-kvmclock-stable-bit,"
              "-kvm-nopiodelay,-kvm-asyncpf,-kvm-steal-time,-kvm-pv-eoi")

STALL_STEP_S = 0.02


class Stalls:
    """How late this process is served, as the VMs beside it are, too."""

    def __init__(self):
        self.seen = []
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            before = time.monotonic()
            time.sleep(STALL_STEP_S)
            now = time.monotonic()
            if now - before > 2 * STALL_STEP_S:
                self.seen.append((now, now - before - STALL_STEP_S))

    def since(self, moment):
        """All of them since then, in seconds."""
        return sum(late for when, late in list(self.seen) if when > moment)


def asleep_s():
    """How long this machine has been asleep since it was booted."""
    return (time.clock_gettime(time.CLOCK_BOOTTIME)
            - time.clock_gettime(time.CLOCK_MONOTONIC))


def parse(arrival, text):
    """A Line, or None for what is none."""
    words = text.split()
    if len(words) != 6 or words[0] != "time":
        return None
    date = words[2]
    date = (f"{date[:4]}-{date[4:6]}-{date[6:8]} "
            f"{date[8:10]}:{date[10:12]}:{date[12:]}")
    seconds = calendar.timegm(time.strptime(date, "%Y-%m-%d %H:%M:%S"))
    return Line(arrival, asleep_s(), int(words[1]) / HPET_HZ, seconds,
                int(words[3]), int(words[4]) / HPET_HZ,
                int(words[5]) / HPET_HZ)


def parse_linux(arrival, text):
    """A LinuxLine, or None for what is none."""
    words = text.split()
    if words[:2] != ["@", "time"] or len(words) != 4:
        return None
    return LinuxLine(arrival, asleep_s(), int(words[2]), float(words[3]))


def ptp_arguments(props="device=/dev/ptp0,time-scale=utc"):
    """Options for a PTP clock; the lab's driver does not say of which time scale."""
    return ["-object", f"host-clock-ptp,id=p,{props}", "-machine", "host-clock=p"]


def clock_arguments(source):
    """Options that choose a host clock."""
    if source == "ptp":
        return ptp_arguments()
    return [] if source == NONE else ["-clock", source]


def arguments(source, accel, clock, cpu, driftfix, extra):
    return ["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            "-accel", accel, "-cpu", cpu, "-m", "16", "-kernel", str(GUEST),
            "-rtc", f"base=utc,clock={clock},driftfix={driftfix}",
            *clock_arguments(source), *extra]


def linux_arguments(source, clocksource):
    return [*arguments(source, "kvm", "host", "host", "none", []), "-m", "128",
            *linux_guest.kernel_args(LINUX_GUEST, append="tell clocksource="
                                     + clocksource)]


class Teller(Emulator):
    """A VM whose guest tells the time; all its lines are in seen."""

    def __init__(self, binary, words, parse_line):
        super().__init__(str(binary), words, serial=True)
        self.seen, self.parse_line = [], parse_line
        self.more = threading.Condition()
        # A thread, so that a line is stamped when it comes.
        threading.Thread(target=self._listen, daemon=True).start()
        self.qmp.open(START_S)

    def _listen(self):
        try:
            while got := self.read_line(time.monotonic() + FOREVER_S):
                line = self.parse_line(*got)
                if line:
                    with self.more:
                        self.seen.append(line)
                        self.more.notify_all()
        except (EmulatorError, OSError, ValueError):
            pass        # the emulator was ended

    def lines_from(self, first, count):
        """The lines of these numbers, which may have come or be to come."""
        bound_s = LINE_S + count
        with self.more:
            if not self.more.wait_for(lambda: len(self.seen) >= first + count,
                                      bound_s):
                raise EmulatorError(
                    f"{len(self.seen) - first} of {count} lines in {bound_s} s; "
                    + self.stderr())
            return self.seen[first:first + count]

    def next_lines(self, count):
        return self.lines_from(len(self.seen), count)


class LinuxTeller(Teller):
    """Its guest is Linux under KVM, in the lab."""

    def __init__(self, source, clocksource):
        super().__init__(OURS, linux_arguments(source, clocksource), parse_linux)


class Timekeeper(Teller):
    """Its guest is timekeeper.elf."""

    def __init__(self, binary, source=NONE, accel="tcg", clock="vm",
                 cpu="qemu64", driftfix="none", extra=()):
        super().__init__(binary, arguments(source, accel, clock, cpu, driftfix,
                                           extra), parse)

    def host_wall_s(self):
        """What the VM's host clock says is UTC, or None if it has none."""
        for clock in self.qmp.command("query-host-clocks"):
            if clock["default"]:
                return clock["wall-ns"] / 1e9
        return None

    def save(self, path):
        """Write the state of the VM, which stops then, to a file."""
        self.qmp.command("migrate", {"uri": f"file:{path}"})
        self.wait_migrated()

    def load(self, path):
        """Take over a state; of a VM that was started with -incoming defer."""
        try:
            self.qmp.command("migrate-incoming", {"uri": f"file:{path}"})
            self.wait_migrated()
        except EmulatorError as e:
            raise EmulatorError(f"{e}; {self.stderr()}") from e
