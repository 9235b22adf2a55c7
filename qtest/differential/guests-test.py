#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs on stock QEMU runs on ours: the same guests on the same command lines;
TAP output.

    guests-test.py [--full] [--qemu PATH] [--stock PATH] [GUEST...]

Both boot the same guest at the same time. What it finds has to be the same, and what
works on stock, interrupts, alarms, dates and sleeps, has to work on ours:

  linux   Debian's kernel with the HPET on and off: what it says of RTC, HPET and
          clocksources, interrupts, dates, and util-linux's hwclock and rtcwake
  grub    dates, before and after one was set, and sleeps
  uboot   the same
  mach    GNU Mach: its date, and ticks while a task runs
  xen     Xen and Debian's kernel as its dom0

All are Debian's (linux-image-amd64, grub-pc-bin, u-boot-qemu, gnumach-image-1-486,
xen-hypervisor-*-amd64), fetched into the cache and not installed. Debian 12 has all of
them for amd64, but not the Hurd, which would run on Mach: a task of two bytes does in
its place. A package that cannot be had is a failure that says so.

The short form has linux and grub; --full has all of them, on pc and on q35.
"""

import argparse
import signal
import sys
import tempfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CalledProcessError

import guests
from lib import linux_guest
from lib.emulator import Emulator, EmulatorError
from lib.image import ImageError
from lib.packages import PackageError
from lib.paths import OURS, STOCK
from lib.tap import Tap

Case = namedtuple("Case", "guest machine options")

SHORT = [Case("linux", "pc", "hpet=on"), Case("linux", "q35", "hpet=off"),
         Case("grub", "pc", "hpet=on")]
FULL = [Case(guest, machine, options)
        for guest in ("xen", "linux", "uboot", "mach", "grub")
        for machine in ("pc", "q35")
        for options in (("hpet=on", "hpet=off") if guest in ("linux", "xen")
                        else ("hpet=on",))]


def case_name(case):
    return f"/guests/{case.guest}/{case.machine},{case.options}"


def run_one(case, binary, folder):
    """guests.Seen; or the text of what went wrong, with the end of what the guest said."""
    guest = guests.GUESTS[case.guest]
    args = [*linux_guest.BASE_ARGS, "-machine",
            f"{case.machine},{case.options}", *guest.args(Path(folder))]
    with Emulator(binary, args, serial=True) as vm:
        try:
            return guest.watch(vm)
        except (EmulatorError, KeyError, ValueError) as e:
            return "\n".join([repr(e), vm.command_line(), *vm.tail[-15:],
                              *vm.stderr().splitlines()[-5:]])


def judge(tap, case, boot):
    """Points of a case: it runs on stock, it runs on ours, and so on. What differs
    has to differ when both boot again: a kernel complains of a busy machine, too."""
    name = case_name(case)
    stock, ours = boot()
    # A guest that does not run on stock is a mistake of this test.
    tap.point(f"{name}: boots on stock", stock if isinstance(stock, str) else None)
    tap.point(f"{name}: boots", ours if isinstance(ours, str) else None)
    if isinstance(stock, str) or isinstance(ours, str):
        return
    theirs, mine = [stock], [ours]
    if stock.same != ours.same:
        tap.say(f"{name}: not as on stock; once more")
        for side, seen in zip((theirs, mine), boot()):
            side += [] if isinstance(seen, str) else [seen]
    for what in stock.same:
        texts, others = ({seen.same[what] for seen in side} for side in (theirs, mine))
        tap.point(f"{name}: {what} as on stock", None if texts & others else
                  "\n".join(["stock:", *texts, "ours:", *others]))
    for what, error in stock.works.items():
        if error:
            tap.say(f"stock, {what}: {error}")
    for what, error in ours.works.items():
        tap.point(f"{name}: {what}", error)


def run_cases(tap, cases, args, folder):
    """Both emulators at the same time; the next case waits for both."""
    with ThreadPoolExecutor(2) as pool:
        try:
            for case in cases:
                judge(tap, case, lambda case=case: pool.map(
                    lambda binary: run_one(case, binary, folder),
                    (args.stock, args.qemu)))
        except BaseException:
            Emulator.kill_all()
            raise


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all guests")
    parser.add_argument("--qemu", default=str(OURS), metavar="PATH")
    parser.add_argument("--stock", default=str(STOCK), metavar="PATH")
    parser.add_argument("guests", nargs="*", metavar="GUEST",
                        help="of those above, in full (default: see there)")
    # ./run check gives the options of a suite to each of its programs.
    for name in ("--operations", "--seed", "--round"):
        parser.add_argument(name, dest="others", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.others:
        print("1..0 # SKIP these options are for differential-test.py")
        sys.exit()
    unknown = set(args.guests) - set(guests.GUESTS)
    if unknown:
        parser.error(f"no guest {' '.join(unknown)}")
    return args


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    cases = [case for case in (FULL if args.full or args.guests else SHORT)
             if not args.guests or case.guest in args.guests]
    try:
        with tempfile.TemporaryDirectory(prefix="guests-") as folder:
            for name in dict.fromkeys(case.guest for case in cases):
                guests.GUESTS[name].make(Path(folder))
            run_cases(tap, cases, args, folder)
    except (PackageError, ImageError, OSError, CalledProcessError) as e:
        tap.point("the guests can be made", getattr(e, "stderr", None) or str(e))
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
