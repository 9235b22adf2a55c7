#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Without -clock, the migration stream is the one of stock QEMU; TAP output.

    stream-test.py [--qemu PATH] [--stock PATH]

Both emulators get the same accesses to the RTC and the HPET, through qtest,
and save their state to a file. With -rtc clock=vm time stands still between
the accesses, so both devices' sections must be equal byte for byte. With
clock=host and clock=rt they hold the time at which they were written; there
the description of all devices, with their fields and sizes, must be equal.
Last, each loads the file of the other, and says the same time.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from lib.emulator import EmulatorError
from lib.machine import Machine
from lib.paths import OURS, STOCK
from lib.tap import Tap

DEVICES = "mc146818rtc", "hpet"
BASE = "2006-06-17T16:01:21"

# Periodic interrupts at 1024 Hz with update-ended ones; the HPET on, with
# timer 0 periodic and timer 1 one-shot; then 1.23 s later, in two steps. No
# HPET timer expires: qtest hits its very tick, where stock QEMU is wrong.
ACCESSES = """
outb 0x70 0x0a
outb 0x71 0x26
outb 0x70 0x0b
outb 0x71 0x52
writeq 0xfed00100 0x4c
writeq 0xfed00108 0x10000000
writeq 0xfed00120 0x04
writeq 0xfed00128 0x7fffffff
writeq 0xfed00010 0x1
clock_step 999999999
outb 0x70 0x0c
inb 0x71
clock_step 234567890
""".strip().splitlines()


def rtc(clock):
    return f"base={BASE},clock={clock}"


def save(binary, clock, folder, name):
    """The stream of one emulator after ACCESSES."""
    path = Path(folder) / name
    with Machine(binary, None, rtc(clock)) as m:
        m.ask(*ACCESSES)
        m.vm.qmp.command("stop")
        m.vm.qmp.command("migrate", {"uri": f"file:{path}"})
        m.vm.wait_migrated()
    return path


def description(stream):
    """What the stream says of itself: the JSON object at its end."""
    data = stream.read_bytes()
    start = data.rindex(b'{"configuration"')
    return json.JSONDecoder().raw_decode(data[start:].decode("latin-1"))[0]


def load(binary, clock, stream):
    """The RTC's time after loading a stream; the VM stays stopped. The
    clock that qtest moves is not in the stream, so it is BASE again."""
    with Machine(binary, None, rtc(clock), args=["-incoming", "defer"]) as m:
        m.vm.qmp.command("migrate-incoming", {"uri": f"file:{stream}"})
        m.vm.wait_migrated()
        return m.vm.qmp.command("qom-get", {"path": "/machine",
                                            "property": "rtc-time"})


def section(stream, device):
    """The bytes of a device's section, from its name to its footer, which
    repeats the section's number (docs/devel/migration/main.rst)."""
    data = stream.read_bytes()
    name = bytes([len(device)]) + device.encode()
    start = data.index(name)
    number = data[start - 4:start]
    return data[start:data.index(b"\x7e" + number, start)]


def difference(ours, stock, device):
    """Where the device's sections differ, or None."""
    a, b = section(ours, device), section(stock, device)
    if a == b:
        return None
    at = next((n for n, (x, y) in enumerate(zip(a, b)) if x != y),
              min(len(a), len(b)))
    return f"at byte {at} of {len(a)} and {len(b)}"


def checks(ours, stock, folder):
    """(name, what is wrong or None) of each test"""
    ours_vm = save(ours, "vm", folder, "ours-vm")
    stock_vm = save(stock, "vm", folder, "stock-vm")
    for device in DEVICES:
        yield (f"clock=vm/same-bytes/{device}",
               difference(ours_vm, stock_vm, device))
    for clock in "host", "rt":
        mine = description(save(ours, clock, folder, "ours-" + clock))
        theirs = description(save(stock, clock, folder, "stock-" + clock))
        names = {device["name"] for device in theirs["devices"]}
        yield (f"clock={clock}/same-fields",
               None if mine == theirs and names.issuperset(DEVICES)
               else "the descriptions differ")
    for source, stream in (("ours", ours_vm), ("stock", stock_vm)):
        times = [load(binary, "vm", stream) for binary in (ours, stock)]
        yield (f"clock=vm/load-of-{source}",
               None if times[0] == times[1] and times[0]["tm_sec"] == 21
               else f"ours says {times[0]}, stock {times[1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qemu", default=OURS)
    parser.add_argument("--stock", default=STOCK)
    args = parser.parse_args()
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        try:
            for name, wrong in checks(str(args.qemu), str(args.stock), folder):
                tap.point(f"/stream/{name}", wrong)
        except (EmulatorError, OSError, ValueError) as e:
            tap.point("/stream/completed", e)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
