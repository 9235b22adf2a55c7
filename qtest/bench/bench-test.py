#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does ./run bench work?  Its quick form from end to end, and what it makes of
stamps whose lateness is known.  TAP output.

    bench-test.py [--qemu PATH] [--stock PATH]

Whether goals are met is not asked here: a busy machine would decide.
"""
import argparse
import csv
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.paths import ROOT, STOCK
from lib.tap import Tap
import periodic

BENCH = ROOT / 'qtest/bench/bench.py'
PARTS = ('reads', 'instructions', 'readings', 'periodic', 'idle', 'linux', 'step',
         'vms', 'accuracy')
# Under two minutes on an idle machine; this one may be anything.
QUICK_S = 900


def run(*args):
    return subprocess.run([sys.executable, str(BENCH), *map(str, args)],
                          text=True, capture_output=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=QUICK_S)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def rows(folder, part):
    with open(folder / f'bench-{part}.csv', encoding='ascii') as file:
        return list(csv.DictReader(file))


# -- the quick form

def test_exit(quick):
    done, _ = quick
    check(done.returncode == 0, f'exit status {done.returncode}: '
          f'{done.stderr[-2000:]}')
    check('too short to judge' in done.stdout, done.stdout[-500:])


def test_tables(quick):
    done, _ = quick
    for part in PARTS:
        check(re.search(rf'^== {part}: ', done.stdout, re.M),
              f'no table of {part}')
        check(re.search(r'^  not judged ', done.stdout, re.M), 'no goals')


def test_csv(quick):
    _, folder = quick
    for part in PARTS:
        found = rows(folder, part)
        check(found, f'{part}: no raw figures')
        check(all(None not in row.values() and '' not in row.values()
                  for row in found), f'{part}: empty cells')


def test_both(quick):
    """Stock and ours, each of them in each part that compares."""
    _, folder = quick
    for part in ('instructions', 'periodic', 'idle', 'linux', 'step', 'vms'):
        names = {row['clock'] for row in rows(folder, part)}
        # valgrind takes its time: only without -clock.
        check({'stock', '(none)'} <= names and
              len(names) == 3 - (part == 'instructions'), f'{part}: {names}')
    names = {(row['emulator'], row['cpus']) for row in rows(folder, 'reads')}
    check(names == {(who, n) for who in ('stock', 'ours') for n in '12'},
          f'reads: {names}')


def test_ratio(quick):
    """A ratio of the table is the median over the pairs of the CSV."""
    done, folder = quick
    rates = {who: [int(row['reads_per_cpu_s']) for row in rows(folder, 'reads')
                   if (row['clock'], row['cpus'], row['read'],
                       row['emulator']) == ('(none)', '1', 'hpet', who)]
             for who in ('stock', 'ours')}
    want = statistics.median(b / a for a, b in
                             zip(rates['stock'], rates['ours']))
    line = re.search(r'^  HPET counter +1 +host +\(none\).* (\d\.\d+) \(',
                     done.stdout, re.M)
    check(line and abs(float(line[1]) - want) < 0.001,
          f'{line and line[0]}: {want}')


def test_page(quick):
    _, folder = quick
    text = (folder / 'bench.html').read_text(encoding='utf-8')
    for part in PARTS:
        check(f'<section id="{part}">' in text, f'no section {part}')
    check(text.count('<svg') >= 10 and text.count('<svg') ==
          text.count('</svg>'), f'{text.count("<svg")} plots')
    check('http' not in text.replace('http://www.w3.org/', ''),
          'the page refers to another')


# -- the lab

def test_lab(_quick):
    """A source that this host may lack"""
    with tempfile.TemporaryDirectory() as folder:
        done = run('--quick', '--sources', 'hpet', '--report', folder,
                   'periodic')
        check(done.returncode == 0, done.stderr[-2000:])
        path, = Path(folder).glob('bench-periodic*.csv')
        names = {row['clock'] for row in rows(path.parent,
                                              path.stem.removeprefix('bench-'))}
        check({'stock', 'hpet'} <= names, f'{path.name}: {names}')
        text = (path.parent / 'bench.html').read_text(encoding='utf-8')
        check(('nested in the lab' in text) == path.stem.endswith('-lab'), text)


# -- stamps

def late(offsets, period=100, due=1000):
    """What assign() makes of interrupts so late, None for a lost one."""
    times = [due + at * period + some for at, each in enumerate(offsets)
             for some in (each if isinstance(each, list) else [each])
             if some is not None]
    result, lost, doubled = periodic.assign(times, due, period)
    return sorted(result), lost, doubled


def test_late(_quick):
    check(late([5, 7, 3, 9]) == ([3, 5, 7, 9], 0, 0), late([5, 7, 3, 9]))
    # The second is served after the third was due, and neither is lost.
    check(late([5, 110, 20, 5]) == ([5, 5, 20, 110], 0, 0),
          late([5, 110, 20, 5]))


def test_lost(_quick):
    check(late([5, None, 6, None, None, 7]) == ([5, 6, 7], 3, 0),
          late([5, None, 6, None, None, 7]))


def test_doubled(_quick):
    check(late([5, 5, [5, 6, 7], 5])[1:] == (0, 2),
          late([5, 5, [5, 6, 7], 5]))


def test_early(_quick):
    # The phase is known within a tenth of a period.
    check(late([5, -3, 6, 5]) == ([0, 5, 5, 6], 0, 0), late([5, -3, 6, 5]))


def test_phase(_quick):
    times = [1234 + n * 100 + (n * 37) % 60 for n in range(1000)]
    check(periodic.phase_ns(times, 100) == 34, periodic.phase_ns(times, 100))


# -- what it refuses

def test_bad_part(_quick):
    done = run('raeds')
    check(done.returncode == 2 and "no part 'raeds'" in done.stderr and
          'reads, instructions' in done.stderr, done.stderr)


def test_bad_source(_quick):
    done = run('--sources', 'none,sundial')
    check(done.returncode == 1 and '--sources sundial: no such source'
          in done.stderr, done.stderr)


def test_stock_as_ours(_quick):
    done = run('--qemu', STOCK)
    check(done.returncode == 1 and 'has no -clock' in done.stderr, done.stderr)


TESTS = {
    'late interrupts keep their deadlines': test_late,
    'lost interrupts are counted': test_lost,
    'doubled interrupts are counted': test_doubled,
    'a trifle early is not doubled': test_early,
    'the phase of the RTC is found': test_phase,
    'a part that does not exist is refused': test_bad_part,
    'a source that does not exist is refused': test_bad_source,
    'a stock emulator is not taken for ours': test_stock_as_ours,
    'a source that this host lacks is measured in the lab': test_lab,
    'bench --quick ends well': test_exit,
    'it prints a table for each part': test_tables,
    'it writes the raw figures of each part': test_csv,
    'it compares stock and ours': test_both,
    'a ratio is that of the raw figures': test_ratio,
    'the page has every part, with plots, and needs no other': test_page,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--qemu', type=Path)
    parser.add_argument('--stock', type=Path)
    args = parser.parse_args()
    paths = [word for name in ('qemu', 'stock') if getattr(args, name)
             for word in (f'--{name}', getattr(args, name))]
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        quick = run('--quick', '--report', folder, *paths), Path(folder)
        for name, test in TESTS.items():
            tap.attempt(name, test, quick)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
