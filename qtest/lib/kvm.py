# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether guests run under KVM here."""

import os
import subprocess

from .paths import BUILD

DEVICE = "/dev/kvm"
GUEST = BUILD / "qtest" / "baremetal" / "read-clocks.elf"
# It leaves with exit code 0, of which isa-debug-exit makes 1.
GUEST_STATUS = 1
# 2 s under KVM, in the lab 4. A KVM that emulates each instruction of BIOS and
# bootloader, as there are, takes minutes.
BOUND_S = 30
# The whole guest takes 5 s.
LINUX_BOUND_S = 60


def why_no_end(binary, status, bound_s, *words):
    """Why a guest under KVM does not end with this status in time, or None."""
    try:
        done = subprocess.run(
            [binary, "-no-user-config", "-nodefaults", "-display", "none",
             "-no-reboot", "-accel", "kvm", "-cpu", "host", *words],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=bound_s)
    except subprocess.TimeoutExpired:
        return f"KVM ran a guest for {bound_s} s without coming to its end"
    if done.returncode != status:
        said = done.stderr.strip().splitlines() or ["no message"]
        return f"KVM does not run a guest: {said[-1]}"
    return None


def why_not(binary):
    """Why no guest of this emulator can run under KVM, or None if one does.
    That the device opens is not enough: so try."""
    if not os.path.exists(DEVICE):
        return f"no {DEVICE}: load kvm-amd or kvm-intel"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} does not open: join the group kvm, or be root"
    return why_no_end(binary, GUEST_STATUS, BOUND_S, "-m", "16",
                      "-kernel", GUEST, "-append", "times=1",
                      "-device", "isa-debug-exit,iobase=0xf4,iosize=4")


def why_no_linux(binary, kernel, initramfs):
    """Why Linux, in a guest that ends by itself, does not run under this KVM, or None
    if it does: there are some that lack instructions which small guests do not use."""
    why = why_no_end(binary, 0, LINUX_BOUND_S, "-m", "256", "-kernel", kernel,
                     "-initrd", initramfs, "-append", "quiet panic=-1 times=1")
    return why and f"Linux: {why}"
