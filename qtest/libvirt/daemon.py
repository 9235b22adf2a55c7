# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd of one's own: real, of Debian's packages, as root and without systemd.

    with Daemon("one") as one:
        one.virsh("list")

It has namespaces of its own, so the machine's /etc/libvirt, its domains and its
networks are not touched, and its emulators end with it. It is in the zone of the
experiment, UTC+6, as localtime is to differ from utc.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lib.emulator import stamp
from lib.paths import OURS

HERE = Path(__file__).resolve().parent
ZONE_TZ = "<+06>-6"
ZONE_S = 6 * 3600

# Bounds on waiting; they only matter when something is broken.
START_S = 60        # until libvirtd answers: 0.3 s when idle
COMMAND_S = 120     # a virsh command; to save or migrate 64 MB takes 2 s

QEMU_CONF = """\
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
"""

LIBVIRTD_CONF = """\
unix_sock_dir = "{folder}"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{uuid}"
log_outputs = "2:file:{folder}/log"
"""


class DaemonError(Exception):
    """libvirt is not there, or says no."""


class Daemon:
    """A libvirtd; leaving the `with` ends it with all of its domains."""

    PROGRAMS = {"libvirtd": "libvirt-daemon", "virsh": "libvirt-clients"}
    _count = 0

    def __init__(self, name, qemu=OURS, conf=""):
        """conf: more for libvirtd.conf"""
        self.name, self.qemu, self.conf = name, qemu, conf

    def __enter__(self):
        for program, package in self.PROGRAMS.items():
            if not shutil.which(program):
                raise DaemonError(f"{program} is not installed: './run build' "
                                  f"as root does it, or apt-get install {package}")
        if os.geteuid():
            raise DaemonError("libvirtd needs namespaces of its own: run the "
                              "suite as root")
        self.folder = Path(tempfile.mkdtemp(prefix="hc-libvirt-"))
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        Daemon._count += 1
        (self.folder / "qemu.conf").write_text(QEMU_CONF)
        (self.folder / "libvirtd.conf").write_text(LIBVIRTD_CONF.format(
            folder=self.folder,
            uuid=f"00000000-0000-4000-8000-{Daemon._count:012}") + self.conf)
        self.write_emulator()
        with open(self.folder / "stderr", "w") as stderr:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork",
                 "--kill-child", HERE / "libvirtd-start", self.folder,
                 f"host-clock-{self.name}"],
                env={**os.environ, "TZ": ZONE_TZ, "LC_ALL": "C",
                     "PATH": f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.virsh("uri")
                return
            except DaemonError as e:
                if not self.alive():
                    raise DaemonError(self.why_not("ended at once")) from e
                if time.monotonic() > deadline:
                    raise DaemonError(self.why_not(
                        f"does not answer after {START_S} s")) from e
            time.sleep(0.05)

    def why_not(self, what):
        said = (self.folder / "stderr").read_text() + self.log()
        return (f"libvirtd {what}. Its last words:\n"
                + "\n".join(said.strip().splitlines()[-8:])
                + "\nRepair what they name; the set-up is in docs/operators.rst")

    def write_emulator(self):
        """What <emulator> names: libvirtd gives its emulators no TZ, and ours
        finds modules and firmware beside itself."""
        self.emulator = self.folder / "emulator"
        self.emulator.write_text(
            "#!/bin/sh\n"
            f"export TZ=\"${{TZ-{ZONE_TZ}}}\"\n"
            f"exec {self.qemu} \"$@\"\n")
        self.emulator.chmod(0o755)

    def __exit__(self, *_):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def alive(self):
        return self.process.poll() is None

    def uri(self):
        return f"qemu+unix:///system?socket={self.folder}/libvirt-sock"

    def virsh(self, *words, timeout=COMMAND_S):
        """What a virsh command prints; DaemonError if it fails."""
        try:
            done = subprocess.run(
                ["virsh", "-q", "-c", self.uri(), *map(str, words)], text=True,
                capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"})
        except subprocess.TimeoutExpired as e:
            raise DaemonError(f"virsh {words[0]}: no end in {timeout} s") from e
        if done.returncode:
            raise DaemonError(f"virsh {words[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    def timed(self, *words):
        """Stamps before and after a virsh command"""
        before = stamp()
        self.virsh(*words)
        return before, stamp()

    def log(self):
        try:
            return (self.folder / "log").read_text()
        except OSError:
            return ""
