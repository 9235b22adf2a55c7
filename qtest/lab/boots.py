# SPDX-License-Identifier: GPL-2.0-or-later
"""What lab-test.py boots and runs: each boot is a PC with other hardware."""

import os
import re
import subprocess
from dataclasses import dataclass, field

from lib import linux_guest
from lib.image import PYTHON, ImageError
from lib.kernel import kernel_folder
from lib.lab import KVM_CPU, LINUX_GUEST
from lib.paths import BUILD, EMULATOR, OBJ, ROOT, STOCK

UNIT = "tests/unit/test-host-clock"
UNIT_SAMPLED = [f"tests/unit/test-host-clock-sampled{part}"
                for part in ("", "-rtc", "-alarm")]
CONFORMANCE = "tests/qtest/host-clock-test"
DEVICE = "tests/qtest/host-clock-device-test"
STOCK_OBJ = BUILD / "stock" / "obj"


def listed(path, select):
    """The tests of a program below a path, as it lists them here."""
    done = subprocess.run(
        [OBJ / path, "-l"], cwd=OBJ, text=True, capture_output=True,
        env={**os.environ, "QTEST_QEMU_BINARY": "./qemu-system-x86_64"})
    if done.returncode:
        raise ImageError(f"{path} -l: {done.stderr.strip() or 'no message'}")
    below = re.compile(rf"\S*{re.escape(select)}(/\S+)?")
    return [test for test in done.stdout.split() if below.fullmatch(test)]


@dataclass
class Program:
    """A test program, or a part of one, and how long it may take."""
    path: str
    select: str = ""        # the tests below this path
    bound_s: int = 300      # several times what it takes on an idle machine
    skips: str = "(?!)"     # pattern of the points that may skip
    short: str = ""         # of these, pattern of those that --full is not for
    chosen: list = field(default_factory=list)  # of these, only some

    def has(self, test):
        """Whether this is one of its tests, by name."""
        return bool(self.select) and self.select + "/" in test + "/"

    def name(self):
        return self.path.rsplit("/", 1)[-1] + (f" {self.select}"
                                               if self.select else "")

    def command(self, full):
        """What runs in the lab."""
        words = [f"./{self.path}", "--tap", "-k"]
        if self.select:
            tests = self.chosen or [test for test in listed(self.path, self.select)
                                    if full or re.search(self.short, test)]
            words += [word for test in tests for word in ("-p", test)]
        return words


@dataclass
class Script(Program):
    """A test program in Python, which has a short form by itself."""

    def command(self, full):
        return [str(PYTHON), "-B", str(ROOT / self.path),
                *(["--full"] if full else [])]


@dataclass
class Boot:
    """One boot of the lab."""
    name: str
    programs: list
    hardware: dict = field(default_factory=dict)
    # For --full alone: what it shows is shown on the host, or elsewhere here.
    full: bool = False
    kvm: bool = False
    igb: bool = False
    python: bool = False
    linux: bool = False     # a Linux guest of the lab
    # Words with which it has to fail.
    fails: str = ""

    def prepare(self, image, kernel, full):
        """What the programs need in the lab beside our build."""
        if self.kvm:
            image.add_kvm(kernel)
        if self.igb:
            image.add_igb(kernel)
        if self.python:
            image.add_python()
            image.add_scripts("lab")
            image.add_emulator(STOCK_OBJ)
            image.link(STOCK, STOCK_OBJ / EMULATOR)
        if self.linux:
            image.add_kernel(kernel)
            linux_guest.make_initramfs(image.place(LINUX_GUEST),
                                       "full" if full else "short", timers=True)

    def job(self, full):
        """The script that runs the programs."""
        lines = [f"cd {OBJ}", "export QTEST_QEMU_BINARY=./qemu-system-x86_64",
                 f"export QTEST_QEMU_IMG=./qemu-img HOST_CLOCK_BUILD={BUILD}"]
        if self.linux:
            lines.append(f"export XDG_CACHE_HOME={kernel_folder().parents[2]}")
        for n, program in enumerate(self.programs):
            words = " ".join(program.command(full))
            lines.append(f"run {n} {program.bound_s} {words}")
        text = "\n".join(lines) + "\n"
        for module in ["kvm"] * self.kvm + ["igb"] * self.igb:
            text = f"if load_{module}; then\n{text}fi\n"
        return text


# What these want to see is another boot's hardware, and a driver that sets the
# RTC to a date before 1970, which is no longer in the kernel.
OTHER_BOOT = "/(absent|no-mmap|set/before-1970)$"

# The stock emulator stays outside; and in a machine that is emulated twice over
# a guest may be too slow for its interrupts, or see too few of them. What of the
# contract that leaves out is proved on the host.
NOT_HERE = ("/(migrate/(stock|alarm-passed)|periodic/driftfix-slew"
            "|run/periodic)$")
# The RTC does not follow when the host's clock is set.
NOT_HERE_RTC = f"{NOT_HERE}|/rtc/[a-z]+/step/"

# Nor does the PTP clock, which is where CLOCK_REALTIME is.
NOT_HERE_PTP = f"{NOT_HERE}|/ptp/[a-z]+/step/"

# The part of the contract in which the source of the time has a share. The rest
# is the devices' own, and the same code on the host under five other sources.
OF_THE_SOURCE = ("/host/(power-on/utc|run/(date|update|alarm|hpet)"
                 "|stop/(date|hpet)|step/|migrate/(date|hpet|other-source)"
                 "|snapshot/revert|load/stopped/none)"
                 "|/rt/(run/date|stop/date|migrate/other-source)"
                 "|/vm/(run/(?!periodic)|stop/|update/uip|periodic/rates|hpet/"
                 "|migrate/running|snapshot/load)")

# Of that, what differs between two clocks that are sampled: the sample
OF_THE_SAMPLE = ("/host/(run/(date|alarm|hpet)|stop/hpet|migrate/hpet"
                 "|load/stopped/none)|/vm/(run/(date|hpet)|stop/hpet"
                 "|migrate/running)")

# The longest first.
BOOTS = [
    Boot("rtc-device", [
        Program(DEVICE, "/host-clock-device/rtc", 1200, skips=OTHER_BOOT),
    ]),
    Boot("kvm", [
        Script("qtest/lab/kvm-cases.py", bound_s=600),
    ], {"cpu": KVM_CPU}, kvm=True, python=True),
    Boot("kvm-qtests", [
        Script("qtest/lab/kvm-qtests.py", bound_s=7200),
    ], {"cpu": KVM_CPU}, kvm=True, python=True),
    Boot("suspend", [
        Script("qtest/lab/suspend-cases.py", bound_s=600),
    ], {"cpu": KVM_CPU, "cpus": 1, "sleeps": True, "extra": ["-device", "igb"]},
         kvm=True, igb=True, python=True, linux=True),
    Boot("hpet", [
        Program(CONFORMANCE, "/host-clock/hpet", 900, skips=NOT_HERE,
                short=OF_THE_SOURCE),
    ]),
    Boot("rtc", [
        Program(CONFORMANCE, "/host-clock/rtc", 900, skips=NOT_HERE_RTC,
                short=OF_THE_SAMPLE),
    ]),
    # A guest's alarm is late when other labs run beside it.
    Boot("kvm-linux", [
        Script("qtest/lab/linux-cases.py", bound_s=900),
    ], {"cpu": KVM_CPU}, kvm=True, python=True, linux=True, full=True),
    Boot("hpet-device", [
        Program(DEVICE, "/host-clock-device/hpet", 600, skips=OTHER_BOOT),
    ]),
    # Two cards, so that there is a choice; far apart, for each has eight more
    # functions at some distance.
    Boot("ptp", [
        Program(f"{UNIT}-ptp-device", bound_s=300),
        Script("qtest/lab/ptp-cases.py", bound_s=600),
    ], {"extra": ["-device", "igb", "-device", "igb,addr=8"]}, igb=True, python=True),
    Boot("ptp-vm", [
        Program(CONFORMANCE, "/host-clock/ptp", 900, skips=NOT_HERE_PTP,
                short=OF_THE_SAMPLE),
    ], {"extra": ["-device", "igb"]}, igb=True),
    # The host's own tests may not set its clock.
    Boot("steps", [
        Program(CONFORMANCE, "/host-clock/unix/host/step", 120),
        Program(CONFORMANCE, "/host-clock/dynticks/host/step/leap-second", 120),
    ]),
    # Comparators for everyone: with three, the kernel keeps two; and lines of
    # the IOAPIC to interrupt by, which a 'pc' lacks and a 'q35' has.
    Boot("timers", [
        Program(DEVICE, "/host-clock-device/hpet/alarm", 300),
    ], {"extra": ["-global", "hpet.timers=8",
                  "-global", "hpet.hpet-intcap=0xff0104"]}),
    Boot("no-mmap", [
        Program(DEVICE, "/host-clock-device/hpet/no-mmap", 120),
    ], {"append": "hpet_mmap=0"}),
    Boot("no-hpet", [
        Program(DEVICE, "/host-clock-device/hpet/absent", 120),
    ], {"hpet": False}),
    Boot("no-svm", [
        Script("qtest/lab/kvm-cases.py", bound_s=30),
    ], {"cpu": "qemu64,-svm"}, kvm=True, fails="no SVM in the lab's processor"),
    # On a simulated system, as on the host, but on another kernel.
    Boot("units", [
        *(Program(path, "/host-clock/core", 120)
          for path in (UNIT, f"{UNIT}-choice")),
        *(Program(path, bound_s=300) for path in UNIT_SAMPLED),
        Program(CONFORMANCE, "/host-clock/default/host/step", 120),
    ], full=True),
]
