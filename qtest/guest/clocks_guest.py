# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest that is asked for its clocks: clocks-init says how.

    make_initramfs(path)
    with ClocksGuest(binary, path, ["-clock", "unix"]) as guest:
        guest.wait_ready()
        print(guest.ask("now"))
"""

import subprocess
import time
from collections import namedtuple
from pathlib import Path

from lib import linux_guest
from lib.emulator import Emulator, EmulatorError

HERE = Path(__file__).resolve().parent

HPET_HZ = 100_000_000       # QEMU's

# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 0.1 s when idle
ANSWER_S = 120  # for an answer that waits for nothing, or for a few of the RTC's seconds

# What the guest needs besides: it reads the HPET by /dev/mem.
APPEND = "iomem=relaxed"

# The RTC went to rtc_s, and the HPET was at hpet_s, between two uptimes.
Edge = namedtuple("Edge", "from_s to_s rtc_s hpet_s")
# The kernel's date, between two uptimes.
Date = namedtuple("Date", "from_s to_s date_s text")
# The guest's uptime at a moment between two of the host's.
Now = namedtuple("Now", "sent_s got_s uptime_s")


def make_initramfs(out):
    subprocess.run([HERE / "make-initramfs.sh", out, HERE / "clocks-init"], check=True)


class ClocksGuest(Emulator):
    """The VM, with methods for what its guest can be asked."""

    def __init__(self, binary, initramfs, args, append=""):
        super().__init__(str(binary), [
            *linux_guest.BASE_ARGS, "-m", "256",
            *linux_guest.kernel_args(initramfs, append=f"{APPEND} {append}"),
            *args], serial=True)

    def wait_ready(self):
        self.qmp.open(START_S)
        self._listen("ready", linux_guest.BOOT_S)

    def _listen(self, word, bound_s):
        """The words of the guest's next line of this kind."""
        deadline = time.monotonic() + bound_s
        while got := self.read_line(deadline):
            # A kernel message may stand before ours on the line.
            words = got[1][got[1].find("@ "):].split()
            if words[:2] == ["@", word]:
                self.arrival = got[0]
                return words[2:]
        raise EmulatorError(f"the emulator ended before the guest said {word!r}: "
                            + self.stderr())

    def ask(self, command, answer=None, bound_s=ANSWER_S):
        self.write(command + "\n")
        return self._listen(answer or command.split()[0], bound_s)

    def source(self):
        return self.ask("source")[0]

    def tsc_khz(self):
        return int(self.ask("tsc")[0])

    def now(self, within_s):
        """Asked again until the answer has come in this time of the host's."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            sent_s = time.monotonic()
            uptime = int(self.ask("now")[0]) / 100
            if self.arrival.mono - sent_s <= within_s:
                return Now(sent_s, self.arrival.mono, uptime)
        raise EmulatorError(f"the host is busy: no answer within {within_s} s")

    def edge(self, within_s, bound_s=ANSWER_S):
        first, last, rtc, hpet = map(int, self.ask(
            f"edge {round(within_s * 100)}", bound_s=bound_s))
        return Edge(first / 100, last / 100, rtc, hpet / HPET_HZ)

    def date(self):
        first, last, date, *text = self.ask("date")
        return Date(int(first) / 100, int(last) / 100, int(date), " ".join(text))

    def sleep(self, seconds, host_s):
        """How long it took by the guest's uptime; the host has to wait for host_s."""
        first, last = map(int, self.ask(f"sleep {seconds}", "slept",
                                        host_s + ANSWER_S))
        return (last - first) / 100
