# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that read a clock in slices, and take turns slice by slice.

A bare-metal guest (qtest/baremetal/bench-read.c) reads the RTC's date and the
HPET's counter in slices of a fixed number of reads, and sends a letter as each
slice begins.  This program stamps the letters.  Guest clocks are what is under
test, so no guest clock times anything.

The figure is reads per second of the emulator's CPU time, all threads
together: a busy neighbour takes wall time from a slice, but no CPU time.  Wall
time is kept beside it.
"""
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import namedtuple
from contextlib import ExitStack

from common import command, fail, use_processors
from lib.emulator import cpu_ns

LETTERS = {'d': 'date', 'h': 'hpet'}
NAMES = {'date': 'date (registers 0 to 9)', 'hpet': 'HPET counter'}
RUN_TIMEOUT_S = 240

Figure = namedtuple('Figure', 'cpu wall')       # reads a second
# reads: ((kind, how many each vCPU does in a slice), ...)
Config = namedtuple('Config', 'rtc cpus reads slices')


class Slices:
    """An emulator that runs only from one letter of its guest to the next."""

    def __init__(self, bench, subject, config):
        self.reads = {'date': 0, 'hpet': 0, **dict(config.reads)}
        self.cpus = config.cpus
        options = {**self.reads, 'slices': config.slices, 'cpus': config.cpus}
        self.args = command(subject, bench.guest('bench-read'), options,
                            rtc=config.rtc, cpus=config.cpus)
        self.what = f'{subject.name} (rtc {config.rtc})'
        self.figures = {kind: [] for kind, _ in config.reads}
        self.letter = None              # the slice that is under way
        self.cpu_ns = 0                 # when it began

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors)
        self.process.send_signal(signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def fail_early(self):
        self.errors.seek(0)
        said = self.errors.read().decode(errors='replace').strip()
        fail(f'{self.what} ended before its guest did: {said or "no message"}')

    def advance(self):
        """Runs one slice and keeps its Figure; False after the last one."""
        began_ns = time.monotonic_ns()
        self.process.send_signal(signal.SIGCONT)
        letters = os.read(self.process.stdout.fileno(), 4096).decode('latin-1')
        wall_ns = time.monotonic_ns() - began_ns
        if not letters:
            self.fail_early()
        used_ns = cpu_ns(self.process.pid)
        self.process.send_signal(signal.SIGSTOP)
        for letter in letters:
            # Letters that come together have no moment of their own.
            self.note(letter, used_ns, wall_ns if len(letters) == 1 else None)
        return self.letter != '|'

    def note(self, letter, used_ns, wall_ns):
        """The slice under way ends, that of letter begins."""
        if letter != '|' and letter not in LETTERS:
            fail(f'the guest sent {letter!r}, which means nothing; '
                 'is bench-read.elf that of this tree?')
        if self.letter:
            kind = LETTERS[self.letter]
            reads = self.reads[kind] * self.cpus * 1e9
            self.figures[kind].append(wall_ns and Figure(
                reads / max(used_ns - self.cpu_ns, 1), reads / wall_ns))
        self.letter, self.cpu_ns = letter, used_ns


def too_slow(_signal, _frame):
    fail(f'a run took over {RUN_TIMEOUT_S} s: the guest hangs, or the '
         'machine is overloaded')


def measure(bench, config, number):
    """{(subject, kind): [Figure, or None, of each slice]} of one round.

    All emulators are there at once, and all but one are stopped: so they take
    turns slice by slice, and what slows the machine for a second slows all.

    With one vCPU they share one processor with this program.  The kernel
    brings the CPU time of a thread up to date when it is switched out, else
    only with the tick (4 ms); so the emulator is switched out whenever a letter
    is stamped.
    """
    use_processors(config.cpus)
    signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(RUN_TIMEOUT_S)
    with ExitStack() as stack:
        turns = {subject: stack.enter_context(
            Slices(bench, bench.linked(subject, number), config))
            for subject in bench.measured}
        going = list(turns)
        going = going[number % len(going):] + going[:number % len(going)]
        while going:
            going = [subject for subject in going if turns[subject].advance()]
            going = going[1:] + going[:1]
    figures = {(subject, kind): some for subject, slices in turns.items()
               for kind, some in slices.figures.items()}
    signal.alarm(0)
    use_processors()
    return figures


def ratio(figures, subjects, bases, kind):
    """How many times as fast as others, slice by slice: the median. Of several the
    mean is compared."""
    ratios = [mean_cpu(some[:len(subjects)]) / mean_cpu(some[len(subjects):])
              for some in zip(*(figures[each, kind] for each in subjects + bases))
              if all(some)]
    if not ratios:
        fail(f'{subjects[0].name}, {kind}: no slice could be timed: the machine is '
             'too busy, try again')
    return statistics.median(ratios)


def mean_cpu(figures):
    return statistics.mean(figure.cpu for figure in figures)
