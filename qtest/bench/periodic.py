# SPDX-License-Identifier: GPL-2.0-or-later
"""How late periodic interrupts are; how many are lost or doubled.

The guest (qtest/baremetal/bench-tick.c) stamps each interrupt with its TSC.
Under TCG that is the host's, the same with every host clock.  HPET counter and
TSC read together before and after each run tell the stamps in terms of the time
on which interrupts are due; that this time passes as it should is checked
against the arrival of the two pairs here.

When an HPET interrupt is due is known exactly.  When an RTC's is, the guest
cannot know: it is one period after the other, with a phase such that lateness
is the least on average while none is early.

Each emulator runs alone, in turn.
"""
import math
import statistics
import time
from collections import defaultdict, namedtuple

from common import fail, machine_args, percentile, progress, spread
from lib.emulator import Emulator
from page import COLOURS, OTHER
from results import Plot, Result, Table, at_most

RATES = (64, 1024, 8192)
HPET_TICK_NS = 10
RTC_HZ = 32768
DEVICES = {'r': 'RTC', 'h': 'HPET'}
GOAL = 1.05
RUN_S = 180
# A run is a second and more; its pairs arrive within a few ms.
RATE_TOLERANCE = 0.02
RATE_SLACK_S = 0.1
# Of a period, by how much the estimate of the RTC's phase may be wrong
EARLY = 0.1

Run = namedtuple('Run', 'device hz lateness_us lost doubled')


# -- from stamps to lateness

def phase_ns(times, period):
    """The beginning of a period for which lateness is the least on average."""
    phases = sorted(t % period for t in times)
    # With t0 at the j-th phase, the j before it wrap round.
    best = min(range(len(phases)),
               key=lambda j: period * j / len(phases) - phases[j])
    return phases[best]


def assign(times, due, period):
    """(lateness of each, lost, doubled), in the unit of times.

    An interrupt belongs to the last deadline before it.  If two belong to one,
    the first was late by more than a period, provided that the deadline before
    is free; or the second is a trifle early, as due is an estimate for the RTC;
    else it is doubled.  A deadline that nobody has is lost.
    """
    slots, kept, doubled = [], [], 0
    for when in times:
        slot = math.floor((when - due) / period)
        if slots and slot <= slots[-1]:
            early = due + (slots[-1] + 1) * period - when
            if len(slots) > 1 and slots[-2] < slots[-1] - 1:
                slots[-1] -= 1
            elif early < EARLY * period:
                slot = slots[-1] + 1
            else:
                doubled += 1
                continue
        slots.append(slot)
        kept.append(when)
    lost = slots[-1] - slots[0] + 1 - len(slots) if slots else 0
    return [max(when - due - slot * period, 0)
            for when, slot in zip(kept, slots)], lost, doubled


class Guest:
    """What one guest says, line by line."""

    def __init__(self, who):
        self.who = who
        self.runs = []
        self.begin = None

    def line(self, arrival, text):
        word, *numbers = text.split()
        if word == 'run':
            self.device, self.hz = numbers[0], int(numbers[1], 16)
            self.period = int(numbers[2], 16)
            self.due, self.pairs, self.stamps = None, [], []
        elif word == 'due':
            self.due = int(numbers[0], 16)
        elif word == 'pair':
            self.pairs.append((arrival, *(int(n, 16) for n in numbers)))
        elif word == '.':
            self.runs.append(self.finish())
        else:
            self.stamps.append(int(word, 16))

    def ns_per_tsc(self):
        (began, ticks0, tsc0), (ended, ticks1, tsc1) = self.pairs
        ns = ((ticks1 - ticks0) % 2 ** 32) * HPET_TICK_NS
        passed = ended - began
        if abs(ns / 1e9 - passed) > RATE_SLACK_S + passed * RATE_TOLERANCE:
            fail(f'{self.who}: the guest’s HPET counted {ns / 1e9:.3f} s in '
                 f'{passed:.3f} s: its interrupts cannot be judged')
        return ns / (tsc1 - tsc0)

    def finish(self):
        scale = self.ns_per_tsc()
        times = [stamp * scale for stamp in self.stamps]
        if self.device == 'h':
            period = self.period * HPET_TICK_NS
            due = (self.due - self.pairs[0][1]) * HPET_TICK_NS
        else:
            period = self.period * 1e9 / RTC_HZ
            due = phase_ns(times, period)
        late, lost, doubled = assign(times, due, period)
        return Run(self.device, self.hz, [ns / 1000 for ns in late], lost,
                   doubled)


def measure(bench, subject, counts):
    options = {f'n{hz}': count for hz, count in counts.items()}
    args = machine_args(subject, bench.guest('bench-tick'), options)
    lines = []
    deadline = time.monotonic() + RUN_S
    # Read first and compute later: the lines are stamped as they are read.
    with Emulator(str(subject.qemu), args, serial=True) as vm:
        while not lines or lines[-1][1] != '|':
            line = vm.read_line(deadline)
            if line is None:
                fail(f'{subject.name}: the guest ended: {vm.stderr()}')
            lines.append((line[0].mono, line[1]))
    guest = Guest(subject.name)
    for arrival, text in lines[:-1]:
        guest.line(arrival, text)
    return guest.runs


# -- figures

def p99(run):
    return percentile(sorted(run.lateness_us), 99)


def run_rounds(bench, rounds, counts):
    """{(device, hz, subject): [Run of each round]}"""
    runs = defaultdict(list)
    for number in range(rounds):
        turn = number % len(bench.subjects)
        for subject in bench.subjects[turn:] + bench.subjects[:turn]:
            for run in measure(bench, subject, counts):
                runs[run.device, run.hz, subject].append(run)
        progress(f'periodic: round {number + 1} of {rounds}')
    return runs


def ratios(runs, device, hz, subject, stock):
    return [p99(ours) / p99(theirs) for ours, theirs in
            zip(runs[device, hz, subject], runs[device, hz, stock])]


def table(bench, runs):
    rows = []
    for (device, hz, subject), some in sorted(
            runs.items(), key=lambda item: (item[0][0], item[0][1])):
        late = sorted(us for run in some for us in run.lateness_us)
        ratio = '' if subject is bench.stock else spread(
            ratios(runs, device, hz, subject, bench.stock))
        rows.append([DEVICES[device], str(hz), subject.name, str(len(late)),
                     f'{percentile(late, 50):.1f}',
                     f'{percentile(late, 99):.1f}', f'{late[-1]:.0f}', ratio,
                     str(sum(run.lost for run in some)),
                     str(sum(run.doubled for run in some))])
    return Table('Lateness in us, all rounds together; p99 / stock by round: '
                 'median (quartiles)',
                 ['device', 'Hz', '-clock', 'interrupts', 'p50', 'p99', 'max',
                  'p99 / stock', 'lost', 'doubled'], rows, left=3)


def goals(bench, runs):
    result = []
    for device, name in DEVICES.items():
        worst = max((statistics.median(ratios(runs, device, hz, subject,
                                              bench.stock)), hz, subject.name)
                    for hz in RATES for subject in bench.ours)
        result.append(at_most(
            f'{name}: p99 of lateness at most {GOAL} x stock (the most: '
            f'{worst[1]} Hz, -clock {worst[2]})', worst[0], GOAL))
    def doubled(subject):
        return sum(run.doubled for key, some in runs.items()
                   if key[2] is subject for run in some)
    worst, name = max((doubled(s), s.name) for s in bench.ours)
    stock = doubled(bench.stock)
    result.append(at_most(f'no more interrupts doubled than by stock, {stock} '
                          f'(the most: -clock {name})', worst, stock, 0))
    return result


def plot(bench, runs, device, hz):
    data, clauses = {}, []
    for number, subject in enumerate(bench.subjects):
        late = sorted(us for run in runs[device, hz, subject]
                      for us in run.lateness_us)
        points = [p / 10 for p in range(10, 1000, 10)] + [99.5, 99.9]
        data[f'$late{number}'] = [f'{percentile(late, p)} {p}' for p in points]
        clauses.append(f'$late{number} using 1:2 with lines lw '
                       f'{3 if not number else 1.8} lc rgb '
                       f'"{COLOURS.get(subject.name, OTHER)}" '
                       f'title "{subject.name}"')
    script = ('set logscale x\nset xlabel "late by at most (us)"\n'
              'set ylabel "% of interrupts"\nset yrange [0:100]\n'
              'set grid xtics lc rgb "#e4dfd4" lt 1\n'
              f'plot {", ".join(clauses)}')
    return Plot(f'{DEVICES[device]} at {hz} Hz', script, data, 300)


def run(bench):
    # About as long at each rate; 64 Hz needs longer for a 99th percentile.
    counts = bench.pick({64: 48, 1024: 500, 8192: 4000},
                        {64: 200, 1024: 2000, 8192: 16000},
                        {64: 48, 1024: 300, 8192: 1000})
    runs = run_rounds(bench, bench.pick(1, 3), counts)
    return Result(
        'periodic', 'lateness of periodic interrupts',
        'From when the interrupt is due until the guest’s handler runs, main '
        'loop, big lock and waking the vCPU included; the guest sleeps in '
        'between. Emulators take turns. The RTC’s phase is not known to the '
        'guest: its lateness is relative to the earliest.',
        tables=[table(bench, runs)], goals=goals(bench, runs),
        plots=[plot(bench, runs, device, hz)
               for device in DEVICES for hz in (1024, 8192)],
        header=('device', 'hz', 'clock', 'round', 'late_us'),
        raw=[(DEVICES[device], hz, subject.name, number + 1, f'{us:.2f}')
             for (device, hz, subject), some in runs.items()
             for number, one in enumerate(some) for us in one.lateness_us])
