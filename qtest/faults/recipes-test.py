#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of docs/faults.rst: the faults are there in stock QEMU, and gone here.

    recipes-test.py [--qemu PATH] [--stock PATH] [NAME...]

A recipe is a literal block. Lines with '$ ' are for the shell, the others for
QEMU's qtest, each with what it answers, where that matters: 'OK 0x...', 'IRQ ...',
'(no answer)' or '(QEMU aborts)'. A page that says 'Seen in 10.0' is right about
stock QEMU 10.0 if all of these are as written, and about another version if one
is not. 'date' steps the wall time of the emulator alone (step-clock.c). TAP.
"""

import argparse
import os
import queue
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from lib.paths import OURS, ROOT, STOCK
from lib.preload import build_preload
from lib.tap import Tap

PAGE = ROOT / 'docs' / 'faults.rst'
# An answer takes milliseconds, and stock QEMU 2 s and more where it hangs.
HANG_CPU_S = 1
# No recipe waits longer for anything; two cores may be busy.
BOUND_S = 60


class Different(Exception):
    """A line of the recipe is not what happens."""


class Emulator:
    """One that a recipe starts; its qtest is on standard input and output."""

    def __init__(self, command, folder, env):
        self.control, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            ['bash', '-c', 'exec ' + command], cwd=folder, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            text=True, bufsize=1, env={**env, 'STEP_CLOCK_FD': str(theirs.fileno())})
        theirs.close()
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def ask(self, line):
        """What comes up to the answer; '(no answer)' or '(QEMU aborts)' at the end"""
        said, begin = [], self.cpu_s()
        until = time.monotonic() + BOUND_S
        try:
            self.process.stdin.write(line + '\n')
            self.process.stdin.flush()
        except OSError:
            return ['(QEMU aborts)']
        while time.monotonic() < until:
            try:
                said.append(self.lines.get(timeout=0.05))
            except queue.Empty:
                if self.cpu_s() - begin > HANG_CPU_S:
                    return said + ['(no answer)']
                continue
            if said[-1] is None:
                aborted = self.process.wait(BOUND_S) == -signal.SIGABRT
                return said[:-1] + ['(QEMU aborts)' if aborted else '(QEMU ends)']
            if said[-1].startswith(('OK', 'FAIL')):
                return said
        raise Different(f'{line}: no answer in {BOUND_S} s')

    def cpu_s(self):
        try:
            fields = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(') ')[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def wait_loaded(self):
        """-incoming opens the file before the first answer, and closes it when it runs."""
        fds, until = Path(f'/proc/{self.process.pid}/fd'), time.monotonic() + BOUND_S
        while any(os.path.realpath(fd).endswith('/state') for fd in fds.iterdir()):
            if time.monotonic() > until:
                raise Different(f'not loaded in {BOUND_S} s')
            time.sleep(0.01)

    def step(self, seconds):
        self.control.sendall(struct.pack('=q', seconds * 10 ** 9))
        self.control.settimeout(BOUND_S)
        self.control.recv(8)

    def end(self, wait=0):
        try:
            self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.wait()
        self.control.close()


class Session:
    """Plays a recipe with one emulator in an empty folder."""

    def __init__(self, binary, folder, preamble, library):
        self.folder, self.preamble, self.emulator = folder, preamble, None
        (folder / 'bin').mkdir()
        # Modules are looked for beside the emulator itself.
        (folder / 'bin' / 'qemu-system-x86_64').write_text(
            f'#!/bin/sh\nLD_PRELOAD={library} exec {Path(binary).resolve()} "$@"\n')
        (folder / 'bin' / 'qemu-system-x86_64').chmod(0o755)
        self.env = {**os.environ, 'PATH': f'{folder}/bin:{os.environ["PATH"]}'}

    def shell(self, command):
        """What it prints, as lines"""
        step = re.fullmatch(r"date -s '(\d+) hours?( ago)?'", command)
        if step:
            self.emulator.step(int(step[1]) * (-3600 if step[2] else 3600))
        elif command.split()[0] == 'q':
            self.close()
            # bash's exec does not take a function.
            command = command.replace('q', re.search(r'q\(\) \{ (.*) "\$@"; \}',
                                                     self.preamble)[1], 1)
            self.emulator = Emulator(command, self.folder, self.env)
            # Its first date must not be of after a step.
            self.emulator.ask('endianness')
            self.emulator.wait_loaded()
        else:
            # A file, because what goes on in the background would keep a pipe open.
            with (self.folder / 'said').open('w+') as said:
                subprocess.run(['bash', '-c', f'{self.preamble}\n{command}'], cwd=self.folder,
                               env=self.env, stdin=subprocess.DEVNULL, stdout=said,
                               stderr=subprocess.STDOUT, timeout=BOUND_S)
                if 'quit' in command:
                    self.emulator.end(BOUND_S)
                said.seek(0)
                return said.read().splitlines()
        return []

    def play(self, recipe):
        """Raises Different at the first line that is not as written."""
        said, asked = [], ''
        for line in recipe:
            if line.startswith('$ '):
                said, asked = self.shell(line[2:]), line
            elif re.match(r'[a-z_]+( |$)', line):
                said, asked = self.emulator.ask(line), line
            elif not any(re.fullmatch(re.escape(line).replace(r'\.\.\.', '.*'), one)
                         for one in said):
                raise Different(f'{asked}: {" | ".join(said) or "nothing"}, not {line}')

    def close(self):
        if self.emulator:
            self.emulator.end()


def read_page():
    """The preamble, and [(title, versions, lines)]"""
    text = PAGE.read_text()
    preamble, recipes, title = None, [], ''
    for part in re.finditer(r'^(\S.*)\n-{3,}$|::\n\n((?:   .*\n|\n)+)|^:Seen: (.*)$', text, re.M):
        if part[1]:
            title = part[1]
        elif part[3]:
            if recipes[-1][0] == title:     # not all have a recipe
                recipes[-1] = (title, part[3].split(), recipes[-1][2])
        elif preamble is None:
            preamble = re.sub(r'^   (\$ )?', '', part[2], flags=re.M)
        else:
            lines = [line[3:].split('  #')[0].rstrip() for line in part[2].splitlines()]
            recipes.append((title, [], list(filter(None, lines))))
    return preamble, recipes


def differs(binary, preamble, recipe, library):
    """Where the recipe is not what happens, or None"""
    with tempfile.TemporaryDirectory(prefix='recipe-') as folder:
        session = Session(binary, Path(folder), preamble, library)
        try:
            session.play(recipe)
        except Different as error:
            return str(error)
        finally:
            session.close()
    return None


def version_of(binary):
    said = subprocess.run([binary, '--version'], text=True, check=True, capture_output=True).stdout
    return re.search(r'version (\d+\.\d+)', said)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--qemu', default=OURS)
    parser.add_argument('--stock', default=STOCK)
    parser.add_argument('names', nargs='*', metavar='NAME', help='a part of the title')
    args = parser.parse_args()
    preamble, recipes = read_page()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix='step-clock-') as folder:
        library = build_preload(folder, 'step-clock')
        for title, seen, recipe in recipes:
            if args.names and not any(name in title for name in args.names):
                continue
            for name, binary, there in (('stock', args.stock, version_of(args.stock) in seen),
                                        ('ours', args.qemu, False)):
                where = differs(binary, preamble, recipe, library)
                wrong = where or 'it goes as written'
                tap.point(f'/recipes/{name}/{title}', wrong if (where is None) != there else None)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
