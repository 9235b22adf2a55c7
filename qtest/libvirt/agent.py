# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest with Debian's qemu-guest-agent: `virsh domtime` brings its clock
right, from our RTC.
"""

import base64
import calendar
import json
import lzma
import os
import shutil
import time

from lib import packages
from lib.emulator import stamp
from lib.image import Image, ImageError
from lib.kernel import GetKernelError, kernel_folder
from lib.packages import PackageError

from daemon import DaemonError
from domain import Domain, clock_xml
from forms import adjustment_error, check

# What make_initramfs() raises
Missing = (ImageError, GetKernelError, PackageError)

CHANNEL = """<channel type='unix'><source mode='bind'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <serial type='file'><source path='{}'/></serial>"""
BOOT = """<kernel>{}</kernel><initrd>{}</initrd>
    <cmdline>console=ttyS0 quiet panic=-1 mitigations=off</cmdline>"""

# Bounds on waiting; they only matter when something is broken.
BOOT_S = 180        # until the agent answers: 6 s when idle
NO_AGENT_S = 3      # it never will

PAUSE_S = 5         # much longer than a guest's clock may be off
# A kernel takes its first time from the RTC in whole seconds.
BOOT_LATE_S = 1
# hwclock and the agent, emulated, on a busy machine; TCG's TSC as the guest's
# kernel has calibrated it
LATE_S = 0.7
TRIES = 3

AGENT = "usr/sbin/qemu-ga"
# What the agent's package depends on, but for libc and glib: QEMU is built with them.
AGENT_LIBRARIES = ["libnuma1", "libudev1", "liburing2"]
MODULES = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci",
           "char/virtio_console"]

INIT = """\
#!/bin/busybox sh
export PATH=/bin:/sbin LD_LIBRARY_PATH={libraries}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do insmod $module || echo "no $module"; done
# A port has its name as soon as the host has told it.
port=/sys/class/virtio-ports/vport0p1
for n in 1 2 3 4 5 6 7 8 9 10; do [ -r $port/name ] || sleep 1; done
read -r name < $port/name
[ "$name" != org.qemu.guest_agent.0 ] ||
    qemu-ga -m virtio-serial -p /dev/${{port##*/}} -t /run
echo "@ no agent"
sleep 100000
"""


def add_module(image, n, name):
    """A module of the kernel; busybox loads it in the order of names."""
    found = list((kernel_folder() / "modules/kernel/drivers").glob(f"{name}.ko*"))
    if not found:
        return      # built into this kernel
    data = found[0].read_bytes()
    if found[0].suffix == ".xz":
        data = lzma.decompress(data)
    image.place(f"/modules/{n}-{os.path.basename(name)}.ko").write_bytes(data)


def make_initramfs(out):
    """Debian's agent, its libraries, hwclock for it to call, and busybox."""
    hwclock = shutil.which("hwclock", path="/usr/sbin:/sbin:/usr/bin")
    if not hwclock:
        raise ImageError("hwclock is not installed: './run build' as root does it")
    folders = [packages.folder(name) for name in AGENT_LIBRARIES]
    found = {str(path.parent) for folder in folders for path in folder.rglob("*.so.*")}
    agent = packages.folder("qemu-guest-agent") / AGENT
    with Image() as image:
        image.add_system()
        (image.root / "init").unlink()
        search = ":".join(sorted(found))
        image.write("/init", INIT.format(libraries=search), 0o755)
        image.place("/sbin/x").parent.mkdir(exist_ok=True)
        image.place("/run/x").parent.mkdir(exist_ok=True)
        image.add(hwclock, "/sbin/hwclock")
        add_agent(image, agent, search)
        for n, name in enumerate(MODULES):
            add_module(image, n, name)
        image.pack(out)


def add_agent(image, agent, search):
    """The agent is not installed, nor need its libraries be."""
    before = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = search
    try:
        image.add(agent, "/sbin/qemu-ga")
    finally:
        if before is None:
            del os.environ["LD_LIBRARY_PATH"]
        else:
            os.environ["LD_LIBRARY_PATH"] = before


class Guest(Domain):
    """A domain that boots Linux with the agent, unless there is no initramfs."""

    def __init__(self, daemon, name, clock, host_clock=None, initramfs=None, **more):
        self.console = daemon.folder / f"{name}.console"
        boot = BOOT.format(kernel_folder() / "vmlinux", initramfs) if initramfs else ""
        super().__init__(daemon, name, clock, host_clock, memory=256, boot=boot,
                         devices=CHANNEL.format(self.console), **more)

    def wait_agent(self, seconds=BOOT_S):
        """Until the agent answers; DaemonError says what to do if it does not."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.virsh("domtime")
                return
            except DaemonError as e:
                if (time.monotonic() > deadline or not self.daemon.alive()
                        or "@ no agent" in self.last_words()):
                    raise DaemonError(
                        f"the guest's agent does not answer: {e}\n"
                        "Install qemu-guest-agent in the guest and see that it runs; "
                        "the domain needs the channel org.qemu.guest_agent.0\n"
                        + self.last_words()) from e
            time.sleep(0.2)

    def last_words(self):
        try:
            lines = self.console.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return "\n".join(["The guest's console ends:", *lines[-8:]])

    def agent(self, command, **arguments):
        return json.loads(self.virsh("qemu-agent-command", json.dumps(
            {"execute": command, "arguments": arguments})))["return"]

    def run(self, *words):
        """What a program prints in the guest."""
        pid = self.agent("guest-exec", path=words[0], arg=list(words[1:]),
                         **{"capture-output": True})["pid"]
        deadline = time.monotonic() + BOOT_S
        while time.monotonic() < deadline:
            status = self.agent("guest-exec-status", pid=pid)
            if status["exited"]:
                return base64.b64decode(status.get("out-data", "")).decode()
            time.sleep(0.1)
        raise DaemonError(f"{words[0]} does not end in the guest")

    def late(self):
        """Bounds of how far the guest's clock is behind the host's."""
        before = stamp().wall
        guest = self.agent("guest-get-time") / 1e9
        return before - guest, stamp().wall - guest


def late_error(when, late, low, high):
    if low - LATE_S <= late[1] and late[0] <= high + LATE_S:
        return None
    return (f"{when}: the guest's clock is behind by {late[0]:.2f} to {late[1]:.2f} s, "
            f"and must be by {low:.2f} to {high:.2f} s")


def sync(guest, when, low, high):
    """How late the guest is after `domtime --sync`. A guest that waits for a processor
    while it does that is late by as much: the best of some counts."""
    for left in reversed(range(TRIES)):
        guest.virsh("domtime", "--sync")
        late = guest.late()
        error = late_error(when, late, low, high)
        if not error or not left:
            check(error)
            return late


def check_rtc_in_guest(guest, offset):
    """Linux's own driver, and hwclock, show the RTC that far from UTC."""
    before = time.time()
    words = guest.run("/bin/cat", "/proc/driver/rtc").split()
    shown = f"{words[words.index('rtc_date') + 2]} {words[words.index('rtc_time') + 2]}"
    clock = guest.run("/sbin/hwclock", "-r", "-u").strip()
    after = time.time()
    for text in (shown, clock):
        seen = parse_date(text)
        if not before - 1 - LATE_S <= seen - offset <= after + LATE_S:
            raise DaemonError(
                f"the guest reads {text!r}, {offset:.2f} s from UTC expected")


def parse_date(text):
    """Seconds since 1970 of a date, taken as UTC; hwclock adds a fraction and zone."""
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%d %H:%M:%S"))


def agent_test(daemon, name, track, host_clock, initramfs):
    """After a suspend `domtime --sync` sets the guest's clock by the RTC: right, or,
    if that tracks the guest, as late as the RTC is. `domtime --time` sets both."""
    clock = clock_xml("offset='variable' basis='utc' adjustment='0'",
                      f"<timer name='rtc' track='{track}'/>")
    with Guest(daemon, name, clock, host_clock, initramfs) as guest:
        before, after = guest.start()
        lost = 1 + after.mono - before.mono     # see forms.WHOLE_SECOND_S
        guest.wait_agent()
        check(late_error("at boot", guest.late(), 0, lost + BOOT_LATE_S))
        synced = sync(guest, "synchronised", 0, lost)

        stop = guest.timed("suspend")
        time.sleep(PAUSE_S)
        go = guest.timed("resume")
        low = synced[0] + go[0].mono - stop[1].mono
        high = synced[1] + go[1].mono - stop[0].mono
        check(late_error("after a suspend", guest.late(), low, high))
        if track == "wall":
            low, high = 0, lost
        sync(guest, "after domtime --sync", low, high)
        if track == "wall":
            check_set(guest, lost)


def check_set(guest, lost):
    """`domtime --time` sets the guest's clock and the RTC, and libvirt notes it."""
    ahead = 5000
    wanted = int(time.time()) + ahead
    before, after = guest.timed("domtime", "--time", wanted)
    low, high = before.wall - wanted, after.wall - wanted
    check(late_error("after domtime --time", guest.late(), low, high))
    edge = guest.edge()
    check(late_error("after domtime --time, by its RTC",
                     (edge.before.wall - edge.rtc, edge.after.wall - edge.rtc), low, high))
    check_rtc_in_guest(guest, edge.rtc - edge.after.wall)
    check(adjustment_error(edge, guest.adjustment(), lost))


def no_agent_test(daemon, name):
    """Without an agent in the guest the error says so, and what to do."""
    with Guest(daemon, name, clock_xml()) as guest:
        guest.start()
        try:
            guest.wait_agent(NO_AGENT_S)
        except DaemonError as e:
            if "agent is not connected" not in str(e) or "Install" not in str(e):
                raise
        else:
            raise DaemonError("an agent answers, and there is none")
