# SPDX-License-Identifier: GPL-2.0-or-later
"""A wall step of a day at 8192 Hz: how long until the guest is served again.

The guest sends a letter for each periodic interrupt of the RTC.  A preloaded
library (qtest/preload/step-clock.c) sets the wall clock that the emulator
sees.  The figure is the longest silence that begins within a moment of the
step; a period, 0.12 ms, is the least that it can be.
"""
import os
import select
import socket
import statistics
import struct
import tempfile
import time
from collections import namedtuple

from common import fail, machine_args, progress
from lib.emulator import Emulator
from lib.preload import build_preload
from page import bars
from results import Goal, Result, Table, worst
from stats import bootstrap

DAY_NS = 24 * 3600 * 10 ** 9
# The control is the same look without a step: what the host's load adds.
CONTROL = 'no step'
LIBRARY = 'step-clock'
STEPS = {CONTROL: 0, 'a day forward': DAY_NS, 'a day back': -DAY_NS}
GOAL_MS = 1.0
RATE_8192 = 3
START_S = 60
# The step takes effect at the emulator's next timer, 0.12 ms; many times that.
BEGINS_WITHIN_S = 0.02
WATCH_S = 0.25

Silence = namedtuple('Silence', 'seconds ended')


class Stepped:
    """An emulator whose wall clock can be set, and the letters it sends."""

    def __init__(self, bench, subject, library):
        self.subject = subject
        self.socket, theirs = socket.socketpair()
        args = machine_args(subject, bench.guest('bench-idle'),
                            {'rate': RATE_8192, 'letters': 1})
        self.vm = Emulator(str(subject.qemu), args, serial=True,
                           env={'LD_PRELOAD': str(library),
                                'STEP_CLOCK_FD': str(theirs.fileno())},
                           fds=[theirs.fileno()])
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.vm.close()
        self.socket.close()

    def letters_until(self, deadline):
        """Moments at which letters arrived."""
        out = self.vm.process.stdout.fileno()
        moments = []
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([out], [], [], left)[0]:
                break
            if not os.read(out, 4096):
                fail(f'{self.subject.name} ended: {self.vm.stderr()}')
            moments.append(time.monotonic())
        return moments

    def wait_ready(self):
        deadline = time.monotonic() + START_S
        while len(self.letters_until(time.monotonic() + 0.2)) < 100:
            if time.monotonic() > deadline:
                fail(f'{self.subject.name}: no interrupts')

    def step(self, ns, bound_s):
        """The Silence after the wall clock jumps by ns."""
        before = self.letters_until(time.monotonic() + 0.05)
        stepped = time.monotonic()
        if ns:
            self.socket.sendall(struct.pack('=q', ns))
        moments = self.letters_until(stepped + WATCH_S)
        if not moments or moments[-1] < stepped + WATCH_S / 2:
            moments += self.first_after(stepped + bound_s)
        return longest([*before[-1:], *moments, time.monotonic()], stepped)

    def first_after(self, deadline):
        """The next letter, if it comes before the deadline."""
        out = self.vm.process.stdout.fileno()
        if select.select([out], [], [], max(0, deadline - time.monotonic()))[0]:
            return [time.monotonic()]
        return []


def longest(moments, stepped):
    """Of the silences that begin soon enough after the step."""
    best = Silence(0, True)
    for index, (begin, end) in enumerate(zip(moments, moments[1:])):
        if begin > stepped + BEGINS_WITHIN_S:
            break
        silence = end - max(begin, stepped)
        if silence > best.seconds:
            # The last moment is that of giving up.
            best = Silence(silence, index < len(moments) - 2)
    return best


def measure(bench, subject, library, repeats, bound_s):
    """{step: [Silence]}; one that does not end ends the emulator too."""
    result = {}
    for name, ns in STEPS.items():
        result[name] = []
        with Stepped(bench, subject, library) as vm:
            vm.wait_ready()
            for _ in range(repeats):
                silence = vm.step(ns, bound_s)
                result[name].append(silence)
                if not silence.ended or silence.seconds > 1:
                    break
    return result


def text(silences):
    worst = max(silences)
    if not worst.ended:
        return f'> {worst.seconds:.0f} s'
    if worst.seconds >= 1:
        return f'{worst.seconds:.1f} s'
    return f'{worst.seconds * 1000:.2f} ms'


def median_ms(silences):
    return statistics.median(s.seconds for s in silences) * 1000


def row(subject, name, silences):
    ended = all(s.ended for s in silences)
    return [name, subject.name, str(len(silences)),
            f'{median_ms(silences):.2f} ms' if ended and
            median_ms(silences) < 1000 else text(silences), text(silences)]


def goal(found, name, subjects, of):
    """Of these clocks together; of so many goals"""
    return Goal(
        'served again after a step, later than without one',
        bootstrap([(step.seconds - control.seconds) * 1000 for subject in subjects
                   for step, control in zip(found[subject][name],
                                            found[subject][CONTROL])], of),
        GOAL_MS, unit=' ms',
        worst=f'{name}, -clock {", ".join(subject.name for subject in subjects)}')


def worst_goal(bench, found):
    """Of all clocks together, as the code of a step is one, unless a clock misses it
    by itself, which the others must not hide"""
    steps = [name for name in STEPS if name != CONTROL]
    each = [goal(found, name, [subject], len(steps) * len(bench.ours))
            for name in steps for subject in bench.ours]
    return worst([some for some in each if some.met is False] or
                 [goal(found, name, bench.ours, len(steps)) for name in steps])


def run(bench):
    repeats, bound_s = bench.pick((4, 2), (8, 4))
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        library = build_preload(folder, LIBRARY)
        for subject in bench.subjects:
            found[subject] = measure(bench, subject, library, repeats, bound_s)
            progress(f'step: {subject.name}')
    return Result(
        'step', 'a wall step of a day, periodic interrupts at 8192 Hz',
        'The longest time without an interrupt that begins within 20 ms of '
        f'the step; given up after {bound_s} s. A period is 0.12 ms. The host '
        'stamps, so what a busy host adds is in the figure; "no step" is the '
        'same look without a step.',
        tables=[Table('until the guest is served again',
                      ['step', '-clock', 'steps', 'median', 'max'],
                      [row(s, n, silences) for n in STEPS
                       for s in bench.subjects
                       for silences in [found[s][n]]], left=2)],
        goals=[worst_goal(bench, found)],
        plots=[bars('Until the guest is served again', 'ms', list(STEPS),
                    [s.name for s in bench.subjects],
                    [[[x.seconds * 1000 for x in found[s][n]] for n in STEPS]
                     for s in bench.subjects], log=True)],
        header=('step', 'clock', 'number', 'ms', 'ended'),
        raw=[(n, s.name, i + 1, f'{x.seconds * 1000:.3f}', int(x.ended))
             for s, by_step in found.items() for n, some in by_step.items()
             for i, x in enumerate(some)])
