# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's qtest protocol."""

import select
import socket
import time

from .emulator import EmulatorError

# Nothing here takes longer, unless the emulator hangs; see QTest.ask().
ANSWER_S = 60
# linux/socket.h; Python has no name for it. Root only.
SO_SNDBUFFORCE, SEND_BYTES = 32, 16 << 20


class Hang(Exception):
    """The emulator used the processor instead of answering."""


class Died(Exception):
    """The emulator has ended."""


def enlarge(sock):
    """Room for what a socket sends while nobody reads: an emulator that is
    asked something over QMP may first have thousands of interrupts to tell."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)


class QTest:
    """QEMU's qtest protocol on a connected socket."""

    def __init__(self, sock):
        self.sock = sock
        self.irqs = []          # (line, level), in the order of their coming
        self._buffer = b""

    def ask(self, lines, check=lambda: None):
        """Send all lines at once, return one answer for each. Calls check
        twice a second while there is none."""
        self.sock.sendall("".join(line + "\n" for line in lines).encode())
        answers = []
        deadline = time.monotonic() + ANSWER_S
        while len(answers) < len(lines):
            words = self.line(deadline, check).split()
            if words[0] == "IRQ":
                self.irqs.append((int(words[2]), words[1] == "raise"))
            elif words[0] in ("OK", "FAIL"):
                answers.append(words)
            else:
                raise EmulatorError(f"qtest: {' '.join(words)}")
        return answers

    def line(self, deadline, check):
        while b"\n" not in self._buffer:
            if select.select([self.sock], [], [], 0.02)[0]:
                self._receive()
            else:
                check()
            if time.monotonic() > deadline:
                raise Hang(f"no answer in {ANSWER_S} s")
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode()

    def _receive(self):
        try:
            chunk = self.sock.recv(1 << 16)
        except OSError:
            chunk = b""
        if not chunk:
            raise Died
        self._buffer += chunk
