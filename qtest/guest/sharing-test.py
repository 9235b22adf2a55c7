#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight emulators on one host clock: all start, all keep time, and none
minds when another is killed. For every source; TAP output.

    sharing-test.py [--qemu PATH] [--sources LIST]

Old KVM let only the first VM have an exclusive host clock; the second did not
start. No guest is needed: QMP reads the RTC of a machine with nothing to boot.
"""

import argparse
import calendar
import os
import signal
import sys
import time
from collections import namedtuple
from contextlib import ExitStack

from lib.emulator import Emulator, EmulatorError, stamp
from lib.paths import OURS
from lib.sources import list_sources
from lib.tap import Tap

NONE = "none"               # the emulator without -clock
MANUAL = "manual"           # stands still until it is told to move
COUNT = 8

# Bounds on waiting; each emulator needs 0.1 s of a core to start and 1 s for
# its BIOS, so eight on two busy cores are up in well under a minute.
START_S = 60
WATCH_S = 30        # until each RTC has shown four new seconds: 4 s
STILL_S = 3         # how long 'manual' must not move
# The RTC loads whole seconds at power-on: it may be behind by 1 s.
WHOLE_SECOND_S = 1
# Slewing of the host, and the emulators' own delay in serving a timer.
SLACK_S = 0.2

# The RTC began to show the second `rtc` between these two stamps. No bound
# is put on how far they are apart: a busy machine widens the tolerance.
NewSecond = namedtuple("NewSecond", "before rtc after")


def read_rtc(vm):
    tm = vm.qmp.command("qom-get", {"path": "/machine",
                                    "property": "rtc-time"})
    return calendar.timegm((tm["tm_year"] + 1900, tm["tm_mon"] + 1,
                            tm["tm_mday"], tm["tm_hour"], tm["tm_min"],
                            tm["tm_sec"]))


def watch(vms, seconds):
    """New seconds of each RTC, as many as asked for and one more."""
    found = [[] for _ in vms]
    last = [(stamp(), read_rtc(vm)) for vm in vms]
    deadline = time.monotonic() + WATCH_S
    while any(len(f) <= seconds for f in found):
        if time.monotonic() > deadline:
            still = [n for n, f in enumerate(found) if len(f) <= seconds]
            raise EmulatorError(f"no {seconds + 1} new seconds in {WATCH_S} s "
                                f"on emulators {still}")
        for n, vm in enumerate(vms):
            before, old = last[n]
            now = stamp()
            rtc = read_rtc(vm)
            if rtc != old:
                found[n].append(NewSecond(before, rtc, stamp()))
            last[n] = (now, rtc)
        time.sleep(0.005)       # leaves the cores to the emulators
    return found


def start(stack, binary, source):
    """COUNT emulators, started together; the RTC of every second one is on
    the vm view, that of the others on the host view."""
    clock = [] if source == NONE else ["-clock", source]
    vms = [stack.enter_context(Emulator(binary, [
        "-no-user-config", "-nodefaults", "-display", "none",
        "-accel", "tcg", "-machine", "pc", "-m", "16",
        "-rtc", "base=utc,clock=" + ("vm" if n % 2 else "host"), *clock]))
        for n in range(COUNT)]
    for n, vm in enumerate(vms):
        try:
            vm.running = vm.wait_running(START_S)
        except EmulatorError as e:
            raise EmulatorError(f"emulator {n}: {e}; {vm.stderr()}") from e
    return vms


def check_started(vms, source):
    """All run, and on the source that was asked for."""
    for n, vm in enumerate(vms):
        if source == NONE:
            continue
        clocks = vm.qmp.command("query-host-clocks")
        default = [c for c in clocks if c["default"]]
        if [c["qom-type"] for c in default] != [f"host-clock-{source}"]:
            raise EmulatorError(f"emulator {n} does not use it: {clocks}")
        if default[0]["state"] != "running":
            raise EmulatorError(f"emulator {n}: {default[0]}")


def check_dates(vms, found):
    """Each RTC shows the host's UTC, less what an RTC may be behind."""
    for n, (vm, seconds) in enumerate(zip(vms, found)):
        first = seconds[0]
        # On the vm view the time before power-on is lost: less than the
        # time from the start of the process until QMP said 'running'.
        lost = vm.running.mono - vm.before_start.mono if n % 2 else 0
        low = first.before.wall - WHOLE_SECOND_S - lost - SLACK_S
        high = first.after.wall + SLACK_S
        if not low <= first.rtc <= high:
            raise EmulatorError(f"the RTC of emulator {n} shows {first.rtc}, "
                                f"not {low:.1f} to {high:.1f}")


def check_rates(found):
    """Each RTC moves as much as the host between its first and last second."""
    for n, seconds in enumerate(found):
        first, last = seconds[0], seconds[-1]
        moved = last.rtc - first.rtc
        low = last.before.mono - first.after.mono - SLACK_S
        high = last.after.mono - first.before.mono + SLACK_S
        if not low <= moved <= high:
            raise EmulatorError(
                f"the RTC of emulator {n} moved {moved} s, "
                f"not {low:.2f} to {high:.2f} s")


def check_still(vms):
    """No RTC moves by itself."""
    old = [read_rtc(vm) for vm in vms]
    time.sleep(STILL_S)     # longer is as good: it must stand still
    new = [read_rtc(vm) for vm in vms]
    if new != old:
        raise EmulatorError(f"the RTCs moved from {old} to {new}")


def points(source):
    if source == MANUAL:
        return [f"{source}: {COUNT} emulators start together",
                f"{source}: none moves by itself",
                f"{source}: one is killed, the others stand still"]
    return [f"{source}: {COUNT} emulators start together",
            f"{source}: each shows the right date",
            f"{source}: each keeps time",
            f"{source}: one is killed, the others keep time"]


def run_source(binary, source):
    """Yields once for each of points(source); raises where one fails."""
    with ExitStack() as stack:
        vms = start(stack, binary, source)
        check_started(vms, source)
        yield
        if source == MANUAL:
            check_still(vms)
        else:
            found = watch(vms, 3)
            check_dates(vms, found)
            yield
            check_rates(found)
        yield
        vms.pop(COUNT // 2 - 1).kill()
        check_started(vms, source)
        if source == MANUAL:
            check_still(vms)
        else:
            check_rates(watch(vms, 2))
        yield


def test_source(tap, binary, source, skip):
    names = points(source)
    if skip:
        for name in names:
            tap.point(name, skip=skip)
        return
    steps = run_source(binary, source)
    for done, name in enumerate(names):
        try:
            next(steps)
        except (EmulatorError, KeyError) as e:
            tap.point(name, error=e)
            for rest in names[done + 1:]:
                tap.point(rest, error="not reached")
            return
        tap.point(name)


def main():
    parser = argparse.ArgumentParser(prog="sharing-test",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", metavar="PATH",
                        default=str(OURS))
    parser.add_argument("--sources", metavar="LIST", help="with commas; "
                        f"'{NONE}' is the emulator without -clock; default: "
                        "all that '-clock help' lists")
    args = parser.parse_args()
    if not os.access(args.qemu, os.X_OK):
        parser.error(f"no emulator at {args.qemu}: run './run build' first, "
                     "or name one with --qemu")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    try:
        listed = {} if args.sources == NONE else list_sources(args.qemu)
        sources = (args.sources.split(",") if args.sources
                   else [NONE, *listed])
        for source in sources:
            if source not in listed and source != NONE:
                sys.exit(f"sharing-test: no host clock '{source}'")
            reason = source in listed and listed[source].reason
            test_source(tap, args.qemu, source, reason)
    except EmulatorError as e:
        sys.exit(f"sharing-test: {e}")
    except KeyboardInterrupt:
        sys.exit("sharing-test: interrupted")
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
