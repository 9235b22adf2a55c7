# SPDX-License-Identifier: GPL-2.0-or-later
"""One reading of each source, in ns, beside one clock_gettime() of the same
kind: what tests/bench/host-clock-bench measures."""
import csv
import statistics
import subprocess
from collections import defaultdict

import links
from common import fail
from page import intervals
from results import Goal, Result, Table, worst
from stats import bootstrap

SAMPLED = ('hpet', 'rtc', 'ptp')
KERNEL_GOAL, SAMPLED_GOAL = 1.3, 1.5
# Both parts at one instant are two clocks or three, not one.
NO_GOAL = ('both',)


def read_csv(text):
    """{(source, reading, clock): [(reading ns, clock_gettime ns)]}"""
    found = defaultdict(list)
    for row in csv.DictReader(text.splitlines()):
        found[row['source'], row['reading'], row['clock']].append(
            (float(row['reading_ns']), float(row['clock_gettime_ns'])))
    return found


def measure(bench, seed):
    """What it prints, linked in this order"""
    program = links.link(bench.program('host-clock-bench'), seed)
    run = subprocess.run([program, str(bench.pick(20, 100))], text=True,
                         capture_output=True, check=False, timeout=300)
    if run.returncode:
        fail(f'{program} failed: {run.stderr.strip()}')
    return run.stdout


def row(key, rounds):
    readings, gettimes = zip(*(pair for found in rounds for pair in found[key]))
    value, low, high = ratio(key, rounds)
    return [*key, f'{statistics.median(readings):.1f}',
            f'{statistics.median(gettimes):.1f}', f'{value:.2f}',
            f'{low:.2f} to {high:.2f}']


def ratio(key, rounds, of=1):
    """The Interval of the median over links"""
    return bootstrap([statistics.median(reading / gettime for reading, gettime
                                        in found[key]) for found in rounds], of)


def goal(text, limit, keys, rounds):
    return worst([Goal(
        f'one reading of a {text} clock, of one clock_gettime()',
        ratio(key, rounds, len(keys)), limit, unit=' x',
        worst=f'{key[0]}, {key[1]}') for key in keys])


def goals(rounds):
    keys = [key for key in rounds[0] if key[1] not in NO_GOAL]
    return [goal('kernel', KERNEL_GOAL, [key for key in keys
                                         if key[0] not in SAMPLED], rounds),
            goal('sampled', SAMPLED_GOAL, [key for key in keys
                                           if key[0] in SAMPLED], rounds)]


def run(bench):
    texts, rounds = [], []

    for number in bench.rounds('readings', *bench.pick((4, 4), (8, 16)),
                               lambda: goals(rounds)):
        texts.append(measure(bench, number))
        rounds.append(read_csv(texts[-1]))
    lines = [list(csv.reader(text.splitlines())) for text in texts]
    return Result(
        'readings', 'one reading of each clock beside one clock_gettime()',
        'The clocks and core of the emulator in a small program, on the '
        'clocks of this host. hpet and rtc have made-up devices: what is timed '
        'is the interpolation, which is all that a reading costs. Batches of '
        '2000 take turns, in CPU time of the thread; each round takes another '
        'link. "both" is two or three clocks at one instant, and has no goal.',
        tables=[Table('ns; ratio: median over links',
                      ['clock', 'reading', 'clock_gettime of', 'reading',
                       'clock_gettime', 'ratio', '95 % interval'],
                      [row(key, rounds) for key in rounds[0]], left=3)],
        goals=goals(rounds),
        plots=[intervals('One reading / one clock_gettime()', 'ratio', [
            (f'{what} time', name, ratio((name, what, clock), rounds))
            for name, what, clock in rounds[0] if what not in NO_GOAL],
            [KERNEL_GOAL, SAMPLED_GOAL])],
        header=('round', *lines[0][0]),
        raw=[(number + 1, *line) for number, some in enumerate(lines)
             for line in some[1:]])
