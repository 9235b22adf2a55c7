# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment's guest: Debian's kernel and busybox, which tell what they see
of the RTC and the HPET (the script 'init'), under TCG or KVM.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from judge import (NONE, TCG, ZONE_TZ, Result, judge_clock, judge_hpet_rate,
                   judge_seconds, parse_time)
from lib import packages
from lib.emulator import Emulator, EmulatorError
from lib.paths import BUILD

HERE = Path(__file__).resolve().parent
INITRAMFS = BUILD / "guest" / "initramfs"
VIRT_INITRAMFS = BUILD / "guest" / "initramfs-arm64"

# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 0.1 s when idle
BOOT_S = 180    # until the guest's first line: 3 s when idle
SECOND_S = 30   # until the RTC shows a new second: 1 s
EXIT_S = 30     # from the guest's power-off to the end of the process


@dataclass
class Seen:
    """What the guest said: facts by name, and (arrival, rtc, uptime)."""
    facts: dict = field(default_factory=dict)
    seconds: list = field(default_factory=list)


# Seconds of the guest that are looked at. In the lab, which is emulated, a guest
# is held up more often, and more seconds make one of that weigh less.
RATE_S = 6 if os.environ.get("HOST_CLOCK_LAB") else 3
RATE_NAME = f"rate over {RATE_S} s"


def check_names(row):
    """What is checked in a row, in order; the totals count these."""
    names = ["date at power-on", RATE_NAME]
    if row.hpet is not None:
        names += ["/dev/hpet", "HPET clocksource"]
    if row.hpet:
        names.append("HPET rate")
    if row.source != NONE:
        names.append("host clock in use")
    return names


def make_initramfs():
    """The guest's file system. The lab brought it along, as it has not the
    programs that make it."""
    if not (os.environ.get("HOST_CLOCK_LAB") and INITRAMFS.exists()):
        subprocess.run([HERE / "make-initramfs.sh", INITRAMFS], check=True)


def unpack_arm64_kernel(deb, folder):
    packages.unpack(deb, folder)
    # An image as it is, or one that the emulator unpacks; all drivers are in it.
    next(folder.glob("boot/vmlinuz-*")).rename(folder / "vmlinux")
    shutil.rmtree(folder / "lib", ignore_errors=True)


def prepare_virt():
    """The initramfs for `virt`; returns the folder with its kernel."""
    busybox = packages.folder("busybox-static", arch="arm64") / "bin/busybox"
    subprocess.run([HERE / "make-initramfs.sh", VIRT_INITRAMFS], check=True,
                   env={**os.environ, "BUSYBOX": str(busybox)})
    return packages.folder("linux-image-arm64", "linux-image-",
                           unpack_arm64_kernel, "vmlinux", arch="arm64")


def machine_args(row, accel):
    """The machine of a row and the initramfs of its guest; and its console."""
    if row.hpet is None:
        return ["-machine", "virt", "-cpu", "cortex-a57",
                "-initrd", str(VIRT_INITRAMFS)], "ttyAMA0"
    return [*(["-cpu", "host"] if accel != TCG else []),
            "-machine", "pc" if row.hpet else "pc,hpet=off",
            "-initrd", str(INITRAMFS)], "ttyS0"


def emulator_args(row, accel, kernel):
    machine, console = machine_args(row, accel)
    args = ["-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
            "-accel", accel, "-m", "256", *machine,
            "-kernel", str(kernel / "vmlinux"),
            # panic=-1: a guest that panics ends the run at once.
            # What the kernel does not know becomes the init's environment.
            "-append", f"console={console} quiet panic=-1 times={RATE_S + 1}",
            "-rtc", f"base={row.base},clock={row.clock}"]
    return args if row.source == NONE else [*args, "-clock", row.source]


def watch(vm):
    """Listen to the guest until it ends."""
    seen = Seen()
    deadline = time.monotonic() + BOOT_S
    while True:
        try:
            arrival, line = vm.read_line(deadline) or (None, None)
        except EmulatorError as e:
            raise EmulatorError(
                f"the guest's RTC shows no new second in {SECOND_S} s"
                if seen.facts else f"no guest after {BOOT_S} s") from e
        if line is None:
            raise EmulatorError("the emulator ended before the guest was done")
        # A kernel message may stand before ours on the line.
        words = line[line.find("@ "):].split()
        if words[:1] != ["@"]:
            continue
        if words[1] == "end":
            return seen
        if words[1] == "second":
            seen.seconds.append((arrival, parse_time(" ".join(words[2:4])),
                                 float(words[4])))
        else:
            seen.facts[words[1]] = words[2:]
        deadline = time.monotonic() + SECOND_S


def clocks_in_use(vm):
    """What query-host-clocks says, or why it does not."""
    try:
        return vm.qmp.command("query-host-clocks")
    except EmulatorError as e:
        return str(e)


def judge_hpet(result, facts):
    """Is there one if there is to be one?"""
    wanted = result.row.hpet
    has_open = facts["hpet-open"] == ["yes"]
    has_source = "hpet" in facts["clocksources"]
    result.hpet_seen = has_open == has_source == wanted
    return {
        "/dev/hpet": (has_open == wanted, "opens" if has_open else
                      " ".join(facts["hpet-open"])),
        "HPET clocksource": (has_source == wanted,
                             "among " + " ".join(facts["clocksources"])
                             if has_source else "none"),
    }


def judge(result, seen, start, running, used):
    """Compare what was seen with what must be; fills in result."""
    row = result.row
    outcome = judge_seconds(result, [(a, rtc) for a, rtc, _ in seen.seconds],
                            start, running, RATE_NAME)
    if row.hpet is not None:
        outcome.update(judge_hpet(result, seen.facts))
    if row.hpet and seen.facts["clocksource"] == ["hpet"]:
        outcome["HPET rate"] = judge_hpet_rate(
            result, [(a.mono, up) for a, _, up in seen.seconds])
    if row.source != NONE:
        outcome["host clock in use"] = judge_clock(row, used)
    result.fill_in(check_names(row), outcome)


def run_row(row, accel, binary, kernel):
    """Boot one guest and judge it; never raises for a broken emulator."""
    result = Result(row, accel=accel)
    began = time.monotonic()
    # The guest's local time is the zone of the emulator's process.
    with Emulator(binary, emulator_args(row, accel, kernel),
                  env={"TZ": ZONE_TZ}, serial=True) as vm:
        result.command = vm.command_line()
        try:
            running = vm.wait_running(START_S)
            used = clocks_in_use(vm) if row.source != NONE else ""
            seen = watch(vm)
            judge(result, seen, vm.before_start, running, used)
            status = vm.wait(EXIT_S)
            if status:
                raise EmulatorError(f"the emulator ended with status {status}")
        except (EmulatorError, KeyError, ValueError, IndexError) as e:
            result.fail(str(e) if isinstance(e, EmulatorError) else
                        f"the guest's words make no sense: {e!r}",
                        check_names(row))
        result.tail = [*vm.tail[-20:], *vm.stderr().splitlines()[-10:]]
    result.took = time.monotonic() - began
    return result
