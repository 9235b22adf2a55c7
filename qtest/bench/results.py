# SPDX-License-Identifier: GPL-2.0-or-later
"""What a part of the benchmark hands over, and how it looks on a terminal."""
import csv
from dataclasses import dataclass, field


@dataclass
class Table:
    """Cells are text; the columns named in left are words, not figures."""
    title: str
    columns: list
    rows: list
    left: int = 1


@dataclass
class Goal:
    """met: True, False, or None where the run is too short to say."""
    text: str
    figure: str
    met: object


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


def at_most(text, figure, limit, digits=2, unit=''):
    return Goal(text, f'{figure:.{digits}f}{unit}', figure <= limit)


def at_least(text, figure, limit, digits=2, unit=''):
    return Goal(text, f'{figure:.{digits}f}{unit}', figure >= limit)


def verdict(goal):
    return {True: 'met', False: 'NOT MET', None: 'not judged'}[goal.met]


def print_table(table):
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines)
              for i in range(len(table.columns))]
    print(f'\n{table.title}')
    for number, line in enumerate(lines):
        cells = [cell.ljust(width) if i < table.left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        print(f'  {"  ".join(cells)}'.rstrip())
        if not number:
            print(f'  {"  ".join("-" * width for width in widths)}')


def print_result(result):
    print(f'\n== {result.part}: {result.title}')
    for table in result.tables:
        print_table(table)
    if result.goals:
        print()
    for goal in result.goals:
        print(f'  {verdict(goal):10}  {goal.text}: {goal.figure}')


def write_csv(path, result):
    with open(path, 'w', newline='', encoding='ascii') as file:
        out = csv.writer(file)
        out.writerow(result.header)
        out.writerows(result.raw)
