# SPDX-License-Identifier: GPL-2.0-or-later
"""Date and HPET reads a second from guest code, see slices.py."""
import statistics

from page import intervals
from plan import SCALED
from results import Goal, Result, Table, worst
from slices import NAMES, Config, measure, ratio
from stats import SAME_ROWS, bootstrap

# About 50 ms a slice on a current machine: long beside the 0.1 ms that it may
# take to stamp a letter, short beside a second, so that a run has several.
READS = {'date': 25_000, 'hpet': 250_000}
GOALS = {'date': 1.25, 'hpet': 1.0}
CAUSES = {'date': 'the way of 20 port accesses to the RTC, see "instructions"',
          SCALED: 'two clocks to read, and a division in 128 bits'}


class Rounds:
    """What was measured so far: a {(subject, kind): [Figure]} of each round,
    for each config."""

    def __init__(self, bench, configs):
        self.bench, self.configs = bench, configs
        self.rounds = {config: [] for config in configs}

    def measure(self, number):
        for config in self.configs:
            self.rounds[config].append(measure(self.bench, config, number))

    def cases(self, kinds):
        """[(kind, config)] that were measured"""
        return [(kind, config) for kind in kinds for config in self.configs
                if kind in dict(config.reads)]

    def interval(self, config, kind, subjects, bases=None, of=1):
        """By default of stock in both of its links"""
        return bootstrap([ratio(figures, subjects, bases or self.bench.stocks, kind)
                          for figures in self.rounds[config]], of=of)

    def goals(self, kind, text, limit, other):
        """Under every clock, and in each config."""
        return [self.goal(kind, [(config, subject)
                                 for _, config in self.cases([kind])
                                 for subject in group], text, limit, other)
                for group in self.bench.groups]

    def goal(self, kind, cases, text, limit, other):
        name = cases[0][1].name
        cause = CAUSES.get(name, CAUSES.get(kind, ''))
        return worst([Goal(
            f'{name}: {text}' if name == SCALED else text,
            self.interval(config, kind, [subject], of=len(cases)), limit,
            least=True, digits=3, unit=' x', of_stock=True, cause=cause, other=other,
            worst=f'-clock {subject.name}, -rtc clock={config.rtc}')
            for config, subject in cases])

    def same_goal(self, kinds, text, one, other):
        """Two that must not be told apart, by no read in any config."""
        cases = self.cases(kinds)
        return worst([Goal(
            text, self.interval(config, kind, [one], [other],
                                of=len(cases) * SAME_ROWS),
            1, digits=3, unit=' x', same=True, worst=f'{NAMES[kind]}, -rtc '
            f'clock={config.rtc}, {config.cpus} vCPU') for kind, config in cases])

    def same_goals(self, kinds):
        return [self.same_goal(kinds, *pair) for pair in self.bench.alike()]

    def rate(self, config, kind, subject, which):
        """Thousands of reads a second: the median of all slices"""
        return statistics.median(
            getattr(figure, which) / 1000 for figures in self.rounds[config]
            for figure in figures[subject, kind] if figure)

    def rows(self, kind):
        for _, config in self.cases([kind]):
            for subject in self.bench.measured:
                row = [NAMES[kind], config.rtc, str(config.cpus), subject.name,
                       *(f'{self.rate(config, kind, subject, which):.0f}'
                         for which in ('cpu', 'wall')), '', '']
                if subject is not self.bench.stock:
                    value, low, high = self.interval(config, kind, [subject],
                                                     self.bench.bases(subject))
                    row[-2:] = [f'{value:.3f}', f'{low:.3f} to {high:.3f}']
                yield row

    def table(self, kinds):
        count = len(self.rounds[self.configs[0]])
        return Table(
            'Thousands of reads a second of CPU time and of wall time; ratio '
            f'to stock, by CPU time, median of {count} pairs of links',
            ['read', '-rtc clock', 'vCPUs', '-clock', 'CPU', 'wall', 'ratio',
             '95 % interval'],
            [row for kind in kinds for row in self.rows(kind)], left=4)

    def plot(self, title, kinds, limits):
        return intervals(title, 'ours / stock', [
            (f'{kind}, {config.cpus} vCPU, {config.rtc}', subject.name,
             self.interval(config, kind, [subject], self.bench.bases(subject)))
            for kind, config in self.cases(kinds)
            for subject in self.bench.compared], limits)

    def raw(self):
        return [(subject.name, config.rtc, config.cpus, kind, number + 1,
                 piece + 1, round(figure.cpu), round(figure.wall))
                for config, rounds in self.rounds.items()
                for number, figures in enumerate(rounds)
                for (subject, kind), some in figures.items()
                for piece, figure in enumerate(some) if figure]


HEADER = ('clock', 'rtc', 'cpus', 'read', 'round', 'slice', 'reads_per_cpu_s',
          'reads_per_wall_s')
LINKS = ('Each round takes another link of stock and of ours, with their object '
         'files in a random order, and in it they take turns slice by slice; an '
         'interval is that of the median over links. "stock again" is stock in '
         'yet other links, and a ratio is to both. ')


def run(bench):
    slices = bench.pick(3, 4)
    # The HPET has no part in -rtc.
    reads = {'host': READS, **bench.pick({}, {'vm': {'date': READS['date']}})}
    rounds = Rounds(bench, [Config(rtc, 1, tuple(some.items()), slices)
                            for rtc, some in reads.items()])

    def goals():
        return [goal for kind in READS for goal in rounds.goals(
            kind, f"{NAMES[kind]} reads, of stock's", GOALS[kind],
            'instructions')] + rounds.same_goals(READS)

    for number in bench.rounds('reads', *bench.pick((4, 4), (8, 12)), goals):
        rounds.measure(number)
    return Result(
        'reads', 'date and HPET reads from guest code, TCG',
        'A bare-metal guest reads; the host stamps the beginning of each '
        'slice of reads. CPU time is that of the whole emulator, translated '
        f'code and big lock included. {LINKS}',
        tables=[rounds.table(READS)], goals=goals(),
        plots=[rounds.plot('Reads a second of CPU time', READS,
                           GOALS.values())],
        header=HEADER, raw=rounds.raw())
