# SPDX-License-Identifier: GPL-2.0-or-later
"""The guests of guests-test.py: of what they are made, what boots them, and what is
seen of them. Each of GUESTS has

  make(folder)    puts its files there
  args(folder)    the emulator's arguments
  watch(vm)       Seen, when the guest has done all that it does
"""

import gzip
import re
import shutil
import struct
import subprocess
import tarfile
import time
from collections import namedtuple
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path

from lib import linux_guest, packages
from lib.emulator import EmulatorError

# What was seen of a guest: texts that must be the same, by name; and what is wrong
# with each thing that must work, None if it does.
Seen = namedtuple("Seen", "same works")

# Bounds on waiting; they only matter when something is broken. The slowest, Xen,
# needs 15 s of a core until its dom0 speaks.
SCRIPT_S = 180
START_S = 60
SLEEP_S = 3
# A date is looked at in whole seconds, and the machine may be busy with others.
SLACK_S = 5
# Mach's ticks, and for how long they are counted
MACH_HZ, TICKS_S = 100, 2

DATE = re.compile(r"(\d{4}-\d\d-\d\d)\D.*?(\d\d:\d\d:\d\d)")


def wordless(lines):
    """Lines without what differs from boot to boot: times, addresses, rates"""
    return "\n".join(re.sub(r"\d+", "N", re.sub(r"0x[0-9a-f]+", "N", line))
                     for line in lines)


def listen_until(vm, end):
    """[(stamp, line)] up to the line that is `end`, without it"""
    seen = []
    deadline = time.monotonic() + SCRIPT_S
    while True:
        at, line = vm.read_line(deadline) or (None, None)
        if line is None:
            raise EmulatorError(f"the emulator ended before {end!r}")
        # What moves the cursor, of GRUB and U-Boot
        line = re.sub(r"\x1b\[[\d;]*[A-Za-z]|\r", "", line)
        if line.strip() == end:
            return seen
        seen.append((at, line))


# GRUB and U-Boot have the same commands. They show the date, sleep, show it, set it
# to the end of a February, sleep and show it.

SET = datetime(2031, 2, 28, 23, 59, 58, tzinfo=timezone.utc).timestamp()


def shown_dates(seen):
    """[(stamp, seconds since 1970)] of the lines that have a date"""
    found = [(at, DATE.search(line)) for at, line in seen]
    return [(at, datetime.fromisoformat(f"{m[1]}T{m[2]}+00:00").timestamp())
            for at, m in found if m]


def between(what, value, low, high):
    """None, or that it is not"""
    return None if low <= value <= high else f"{what}: {value}, not {low} to {high}"


def judge_dates(seen, sleep_low, sleep_high):
    """works of a script that has shown these three dates. By how much dates go on is
    compared with the host's clock, as a firmware may sleep for another while."""
    dates = shown_dates(seen)
    if len(dates) != 3:
        return {"date": f"{len(dates)} dates, not 3: {[line for _, line in seen]}"}
    (at1, date1), (at2, date2), (at3, date3) = dates
    slept, set_ago = at2.mono - at1.mono, at3.mono - at2.mono
    return {
        "date": between("seconds off", date1 - at1.wall, -SLACK_S, 1),
        "sleep": between("seconds slept", slept, sleep_low, sleep_high),
        "date goes on": between("seconds", date2 - date1, slept - 1.5, slept + 1.5),
        "date that was set": between("seconds", date3 - SET, set_ago - 1.5,
                                     set_ago + 1.5)}


# GRUB

GRUB_START = "serial --unit=0 --speed=115200\nterminal_output serial\n"
GRUB_SCRIPT = f"""{GRUB_START}
echo "@ begin"
date
sleep {SLEEP_S}
date
date 2031-02-28 23:59:58
sleep {SLEEP_S}
date
echo "@ end"
halt
"""


def make_grub(out, script, modules, files=None):
    """A disk that boots GRUB, which runs a script; files: {name: bytes} for it."""
    tools = packages.folder("grub-common")
    parts = packages.folder("grub-pc-bin") / "usr/lib/grub/i386-pc"
    work = Path(f"{out}.parts")
    work.mkdir()
    (work / "script").write_text(script)
    command = [tools / "usr/bin/grub-mkimage", "-d", parts, "-O", "i386-pc",
               "-p", "/", "-c", work / "script", "-o", work / "core"]
    if files:
        with tarfile.open(work / "files", "w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, BytesIO(data))
        command += ["-m", work / "files"]
    subprocess.run([*command, "biosdisk", "serial", "terminal", "echo", *modules],
                   check=True, capture_output=True, text=True)
    data = (parts / "boot.img").read_bytes() + (work / "core").read_bytes()
    # SeaBIOS finds no geometry for less than a cylinder.
    Path(out).write_bytes(data + bytes(-len(data) % (1 << 20)))


def disk_args(path):
    # Two emulators read it, and each has its own writes. SeaBIOS reads slowly from AHCI.
    return ["-m", "256", "-drive", f"if=virtio,format=raw,snapshot=on,file={path}"]


class Grub:
    @staticmethod
    def make(folder):
        make_grub(folder / "grub.img", GRUB_SCRIPT,
                  ["date", "datetime", "sleep", "halt"])

    @staticmethod
    def args(folder):
        return disk_args(folder / "grub.img")

    @staticmethod
    def watch(vm):
        listen_until(vm, "@ begin")
        seen = listen_until(vm, "@ end")
        return Seen({"words": wordless(re.sub(r"\w+day", "", line)
                                       for _, line in seen)}, judge_dates(seen, SLEEP_S - 0.2,
                                                           SLEEP_S + SLACK_S))


# U-Boot

class UBoot:
    # On one line: while it sleeps, U-Boot forgets what is typed. It compares the TSC
    # with the PIT in a moment in which a busy host may do something else, and then
    # sleeps up to some times as long or as short.
    SCRIPT = (f"date; sleep {SLEEP_S}; date; date 022823592031.58; "
              f"sleep {SLEEP_S}; date; echo @ end\n")

    @staticmethod
    def make(folder):
        packages.folder("u-boot-qemu")

    @staticmethod
    def args(folder):
        return ["-m", "256", "-bios", str(packages.folder("u-boot-qemu")
                                          / "usr/lib/u-boot/qemu-x86/u-boot.rom")]

    @classmethod
    def watch(cls, vm):
        found = listen_until(vm, "Net:   No ethernet found.")
        # Any key ends its count-down.
        vm.write("  " + cls.SCRIPT)
        seen = listen_until(vm, "@ end")
        # The second is what it answers to the setting.
        dates = [(at, line) for at, line in seen if line.startswith("Date:")]
        return Seen({"words": wordless(line for _, line in found)},
                    judge_dates(dates[:2] + dates[3:], SLEEP_S / 6, SLEEP_S * 6))


# GNU Mach

def spinning_task():
    """An i386 ELF program that does nothing, for ever."""
    base, header = 0x8048000, 52 + 32
    code = b"\xeb\xfe"          # jmp to itself
    size = header + len(code)
    return (struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1,
                        base + header, 52, 0, 0, 52, 32, 1, 40, 0, 0)
            + struct.pack("<8I", 1, 0, base, base, size, size, 5, 0x1000) + code)


class Mach:
    """Without a task, Mach would stop: the Hurd, which has some, is not in the
    archive for amd64."""

    SCRIPT = GRUB_START + ("multiboot (memdisk)/mach console=com0\n"
                           "module (memdisk)/task task '$(task-create)' "
                           "'$(task-resume)'\nboot\n")

    @classmethod
    def make(cls, folder):
        package = packages.folder("gnumach-image-1-486", "gnumach-image-1.")
        mach = gzip.decompress(next(package.glob("boot/gnumach-*.gz")).read_bytes())
        make_grub(folder / "mach.img", cls.SCRIPT, ["memdisk", "tar", "multiboot"],
                  {"mach": mach, "task": spinning_task()})

    @staticmethod
    def args(folder):
        return disk_args(folder / "mach.img")

    @staticmethod
    def ticks(vm):
        """(when, how often) the PIC's line 0 was raised"""
        text = vm.qmp.command("human-monitor-command",
                              {"command-line": "info irq"})
        count = re.search(r"i8259:\s+0: (\d+)", text)
        return time.monotonic(), int(count[1]) if count else 0

    @classmethod
    def watch(cls, vm):
        vm.qmp.open(START_S)
        seen = listen_until(vm, "task loaded: task")
        first = cls.ticks(vm)
        time.sleep(TICKS_S)     # longer is as good: the rate is looked at
        last = cls.ticks(vm)
        rate = (last[1] - first[1]) / (last[0] - first[0])
        clock = [(at, line) for at, line in seen if "RTC" in line]
        dates = shown_dates(clock)
        return Seen(
            {"words": wordless(line for _, line in seen if "Mach" in line
                               or "RTC" in line or "biosmem" in line)},
            {"date": between("seconds off", dates[0][1] - dates[0][0].wall,
                             -SLACK_S, 1) if dates else f"none in {clock}",
             "ticks": between("Hz", rate, MACH_HZ / 2, MACH_HZ * 2)})


# Linux, and Xen with a Linux

# What is measured anew at each boot, or happens to a busy machine
MEASURED = re.compile(r"tsc|setting system clock|Lost \d+|Unable to calibrate|"
                      r"increased min_delta|consistency check|delta adjusted")
KERNEL = re.compile(r"hpet|rtc|clocksource: (hpet|acpi_pm)|PM-Timer", re.I)


def kernel_words(facts):
    """What the kernel says of these devices"""
    lines = [re.sub(r"^\[ *[\d.]+\] ", "", line).strip()
             for line in facts["dmesg"].lines]
    # Where a table is depends on the length of others.
    lines = [re.sub(r"0x[0-9A-F]{16}|\[mem [^]]*\]", "N", line) for line in lines]
    # Stock claims ports of a second bank that it has not.
    lines = [re.sub(r"\d+ bytes nvram", "nvram", line) for line in lines]
    return "\n".join(line for line in lines
                     if KERNEL.search(line) and not MEASURED.search(line))


def rtc_properties(facts):
    return "\n".join(line for line in facts["date"].lines
                     if not re.search(r"_time|_date", line))


def rtc_date(facts):
    part = facts["date"]
    text = {word: value for word, _, value in
            (line.partition(":") for line in part.lines)}
    text = {word.strip(): value.strip() for word, value in text.items()}
    return linux_guest.date_error(f"{text['rtc_date']} {text['rtc_time']}", part,
                                  SLACK_S)


def nvmem_error(facts):
    """The RTC has 128 bytes, of which the first 14 are registers; the last one keeps
    what was written."""
    said = facts.text("nvmem-write").strip()
    return None if said == "113: Z" else f"{said!r}"


def judge_linux(facts, timer):
    """Seen of a Linux; timer: the interrupt that its time comes from"""
    rtc = facts.arrived("rtc0") + facts.arrived("acpi")
    ticks = facts.arrived(timer)
    return Seen(
        {"words": kernel_words(facts), "RTC's properties": rtc_properties(facts),
         "clocksources": " ".join(word for word in facts.text("clocksources").split()
                                  if word != "tsc")},
        {"date": rtc_date(facts), "hwclock": linux_guest.hwclock_error(facts),
         "rtcwake": linux_guest.rtcwake_error(facts),
         "nvmem": nvmem_error(facts),
         "RTC's interrupts": None if rtc >= 2 else f"{rtc}, not 2 or more",
         "timer's interrupts": None if ticks else f"none of {timer}"})


class Linux:
    @staticmethod
    def make(folder):
        linux_guest.make_initramfs(folder / "initramfs")

    @staticmethod
    def args(folder):
        # Ticks are to come from HPET or PIT, and not from the local APIC.
        return ["-m", "256", *linux_guest.kernel_args(
            folder / "initramfs", append="nolapic_timer")]

    @staticmethod
    def watch(vm):
        return judge_linux(linux_guest.listen(vm), "timer")


class Xen:
    @staticmethod
    def make(folder):
        package = packages.folder("xen-system-amd64", "xen-hypervisor-")
        packed = next(package.glob("boot/xen-*-amd64.gz"))
        with gzip.open(packed) as source, open(folder / "xen", "wb") as out:
            shutil.copyfileobj(source, out)
        linux_guest.make_initramfs(folder / "dom0")

    @staticmethod
    def args(folder):
        kernel = linux_guest.kernel_folder() / "vmlinuz"
        return ["-m", "512", "-kernel", str(folder / "xen"),
                "-append", "console=com1 com1=115200", "-initrd",
                f"{kernel} console=hvc0 quiet panic=-1,{folder / 'dom0'}"]

    @staticmethod
    def watch(vm):
        words = []
        seen = judge_linux(linux_guest.listen(vm, words.append), "timer0")
        # It compares the timers with the TSC, as U-Boot does, and may find that one
        # has wrapped.
        xen = [line for line in words if line.startswith("(XEN)")
               and re.search(r"HPET|RTC|clock|timer|PIT", line)
               and "unexpectedly wrapped" not in line]
        seen.same["hypervisor's words"] = wordless(xen)
        return seen


GUESTS = {"linux": Linux, "grub": Grub, "uboot": UBoot, "mach": Mach, "xen": Xen}
