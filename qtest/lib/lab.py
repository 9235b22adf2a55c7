# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: a Linux guest of our own emulator that has /dev/rtc0 and /dev/hpet,
with our build inside, so that host clocks meet the real kernel drivers."""

import re
import tempfile
import time
from pathlib import Path

from .emulator import Emulator, EmulatorError
from .image import LAB_EMULATOR
from .kernel import kernel_folder

# Our build unpacked (100 MB), and 64 emulators at a time.
MEMORY_MB = 2048
# A bound that only matters when something is broken
BOOT_S = 180    # until the first line of the init: 5 s when idle

# What the kernel says when it is no longer to be trusted.
KERNEL_BROKEN = re.compile(r"Kernel panic|BUG:|Oops|general protection")


class LabError(Exception):
    """The lab did not come up, or did not get to the end of its job."""


# TCG emulates the virtualization of AMD's processors; Linux asks for the vendor,
# too.
KVM_CPU = "max,vendor=AuthenticAMD"

# The initramfs of the lab's own Linux guests, in there
LINUX_GUEST = "/lab/linux-guest"


def machine(kernel, initramfs, hpet=True, append="", extra=(), cpus=2,
            cpu="qemu64", sleeps=False):
    """Arguments of the emulator that is the lab's hardware. clock=vm: that
    the clock of the real host is set must not show in there. A lab that sleeps
    needs an RTC that goes on meanwhile; a kernel that was not booted by PVH,
    as that one would begin anew when it is woken up; and that the wake, a reset
    to QEMU, does not end it."""
    how = ["-rtc", f"base=utc,clock={'host' if sleeps else 'vm'}",
           "-kernel", str(kernel / ("vmlinuz" if sleeps else "vmlinux")),
           *([] if sleeps else ["-no-reboot"])]
    return ["-no-user-config", "-nodefaults", "-display", "none",
            "-accel", "tcg,thread=multi", "-smp", str(cpus), "-cpu", cpu,
            "-m", str(MEMORY_MB), "-machine", "pc" if hpet else "pc,hpet=off",
            *how, *extra, "-initrd", str(initramfs),
            # panic=-1: a kernel that panics ends the run at once.
            # mitigations: the lab has nobody to hide something from. And on a
            # busy host ticks may be too few for the kernel's check of its timer.
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off "
            f"no_timer_check rdinit=/init {append}"]


class Lab:
    """One boot of the lab that runs a job; leaving the `with` ends it."""

    def __init__(self, image, job, **hardware):
        """job is a shell script, run by /lab/init with /lab/functions; its
        output is what lines() gives. hardware goes to machine()."""
        self.image, self.job, self.hardware = image, job, hardware

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lab-")
        folder = Path(self.folder.name)
        self.console = folder / "console"
        self.image.write("/lab/job", self.job)
        self.image.pack(folder / "initramfs")
        self.vm = Emulator(str(LAB_EMULATOR), [
            *machine(kernel_folder(), folder / "initramfs",
                     **self.hardware),
            "-serial", f"file:{self.console}"], serial=True)
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.vm.close()
        self.folder.cleanup()

    def lines(self, deadline, silence_s):
        """The lines of the job, as they come; deadline is monotonic, and no
        line may keep us waiting for longer than silence_s. Ends when the job
        has ended, and raises LabError when it does not get there."""
        limit = min(deadline, time.monotonic() + BOOT_S)
        up = False
        while True:
            line = self.next_line(limit, up)
            if line == "@ done":
                break
            if line == "@ up":
                up = True
            elif line.startswith("@ error "):
                raise LabError(line[8:])
            else:
                yield line
            limit = min(deadline, time.monotonic() + silence_s)
        broken = KERNEL_BROKEN.search(self.console_text())
        if broken:
            raise LabError(f"the lab's kernel said '{broken.group()}'")

    def next_line(self, limit, up):
        try:
            got = self.vm.read_line(limit)
        except EmulatorError as e:
            took = time.monotonic() - self.began
            raise LabError(f"no word from the lab, {took:.0f} s after its start"
                           if up else "the lab did not boot in "
                           f"{took:.0f} s") from e
        if got is None:
            broken = KERNEL_BROKEN.search(self.console_text())
            raise LabError("the lab ended before its job did, "
                           + (f"its kernel said '{broken.group()}'" if broken
                              else f"emulator status {self.vm.process.wait()}"))
        return got[1]

    def console_text(self):
        try:
            return self.console.read_text(errors="replace")
        except OSError:
            return ""

    def last_words(self):
        """What to look at when the lab failed."""
        return [*self.console_text().splitlines()[-30:], *self.vm.tail[-15:],
                *self.vm.stderr().splitlines()[-10:]]
