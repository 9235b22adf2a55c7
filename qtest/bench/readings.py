# SPDX-License-Identifier: GPL-2.0-or-later
"""One reading of each source, in ns, beside one clock_gettime() of the same
kind: what tests/bench/host-clock-bench measures."""
import csv
import subprocess
from collections import defaultdict
import statistics

from common import fail, spread
from page import bars
from results import Result, Table, at_most

GOAL = 1.5
# Both parts at one instant are two clocks or three, not one.
NO_GOAL = ('both',)


def read_csv(text):
    """{(source, reading, clock): [(reading ns, clock_gettime ns)]}"""
    found = defaultdict(list)
    for row in csv.DictReader(text.splitlines()):
        found[row['source'], row['reading'], row['clock']].append(
            (float(row['reading_ns']), float(row['clock_gettime_ns'])))
    return found


def measure(bench):
    program = bench.program('host-clock-bench')
    run = subprocess.run([program, str(bench.pick(20, 400))], text=True,
                         capture_output=True, check=False, timeout=300)
    if run.returncode:
        fail(f'{program} failed: {run.stderr.strip()}')
    return run.stdout


def ratio(pairs):
    return [reading / gettime for reading, gettime in pairs]


def row(key, pairs):
    readings, gettimes = zip(*pairs)
    return [*key, spread(readings, 1), spread(gettimes, 1),
            spread(ratio(pairs))]


def plot(found):
    names = list(dict.fromkeys(source for source, _, _ in found))
    kinds = ['mono', 'wall']
    values = [[next((ratio(pairs) for (name, reading, _), pairs
                     in found.items() if (name, reading) == (source, kind)),
                    None) for kind in kinds] for source in names]
    return bars('One reading / one clock_gettime()', 'ratio',
                ['monotonic time', 'wall time'],
                names, values, line=GOAL)


def run(bench):
    text = measure(bench)
    found = read_csv(text)
    result = Result(
        'readings', 'one reading of each source beside one clock_gettime()',
        'The sources and core of the emulator in a small program, on the '
        'clocks of this host. hpet and rtc have made-up devices: what is timed '
        'is the interpolation, which is all that a reading costs. Batches of '
        '2000 take turns, in CPU time of the thread. "both" is two or three '
        'clocks at one instant, and has no goal.')
    result.tables = [Table('ns: median (quartiles)',
                           ['source', 'reading', 'clock_gettime of', 'reading',
                            'clock_gettime', 'ratio'],
                           [row(*item) for item in found.items()], left=3)]
    worst, key = max((statistics.median(ratio(pairs)), key)
                     for key, pairs in found.items() if key[1] not in NO_GOAL)
    result.goals = [at_most(f'one reading at most {GOAL} x one clock_gettime '
                            f'(the most: {key[0]}, {key[1]})', worst, GOAL)]
    result.plots = [plot(found)]
    lines = list(csv.reader(text.splitlines()))
    result.header, result.raw = lines[0], lines[1:]
    return result
