#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux under KVM, whose time is that of our HPET and RTC; TAP. For the lab.

    linux-cases.py [--full]

Each guest runs the kernel's own selftests of RTC and timers. Its clock is the
HPET, as those of KVM are not ours. Its timer is the APIC's, in the kernel: in the
lab it takes a guest too long to program the HPET for each tick.
"""

import argparse
import os
import sys

from lib import linux_guest
from lib.emulator import Emulator, EmulatorError
from lib.lab import LINUX_GUEST
from lib.paths import OURS
from lib.sources import list_running
from lib.tap import Tap
from timekeeper import NONE

SHORT = ["unix", "hpet"]

CHECKS = {"hwclock": linux_guest.hwclock_error,
          "rtcwake": linux_guest.rtcwake_error,
          "rtctest": linux_guest.rtctest_error}


def arguments(source):
    return ["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            "-accel", "kvm", "-cpu", "host", "-m", "128", "-machine", "pc",
            "-rtc", "base=utc,clock=host", *linux_guest.kernel_args(
                LINUX_GUEST, append="brief clocksource=hpet"),
            *([] if source == NONE else ["-clock", source])]


def selftest_error(facts, name):
    part = facts[name]
    return (f"status {part.status}:\n{facts.text(name)}" if part.status
            else None)


def check_clocksource(facts):
    now = facts.text("clocksource")
    return None if now == "hpet" else f"the guest's clock is {now}"


def points(source):
    """What each part of a guest has shown."""
    with Emulator(str(OURS), arguments(source), serial=True) as vm:
        try:
            facts = linux_guest.listen(vm)
        except EmulatorError as e:
            yield "the guest comes to its end", "\n".join(
                [str(e), *vm.tail, vm.stderr()])
            return
    yield "clock", check_clocksource(facts)
    for name, check in CHECKS.items():
        yield name, check(facts)
    for name in linux_guest.TIMERS:
        yield name, selftest_error(facts, name)


def main():
    parser = argparse.ArgumentParser(prog="linux-cases",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="under each clock, and all of rtctest")
    full = parser.parse_args().full
    if not os.environ.get("HOST_CLOCK_LAB"):
        parser.error("its guest is in the lab's image: "
                     "qtest/lab/lab-test.py --boots kvm-linux")
    tap = Tap()
    for source in [NONE, *list_running(str(OURS))] if full else SHORT:
        for name, error in points(source):
            tap.point(f"{source}: {name}", error)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
