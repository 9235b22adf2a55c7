#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests that take the RTC's alarm from ACPI get it; TAP output.

    alarm-test.py [--full] [--qemu PATH] [--clocks LIST] [--jobs N]

With a BIOS date of 2015 or later, an Intel CPU and the HPET on, Linux takes the
RTC's alarms, and the update interrupts that it makes of them, from ACPI's fixed
event. In each guest run util-linux's hwclock, which waits for an update interrupt,
and rtcwake, which waits for an alarm, and the kernel's own rtctest; under every
host clock that needs no device, on pc and q35, with SeaBIOS and with OVMF. The short
form has each clock with both machines and both firmwares, and leaves out what takes
rtctest minutes; --full has all of them with all of rtctest.

microvm has no such event: its ACPI is of the reduced kind, and its generic event
device has no PM1 registers. The alarm is the RTC's interrupt there.

Stock QEMU is run once, to see that all this fails where the event is lost.
"""

import argparse
import itertools
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib import linux_guest, packages
from lib.emulator import Emulator, EmulatorError
from lib.image import ImageError
from lib.paths import OURS, STOCK
from lib.tap import Tap

NONE = "none"               # the emulator without -clock
CLOCKS = [NONE, "dynticks", "unix", "boottime", "raw"]
MACHINES = ["pc", "q35"]
FIRMWARES = ["SeaBIOS", "OVMF"]
MICROVM = "microvm"

# Most of a guest's time is spent in waiting for the RTC, so more of them than
# there are cores get on well.
JOBS = 4

Row = namedtuple("Row", "clock machine firmware")


def row_name(row):
    return f"{row.clock}, {row.machine}, {row.firmware}"


def plan_rows(clocks, full):
    """All of them, or each clock with both machines and both firmwares."""
    if full:
        rows = [Row(*r) for r in itertools.product(clocks, MACHINES, FIRMWARES)]
    else:
        rows = [Row(clock, MACHINES[n], FIRMWARES[(n + i) % 2])
                for i, clock in enumerate(clocks) for n in range(2)]
    # Those that take longest begin first.
    return (sorted(rows, key=lambda row: row.firmware != "OVMF")
            + [Row(clock, MICROVM, "SeaBIOS") for clock in clocks[:1]])


def tsc_option():
    """microvm has no timer that Linux, with ACPI, could compare the TSC with in a
    moment in which the host has something else to do; then it stands still. TCG's
    TSC runs as the host's; half or double that would do as well."""
    mhz = re.search(r"^cpu MHz\s*: (\d+)", Path("/proc/cpuinfo").read_text(), re.M)
    return f"tsc_early_khz={mhz[1] if mhz else 2000}000"


def emulator_args(row, initramfs):
    args = [*linux_guest.BASE_ARGS, "-m", "256", *linux_guest.kernel_args(
        initramfs, compressed=row.firmware == "OVMF",
        append=tsc_option() if row.machine == MICROVM else "")]
    if row.machine == MICROVM:
        args += ["-machine", "microvm,rtc=on"]
    else:
        args += ["-machine", f"{row.machine},hpet=on",
                 "-cpu", "Skylake-Client-v1",
                 "-smbios", "type=0,date=06/01/2024"]
    if row.firmware == "OVMF":
        args += ["-bios", str(packages.folder("ovmf") / "usr/share/ovmf/OVMF.fd")]
    return args if row.clock == NONE else [*args, "-clock", row.clock]


# Checks: each returns what is wrong, or None.

def check_driver(facts):
    """The driver is in the state in which it needs the event."""
    lines = [line for line in facts["dmesg"].lines if "alarms up to" in line]
    if len(lines) != 1 or "hpet irqs" in lines[0]:
        return f"the kernel says {lines}"
    return None


def check_interrupts(facts):
    """hwclock, rtcwake and rtctest take one each at the least. They are ACPI's, but
    for microvm."""
    lines = facts.interrupts("after")
    device = "acpi" if "acpi" in lines else "rtc0"
    if facts.arrived(device) < 3:
        return (f"{facts.arrived(device)} of {device}, from "
                f"{facts.interrupts('before')} to {lines}")
    return None


CHECKS = {"the driver wants ACPI's event": check_driver,
          "hwclock": linux_guest.hwclock_error,
          "rtcwake": linux_guest.rtcwake_error,
          "rtctest": linux_guest.rtctest_error, "interrupts": check_interrupts}


def run_row(row, binary, initramfs):
    """Boot one guest and judge it; never raises for a broken emulator."""
    began = time.monotonic()
    with Emulator(binary, emulator_args(row, initramfs), serial=True) as vm:
        try:
            facts = linux_guest.listen(vm)
            result = {name: check(facts) for name, check in CHECKS.items()}
        except (EmulatorError, KeyError, ValueError) as e:
            result = dict.fromkeys(CHECKS, f"{e!r}")
        if any(result.values()):
            result["tail"] = "\n".join([vm.command_line(), *vm.tail[-12:],
                                        *vm.stderr().splitlines()[-5:]])
    result["took"] = time.monotonic() - began
    return result


def run_rows(tap, rows, args, initramfs):
    with ThreadPoolExecutor(args.jobs) as pool:
        # The slowest first: stock waits for each alarm in vain.
        stock = pool.submit(run_row, STOCK_ROW, str(STOCK), initramfs) \
            if args.stock else None
        futures = [pool.submit(run_row, row, args.qemu, initramfs)
                   for row in rows]
        try:
            for row, future in zip(rows, futures):
                report(tap, row, future.result())
            if stock:
                report_stock(tap, stock.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise


def report(tap, row, result):
    tap.say(f"{row_name(row)}: {result['took']:.1f} s")
    for name in CHECKS:
        tap.point(f"{row_name(row)}: {name}", result[name])
    tap.say(result.get("tail", ""))


STOCK_ROW = Row(NONE, "q35", "OVMF")


def report_stock(tap, result):
    """These have to be wrong, and only these."""
    wrong = {name for name in CHECKS if result[name]}
    lost = {"hwclock", "rtcwake", "rtctest", "interrupts"}
    tap.point(f"stock, {STOCK_ROW.machine}, {STOCK_ROW.firmware}: the alarm is lost",
              None if wrong == lost else f"wrong are {wrong}, not {lost}\n"
              + "\n".join(str(error) for error in result.values()))


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true",
                        help="all clocks x machines x firmwares, all of rtctest")
    parser.add_argument("--qemu", default=str(OURS), metavar="PATH")
    parser.add_argument("--clocks", metavar="LIST", help="host clocks, with commas; "
                        f"'{NONE}' is without -clock (default: {','.join(CLOCKS)})")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N",
                        help="guests at a time (default: %(default)s)")
    parser.add_argument("--no-stock", dest="stock", action="store_false",
                        help="leave out the run of stock QEMU")
    return parser.parse_args()


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    clocks = args.clocks.split(",") if args.clocks else CLOCKS
    rows = plan_rows(clocks, args.full)
    try:
        with tempfile.TemporaryDirectory(prefix="alarm-") as folder:
            initramfs = Path(folder) / "initramfs"
            linux_guest.make_initramfs(initramfs,
                                       "full" if args.full else "short")
            run_rows(tap, rows, args, initramfs)
    except (EmulatorError, packages.PackageError, ImageError,
            OSError, subprocess.CalledProcessError) as e:
        tap.point("the guests can be made", str(e))
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
