#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The host clock ptp, on the PTP clocks of two network cards; TAP.

    ptp-cases.py [--full]

For the lab alone: it sets the clocks, unplugs the cards and plugs them in again.
How exact the host clock is, test-host-clock-ptp-device shows.
"""

import argparse
import ctypes
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from lib.emulator import Emulator, EmulatorError
from lib.paths import OURS
from lib.sources import list_sources
from lib.tap import Tap
from timekeeper import Timekeeper, ptp_arguments

DEVICE = "/dev/ptp0"
NAME = Path("/sys/class/ptp/ptp0/clock_name")
VMS = 16
HOUR = 3600

# Bounds that matter only if something is broken: nested, QEMU starts in 1 s, and
# 16 of them in some more. A sample is taken every second.
START_S, NOTICE_S = 60, 30
# Between two readings of the PTP clock QEMU answers on QMP; a guest's line is
# late by as much, and its seconds are whole.
QMP_S, LINE_S = 0.5, 2.5
TRIES = 20
# What a step is known to: samples before and after it
STEP_S = 0.001
# What the kernel is told that TAI is ahead of UTC
TAI_S = 37

ADJ_SETOFFSET, ADJ_TAI = 0x0100, 0x0080


class Timex(ctypes.Structure):
    """struct timex of clock_adjtime(2), as far as it is used here"""
    _fields_ = [("modes", ctypes.c_uint), ("numbers", ctypes.c_long * 4),
                ("status", ctypes.c_int), ("constant", ctypes.c_long),
                ("more", ctypes.c_long * 2), ("sec", ctypes.c_long),
                ("usec", ctypes.c_long), ("rest", ctypes.c_char * 256)]


def adjust(clock, **fields):
    timex = Timex(**fields)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.clock_adjtime(clock, ctypes.byref(timex)) < 0:
        raise OSError(ctypes.get_errno(), f"clock_adjtime: {fields}")


class Phc:
    """The PTP clock, as this process has it open."""

    def __init__(self, path=DEVICE):
        self.fd = os.open(path, os.O_RDWR)
        self.id = (~self.fd << 3) | 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def now_s(self):
        return time.clock_gettime(self.id)

    def step(self, seconds):
        adjust(self.id, modes=ADJ_SETOFFSET, sec=seconds)


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def refusal(*args):
    """What an emulator says that does not start."""
    done = subprocess.run([OURS, "-machine", "none", "-display", "none", *args],
                          capture_output=True, text=True, timeout=START_S,
                          stdin=subprocess.DEVNULL)
    check(done.returncode == 1, f"{args}: exit status {done.returncode}")
    return done.stderr


def says(text, *words):
    missing = [word for word in words if word not in text]
    check(not missing, f"not in it: {missing}: {text}")


@contextmanager
def vm_on(*args, fds=()):
    """A machine without a guest on a clock."""
    args = args or ptp_arguments()
    with Emulator(str(OURS), ["-nodefaults", "-display", "none", "-accel", "qtest",
                              "-m", "16", *args], fds=fds) as vm:
        try:
            vm.wait_running(START_S)
        except EmulatorError as e:
            raise EmulatorError(f"{e}: {vm.stderr()}") from e
        yield vm


def clock(vm):
    return next(c for c in vm.qmp.command("query-host-clocks") if c["default"])


def off_s(vm, phc, less_s=0):
    """By how much a VM's wall time is not between two readings of the PTP clock;
    QMP has to be answered soon, at least sometimes."""
    for _ in range(TRIES):
        before = phc.now_s()
        wall = clock(vm)["wall-ns"] / 1e9 + less_s
        after = phc.now_s()
        if after - before < QMP_S:
            return max(before - wall, wall - after, 0)
    raise AssertionError(f"query-host-clocks took {after - before:.3f} s")


def check_wall(vm, phc, less_s=0):
    off = off_s(vm, phc, less_s)
    check(off <= STEP_S, f"{off:.6f} s off")


def wait_for(what, ready):
    deadline = time.monotonic() + NOTICE_S
    while not ready():
        check(time.monotonic() < deadline, f"{what}: not within {NOTICE_S} s")
        time.sleep(0.1)


def wait_state(vm, state):
    wait_for(state, lambda: clock(vm)["state"] == state)


def events(vm, name):
    vm.qmp.command("query-status")
    return [e["data"] for e in vm.qmp.events if e["event"] == name]


# Which clock, and of which scale

def check_help():
    """It is listed, with what would make it available."""
    source = list_sources(str(OURS))["ptp"]
    says(source.reason or "", DEVICE, NAME.read_text().strip(), "time-scale=utc|tai")


def check_several():
    for args in (["-clock", "ptp"], ["-object", "host-clock-ptp,id=p,time-scale=utc"]):
        says(refusal(*args), f"{DEVICE} is '{NAME.read_text().strip()}'",
             "-object host-clock-ptp,id=ID,device=/dev/ptpN")


def check_scale_missing():
    says(refusal("-object", f"host-clock-ptp,id=p,device={DEVICE}"), DEVICE,
         "time-scale=utc|tai")


def check_list():
    with vm_on("-clock", "ptp,unix") as vm:
        check(clock(vm)["qom-type"] == "host-clock-unix", f"{clock(vm)}")
        says(vm.stderr(), "took 'unix'", "ptp: /dev/ptp0 is")


def check_query():
    with vm_on() as vm, Phc() as phc:
        found = clock(vm)
        check(found["device"] == DEVICE and found["state"] == "running" and
              found["clock-name"] == NAME.read_text().strip() and
              found["method"] == "extended", f"{found}")
        said = vm.qmp.command("human-monitor-command",
                              {"command-line": "info host-clocks"})
        says(said, DEVICE, found["clock-name"], "extended")
        check_wall(vm, phc)


def check_tai():
    """It is refused until the kernel knows the offset."""
    args = ptp_arguments(f"device={DEVICE},time-scale=tai")
    adjust(time.CLOCK_REALTIME, modes=ADJ_TAI, constant=0)
    says(refusal(*args[:2]), DEVICE, "TAI offset is not set")
    adjust(time.CLOCK_REALTIME, modes=ADJ_TAI, constant=TAI_S)
    with vm_on(*args) as vm, Phc() as phc:
        check_wall(vm, phc, TAI_S)
        adjust(time.CLOCK_REALTIME, modes=ADJ_TAI, constant=0)
        wait_state(vm, "holdover")
        check_wall(vm, phc, TAI_S)


# What happens to it

def check_steps():
    """Each is one event, with its size; monotonic time does not notice."""
    with vm_on() as vm, Phc() as phc:
        for n, step_s in enumerate([HOUR, -HOUR, -HOUR, HOUR], 1):
            begin, mono = time.monotonic(), clock(vm)["mono-ns"]
            phc.step(step_s)
            wait_for("HOST_CLOCK_STEP",
                     lambda n=n: len(events(vm, "HOST_CLOCK_STEP")) >= n)
            event = events(vm, "HOST_CLOCK_STEP")[-1]
            check(event["generation"] == n and
                  abs(event["step-ns"] / 1e9 - step_s) < STEP_S, f"{event}")
            gone = (clock(vm)["mono-ns"] - mono) / 1e9
            passed = time.monotonic() - begin
            check(abs(gone - passed) < QMP_S, f"{gone:.3f} s of {passed:.3f}")
            check_wall(vm, phc)
        check(not events(vm, "HOST_CLOCK_STATE_CHANGE"), "it failed")


def check_guest():
    """The date of a guest's RTC is the PTP clock's."""
    with Timekeeper(OURS, "ptp", clock="host") as vm, Phc() as phc:
        for step_s in (0, HOUR, -HOUR):
            phc.step(step_s)
            # The first line after the one in which it is seen
            vm.next_lines(8)
            off = vm.next_lines(1)[-1].date - phc.now_s()
            check(-LINE_S < off <= 0, f"after a step of {step_s} s: {off:.2f} s off")


def pci_folder():
    return Path("/sys/class/ptp/ptp0/device").resolve()


@contextmanager
def unplugged():
    """The card is gone, and comes back as another would."""
    (pci_folder() / "remove").write_text("1")
    try:
        wait_for("remove", lambda: not os.path.exists(DEVICE))
        yield
    finally:
        Path("/sys/bus/pci/rescan").write_text("1")
        wait_for("rescan", lambda: os.path.exists(DEVICE))


def check_holdover(vm):
    wait_state(vm, "holdover")
    begin, first = time.monotonic(), clock(vm)
    time.sleep(5)
    gone = (clock(vm)["mono-ns"] - first["mono-ns"]) / 1e9
    passed = time.monotonic() - begin
    check(abs(gone - passed) < QMP_S, f"{gone:.3f} s of {passed:.3f}")
    states = [e["state"] for e in events(vm, "HOST_CLOCK_STATE_CHANGE")]
    check(states == ["holdover"], f"{states}")


def check_unplug():
    """It goes on from what it knew, and with the card again when it is back."""
    with vm_on() as vm:
        with unplugged():
            check_holdover(vm)
        wait_state(vm, "running")
        with Phc() as phc:
            # What is less than 5 ms is no step, and is made up for.
            wait_for("the card's time", lambda: off_s(vm, phc) <= STEP_S)
        states = [e["state"] for e in events(vm, "HOST_CLOCK_STATE_CHANGE")]
        check(states == ["holdover", "running"], f"{states}")


def check_unplug_fd():
    """While QEMU has it open: the kernel keeps what is left of it until then."""
    fd = os.open(DEVICE, os.O_RDONLY)
    args = ptp_arguments(f"fd={fd},time-scale=utc")
    with vm_on("-sandbox", "on", *args, fds=[fd]) as vm:
        os.close(fd)
        wait_state(vm, "running")
        with unplugged():
            check_holdover(vm)
        # What the descriptor's number stands for now, who knows?
        check(clock(vm)["state"] == "holdover", "back by itself")


def check_many():
    """So many VMs on one; each is right, and none is in the way of the others."""
    vms = []
    try:
        for _ in range(VMS):
            vms.append(Emulator(str(OURS), [
                "-nodefaults", "-display", "none", "-accel", "qtest", "-m", "16",
                *ptp_arguments()]))
        for vm in vms:
            vm.wait_running(START_S)
        with Phc() as phc:
            phc.step(HOUR)
            for vm in vms:
                wait_for("HOST_CLOCK_STEP", lambda vm=vm: events(vm, "HOST_CLOCK_STEP"))
            time.sleep(10)
            for vm in vms:
                check_wall(vm, phc)
                check(clock(vm)["state"] == "running", vm.stderr())
                check(clock(vm)["generation"] == 1, f"{clock(vm)}")
            phc.step(-HOUR)
    finally:
        for vm in vms:
            vm.close()


def main():
    parser = argparse.ArgumentParser(prog="ptp-cases",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="the same")
    parser.parse_args()
    if not os.environ.get("HOST_CLOCK_LAB"):
        parser.error("it sets PTP clocks: qtest/lab/lab-test.py --boots ptp runs "
                     "it in the lab")
    tap = Tap()
    for call in (check_help, check_several, check_scale_missing, check_list,
                 check_query, check_tai, check_steps, check_guest, check_unplug,
                 check_unplug_fd, check_many):
        tap.attempt("ptp/" + call.__name__.removeprefix("check_").replace("_", "-"),
                    call)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
