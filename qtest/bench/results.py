# SPDX-License-Identifier: GPL-2.0-or-later
"""What a part of the benchmark hands over, and how it looks on a terminal."""
import base64
import csv
import json
import zlib
from dataclasses import asdict, dataclass, field

from stats import Interval, verdict

# Results, packed, are text again on the lab's serial line; so much a line.
RESULT = '@ result '
WIDTH = 900
NOT_DECIDED = 'not decided'
# An interval that contains the limit, and nothing further from it, is at it.
NEAR = 0.1
GOAL_COLUMNS = ['goal', 'limit', 'figure', '95 % interval', 'is', 'the worst']


@dataclass
class Table:
    """Cells are text; the columns named in left are words, not figures."""
    title: str
    columns: list
    rows: list
    left: int = 1


@dataclass
class Goal:
    """What has to be at least (or at most) limit; worst: where it was the least.

    same: nothing is better or worse, the interval has to contain the limit.
    of_stock: the figure is a ratio to stock's, which may be all that can be said.
    cause: why it is missed, if that is known; docs/reviewers.rst says how.
    other: the part that decides it, if this one does not.
    """
    text: str
    interval: Interval
    limit: float
    least: bool = False
    digits: int = 2
    unit: str = ''
    worst: str = ''
    same: bool = False
    of_stock: bool = False
    cause: str = ''
    other: str = ''

    @property
    def met(self):
        """True, False, or None while the interval contains the limit."""
        if self.same:
            return self.interval.low <= self.limit <= self.interval.high
        return verdict(self.interval, self.limit, self.least)

    @property
    def failed(self):
        """Missed by more than its interval, and it is not known why"""
        value, low, high = self.interval
        return (self.met is False and not self.cause
                and abs(value - self.limit) > high - low)

    @property
    def undecided(self):
        """In words, while the interval contains the limit"""
        _, low, high = self.interval
        stock_meets = self.limit <= 1 if self.least else self.limit >= 1
        if self.of_stock and stock_meets and low <= 1 <= high:
            return 'as stock'
        if max(high - self.limit, self.limit - low) <= NEAR * self.limit:
            return 'at its limit'
        return f'see {self.other}' if self.other else NOT_DECIDED

    @property
    def open(self):
        """More rounds are to decide it."""
        return self.met is None and self.undecided == NOT_DECIDED

    @property
    def verdict(self):
        """In words"""
        return {True: 'met', False: 'MISSED' if self.failed else 'missed',
                None: self.undecided}[self.met]

    def number(self, value):
        return f'{value:.{self.digits}f}{self.unit}'

    def cells(self):
        """As in GOAL_COLUMNS"""
        value, low, high = self.interval
        sign = '=' if self.same else '≥' if self.least else '≤'
        return [self.text, f'{sign} {self.number(self.limit)}',
                self.number(value),
                '' if low == high else
                f'{low:.{self.digits}f} to {high:.{self.digits}f}',
                self.verdict,
                f'{self.worst}: {self.cause}' if self.met is False and self.cause
                else self.worst]


@dataclass
class Plot:
    """A gnuplot script, and the data blocks that it names: {name: lines}."""
    title: str
    script: str
    data: dict
    height: int = 360


@dataclass
class Result:
    """about: what was measured, and how, in a few sentences."""
    part: str
    title: str
    about: str
    tables: list = field(default_factory=list)
    goals: list = field(default_factory=list)
    plots: list = field(default_factory=list)
    header: tuple = ()
    raw: list = field(default_factory=list)


def worst(goals):
    """Of the same goal under several clocks: one that is missed before one
    that is not decided; of those the one that is furthest off."""
    rank = {False: 0, None: 1, True: 2}

    def key(goal):
        value, limit = goal.interval.value, goal.limit
        off = abs(value - limit) * -1 if goal.same else value - limit
        return rank[goal.met], off if goal.least or goal.same else -off
    return min(goals, key=key)


def tally(goals):
    """In words"""
    said = [goal.verdict.lower() for goal in goals]
    return (f'{said.count("met")} goals met, {said.count("as stock")} not told apart '
            f'from stock, {said.count("at its limit")} at their limit, '
            f'{said.count("missed")} missed, '
            f'{sum(one.startswith("see ") for one in said)} for another part to decide, '
            f'{said.count("not decided")} not decided')


def print_table(table):
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(table.columns))]
    if table.title:
        print(f'\n{table.title}')
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) if i < table.left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print(f'  {"  ".join(cells)}'.rstrip())
        if not number:
            print(f'  {"  ".join("-" * width for width in widths)}')


def goals_table(goals):
    return Table('', GOAL_COLUMNS, [goal.cells() for goal in goals])


def goals_rst(goals, facts):
    """For docs/: a paragraph of facts and a table"""
    lines = [GOAL_COLUMNS, *(goal.cells() for goal in goals)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    rule = '  '.join('=' * width for width in widths)
    rows = ['  '.join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
            for line in lines]
    words = '; '.join(f'{what}: {text}' for what, text in facts)
    return '\n'.join(['.. SPDX-License-Identifier: GPL-2.0-or-later', '',
                      f'{words}.', '', rule, rows[0], rule, *rows[1:], rule, ''])


def print_result(result):
    print(f'\n== {result.part}: {result.title}')
    for table in result.tables:
        print_table(table)
    if result.goals:
        print()
        print_table(goals_table(result.goals))


def write_csv(path, result):
    with open(path, 'w', newline='', encoding='ascii') as file:
        out = csv.writer(file)
        out.writerow(result.header)
        out.writerows(result.raw)


def say_packed(results):
    """For whoever reads the lab's lines: each begins with RESULT."""
    text = json.dumps([asdict(result) for result in results]).encode()
    packed = base64.b64encode(zlib.compress(text)).decode()
    for at in range(0, len(packed), WIDTH):
        print(RESULT + packed[at:at + WIDTH], flush=True)


def from_text(packed):
    """[Result], as they were handed to say_packed()"""
    results = []
    for fields in json.loads(zlib.decompress(base64.b64decode(packed))):
        for goal in fields['goals']:
            goal['interval'] = Interval(*goal['interval'])
        for name, kind in (('tables', Table), ('goals', Goal), ('plots', Plot)):
            fields[name] = [kind(**each) for each in fields[name]]
        results.append(Result(**fields))
    return results
