# SPDX-License-Identifier: GPL-2.0-or-later
"""What a part of the benchmark hands over, and how it looks on a terminal."""
import base64
import csv
import json
import zlib
from dataclasses import asdict, dataclass, field

# Results, packed, are text again on the lab's serial line; so much a line.
RESULT = '@ result '
WIDTH = 900


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
        for name, kind in (('tables', Table), ('goals', Goal), ('plots', Plot)):
            fields[name] = [kind(**each) for each in fields[name]]
        results.append(Result(**fields))
    return results
