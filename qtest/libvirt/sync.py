# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/sync-guest.py brings a guest's clock right after it was stopped."""

import json
import socket
import subprocess
import sys
import tempfile
import time

from lib.emulator import Emulator, EmulatorError
from lib.kernel import kernel_folder
from lib.paths import OURS, ROOT

from agent import BOOT_S, LATE_S, PAUSE_S

# The agent, in an emulated guest on a busy machine
ANSWER_S = 60


def ask(path, command, seconds=ANSWER_S):
    """The answer of the agent to a command; None if it is silent."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(seconds)
        sock.connect(path)
        sock.sendall(json.dumps({"execute": command}).encode() + b"\n")
        try:
            return json.loads(sock.makefile().readline())["return"]
        except (TimeoutError, ValueError, KeyError):
            return None


def late_s(path):
    return time.time() - ask(path, "guest-get-time") / 1e9


def wait_agent(path):
    end = time.monotonic() + BOOT_S
    while ask(path, "guest-ping", 1) is None:
        if time.monotonic() > end:
            raise EmulatorError("the guest's agent does not answer")


def sync_test(initramfs):
    """With clock=vm the RTC is behind as well: RESUME does not bring the guest
    right, HOST_CLOCK_LAG does."""
    with tempfile.TemporaryDirectory() as folder:
        qmp, agent = f"{folder}/qmp", f"{folder}/agent"
        args = ["-M", "pc", "-m", "256", "-nodefaults", "-display", "none",
                "-clock", "unix", "-rtc", "clock=vm", "-no-user-config",
                "-kernel", str(kernel_folder() / "vmlinux"), "-initrd", str(initramfs),
                "-append", "quiet panic=-1 mitigations=off",
                "-qmp", f"unix:{qmp},server=on,wait=off", "-device", "virtio-serial",
                "-chardev", f"socket,id=a,path={agent},server=on,wait=off",
                "-device", "virtserialport,chardev=a,name=org.qemu.guest_agent.0"]
        with Emulator(str(OURS), args) as vm:
            vm.wait_running(BOOT_S)
            wait_agent(agent)
            before_s = late_s(agent)
            with subprocess.Popen([sys.executable, ROOT / "docs/sync-guest.py", qmp, agent],
                                  stdout=subprocess.PIPE, text=True) as script:
                try:
                    # It has the agent's channel when it has QMP's.
                    time.sleep(1)
                    vm.qmp.command("stop")
                    time.sleep(PAUSE_S)
                    vm.qmp.command("cont")
                    told = [script.stdout.readline() for _ in range(2)]
                finally:
                    script.kill()
            after_s = late_s(agent)
    words = [line.split()[0] for line in told]
    if words != ["RESUME", "HOST_CLOCK_LAG"]:
        raise EmulatorError(f"the script was told {told}, {after_s:.2f} s late")
    if not -LATE_S < after_s < LATE_S or not before_s < PAUSE_S / 2:
        raise EmulatorError(f"the guest's clock is {after_s:.2f} s late; {before_s:.2f} before")
