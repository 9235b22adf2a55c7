# SPDX-License-Identifier: GPL-2.0-or-later
"""Start an emulator, speak QMP with it, read its serial line.

    with Emulator(binary, ["-machine", "pc"], serial=True) as vm:
        vm.qmp.command("query-status")
        stamp, line = vm.read_line(time.monotonic() + 30)

The emulator gets its QMP connection as an inherited file descriptor: no socket
file to name, to wait for or to leave behind.
"""

import json
import os
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import namedtuple

# One moment on both of the host's clocks, taken as closely together as
# Python can: wall is UTC since 1970, mono is CLOCK_MONOTONIC; seconds.
Stamp = namedtuple("Stamp", "wall mono")


def stamp():
    """The present moment."""
    return Stamp(time.time(), time.monotonic())


def cpu_ns(pid):
    """Processor time that all threads of a process have used."""
    # The clock id that clock_getcpuclockid(3) makes of a process id.
    return time.clock_gettime_ns((~pid << 3) | 2)


class EmulatorError(Exception):
    """The emulator ended, said no, or kept silent longer than it may."""


class QMP:
    """A QMP client on a connected socket. Not for several threads at once."""

    def __init__(self, sock):
        self.sock = sock
        self.events = []
        self._buffer = b""

    def open(self, timeout):
        """Read the greeting and leave the negotiation mode."""
        self._receive(time.monotonic() + timeout)
        self.command("qmp_capabilities", timeout=timeout)

    def command(self, name, arguments=None, timeout=30):
        """Run a command, return its result; events on the way are kept."""
        request = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        try:
            self.sock.sendall(json.dumps(request).encode())
        except OSError as e:
            raise EmulatorError(f"QMP {name}: {e.strerror}") from e
        deadline = time.monotonic() + timeout
        while True:
            message = self._receive(deadline)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise EmulatorError(f"QMP {name}: {message['error']['desc']}")
            else:
                return message["return"]

    def _receive(self, deadline):
        while b"\n" not in self._buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.sock], [], [], left)[0]:
                raise EmulatorError("QMP: no answer in time")
            try:
                chunk = self.sock.recv(65536)
            except OSError as e:
                raise EmulatorError(f"QMP: {e.strerror}") from e
            if not chunk:
                raise EmulatorError("QMP: the emulator closed the connection")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)


class Emulator:
    """One emulator process; leaving the `with` block ends it for certain."""

    _running = set()
    _lock = threading.Lock()

    def __init__(self, binary, args, env=None, serial=False, fds=()):
        """env adds to the environment. serial=True puts the first serial
        port on the emulator's standard input and output, for write() and
        read_line(). The emulator inherits the file descriptors fds, beside its
        own."""
        self.args = list(args) + (["-serial", "stdio"] if serial else [])
        self.binary = binary
        self.env = dict(env or {})
        self.tail = []
        self._buffer = b""
        ours, theirs = socket.socketpair()
        self.qmp = QMP(ours)
        self._stderr = tempfile.TemporaryFile()
        fd = theirs.fileno()
        self.before_start = stamp()
        self.process = subprocess.Popen(
            [binary, *self.args, "-chardev", f"socket,id=qmp,fd={fd}",
             "-mon", "chardev=qmp,mode=control"],
            env={**os.environ, **self.env}, pass_fds=[fd, *fds],
            stdin=subprocess.PIPE if serial else subprocess.DEVNULL,
            stderr=self._stderr,
            stdout=subprocess.PIPE if serial else subprocess.DEVNULL)
        theirs.close()
        with self._lock:
            self._running.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def command_line(self):
        """What to type to run the same machine by hand (without QMP)."""
        words = [f"{k}={shlex.quote(v)}" for k, v in self.env.items()]
        return " ".join([*words, shlex.join([self.binary, *self.args])])

    def wait_running(self, timeout):
        """Open QMP and wait until the machine runs; returns a moment that
        is certainly not before its power-on."""
        deadline = time.monotonic() + timeout
        self.qmp.open(timeout)
        while not self.qmp.command("query-status")["running"]:
            if time.monotonic() > deadline:
                raise EmulatorError(f"not running after {timeout} s")
            time.sleep(0.01)
        return stamp()

    def read_line(self, deadline):
        """The next serial line as (Stamp of its arrival, text). None at the
        end of the output; EmulatorError when deadline (monotonic) passes."""
        out = self.process.stdout
        while b"\n" not in self._buffer:
            left = max(0, deadline - time.monotonic())
            if not select.select([out], [], [], left)[0]:
                raise EmulatorError("the guest is silent")
            chunk = os.read(out.fileno(), 65536)
            self.arrival = stamp()
            if not chunk:
                return None
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        text = line.decode(errors="replace").strip("\r")
        self.tail = [*self.tail[-24:], text]
        return self.arrival, text

    def write(self, text):
        """Type this on the serial line."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def stderr(self):
        """All that the emulator wrote to its standard error until now."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace").strip()

    def alive(self):
        """Whether the process still runs."""
        return self.process.poll() is None

    def wait(self, timeout):
        """Exit status of a process that ends by itself; negative: signal."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as e:
            raise EmulatorError(f"still running {timeout} s after its end "
                                "was expected") from e

    def wait_migrated(self, timeout=60):
        """Wait until a state is saved or loaded, a few hundred kilobytes."""
        deadline = time.monotonic() + timeout
        while True:
            status = self.qmp.command("query-migrate").get("status")
            if status == "completed":
                return
            if status == "failed" or time.monotonic() > deadline:
                raise EmulatorError(f"migration: {status}; {self.stderr()}")
            time.sleep(0.02)

    def kill(self):
        """SIGKILL: the one way to end it that it cannot refuse."""
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        """End the process and free what belongs to it."""
        self.kill()
        self.qmp.sock.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        with self._lock:
            self._running.discard(self)

    @classmethod
    def kill_all(cls):
        """End every emulator of this process, from any thread (Ctrl-C)."""
        with cls._lock:
            running = list(cls._running)
        for vm in running:
            vm.kill()
