# SPDX-License-Identifier: GPL-2.0-or-later
"""What libvirt does with a domain in its life, and where its RTC is after that.

With track='wall' the RTC shows UTC at all times. With track='guest' it is behind by
how long the domain did not run. How long that was is known within bounds: libvirt
stops and starts a domain somewhere between a command's beginning and its end.
"""

import subprocess
import time
from contextlib import contextmanager

from lib.paths import OBJ

from daemon import DaemonError
from domain import Domain, clock_xml
from forms import SLACK_S, check_clock

# Long against how far an edge is known, a tenth of a second, so that the two ways
# to track differ.
PAUSE_S = 2

DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
    <source file='{}'/><target dev='hda'/></disk>"""


class Life:
    """A domain, and the bounds of how long it did not run."""

    def __init__(self, domain, track):
        self.domain, self.track = domain, track
        self.low = self.high = 0

    def check(self, when):
        """The RTC is where it must be."""
        edge = self.domain.edge()
        low, high = (self.low, self.high) if self.track == "guest" else (0, 0)
        late = (edge.before.wall - edge.rtc, edge.after.wall - edge.rtc)
        if late[0] > high + SLACK_S or late[1] < low - SLACK_S:
            raise DaemonError(
                f"after {when}: the RTC is behind UTC by {late[0]:.2f} to "
                f"{late[1]:.2f} s, and must be by {low:.2f} to {high:.2f} s")

    def check_stopped(self):
        if self.track == "guest":
            self.domain.still(PAUSE_S)
        else:
            self.check("suspend")
            time.sleep(PAUSE_S)

    def away(self, stop, go, meanwhile=lambda: time.sleep(PAUSE_S)):
        """It does not run between these two calls."""
        begin = self.domain.timed(*stop)
        meanwhile()
        end = go()
        self.low += end[0].mono - begin[1].mono
        self.high += end[1].mono - begin[0].mono

    def suspend(self):
        self.away(["suspend"], lambda: self.domain.timed("resume"),
                  self.check_stopped)

    def save(self):
        path = self.domain.daemon.folder / f"{self.domain.name}.save"
        self.away(["save", path],
                  lambda: self.domain.daemon.timed("restore", path))
        path.unlink()

    def managedsave(self):
        self.away(["managedsave"], self.domain.start)

    def snapshot(self):
        """Revert to a snapshot: the guest's time is what it was then."""
        then = self.domain.timed("snapshot-create-as", "then")
        low, high = self.low, self.high
        self.high += then[1].mono - then[0].mono      # stopped to be saved
        self.check("the making of a snapshot")
        time.sleep(PAUSE_S)
        now = self.domain.timed("snapshot-revert", "then")
        self.low = low + now[0].mono - then[1].mono
        self.high = high + now[1].mono - then[0].mono
        # A domain with snapshots does not migrate.
        self.domain.virsh("snapshot-delete", "then", "--metadata")

    def migrate(self, other):
        """To the other libvirtd, and at last its emulator's time is this one's."""
        here, there = self.domain.timed(
            "migrate", "--live", "--unsafe", other.uri(), "--migrateuri",
            f"unix://{other.folder}/{self.domain.name}.migrate")
        self.high += there.mono - here.mono
        self.domain.daemon = other


@contextmanager
def disk(daemon, name):
    """XML of an empty disk, which internal snapshots need."""
    path = daemon.folder / f"{name}.qcow2"
    subprocess.run([OBJ / "qemu-img", "create", "-q", "-f", "qcow2", path, "64M"],
                   check=True)
    yield DISK.format(path)
    path.unlink()


def cycle_test(daemon, other, name, track, host_clock):
    """Suspend, save, managed save, snapshot, migration, one after the other."""
    timer = f"<timer name='rtc' track='{track}'/>"
    with disk(daemon, name) as devices, \
            Domain(daemon, name, clock_xml(timers=timer), host_clock,
                   devices=devices) as domain:
        life = Life(domain, track)
        domain.start()
        life.check("start")
        for step in (life.suspend, life.save, life.managedsave, life.snapshot):
            step()
            life.check(step.__name__)
        life.migrate(other)
        life.check("migration")
        check_clock(domain, host_clock)
