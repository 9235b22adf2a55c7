# SPDX-License-Identifier: GPL-2.0-or-later
"""How late periodic interrupts are; how many are lost or doubled, see stamps.py.

A processor for the guests with the RTC, another one for those with the HPET, and
on each the guests of stock and of every clock take turns of a fraction of a
second.  At 64 Hz all of them have their turn at once, with interrupts due at
different times: two guests that are due together would meet at each interrupt,
and that would be the figure.
"""
import os
import signal
import struct
import tempfile
import threading
import time
from collections import namedtuple
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import lru_cache

from common import ALL_PROCESSORS, NONE, fail, machine_args, progress
from lib.emulator import Emulator
from page import COLOURS, OTHER, intervals
from results import Goal, Plot, Result, Table, worst
from stamps import join, judge
from stats import SAME_ROWS, draw_percentile_ratio, exact, percentile

DEVICES = {'rtc': 'RTC', 'hpet': 'HPET'}
# What an interrupt has for itself, in which no other guest's is due
ALONE_S = 0.00074
PERCENTS = {50: None, 99: 1.05, 99.9: 1.10}     # and their goals
# Of so many interrupts, how many stamps.py may take for doubled: of 376,000 it was one.
DOUBLED_OF, DOUBLED = 100_000, 2
RUN_S = 180


# Interrupts a turn, turns a round, and guests of each
Plan = namedtuple('Plan', 'count turns copies', defaults=[1])


# -- guests that take turns

class Player:
    """One guest, stopped but for its turns."""

    def __init__(self, bench, subject, options, processor):
        self.subject, self.processor = subject, processor
        # Of this thread, and so of what it starts
        os.sched_setaffinity(0, [processor])
        self.vm = Emulator(str(subject.qemu), machine_args(
            subject, bench.guest('bench-tick'), options), serial=True)

    def hear(self, last):
        """[(moment, line)] before this one; then it is stopped."""
        lines, deadline = [], time.monotonic() + RUN_S
        while line := self.vm.read_line(deadline):
            if line[1] == last:
                self.vm.process.send_signal(signal.SIGSTOP)
                return lines
            lines.append((line[0].mono, line[1]))
        fail(f'the guest ended: {self.vm.stderr()}')

    def stamps(self, address, number):
        """Out of the memory of the guest, which waits for a byte meanwhile"""
        with tempfile.NamedTemporaryFile() as file:
            self.vm.process.send_signal(signal.SIGCONT)
            self.vm.qmp.command('pmemsave', {
                'val': address, 'size': number * 8, 'filename': file.name})
            self.vm.process.send_signal(signal.SIGSTOP)
            return struct.unpack(f'<{number}Q', file.read())

    def turn(self, begin, together):
        """A Run that begins at that moment. Stamps are fetched only when the others
        have ended theirs."""
        try:
            time.sleep(max(0, begin - time.monotonic()))
            self.vm.process.send_signal(signal.SIGCONT)
            self.vm.write('g')
            *lines, (_, where) = self.hear('done')
            together.wait(RUN_S)
            where = [int(word, 16) for word in where.split()[1:]]
            return judge(self.subject.name, lines, self.stamps(*where))
        except Exception:
            together.abort()
            raise


def all_results(futures):
    """What they return, or the first error"""
    failed = [error for error in map(Future.exception, futures) if error]
    # Those who waited for the one that failed say so too.
    failed.sort(key=lambda error: isinstance(error, threading.BrokenBarrierError))
    if failed:
        raise failed[0]
    return [future.result() for future in futures]


def play_turn(pool, players, hz):
    """[Run] of players, those on one processor at different phases"""
    together = threading.Barrier(len(players))
    begin = time.monotonic() + 0.05
    futures = []
    for player in players:
        beside = [other for other in players if other.processor == player.processor]
        phase = beside.index(player) / len(beside) / hz
        futures.append(pool.submit(player.turn, begin + phase, together))
    return all_results(futures)


def play_round(bench, hz, plan, seed):
    """{(device, subject): [[Run of each turn] of each guest]}"""
    processors = sorted(ALL_PROCESSORS)
    cases = [(device, subject, copy) for copy in range(plan.copies)
             for subject in bench.measured for device in DEVICES]
    place = {device: processors[(seed + number) % len(processors)]
             for number, device in enumerate(DEVICES)}
    # One on each processor, or more where periods have room for them
    size = min(len(DEVICES), len(processors)) * max(1, int(1 / hz / ALONE_S))
    options = {'count': plan.count, 'turns': plan.turns}
    with ThreadPoolExecutor(len(cases)) as pool, ExitStack() as stack:
        def start(case):
            device, subject, _ = case
            player = Player(bench, bench.linked(subject, seed),
                            {device: hz, **options}, place[device])
            stack.callback(player.vm.close)
            player.vm.qmp.open(RUN_S)
            player.hear('ready')
            return player

        # Of those that all start at once, in the lab, some are silent for minutes.
        with ThreadPoolExecutor(len(DEVICES)) as some:
            players = dict(zip(cases, some.map(start, cases)))
        progress(f'periodic: {len(players)} guests')
        runs = {case[:2]: [[] for _ in range(plan.copies)] for case in cases}
        for number in range(plan.turns):
            first = (seed + number) * len(DEVICES) % len(cases)
            order = cases[first:] + cases[:first]
            for at in range(0, len(order), size):
                some = order[at:at + size]
                for case, run in zip(some, play_turn(
                        pool, [players[case] for case in some], hz)):
                    runs[case[:2]][case[2]].append(run)
    return runs


# -- figures

class Figures:
    """What was measured at one rate: a {(device, subject): Run} of each round,
    of all its guests and turns together"""

    def __init__(self, bench, hz):
        self.bench, self.hz, self.rounds = bench, hz, []

    def add(self, runs):
        """What play_round() found. In the lab are no links: there a guest is a round,
        and has nothing to do with one of another clock."""
        copies = range(len(next(iter(runs.values()))))
        for some in [[copy] for copy in copies] if self.bench.nested else [copies]:
            self.rounds.append({case: join([run for copy in some for run in guests[copy]])
                                for case, guests in runs.items()})

    @lru_cache(maxsize=None)
    def drawn(self, device, subjects, bases, percent, _rounds):
        """Of these subjects together"""
        return draw_percentile_ratio([
            [sorted(us for each in some for us in runs[device, each].lateness_us)
             for some in (bases, subjects)] for runs in self.rounds], percent,
            paired=not self.bench.nested)

    def ratio(self, device, subjects, percent, bases=None, of=1):
        """By default of stock in both of its links"""
        return self.drawn(
            device, tuple(subjects), tuple(bases or self.bench.stocks),
            percent, len(self.rounds)).interval(of)

    def late(self, device, subject):
        return sorted(us for runs in self.rounds
                      for us in runs[device, subject].lateness_us)

    def total(self, device, subject, what):
        return sum(getattr(runs[device, subject], what) for runs in self.rounds)

    def doubled(self, device, subjects):
        """Of DOUBLED_OF interrupts of these subjects together"""
        some = [sum(self.total(device, subject, what) for subject in subjects)
                for what in ('doubled', 'due')]
        return some[0] * DOUBLED_OF / some[1]

    def more_doubled(self, device):
        """Than stock has in both of its links"""
        stock = self.doubled(device, self.bench.stocks)
        return max(self.doubled(device, self.bench.ours) - stock, 0)

    def goal(self, device, percent, of):
        """Of all clocks together: they have the same code, but for the reading."""
        return Goal(f'{DEVICES[device]}: p{percent} of lateness, of stock\'s',
                    self.ratio(device, self.bench.ours, percent, of=of),
                    PERCENTS[percent], unit=' x', of_stock=True,
                    worst=f'{self.hz} Hz')

    def goals(self, of):
        return [self.goal(device, percent, of) for device in DEVICES
                for percent, limit in PERCENTS.items() if limit]

    def same_goal(self, text, one, other, of):
        return worst([Goal(
            text, self.ratio(device, [one], 99, [other], of * SAME_ROWS), 1,
            unit=' x', same=True,
            worst=f'p99, {DEVICES[device]}, {self.hz} Hz') for device in DEVICES])

    def rows(self, device):
        for subject in self.bench.measured:
            late = self.late(device, subject)
            of = self.bench.bases(subject)
            ratios = [self.ratio(device, [subject], percent, of) for percent in PERCENTS]
            yield [DEVICES[device], str(self.hz), subject.name, str(len(late)),
                   *(f'{percentile(late, percent):.1f}' for percent in PERCENTS),
                   *('' if subject is self.bench.stock else
                     f'{some.value:.2f} ({some.low:.2f}-{some.high:.2f})'
                     for some in ratios),
                   *(str(self.total(device, subject, what))
                     for what in ('due', 'lost', 'doubled'))]

    def plot(self, device):
        data, clauses = {}, []
        for number, subject in enumerate(self.bench.subjects):
            late = self.late(device, subject)
            points = [p / 10 for p in range(10, 1000, 10)] + [99.5, 99.9]
            data[f'$late{number}'] = [
                f'{percentile(late, p)} {100 - p}' for p in points]
            clauses.append(f'$late{number} using 1:2 with lines lw '
                           f'{3 if not number else 1.8} lc rgb '
                           f'"{COLOURS.get(subject.name, OTHER)}" '
                           f'title "{subject.name}"')
        return Plot(f'{DEVICES[device]} at {self.hz} Hz', (
            'set logscale xy\nset xlabel "later than (us)"\n'
            'set ylabel "% of interrupts"\nset yrange [0.1:100]\n'
            'set grid xtics lc rgb "#e4dfd4" lt 1\n'
            f'plot {", ".join(clauses)}'), data, 300)


def goals(bench, found):
    """found: [Figures], of each rate"""
    result = [worst(list(some)) for some in
              zip(*(figures.goals(len(found)) for figures in found))]
    # In the lab interrupts are late by periods, and which is whose is a guess.
    if not bench.nested:
        result.append(worst([Goal(
            f"of {DOUBLED_OF} interrupts, doubled ones above stock's",
            exact(figures.more_doubled(device)), DOUBLED, digits=1,
            worst=f'{DEVICES[device]}, {figures.hz} Hz')
            for device in DEVICES for figures in found]))
    of = len(found) * len(DEVICES)
    return result + [worst([figures.same_goal(*pair, of) for figures in found])
                     for pair in bench.alike()]


def run(bench):
    # 20,000 of each, in 8 rounds or in the lab's one, where no -clock is left out
    if bench.nested:
        bench = bench.without(NONE)
    plans = bench.pick({1024: Plan(125, 6)},
                       {64: Plan(834, 1, 3), 1024: Plan(500, 5),
                        8192: Plan(625, 4)},
                       {1024: Plan(100, 3, 4) if bench.quick else Plan(1667, 3, 4)})
    found = []
    for hz, plan in plans.items():
        found.append(figures := Figures(bench, hz))
        rounds = bench.pick((4, 4), (8, 12), (1, 1))
        for number in bench.rounds(f'periodic, {hz} Hz', *rounds,
                                   lambda: figures.goals(len(plans))):
            figures.add(play_round(bench, hz, plan, number))
    return Result(
        'periodic', 'lateness of periodic interrupts',
        'From when the interrupt is due until the guest’s handler runs, main '
        'loop, big lock and waking the vCPU included; the guest sleeps in '
        'between. The RTC’s phase is not known to the guest: its lateness is '
        'relative to the earliest. Each round takes other links; percentiles '
        'are of all rounds together, and their ratios’, to stock in both of its '
        'links, have the intervals of a bootstrap over rounds. "due" are those '
        'that the guest could have taken.',
        tables=[Table('Lateness in us; of stock’s, with its 95 % interval',
                      ['device', 'Hz', '-clock', 'interrupts',
                       *(f'p{percent}' for percent in PERCENTS),
                       *(f'p{percent} / stock' for percent in PERCENTS),
                       'due', 'lost', 'doubled'],
                      [row for device in DEVICES for figures in found
                       for row in figures.rows(device)], left=3)],
        goals=goals(bench, found),
        plots=[intervals(
            'p99 of lateness', 'ours / stock',
            [(f'{DEVICES[device]}, {figures.hz} Hz', subject.name,
              figures.ratio(device, [subject], 99, bench.bases(subject)))
             for device in DEVICES
             for figures in found for subject in bench.compared],
            [PERCENTS[99]]),
            *(figures.plot(device) for device in DEVICES for figures in found
              if figures.hz != 64)],
        header=('device', 'hz', 'clock', 'round', 'late_us'),
        raw=[(DEVICES[device], figures.hz, subject.name, number + 1, f'{us:.2f}')
             for figures in found for number, runs in enumerate(figures.rounds)
             for (device, subject), some in runs.items()
             for us in some.lateness_us])
