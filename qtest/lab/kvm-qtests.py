#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of the devices, beside a guest that runs under KVM; TAP.

    kvm-qtests.py [--full]

For the lab, and any machine with KVM. The test programs are those of the suite
qtest. A wrapper gives them an emulator with -accel kvm in place of qtest's, and
with each of KVM's interrupt controllers; its guest reads a port of the RTC in a
loop, with interrupts off, while the test has the devices for itself.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

from lib import kvm
from lib.paths import EMULATOR, OBJ, OURS
from lib.sources import list_running
from lib.tap import Tap
from timekeeper import COMMON_CPU

# What the processor finds at its first address, 16 bytes below the end:
#        cli
#   1:   in   $0x70, %al        the index port: to read it changes nothing
#        mov  $0xffff, %cx
#   2:   loop 2b
#        jmp  1b
GUEST = bytes.fromhex("fa e470 b9ffff e2fe ebf7")
ROM_SIZE, RESET = 0x10000, 0xfff0

# libqtest starts an emulator without a machine to ask what there is.
WRAPPER = f"""#!/bin/sh
case " $* " in
*" -machine none "*) exec {OURS} "$@" ;;
esac
left=$#
while [ $left -gt 0 ]; do
    word=$1
    shift
    left=$((left - 1))
    case $word in
    -accel) shift; left=$((left - 1)) ;;
    *) set -- "$@" "$word" ;;
    esac
done
exec {OURS} -bios %s -accel kvm,kernel-irqchip=%s -cpu %s "$@"
"""

IRQCHIPS = {"on": COMMON_CPU, "split": COMMON_CPU,
            # KVM of today has no APIC outside the kernel.
            "off": f"{COMMON_CPU},-apic,kvm=off"}

CONFORMANCE, FAULT, VM = (f"tests/qtest/host-clock-{part}test"
                          for part in ("", "fault-", "vm-"))

# Those that cannot be had here, and why. 'system' and 'manual' are driven by
# qtest's own clock, clock_step, which there is with -accel qtest alone.
NOT_HERE = "|".join([
    # They count what the emulator computes: the guest's part is in it.
    "/load/flood$", "/step-stall/",
    # They take interrupts out of QEMU's own APIC; kvm-cases.py has guests that
    # take them.
    "/periodic/driftfix-",
    # From or to qtest's clock
    "/migrate/other-source$", "/default/",
    # No QEMU but ours in the lab. It may not be in time for what is soon.
    "/migrate/(stock|alarm-passed)$", "/run/periodic$"])
# The PIT is the kernel's then, and on none of our clocks.
NOT_WITH = {"on": "/pit$|/stop/slow$"}

# One of each kind
SHORT = ("/unix/host/(set-date/utc|reset/registers|hpet/periodic|alarm/masked"
         "|run/(date|alarm)|stop/hpet|migrate/hpet|snapshot/revert)"
         "|/host/fault/(alarm-after-step-back|step/-1h)")
# With the other interrupt controllers, what has to do with interrupts
SHORTER = "/unix/host/(hpet/periodic|run/alarm|stop/pit)"

# One setting of each clock, and each setting of one: the code is the same
FULL = ("/host-clock/[^/]+/host/|/host-clock/unix/"
        "|/(thousand-stops|iothread|s3)/(?!manual|default)")

# In the lab a test takes 5 s, and 15 beside others; a program has a dozen of them.
BOUND_S = {False: 600, True: 6000}
POINT = re.compile(r"(not )?ok \d+ (/\S+)(?: # SKIP (.*))?$")

Program = namedtuple("Program", "path tests")


def listed(path):
    """The tests of a program."""
    done = subprocess.run(
        [OBJ / path, "-l"], cwd=OBJ, text=True, stdout=subprocess.PIPE, check=True,
        env={**os.environ, "QTEST_QEMU_BINARY": str(OURS)})
    return re.findall(r"^/\S+", done.stdout, re.M)


def programs(chip, full, sources):
    """What to run with an interrupt controller."""
    wanted = re.compile(FULL if full else SHORT if chip == "on" else SHORTER)
    left_out = re.compile("|".join([NOT_HERE, *filter(None, [NOT_WITH.get(chip)])]))
    # All clocks with the kernel's one, which is the default
    some = sources if chip == "on" else ["unix"]
    for path in (CONFORMANCE, FAULT, VM):
        tests = [test for test in listed(path)
                 if wanted.search(test) and not left_out.search(test)
                 and (path != CONFORMANCE or test.split("/")[3] in some)]
        if tests:
            yield Program(path, tests)


def wrap(folder, chip):
    """An emulator whose name tells libqtest its architecture"""
    rom = bytearray(ROM_SIZE)
    rom[RESET:RESET + len(GUEST)] = GUEST
    (folder / "rom").write_bytes(rom)
    path = folder / EMULATOR
    path.write_text(WRAPPER % (folder / "rom", chip, IRQCHIPS[chip]))
    path.chmod(0o755)
    return path


def run(tap, chip, program, emulator, bound_s):
    """A point for each test of a program as it ends, and one for whether all did."""
    words = [word for test in program.tests for word in ("-p", test)]
    left, said = set(program.tests), []
    process = subprocess.Popen(
        ["timeout", str(bound_s), OBJ / program.path, "--tap", "-k", *words], cwd=OBJ,
        env={**os.environ, "QTEST_QEMU_BINARY": str(emulator)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    for line in map(str.rstrip, process.stdout):
        point = POINT.match(line)
        said = [*said[-20:], line]
        if point:
            bad, name, skip = point.groups()
            tap.point(f"{chip}{name}", bad and "\n".join(said), skip)
            left.discard(name)
            said = []
    status = process.wait()
    tap.point(f"{chip}: {program.path}: complete", left and "\n".join(
        [f"status {status}, without {', '.join(sorted(left))}", *said]))


def main():
    parser = argparse.ArgumentParser(prog="kvm-qtests",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="all that can be had under KVM")
    full = parser.parse_args().full
    tap = Tap()
    why = kvm.why_not(str(OURS))
    tap.point("KVM runs a guest", why)
    sources = list_running(str(OURS))
    for chip in IRQCHIPS if not why else []:
        with tempfile.TemporaryDirectory(prefix="kvm-qtests-") as folder:
            emulator = wrap(Path(folder), chip)
            for program in programs(chip, full, sources):
                run(tap, chip, program, emulator, BOUND_S[full])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
