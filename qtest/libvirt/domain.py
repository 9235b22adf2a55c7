# SPDX-License-Identifier: GPL-2.0-or-later
"""A domain of libvirt, and what its RTC shows. Nothing is booted for that but
SeaBIOS: the RTC is read over QMP, and written by qtest, as a guest's `outb` would.
"""

import calendar
import json
import re
import socket
import time
from collections import namedtuple
from xml.sax.saxutils import quoteattr

from lib.emulator import stamp
from lib.qtest import QTest

from daemon import DaemonError

# An edge comes once a second; two cores may be busy.
EDGE_S = 20
# The RTC began to show the second `rtc` between these two Stamps.
Edge = namedtuple("Edge", "before rtc after")

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <os><type arch='x86_64' machine='{machine}'>hvm</type>{boot}</os>
  <features><acpi/></features>
  {clock}
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {devices}
  </devices>
  <qemu:commandline>
    {args}
  </qemu:commandline>
</domain>
"""


def clock_xml(form="offset='utc'", timers=""):
    return f"<clock {form}>{timers}</clock>"


class Domain:
    """A domain of a Daemon; leaving the `with` ends it."""

    def __init__(self, daemon, name, clock, host_clock=None, args=(), memory=64,
                 machine="pc", boot="", devices=""):
        self.daemon, self.name = daemon, name
        self.qtest_path = daemon.folder / f"{name}.qtest"
        args = [*(["-clock", host_clock] if host_clock else []),
                "-chardev", f"socket,id=qtest,path={self.qtest_path},server=on,"
                "wait=off", "-qtest", "chardev:qtest", *args]
        self.xml = DOMAIN.format(
            name=name, clock=clock, emulator=daemon.emulator, memory=memory,
            machine=machine, boot=boot, devices=devices, args="\n    ".join(
                f"<qemu:arg value={quoteattr(arg)}/>" for arg in args))

    def __enter__(self):
        path = self.daemon.folder / f"{self.name}.xml"
        path.write_text(self.xml)
        self.daemon.virsh("define", path)
        return self

    def __exit__(self, *_):
        for words in (["destroy"], ["undefine", "--managed-save",
                                    "--snapshots-metadata"]):
            try:
                self.virsh(*words)
            except DaemonError:
                pass        # it has ended, or came from another host

    def virsh(self, command, *words):
        return self.daemon.virsh(command, self.name, *words)

    def start(self, *words):
        """Stamps before and after: within them it began to run."""
        return self.timed("start", *words)

    def timed(self, command, *words):
        return self.daemon.timed(command, self.name, *words)

    def qmp(self, command, **arguments):
        answer = json.loads(self.virsh("qemu-monitor-command", json.dumps(
            {"execute": command, "arguments": arguments})))
        if "error" in answer:
            raise DaemonError(f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def hmp(self, text):
        return self.virsh("qemu-monitor-command", "--hmp", text)

    def rtc(self):
        """Seconds since 1970 of the date that the RTC shows, taken as UTC."""
        tm = self.qmp("qom-get", path="/machine", property="rtc-time")
        return calendar.timegm((tm["tm_year"] + 1900, tm["tm_mon"] + 1,
                                tm["tm_mday"], tm["tm_hour"], tm["tm_min"],
                                tm["tm_sec"]))

    def edge(self):
        """The next new second of the RTC."""
        deadline = time.monotonic() + EDGE_S
        before, last = stamp(), self.rtc()
        while time.monotonic() < deadline:
            now = stamp()
            rtc = self.rtc()
            if rtc != last:
                # Above one second it was too long since the last look.
                if rtc == last + 1:
                    return Edge(before, rtc, stamp())
                last = rtc
            before = now
        raise DaemonError(f"the RTC shows {last} for {EDGE_S} s")

    def still(self, seconds):
        """What the RTC shows when it has to stand still; DaemonError if not."""
        seen = self.rtc()
        time.sleep(seconds)
        if self.rtc() != seen:
            raise DaemonError(f"the RTC goes on, from {seen}")
        return seen

    def running_clock(self):
        """The type of the machine's host clock, as HMP tells it."""
        found = re.search(r"host-clock-(\w+), \w+, default",
                          self.hmp("info host-clocks"))
        return found[1] if found else None

    def adjustment(self):
        """That of <clock offset='variable'> of the running domain."""
        found = re.search(r"<clock offset='variable' adjustment='(-?\d+)'",
                          self.virsh("dumpxml"))
        if not found:
            raise DaemonError("no adjustment in " + self.virsh("dumpxml"))
        return int(found[1])

    def set_rtc(self, seconds):
        """Write a date as a guest does; within these Stamps it begins."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.qtest_path))
            qtest = QTest(sock)
            date = time.gmtime(seconds)
            qtest.ask(["outb 0x70 0x0b", "outb 0x71 0x82"])     # SET, 24 h, BCD
            for index, value in (
                    (0x00, date.tm_sec), (0x02, date.tm_min), (0x04, date.tm_hour),
                    (0x07, date.tm_mday), (0x08, date.tm_mon),
                    (0x09, date.tm_year % 100), (0x32, date.tm_year // 100)):
                qtest.ask([f"outb 0x70 {index}",
                           f"outb 0x71 {int(str(value), 16)}"])
            before = stamp()
            qtest.ask(["outb 0x70 0x0b", "outb 0x71 0x02"])
            return before, stamp()
