#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The faults of time in stock QEMU: there, and gone here; TAP output.

    stock-faults-test.py [--qemu PATH] [--stock PATH] [FAULT...]

Each fault is looked for in stock QEMU, where a test passes if it is seen, and
in ours without -clock and on each host clock that can show it, where a test
passes if it is not. The machine's own clock is not touched (step-clock.c).
"""

import argparse
import functools
import signal
import subprocess
import sys
import tempfile

from faults import FAULTS, NEW, OLD, late_periods, updates_after_load
from lib.emulator import EmulatorError
from lib.machine import Machine
from lib.paths import OURS, STOCK
from lib.preload import build_preload
from lib.qtest import Died, Hang
from lib.sources import list_sources
from lib.tap import Tap

def report(tap, name, said, good):
    """What was seen is of interest in any case."""
    tap.point(f"{name}: {said}", None if good else "it should be otherwise")


def look(fault, binary, source, step_clock):
    """What is wrong, or None"""
    with Machine(binary, source, fault.rtc, step_clock) as m:
        if fault.run in (late_periods, updates_after_load):
            return fault.run(binary, m, source, step_clock.parent)
        return fault.run(m)


@functools.cache
def is_10_0(binary):
    said = subprocess.run([binary, "--version"], text=True, check=True,
                          capture_output=True).stdout
    return " version 10.0." in said


def look_in_stock(tap, fault, binary, step_clock):
    name = f"/stock-faults/stock/{fault.name}"
    seen = look(fault, binary, None, step_clock)
    elsewhere = fault.of == (NEW if is_10_0(binary) else OLD)
    said = f"it is there: {seen}" if seen else \
        "it is not there" + (f", but in {fault.of}" if elsewhere else "")
    report(tap, name, said, bool(seen) != elsewhere)


def look_in_ours(tap, fault, binary, source, step_clock):
    name = f"/stock-faults/{source or 'default'}/{fault.name}"
    try:
        seen = look(fault, binary, source, step_clock)
    except (Died, Hang, EmulatorError) as e:
        seen = f"{type(e).__name__} {e}"
    report(tap, name, f"it is there: {seen}" if seen else "it is not there",
           not seen)


def check_bad_date(tap, args):
    """QEMU takes a date that does not exist for another one."""
    for binary, name, right in ((args.stock, "stock", False),
                                (args.qemu, "default", True)):
        try:
            with Machine(binary, None, "base=2006-13-40") as m:
                said = "taken for %d-%02d-%02d" % m.date()[:3]
        except EmulatorError:
            said = None
        report(tap, f"/stock-faults/{name}/rtc/base-2006-13-40",
               said or "refused", (said is None) == right)


def choose(names):
    chosen = [f for f in FAULTS if not names or
              any(f.name.startswith(name) for name in names)]
    if not chosen:
        sys.exit(f"error: no fault is called {' or '.join(names)}. They are: "
                 + " ".join(f.name for f in FAULTS))
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", default=OURS)
    parser.add_argument("--stock", default=STOCK)
    parser.add_argument("faults", nargs="*", metavar="FAULT",
                        help="the beginning of a fault's name")
    args = parser.parse_args()
    faults = choose(args.faults)
    sources = {None: None}
    sources.update((s.name, s.reason) for s in list_sources(args.qemu).values())
    tap = Tap()
    # ^C must not leave emulators behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="stock-faults-") as folder:
        step_clock = build_preload(folder, "step-clock")
        for fault in faults:
            look_in_stock(tap, fault, args.stock, step_clock)
            for source, missing in sources.items():
                if missing and fault.where(source):
                    tap.point(f"/stock-faults/{source}/{fault.name}",
                              skip=missing)
                elif fault.where(source):
                    look_in_ours(tap, fault, args.qemu, source, step_clock)
        if not args.faults:
            check_bad_date(tap, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
