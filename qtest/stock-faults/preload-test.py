#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Host clocks on a host that a preloaded library makes up; TAP output.

    preload-test.py [--qemu PATH] [--rounds N]

Steps of the host's clock in quick succession are announced with the right sum
(step-clock.c). Where there is no timerfd, everything works but that steps are
noticed when somebody looks (no-timerfd.c).
"""

import argparse
import datetime
import random
import signal
import sys
import tempfile
import time

from lib.emulator import EmulatorError
from lib.machine import NS, Machine
from lib.paths import OURS
from lib.preload import build_preload
from lib.qtest import Died, Hang
from lib.sources import list_sources
from lib.tap import Tap

B, C = 0x0b, 0x0c
AIE, DM, H24, AF = 0x20, 0x04, 0x02, 0x20
ALARM = 1, 3, 5
DONT_CARE = 0xc0

# The id that -clock gives
CLOCK_ID = "host-clock0"
# All others read CLOCK_REALTIME for wall time, and no device.
OTHERS = "system", "hpet", "rtc", "manual"
# Both steps are read within this; what is announced is measured, not told.
SLACK_NS = NS // 100
# From no time at all to longer than it takes to notice the first
GAP_S = 150e-6
# An event is there within milliseconds; 2 s make up for a busy host.
WAIT_S = 2


def step_events(m):
    return [e["data"] for e in m.vm.qmp.events
            if e["event"] == "HOST_CLOCK_STEP"]


def announced(m, expected_ns):
    """The sum of the steps that the machine's clock has announced, once it is
    right or WAIT_S are over"""
    deadline = time.monotonic() + WAIT_S
    while True:
        # What was sent before the answer is in qmp.events.
        m.vm.qmp.command("query-status")
        total = sum(step["step-ns"] for step in step_events(m)
                    if step.get("id") == CLOCK_ID)
        if abs(total - expected_ns) <= SLACK_NS or \
           time.monotonic() > deadline:
            return total
        time.sleep(0.002)


def check_steps(args, source, clock, libraries):
    """Two steps, the second while the first is being dealt with"""
    wrong = 0
    with Machine(args.qemu, source, f"base=utc,clock={clock}",
                 libraries["step-clock"]) as m:
        for _ in range(args.rounds):
            first, second = 60 * NS, -3600 * NS
            m.vm.qmp.events.clear()
            m.step(first)
            until = time.perf_counter() + random.random() * GAP_S
            while time.perf_counter() < until:
                pass
            m.step(second)
            total = announced(m, first + second)
            if abs(total - first - second) > SLACK_NS:
                wrong += 1
                print(f"# announced {total / NS:.6f} s instead of "
                      f"{(first + second) / NS} s")
            m.step(-first - second)
            announced(m, 0)
    return f"{wrong} of {args.rounds} are wrong" if wrong else None


def check_one_event(args, source, clock, libraries):
    """A machine has one clock, which announces a step once."""
    with Machine(args.qemu, source, f"base=utc,clock={clock}",
                 libraries["step-clock"]) as m:
        m.step(3600 * NS)
        announced(m, 3600 * NS)
        m.vm.qmp.command("query-status")
        who = [step.get("id") for step in step_events(m)]
    return None if who == [CLOCK_ID] else f"announced by {who}"


def check_no_timerfd(args, source, clock, libraries):
    """Alarms come, the date is read and set, a step is found."""
    preload = f"{libraries['no-timerfd']}:{libraries['step-clock']}"
    with Machine(args.qemu, source, f"base=utc,clock={clock}", preload) as m:
        m.cmos_write(B, H24 | DM)
        for reg in ALARM:
            m.cmos_write(reg, DONT_CARE)
        m.cmos_write(B, H24 | DM | AIE)
        m.cmos_read(C)
        if m.source == "manual":
            m.advance(2 * NS)
            alarm = m.cmos_read(C) & AF
        else:
            alarm = m.wait_flag(AF, 10)
        if not alarm:
            return "no alarm"
        m.cmos_write(9, 30)
        if m.date().year % 100 != 30:
            return f"the date cannot be set: {m.date()}"
        if source == "manual":
            return None
        before = m.date()
        m.vm.qmp.events.clear()
        m.step(400 * 24 * 3600 * NS)
        # It is looked for when somebody asks.
        m.vm.qmp.command("query-host-clocks")
        total = announced(m, 400 * 24 * 3600 * NS)
        if abs(total - 400 * 24 * 3600 * NS) > SLACK_NS:
            return f"a step of 400 days is announced as {total / NS:.6f} s"
        moved = (datetime.date(*m.date()[:3]) - datetime.date(*before[:3])).days
        if moved != (400 if clock == "host" else 0):
            return f"the step moves the date by {moved} days"
    return None


def run(check, *arguments):
    try:
        return check(*arguments)
    except (Died, Hang, EmulatorError) as e:
        return f"{type(e).__name__} {e}"


def cases(sources):
    sources = [name for name in sources if name not in OTHERS]
    for source in sources:
        yield "one-event", check_one_event, source, "host"
        for clock in ("host", "vm"):
            yield "quick-steps", check_steps, source, clock
    for source in (*sources, "manual"):
        for clock in ("host", "rt", "vm"):
            yield "no-timerfd", check_no_timerfd, source, clock


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", default=OURS)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    sources = list_sources(args.qemu)
    tap = Tap()
    # ^C must not leave emulators behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="preload-") as folder:
        libraries = {name: build_preload(folder, name)
                     for name in ("step-clock", "no-timerfd")}
        for what, check, source, clock in cases(sources):
            name = f"/preload/{what}/{source}/{clock}"
            reason = sources[source].reason
            error = None if reason else run(check, args, source, clock, libraries)
            tap.point(name, error, reason)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
