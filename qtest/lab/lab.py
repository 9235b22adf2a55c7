#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: a Linux guest of our own emulator that has /dev/rtc0 and /dev/hpet,
with our build inside, so that host clocks meet the real kernel drivers.

Run by itself it gives a shell in there. Leave with 'exit', or C-a x.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.emulator import EmulatorError
from lib.image import LAB_EMULATOR, Image, ImageError
from lib.kernel import GetKernelError, kernel_folder
from lib.lab import LabError, machine
from lib.paths import OBJ

BANNER = f"""
This is the lab: Linux with /dev/rtc0 and /dev/hpet on an emulated PC.

  qemu-system-x86_64 -clock help
  qemu-system-x86_64 -clock hpet -nodefaults -display none -monitor stdio
      then 'info host-clocks', 'quit'
  cd {OBJ}
  tests/unit/test-host-clock
  tests/qtest/host-clock-test -p /x86_64/host-clock/hpet/vm/reset/date
  tests/qtest/host-clock-device-test -l

'exit' or C-a x leaves it. Nothing in here is kept.
"""

SHELL_JOB = """
cat /lab/banner
export QTEST_QEMU_BINARY=./qemu-system-x86_64 QTEST_QEMU_IMG=./qemu-img
export PS1='lab:\\w# '
setsid cttyhack sh
"""


def shell(args):
    """Become an interactive lab."""
    kernel = kernel_folder()
    with Image() as image, tempfile.TemporaryDirectory(prefix="lab-") as name:
        image.add_build()
        image.write("/lab/banner", BANNER)
        image.write("/lab/job", SHELL_JOB)
        initramfs = Path(name) / "initramfs"
        image.pack(initramfs)
        extra = ["-serial", "mon:stdio"]
        if args.hpet_timers:
            extra += ["-global", f"hpet.timers={args.hpet_timers}"]
        # 'shell' is no option of the kernel, which hands it to the init.
        words = machine(kernel, initramfs, hpet=not args.no_hpet, extra=extra,
                        append=f"{args.append} -- shell")
        return subprocess.run([LAB_EMULATOR, *words]).returncode


def parse_args():
    parser = argparse.ArgumentParser(
        prog="lab", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-hpet", action="store_true",
                        help="a PC without a HPET")
    parser.add_argument("--hpet-timers", type=int, metavar="N",
                        help="comparators of the HPET, 3 to 32 (default: 3, "
                        "of which one is free for /dev/hpet)")
    parser.add_argument("--append", metavar="WORDS", default="",
                        help="more for the kernel's command line, such as "
                        "hpet_mmap=0")
    args = parser.parse_args()
    if args.hpet_timers is not None and not 3 <= args.hpet_timers <= 32:
        parser.error(f"--hpet-timers {args.hpet_timers}: 3 to 32")
    if not os.access(LAB_EMULATOR, os.X_OK):
        parser.error(f"no emulator at {LAB_EMULATOR}: run './run build' first")
    return args


def main():
    args = parse_args()
    try:
        return shell(args)
    except (LabError, ImageError, EmulatorError, OSError, GetKernelError) as e:
        return f"lab: {e}"
    except KeyboardInterrupt:
        return "lab: interrupted"


if __name__ == "__main__":
    sys.exit(main())
