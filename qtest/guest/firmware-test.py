#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What firmware makes of the RTC; TAP output.

    firmware-test.py [--full] [--qemu PATH] [--clocks LIST] [--jobs N]

The UEFI shell of Debian's OVMF reads and sets date and time. qboot boots Linux, which
then reads the RTC and gets its alarm. On pc, with SeaBIOS, Linux sleeps in S3 and the
RTC's alarm wakes it. The short form takes the host clocks in turn; --full has all of
them with each. alarm-test.py boots Linux by OVMF and SeaBIOS.
"""

import argparse
import re
import sys
import tempfile
import time
from calendar import timegm
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib import linux_guest, packages
from lib.emulator import Emulator, EmulatorError
from lib.kernel import GetKernelError
from lib.paths import OBJ, OURS
from lib.tap import Tap

NONE = "none"               # the emulator without -clock
CLOCKS = [NONE, "dynticks", "unix", "boottime", "raw"]
START_S = 60        # an emulator
BOOT_S = 180        # until the shell's prompt: 10 s when idle
ANSWER_S = 60       # until a command of the shell has printed
# The shell takes a key each time that it looks, a hundred times a second.
KEY_S = 0.03
PROMPT_S = 1        # after what a command has printed
TRIES = 3           # a key may be lost on the serial line
DATE, TIME = r"\d\d/\d\d/\d{4}", r"\d\d:\d\d:\d\d"
# Before a leap day; OVMF takes no year after 2097.
SET_DATE, SET_TIME = "02/28/2096", "23:59:58"
SLEEP_S = 4
# What a command and its line take on a busy machine
SLACK_S = 3
ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\x1b\[=\d+h|\r")


class Shell:
    """The UEFI shell on the serial line of an emulator."""

    def __init__(self, vm):
        self.vm = vm
        self.expect(r"any other key to continue", BOOT_S)
        # ESC: no startup.nsh
        self.type("\x1b")

    def expect(self, pattern, seconds=ANSWER_S):
        deadline = time.monotonic() + seconds
        while True:
            got = self.vm.read_line(deadline)
            if got is None:
                raise EmulatorError("the emulator has ended")
            found = re.search(pattern, ESCAPES.sub("", got[1]))
            if found:
                return found

    def type(self, text):
        for key in text:
            self.vm.write(key)
            time.sleep(KEY_S)

    def ask(self, command, pattern):
        self.type(command + "\r")
        answer = self.expect(rf"^\s*({pattern})(?=\s*$| \()")[1]
        # Keys that come before the prompt may be lost.
        time.sleep(PROMPT_S)
        return answer

    def set_date(self, date):
        for _ in range(TRIES):
            self.type(f"date {date}\r")
            time.sleep(PROMPT_S)
            if self.ask("date", DATE) == date:
                return
        raise EmulatorError(f"the shell does not set the date {date}")

    def set_time(self, clock):
        """The host's time before and after."""
        began = time.time()
        self.type(f"time {clock}\r")
        ended = time.time()
        time.sleep(PROMPT_S)
        return began, ended

    def now(self):
        """Seconds since 1970 of what `date` and `time` print, taken as UTC, and the
        host's before and after. Asked again if a midnight lies between."""
        before, date = time.time(), None
        while True:
            last, clock = date, self.ask("time", TIME)
            date = self.ask("date", DATE)
            if date == last:
                break
            before = time.time()
        shown = timegm(time.strptime(f"{date} {clock}", "%m/%d/%Y %H:%M:%S"))
        return before, shown, time.time()


def shell_test(binary, clock, _):
    """`date` and `time` show UTC; set, they go on from there, as the RTC does."""
    bios = packages.folder("ovmf") / "usr/share/ovmf/OVMF.fd"
    with emulator(binary, clock, "q35", "-bios", str(bios)) as vm:
        vm.qmp.open(START_S)
        shell = Shell(vm)
        before, shown, after = shell.now()
        if not before - SLACK_S <= shown <= after + SLACK_S:
            return f"the shell shows {shown}, not {before:.0f} to {after:.0f}"
        shell.set_date(SET_DATE)
        began, ended = shell.set_time(SET_TIME)
        time.sleep(SLACK_S)
        before, shown, after = shell.now()
        want = timegm(time.strptime(f"{SET_DATE} {SET_TIME}", "%m/%d/%Y %H:%M:%S"))
        low, high = before - ended - SLACK_S, after - began + SLACK_S
        if not low <= shown - want <= high:
            return (f"the shell shows {shown - want} s after what was set, not "
                    f"{low:.1f} to {high:.1f}")
        tm = vm.qmp.command("qom-get", {"path": "/machine", "property": "rtc-time"})
        if (tm["tm_year"] + 1900, tm["tm_mon"] + 1, tm["tm_mday"]) != (2096, 2, 29):
            return f"the RTC shows {tm}"
    return None


def linux_error(facts):
    return linux_guest.hwclock_error(facts) or linux_guest.rtcwake_error(facts)


def qboot_test(binary, clock, initramfs):
    """qboot boots Linux on pc; date and alarm are right."""
    bios = OBJ / "qemu-bundle/usr/share/qemu/qboot.rom"
    with emulator(binary, clock, "pc", "-bios", str(bios),
                  *linux_guest.kernel_args(initramfs, compressed=True)) as vm:
        return linux_error(linux_guest.listen(vm))


def s3_test(binary, clock, initramfs):
    """Linux on pc sleeps in S3, the RTC's alarm wakes it, and the date is right. A
    kernel that was booted without its own loader would start anew."""
    with emulator(binary, clock, "pc", *linux_guest.kernel_args(
            initramfs, compressed=True, append="s3")) as vm:
        vm.qmp.open(START_S)
        facts = linux_guest.listen(vm)
        part = facts["s3"]
        took = part.ended.mono - part.began.mono
        vm.qmp.command("query-status")
        events = [event["event"] for event in vm.qmp.events]
        if part.status or took < SLEEP_S - 1:
            return f"rtcwake: status {part.status} after {took:.1f} s: {facts.text('s3')}"
        if "SUSPEND" not in events or "WAKEUP" not in events:
            return f"no sleep in {events}"
        return linux_error(facts)


TESTS = {"UEFI shell: date and time": shell_test, "qboot: Linux": qboot_test,
         "SeaBIOS: S3 on pc": s3_test}


def emulator(binary, clock, machine, *args):
    """The wake from S3 is a reset, so there is no -no-reboot."""
    chosen = [] if clock == NONE else ["-clock", clock]
    return Emulator(binary, ["-no-user-config", "-nodefaults", "-display", "none",
                             "-accel", "tcg", "-machine", machine, "-m", "256",
                             *args, *chosen], serial=True)


def attempt(tap, name, call, binary, clock, initramfs):
    try:
        error = call(binary, clock, initramfs)
    except (EmulatorError, KeyError, ValueError) as e:
        error = repr(e)
    tap.point(f"{name}, {clock}", error)


def main():
    parser = argparse.ArgumentParser(prog="firmware-test",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="all clocks with each")
    parser.add_argument("--qemu", default=str(OURS), metavar="PATH",
                        help="another emulator")
    parser.add_argument("--clocks", default=",".join(CLOCKS), metavar="LIST",
                        help="which, with commas (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=3, metavar="N",
                        help="guests at a time (default: 3)")
    args = parser.parse_args()
    clocks = args.clocks.split(",")
    rows = [(name, call, clock) for n, (name, call) in enumerate(TESTS.items())
            for clock in (clocks if args.full else clocks[n % len(clocks):][:1])]
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="firmware-") as folder, \
            ThreadPoolExecutor(args.jobs) as pool:
        initramfs = Path(folder) / "initramfs"
        try:
            linux_guest.make_initramfs(initramfs)
            packages.folder("ovmf")
        except (packages.PackageError, GetKernelError) as e:
            tap.point("what the guests are made of", str(e))
            return tap.end()
        for job in [pool.submit(attempt, tap, name, call, args.qemu, clock, initramfs)
                    for name, call, clock in rows]:
            job.result()
    return tap.end()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        Emulator.kill_all()
        sys.exit("firmware-test: interrupted")
