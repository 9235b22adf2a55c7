#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""icount and record/replay are as in stock QEMU; TAP output.

    replay-test.py [--qemu PATH] [--stock PATH]

A small guest prints what it sees of the RTC and the HPET. Under -icount it must
see the same in both emulators and on every host clock, because the vm view is
the instruction counter. What it saw in a recorded run it must see in the
replay, even if that is on a host whose clock says another date.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.machine import NS
from lib.paths import BUILD, OURS, STOCK
from lib.preload import build_preload
from lib.sources import list_sources
from lib.tap import Tap

GUEST = BUILD / "qtest/baremetal/read-clocks.elf"
# Two looks at the clocks, within 2 s of guest time
OPTIONS, LINES = "times=2 gap=1", 5
# A replay takes as long as its recording on this machine, 5 s when idle.
BOUND_S = 180
DAY_NS = 86_400 * NS


def run(binary, args, env=None):
    """What the guest prints, as lines; [] with a note if it did not end. With
    isa-debug-exit the exit status is 1, and at the end of a replay 0; which of
    them comes first varies."""
    command = [binary, "-machine", "pc,hpet=on", "-accel", "tcg", "-m", "32",
               "-nodefaults", "-display", "none", "-no-reboot", "-serial",
               "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
               "-kernel", str(GUEST), "-append", OPTIONS, *args]
    done = subprocess.run(command, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=BOUND_S,
                          env={**os.environ, **(env or {})})
    # SeaBIOS prints on VGA only, so all lines are the guest's.
    lines = done.stdout.splitlines()
    if done.returncode not in (0, 1) or len(lines) != LINES:
        print(f"# exit status {done.returncode}: {done.stderr.strip()}")
        print("".join(f"# {line}\n" for line in lines), end="")
        return []
    return lines


def icount_args(clock):
    return ["-icount", "shift=7,sleep=off", "-rtc",
            f"base=2024-02-28T23:59:58,clock={clock}"]


def check_icount(args, sources):
    """(name, what is wrong, reason to skip)"""
    expected = run(args.stock, icount_args("vm"))
    yield "/icount/stock", None if expected else "the guest did not finish", \
        None
    for source in [None, *sources]:
        name = f"/icount/{source or 'default'}"
        if source and sources[source].reason:
            yield name, None, sources[source].reason
            continue
        clock = ["-clock", source] if source else []
        if source == "manual":
            clock = ["-object", "host-clock-manual,id=hc0",
                     "-machine", "host-clock=hc0"]
        got = run(args.qemu, icount_args("vm") + clock)
        yield name, None if got == expected else f"{got} != {expected}", None


def check_replay(args, folder):
    later = {"LD_PRELOAD": str(build_preload(folder, "step-clock")),
             "STEP_CLOCK_NS": str(DAY_NS)}
    for binary, who in ((args.stock, "stock"), (args.qemu, "default")):
        # Under clock=vm the date at the start is no input of the guest's that
        # would be recorded: it has to be given.
        for clock, base in (("host", "utc"), ("vm", "2024-02-28T23:59:58")):
            file = Path(folder) / f"{who}-{clock}"

            def mode(rr):
                return ["-icount", f"shift=7,rr={rr},rrfile={file}",
                        "-rtc", f"base={base},clock={clock}"]
            recorded = run(binary, mode("record"))
            replayed = run(binary, mode("replay"), later)
            wrong = None
            if not recorded or replayed != recorded:
                wrong = f"{replayed} != {recorded}"
            yield f"/replay/{who}/clock={clock}", wrong, None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", default=OURS)
    parser.add_argument("--stock", default=STOCK)
    args = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        tap.points(check_icount(args, list_sources(args.qemu)))
        tap.points(check_replay(args, folder))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
