# SPDX-License-Identifier: GPL-2.0-or-later
"""Date and HPET reads a second from guest code.

A bare-metal guest (qtest/baremetal/bench-read.c) reads the RTC's date and the
HPET's counter in slices of a fixed number of reads, and sends a letter as each
slice begins.  This program stamps the letters.  Guest clocks are what is under
test, so no guest clock times anything.

The figure is reads per second of the emulator's CPU time, all threads
together: a busy neighbour takes wall time from a slice, but no CPU time.  Wall
time is kept beside it, for how reads scale with vCPUs.  Stock and ours take
turns slice by slice, and a ratio is taken pair by pair, so a machine that slows
down slows both; the figure is the median over the pairs of all rounds.
"""
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict, namedtuple

from common import command, fail, progress, spread, use_processors
from lib.emulator import cpu_ns
from page import bars
from results import Result, Table, at_least

# About 50 ms a slice on a current machine: long beside the 0.1 ms that it may
# take to stamp a letter, short beside a second, so that a run has several.
READS = {'date': 25_000, 'hpet': 250_000}
NESTED_READS = {'date': 1000, 'hpet': 10_000}
LETTERS = {'d': 'date', 'h': 'hpet'}
NAMES = {'date': 'date (registers 0 to 9)', 'hpet': 'HPET counter'}
RUN_TIMEOUT_S = 120
GOALS = {'date': 1.3, 'hpet': 1.0}
# Two vCPUs fight for the big lock, which is luck: what scaling may differ by
SCALING_GOAL = 0.95
CONFIGS = [('host', 1), ('vm', 1), ('host', 2)]

Figure = namedtuple('Figure', 'cpu wall')       # reads a second
Config = namedtuple('Config', 'subject rtc cpus')


class Slices:
    """An emulator that runs only from one letter of its guest to the next."""

    def __init__(self, bench, config, slices):
        self.reads = bench.pick(READS, READS, NESTED_READS)
        options = {**self.reads, 'slices': slices, 'cpus': config.cpus}
        self.args = command(config.subject, bench.guest('bench-read'), options,
                            rtc=config.rtc, cpus=config.cpus)
        self.what = f'{config.subject.name} (rtc {config.rtc})'
        self.cpus = config.cpus
        self.figures = {kind: [] for kind in READS}
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


def measure_pair(bench, config, slices, first):
    """{kind: [(stock Figure, ours Figure)]}, a pair a slice.

    Both emulators are there at once, one of them stopped: so they take turns
    slice by slice, and what slows the machine for a second slows both.

    With one vCPU they share one processor with this program.  The kernel
    brings the CPU time of a thread up to date when it is switched out, else
    only with the tick (4 ms); so the emulator is switched out whenever a letter
    is stamped.
    """
    use_processors(config.cpus)
    pair = (Slices(bench, config._replace(subject=bench.stock), slices),
            Slices(bench, config, slices))
    signal.signal(signal.SIGALRM, too_slow)
    signal.alarm(RUN_TIMEOUT_S)
    with pair[0] as stock, pair[1] as ours:
        going = [True, True]
        while any(going):
            for index in (first, 1 - first):
                going[index] = going[index] and pair[index].advance()
            first = 1 - first
    signal.alarm(0)
    return {kind: [both for both in zip(stock.figures[kind],
                                        ours.figures[kind]) if all(both)]
            for kind in READS}


def run_rounds(bench, configs, rounds, slices):
    """{(config, kind): [(round, stock Figure, ours Figure)]}"""
    pairs = {(config, kind): [] for config in configs for kind in READS}
    for number in range(rounds):
        for index, config in enumerate(configs):
            got = measure_pair(bench, config, slices, (number + index) % 2)
            for kind, both in got.items():
                pairs[config, kind] += [(number + 1, *pair) for pair in both]
        progress(f'reads: round {number + 1} of {rounds}')
    for (config, kind), rows in pairs.items():
        if len(rows) < rounds * slices / 2:
            fail(f'{config.subject.name}/{config.rtc}/{kind}: most slices '
                 'could not be timed: the machine is too busy, try again')
    return pairs


def ratios(rows):
    return [ours.cpu / stock.cpu for _, stock, ours in rows]


def rate_table(pairs):
    rows = []
    for (config, kind), figures in pairs.items():
        _, stock, ours = zip(*figures)
        rows.append([
            NAMES[kind], str(config.cpus), config.rtc, config.subject.name,
            spread([f.cpu for f in stock], 0, 1000),
            spread([f.cpu for f in ours], 0, 1000),
            spread(ratios(figures), 3)])
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    return Table('Thousands of reads per second of CPU time: median '
                 '(quartiles); ratio by pair',
                 ['read', 'vCPUs', '-rtc clock', '-clock', 'stock', 'ours',
                  'ours / stock'], rows, left=4)


def scaling(pairs, bench):
    """{(kind, subject): (stock's, ours)}: reads per wall second with two
    vCPUs, as a multiple of those with one."""
    def wall(subject, kind, cpus, which):
        rows = pairs[Config(subject, 'host', cpus), kind]
        return statistics.median(row[which].wall for row in rows)
    return {(kind, subject): tuple(wall(subject, kind, 2, which) /
                                   wall(subject, kind, 1, which)
                                   for which in (1, 2))
            for kind in READS for subject in bench.ours}


def scaling_table(scales):
    return Table('Reads per wall second with 2 vCPUs, as a multiple of those '
                 'with 1 (the big lock lets one in at a time)',
                 ['read', '-clock', 'stock', 'ours', 'ours / stock'],
                 [[NAMES[kind], subject.name, f'{stock:.2f}', f'{ours:.2f}',
                   f'{ours / stock:.2f}']
                  for (kind, subject), (stock, ours) in scales.items()],
                 left=2)


def goals(pairs, scales):
    worst = defaultdict(lambda: (float('inf'), ''))
    for (config, kind), rows in pairs.items():
        word = (f'-clock {config.subject.name}, -rtc clock={config.rtc}, '
                f'{config.cpus} vCPU')
        worst[kind] = min(worst[kind], (statistics.median(ratios(rows)), word))
    result = [at_least(f'{NAMES[kind]} reads at least {GOALS[kind]} x stock '
                       f'(the least: {worst[kind][1]})', worst[kind][0],
                       GOALS[kind], 3) for kind in READS]
    for kind in READS:
        least = min(ours / stock for (which, _), (stock, ours)
                    in scales.items() if which == kind)
        result.append(at_least(
            f'{NAMES[kind]} reads scale with vCPUs at least '
            f'{SCALING_GOAL} x as stock does', least, SCALING_GOAL, 2))
    return result


def plot(pairs):
    groups = sorted({(kind, config.cpus, config.rtc) for config, kind in pairs})
    names = list(dict.fromkeys(c.subject.name for c, _ in pairs))
    values = {}
    for (config, kind), rows in pairs.items():
        values[(kind, config.cpus, config.rtc), config.subject.name] = \
            ratios(rows)
    return bars('Reads per second of CPU time, ours / stock', 'ours / stock',
                [f'{kind}, {cpus} vCPU, {rtc}' for kind, cpus, rtc in groups],
                names, [[values.get((group, name)) for group in groups]
                        for name in names], line=1)


def run(bench):
    rounds, slices = bench.pick((1, 4), (5, 8), (3, 6))
    rtcs = bench.pick([('host', 1), ('host', 2)], CONFIGS)
    configs = [Config(subject, rtc, cpus) for rtc, cpus in rtcs
               for subject in bench.ours]
    pairs = run_rounds(bench, configs, rounds, slices)
    use_processors()
    scales = scaling(pairs, bench)
    result = Result(
        'reads', 'date and HPET reads from guest code, TCG',
        'A bare-metal guest reads; the host stamps the beginning of each '
        'slice of reads. Stock and ours take turns slice by slice. CPU time '
        'is that of the whole emulator, translated code and big lock '
        'included.')
    result.tables = [rate_table(pairs), scaling_table(scales)]
    result.goals = goals(pairs, scales)
    result.plots = [plot(pairs)]
    result.header = ('clock', 'rtc', 'cpus', 'read', 'round', 'emulator',
                     'reads_per_cpu_s', 'reads_per_wall_s')
    result.raw = [
        (config.subject.name, config.rtc, config.cpus, kind, number, who,
         round(figure.cpu), round(figure.wall))
        for (config, kind), rows in pairs.items() for number, *pair in rows
        for who, figure in zip(('stock', 'ours'), pair)]
    return result
