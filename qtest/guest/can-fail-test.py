#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Can the experiment and the sharing test fail? TAP output.

Each is run on an emulator that is made wrong in one way, by a wrapper script,
and must fail in the checks that this concerns, and in no other.

    can-fail-test.py [--qemu PATH]
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.paths import OURS
from lib.preload import build_preload
from lib.tap import Tap

HERE = Path(__file__).resolve().parent
# The slowest case boots two guests at once, 6 s when idle.
BOUND_S = 300

# In the lab one boot has all pairs, so each gets a fault of its own: no HPET,
# an emulator that dies, a fast clock in place of the one asked for, a wrong
# zone.
LAB_FAULTS = """
case "$*" in
*base=utc*"-clock hpet"*) exec {qemu} "$@" -machine hpet=off ;;
*base=localtime*"-clock hpet"*) exit 3 ;;
*base=utc*"-clock rtc"*)
    for word; do
        shift
        [ "$word" = rtc ] && word=dynticks
        set -- "$@" "$word"
    done
    exec env LD_PRELOAD={fast} {qemu} "$@" ;;
*) exec env TZ=UTC {qemu} "$@" ;;
esac
"""
LAB_FAILURES = [
    "hpet base=utc clock=vm: HPET in guest",
    "hpet base=utc clock=vm: HPET rate",
    *(f"hpet base=localtime clock=vm: {check}" for check in (
        "date at power-on", "rate over 6 s", "HPET in guest", "HPET rate",
        "host clock in use")),
    *(f"rtc base=utc clock=vm: {check}" for check in (
        "date at power-on", "rate over 6 s", "HPET rate",
        "host clock in use")),
    "rtc base=localtime clock=vm: date at power-on",
]

# Before the name of a point that fails on some machines only
MAY_FAIL = "? "

# name, script, what is wrong, the command run instead, points that must fail.
CASES = [
    ("the experiment notices a wrong zone", "experiment.py",
     "exec env TZ=UTC {qemu} \"$@\"",
     ["none base=localtime clock=vm: date at power-on"]),
    ("the experiment notices a wrong date", "experiment.py",
     "exec {qemu} \"$@\" -rtc base=2001-01-01,clock=vm",
     ["none base=utc clock=vm: date at power-on",
      "none base=localtime clock=vm: date at power-on"]),
    ("the experiment notices a fast clock", "experiment.py",
     "exec env LD_PRELOAD={fast} {qemu} \"$@\"",
     [f"none base={base} clock=vm: {check}" for base in ("utc", "localtime")
      for check in ("date at power-on", "rate over 3 s", "HPET rate")]),
    ("the experiment notices a missing HPET", "experiment.py",
     "exec {qemu} \"$@\" -machine hpet=off",
     [f"none base={base} clock=vm: {check}" for base in ("utc", "localtime")
      for check in ("/dev/hpet", "HPET clocksource", "HPET rate")]),
    ("the experiment notices an emulator that dies", "experiment.py",
     "exit 3",
     [f"none base={base} clock=vm: {check}" for base in ("utc", "localtime")
      for check in ("date at power-on", "rate over 3 s", "/dev/hpet",
                    "HPET clocksource", "HPET rate")]),
    # Where the host has the devices the pairs run on it, on another guest.
    *([] if os.path.exists("/dev/hpet") or os.path.exists("/dev/rtc0") else
      [("the experiment notices what is wrong in the lab", "experiment.py",
        LAB_FAULTS, LAB_FAILURES)]),
    ("the sharing test notices a wrong date", "sharing-test.py",
     "exec {qemu} \"$@\" -rtc base=2001-01-01",
     ["none: each shows the right date", "none: each keeps time",
      "none: one is killed, the others keep time"]),
    ("the sharing test notices a fast clock", "sharing-test.py",
     "exec env LD_PRELOAD={fast} {qemu} \"$@\"",
     ["none: each keeps time", "none: one is killed, the others keep time",
      # On a busy host it takes so long to start that this is wrong, too.
      MAY_FAIL + "none: each shows the right date"]),
    ("the sharing test notices that the second does not start",
     "sharing-test.py",
     "exec 9>>{lock}; flock -n 9 || exit 1; exec {qemu} \"$@\"",
     ["none: 8 emulators start together", "none: each shows the right date",
      "none: each keeps time", "none: one is killed, the others keep time"]),
]


def run_case(script, wrapper, folder, names):
    """The points that failed when script ran on the wrapped emulator."""
    fake = folder / "qemu"
    fake.write_text("#!/bin/sh\n" + wrapper.format(**names) + "\n")
    fake.chmod(0o755)
    in_lab = wrapper is LAB_FAULTS
    command = [HERE / script, "--sources", "hpet,rtc" if in_lab else "none",
               "--qemu", fake]
    if script == "experiment.py":
        command.append("--tap")
    if in_lab:
        command += ["--lab-file", folder / "fast-clock.so"]
    done = subprocess.run(command, text=True, timeout=BOUND_S,
                          capture_output=True)
    failed = re.findall(r"^not ok \d+ - (.*)$", done.stdout, re.MULTILINE)
    if done.returncode != 1:
        failed.append(f"exit status {done.returncode}, not 1")
    return failed, done.stdout + done.stderr


def main():
    parser = argparse.ArgumentParser(prog="can-fail-test",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", metavar="PATH",
                        default=str(OURS))
    args = parser.parse_args()
    if not os.access(args.qemu, os.X_OK):
        parser.error(f"no emulator at {args.qemu}: run './run build' first, "
                     "or name one with --qemu")
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="can-fail-") as name:
        folder = Path(name)
        fast = build_preload(folder, "fast-clock")
        names = {"qemu": shlex.quote(os.path.abspath(args.qemu)),
                 "fast": shlex.quote(str(fast)),
                 "lock": shlex.quote(str(folder / "lock"))}
        for what, script, wrapper, expected in CASES:
            failed, output = run_case(script, wrapper, folder, names)
            error = f"expected to fail: {expected}\ndid: {failed}\n{output}"
            must = {name for name in expected if not name.startswith(MAY_FAIL)}
            may = {name.removeprefix(MAY_FAIL) for name in expected}
            tap.point(what, None if must <= set(failed) <= may else error)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
