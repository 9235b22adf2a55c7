# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine whose RTC and HPET a test looks at through qtest, and whose time
the test moves: the host's wall clock as one emulator sees it (step-clock.c),
qtest's clock, and the manual host clock.
"""

import select
import signal
import socket
import struct
import time
from collections import namedtuple

from .emulator import Emulator, EmulatorError, cpu_ns
from .qtest import ANSWER_S, Died, Hang, QTest, enlarge

NS = 1_000_000_000

HPET = 0xfed00000
HPET_CONFIG, HPET_STATUS, HPET_COUNTER = 0x010, 0x020, 0x0f0

# An emulator with nothing to boot answers in 0.1 s; two cores may be busy.
START_S = 60
# The wall time with which the manual clock starts
MANUAL_WALL = "2026-03-01T12:00:00"
MANUAL_WALL_S = 1772366400

Date = namedtuple("Date", "year month day hour minute second")


class Machine:
    """A PC on which nothing runs; leaving the `with` block ends it."""

    def __init__(self, binary, source, rtc, step_clock=None, args=(),
                 machine="pc"):
        """source: as in -clock, or None for none; rtc: the value of -rtc"""
        self.source = source
        self.rtc = rtc
        qtest, theirs = socket.socketpair()
        enlarge(theirs)
        self.stepper, stepped = socket.socketpair()
        env = {"STEP_CLOCK_FD": str(stepped.fileno())}
        if step_clock:
            env["LD_PRELOAD"] = str(step_clock)
        self.vm = Emulator(binary, [
            "-machine", machine, "-accel", "qtest", "-nodefaults", "-m", "16",
            "-display", "none", "-chardev",
            f"socket,id=qtest,fd={theirs.fileno()}", "-qtest", "chardev:qtest",
            "-rtc", rtc, *self._clock_args(), *args],
            env=env, fds=[theirs.fileno(), stepped.fileno()])
        theirs.close()
        stepped.close()
        self.qtest = QTest(qtest)
        self.pid = self.vm.process.pid
        try:
            if "-incoming" in args:
                self.vm.qmp.open(START_S)
            else:
                self.vm.wait_running(START_S)
        except EmulatorError:
            self.vm.process.wait(START_S)
            raise

    def _clock_args(self):
        if self.source == "manual":
            return ["-object", f"host-clock-manual,id=hc0,wall={MANUAL_WALL}",
                    "-machine", "host-clock=hc0"]
        return ["-clock", self.source] if self.source else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vm.close()
        self.qtest.sock.close()
        self.stepper.close()

    # Access

    def ask(self, *lines, cpu_s=10):
        """Answers to lines; Hang after cpu_s of processor time without one,
        Died, with the last line of its standard error, if it has ended."""
        begin = cpu_ns(self.pid)

        def check():
            used = (cpu_ns(self.pid) - begin) / NS
            if used > cpu_s:
                raise Hang(f"no answer after {used:.1f} s of processor time")
        try:
            return self.qtest.ask(lines, check)
        except (Died, OSError) as e:
            self.vm.process.wait(START_S)
            status = self.vm.process.returncode
            how = signal.Signals(-status).name if status < 0 else status
            said = self.vm.stderr().splitlines()[-1:]
            raise Died(f"{how}: {' '.join(said)}") from e

    def cmos_read(self, reg, **kwargs):
        return int(self.ask(f"outb 0x70 {reg}", "inb 0x71", **kwargs)[1][1], 0)

    def cmos_write(self, reg, value, **kwargs):
        self.ask(f"outb 0x70 {reg}", f"outb 0x71 {value}", **kwargs)

    def hpet_read(self, reg, **kwargs):
        return int(self.ask(f"readq {HPET + reg}", **kwargs)[0][1], 0)

    def hpet_write(self, reg, value, **kwargs):
        self.ask(f"writeq {HPET + reg} {value}", **kwargs)

    def date(self):
        """The date in the registers, in binary or BCD, 24 h."""
        regs = (0x32, 0x09, 0x08, 0x07, 0x04, 0x02, 0x00)
        binary = self.cmos_read(0x0b) & 0x04
        while True:
            values = [self.cmos_read(reg) for reg in regs]
            if self.cmos_read(0x00) == values[-1]:
                break
        if not binary:
            values = [(v >> 4) * 10 + (v & 15) for v in values]
        return Date(values[0] * 100 + values[1], *values[2:])

    def watch_irqs(self):
        self.ask("irq_intercept_in ioapic")
        self.qtest.irqs.clear()

    def reset(self):
        qmp = self.vm.qmp
        qmp.events.clear()
        qmp.command("system_reset")
        while not any(e["event"] == "RESET" for e in qmp.events):
            qmp.command("query-status")

    # Time

    def rtc_is_told(self):
        """Whether the time of an RTC with clock=host moves by advance()."""
        return self.source == "manual"

    def hpet_is_told(self):
        return self.source in (None, "system", "manual")

    def now_s(self):
        """What the host's wall clock said before any step."""
        return MANUAL_WALL_S if self.source == "manual" else time.time()

    def step(self, ns):
        """Set the wall clock."""
        if self.source == "manual":
            self.vm.qmp.command("host-clock-step", {"id": "hc0", "ns": ns})
            return
        self.stepper.sendall(struct.pack("=q", ns))
        if not select.select([self.stepper], [], [], ANSWER_S)[0] or \
           not self.stepper.recv(8):
            raise EmulatorError("step-clock.so does not answer")

    def advance(self, ns, **kwargs):
        """Let ns pass on the HPET's time, and where the RTC's is told too, on
        that; else, wait."""
        if self.source == "manual":
            self.vm.qmp.command("host-clock-advance", {"id": "hc0", "ns": ns})
            # Interrupts that came meanwhile are told on the other connection.
            self.ask("inb 0x70", **kwargs)
        elif self.hpet_is_told():
            self.ask(f"clock_step {ns}", **kwargs)
        else:
            time.sleep(ns / NS)

    def wait_flag(self, flag, seconds):
        """Whether flag comes up in register C within this time of clock=host;
        reads it away."""
        deadline = time.monotonic() + seconds
        for _ in range(int(seconds * 100)):
            if self.rtc_is_told():
                self.advance(NS // 100)
            else:
                time.sleep(0.01)
            if self.cmos_read(0x0c) & flag:
                return True
            if not self.rtc_is_told() and time.monotonic() > deadline:
                break
        return False
