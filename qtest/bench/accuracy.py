# SPDX-License-Identifier: GPL-2.0-or-later
"""Error and bound of the sampled sources over 10 minutes of simulated time:
what tests/bench/host-clock-accuracy prints."""
import csv
import subprocess
from collections import defaultdict, namedtuple

from common import fail
from page import COLOURS, OTHER
from results import Goal, Plot, Result, Table
from stats import exact

# glib's; the same run each time
SEED = 'R02S00000000000000000000000000000000'
SECONDS = 600
FROM_S = (0, 10, 60, 300)

Point = namedtuple('Point', 'second error_ns bound_ns')


def measure(bench):
    program = bench.program('host-clock-accuracy')
    run = subprocess.run([program, f'--seed={SEED}', str(SECONDS)], text=True,
                         capture_output=True, check=False, timeout=300)
    if run.returncode:
        fail(f'{program} failed: {run.stderr.strip()}')
    return [line for line in run.stdout.splitlines()
            if line and not line.startswith('#')]


def read_csv(lines):
    found = defaultdict(list)
    for row in csv.DictReader(lines):
        found[row['source']].append(Point(
            int(row['second']), int(row['error_ns']), int(row['bound_ns'])))
    return found


def table(found):
    rows = []
    for source, points in found.items():
        for since in FROM_S:
            late = [p for p in points if p.second >= since]
            rows.append([source, f'{since} s',
                         f'{max(abs(p.error_ns) for p in late) / 1000:.1f}',
                         f'{max(p.bound_ns for p in late) / 1000:.1f}'])
    return Table('us, the most from a time on',
                 ['source', 'from', 'error', 'bound'], rows, left=2)


def plot(source, points):
    data = {'$band': [f'{p.second} {-p.bound_ns / 1000} {p.bound_ns / 1000}'
                      for p in points],
            '$error': [f'{p.second} {p.error_ns / 1000}' for p in points]}
    # The first seconds, when nothing is known yet, would hide all others.
    top = max(p.bound_ns for p in points if p.second >= 30) / 1000 * 1.3
    script = (f'set xlabel "seconds"\nset ylabel "us"\n'
              f'set xrange [0:{points[-1].second}]\n'
              f'set yrange [{-top}:{top}]\n'
              f'plot $band using 1:2:3 with filledcurves lc rgb "#dbe7e9" '
              f'title "bound", $error using 1:2 with lines lw 1.6 '
              f'lc rgb "{COLOURS.get(source, OTHER)}" title "error"')
    return Plot(f'{source}: error within its bound', script, data, 300)


def run(bench):
    lines = measure(bench)
    found = read_csv(lines)
    result = Result(
        'accuracy', 'sampled sources over 10 minutes of simulated time',
        'The simulated host of the unit tests knows the true time. Its HPET '
        'is 150 ppm fast and its RTC 80 ppm slow; timers and interrupts come '
        'up to 2 ms late.')
    result.tables = [table(found)]
    outside = sum(abs(p.error_ns) > p.bound_ns
                  for points in found.values() for p in points)
    result.goals = [Goal('readings further off than their bound',
                         exact(outside), 0, digits=0)]
    result.plots = [plot(*item) for item in found.items()]
    rows = list(csv.reader(lines))
    result.header, result.raw = rows[0], rows[1:]
    return result
