#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Does ./run bench work, and are the goals met?  Its quick form from end to end,
what it makes of stamps whose lateness is known, and of figures whose intervals are.
TAP output.

    bench-test.py [--qemu PATH] [--stock PATH]

A goal that the quick form cannot decide is not missed.
"""
import argparse
import csv
import math
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.paths import ROOT, STOCK
from lib.tap import Tap
import links
import stamps
import stats
from results import Goal, worst

BENCH = ROOT / 'qtest/bench/bench.py'
PARTS = ('reads', 'vcpus', 'instructions', 'readings', 'periodic', 'idle', 'linux',
         'step', 'vms', 'accuracy')
# Under three minutes on an idle machine; this one may be anything.
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
    missed = [line for line in done.stdout.splitlines() if ' MISSED ' in line]
    check(done.returncode == 0 and not missed, f'exit status {done.returncode}: '
          f'{done.stderr[-2000:]}\n' + '\n'.join(missed))


def test_tables(quick):
    done, _ = quick
    for part in PARTS:
        check(re.search(rf'^== {part}: ', done.stdout, re.M),
              f'no table of {part}')
    for verdict in (' met ', '≥ 1.250 x', 'stock against stock'):
        check(verdict in done.stdout, f'no goal has {verdict!r}')


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
    for part in ('reads', 'vcpus', 'instructions', 'periodic', 'idle', 'linux',
                 'step', 'vms'):
        names = {row['clock'] for row in rows(folder, part)}
        # valgrind takes its time: only without -clock.
        wanted = {'instructions': {'stock', '(none)'},
                  'linux': {'stock', '(none)', 'dynticks'}}.get(
                      part, {'stock', '(none)', 'system', 'dynticks'})
        if part == 'vms':       # of a clock, and without
            wanted = {'(none) again', 'system', 'dynticks'}
        check(wanted <= names, f'{part}: {names}')
    for part in ('reads', 'vcpus', 'periodic', 'idle', 'linux'):
        names = {row['clock'] for row in rows(folder, part)}
        check('stock again' in names, f'{part}: {names}')


def test_ratio(quick):
    """A ratio of the table is the median over the rounds of the CSV."""
    done, folder = quick
    rates = {}
    for row in rows(folder, 'reads'):
        if row['read'] == 'hpet':
            rates[row['clock'], row['round'], row['slice']] = \
                int(row['reads_per_cpu_s'])
    rounds = {number for _, number, _ in rates}

    def ratios(number):
        for piece in {piece for _, each, piece in rates if each == number}:
            ours, *stocks = (rates.get((clock, number, piece))
                             for clock in ('(none)', 'stock', 'stock again'))
            if ours and all(stocks):
                yield ours / statistics.mean(stocks)
    want = statistics.median(statistics.median(ratios(each)) for each in rounds)
    line = re.search(r'^  HPET counter +host +1 +\(none\) +\d+ +\d+ +(\d\.\d+) ',
                     done.stdout, re.M)
    check(line and abs(float(line[1]) - want) < 0.001,
          f'{line and line[0]}: {want}')


def test_page(quick):
    _, folder = quick
    text = (folder / 'bench.html').read_text(encoding='utf-8')
    for part in PARTS:
        check(f'<section id="{part}">' in text, f'no section {part}')
    check('<section id=goals>' in text, 'no table of goals')
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
        # Goals are for a machine that is not emulated.
        check(done.returncode == 0 or ' MISSED ' in done.stdout,
              done.stderr[-2000:])
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
    run = stamps.assign(times, due, period)
    return run.lateness_us, run.lost, run.doubled


def test_late(_quick):
    check(late([5, 7, 3, 9]) == ([3, 5, 7, 9], 0, 0), late([5, 7, 3, 9]))
    # The second is served after the third was due, and neither is lost.
    check(late([5, 110, 20, 5]) == ([5, 5, 20, 110], 0, 0),
          late([5, 110, 20, 5]))


def test_burst(_quick):
    # After a pause three are served at once, and none of them is a second one.
    offsets = [5, None, None, [10, 20, 30], 6]
    check(late(offsets) == ([5, 6, 30, 120, 210], 0, 0), late(offsets))
    # So are the first two, if the run began long enough before.
    early = stamps.assign([1110, 1120, 1205], 1000, 100, begin=950)
    check((early.lateness_us, early.doubled) == ([5, 20, 110], 0), early)
    check(stamps.assign([1010, 1020, 1105], 1000, 100).doubled == 1, 'not doubled')
    # Later by more than a period from one to the next, as the first was late, too.
    early = stamps.assign([1132, 1247, 1250, *range(1360, 3000, 100)], 1000, 100)
    check((early.lateness_us[-2:], early.doubled) == ([132, 147], 0), early)
    # Two are late by more than a period, the second by more than the first.
    some = late([5, 112, 118, 20, 5, 5])
    check(some == ([5, 5, 5, 20, 112, 118], 0, 0), some)
    # As one is soon after its deadline, it was late, and so may those after it be.
    some = late([60, 60, None, 40, [65, 70], 60, 60, 60])
    check(some == ([60] * 5 + [70, 140, 165], 0, 0), some)
    # A deadline that was lost long before makes no room for a second one.
    offsets = [5, None, 5, 5, [5, 6], 5]
    check(late(offsets)[1:] == (1, 1), late(offsets))


def test_lost(_quick):
    # Of two in a row the guest could have taken one.
    offsets = [5, None, 6, None, None, 7]
    check(late(offsets) == ([5, 6, 7], 2, 0), late(offsets))
    due = stamps.assign([1005, 1206, 1507], 1000, 100).due
    check(due == 5, f'{due} due')


def test_doubled(_quick):
    check(late([5, 5, [5, 6, 7], 5])[1:] == (0, 2),
          late([5, 5, [5, 6, 7], 5]))


def test_early(_quick):
    # The phase is known within a tenth of a period.
    check(late([5, -3, 6, 5]) == ([0, 5, 5, 6], 0, 0), late([5, -3, 6, 5]))


def test_soon_after_late(_quick):
    # Most are late by 30, and one after a late one by 5: it is not a second one.
    late_by = [30 + n * 7 % 20 if n % 50 != 21 else 5 for n in range(500)]
    late_by[20::50] = [80] * 10
    times = [n * 100 + some for n, some in enumerate(late_by)]
    run = stamps.judge_rtc(times, 100)
    check((run.lost, run.doubled) == (0, 0), run[1:])
    # Second ones are found whatever the phase.
    twice = sorted(times + [when + 15 for when in times[3::50]])
    check(stamps.judge_rtc(twice, 100).doubled == 10, 'not doubled')


def test_phase(_quick):
    times = [1234 + n * 100 + (n * 37) % 60 for n in range(1000)]
    check(stamps.phase_ns(times, 100) == 34, stamps.phase_ns(times, 100))


# -- intervals

def covered(true_ratio, runs, seed):
    """Whether the interval has the truth, when links differ by 20 %."""
    rng = random.Random(seed)
    return stats.contains(stats.bootstrap(
        [true_ratio * math.exp(rng.gauss(0, 0.2)) for _ in range(runs)]),
        true_ratio)


def test_interval(_quick):
    """95 % of intervals have the truth: 285 of 300, give or take 4."""
    hits = sum(covered(0.9, 8, seed) for seed in range(300))
    check(279 <= hits <= 293, f'{hits} of 300 intervals have the truth')


def test_percentile(_quick):
    """Pooled percentiles are those of all values; the ratio is the one put in."""
    rng = random.Random(4)
    lists = [sorted(rng.expovariate(1) for _ in range(500)) for _ in range(8)]
    for percent in (50, 99, 99.9):
        got = stats.pooled_percentile(
            lists, stats.pooled_candidates(lists, percent), percent)
        want = stats.percentile(sorted(sum(lists, [])), percent)
        check(got == want, f'p{percent}: {got}, not {want}')
    pairs = [(some, [1.5 * value for value in some]) for some in lists]
    drawn = stats.draw_percentile_ratio(pairs, 99, paired=True)
    check(abs(drawn.value - 1.5) < 1e-9 and drawn.figures[-1] < 1.5001, drawn.value)
    # Guests that are no pairs differ.
    drawn = stats.draw_percentile_ratio(pairs, 99, paired=False)
    check(drawn.figures[0] < 1.45 and drawn.figures[-1] > 1.55, drawn.figures)


def goal(low, high, limit=1.0, **more):
    return Goal('', stats.Interval((low + high) / 2, low, high), limit, **more)


def test_verdict(_quick):
    for some, want in ((goal(0.8, 0.9), True), (goal(0.9, 1.1), None),
                       (goal(1.1, 1.2), False), (goal(1.0, 1.0), True),
                       (goal(1.1, 1.2, least=True), True),
                       (goal(0.8, 0.9, least=True), False),
                       (goal(0.9, 1.1, same=True), True),
                       (goal(1.1, 1.2, same=True), False)):
        check(some.met is want, f'{some}: {some.met}')
    for some, want in ((goal(1.1, 1.2), True), (goal(1.1, 1.1), True),
                       (goal(1.01, 1.2), False), (goal(0.9, 1.1), False),
                       (goal(1.1, 1.2, cause='known'), False),
                       (goal(1.1, 1.2, same=True), True)):
        check(some.failed is want, f'{some}: {some.failed}')
    for some, want in ((goal(0.9, 1.2, 1.1, of_stock=True), 'as stock'),
                       (goal(1.05, 1.3, 1.1, of_stock=True), 'not decided'),
                       (goal(0.9, 1.2, 1.1), 'not decided'),
                       (goal(1.05, 1.2, 1.1), 'at its limit'),
                       (goal(0.9, 1.3, 1.1, other='vms'), 'see vms'),
                       (goal(0.9, 1.3, 1.2, of_stock=True, least=True),
                        'not decided'),
                       (goal(1.2, 1.3, 1.1, of_stock=True), 'MISSED')):
        check(some.verdict == want, f'{some}: {some.verdict}')
    three = [goal(0.8, 0.9), goal(1.1, 1.2), goal(0.9, 1.3)]
    check(worst(three) is three[1], worst(three))
    check(worst(three[::2]) is three[2], worst(three[::2]))


def symbols(path):
    """Names of functions, in the order of their addresses"""
    lines = subprocess.run(['nm', '-D', '--defined-only', '-n', path], text=True,
                           capture_output=True, check=True).stdout.splitlines()
    return [line.split()[2] for line in lines if line.split()[1] in 'tT']


def test_links(_quick):
    """Two seeds: the same functions, elsewhere; one seed, the same again."""
    one, other = (symbols(links.link(STOCK, seed)) for seed in (0, 1))
    check(one != other and sorted(one) == sorted(other),
          f'{len(one)} and {len(other)} functions')
    words = [f'{n}.o' for n in range(9)] + ['-o', 'x', 'lib.a']
    three, again, four = (links.shuffled(words, random.Random(seed))
                          for seed in (3, 3, 4))
    check(three == again != four and sorted(three) == sorted(words) and
          three[9:] == words[9:], three)


# -- what it refuses

def test_bad_part(_quick):
    done = run('raeds')
    check(done.returncode == 2 and "no part 'raeds'" in done.stderr and
          'reads, vcpus' in done.stderr, done.stderr)
    done = run('exits', '--quick')
    check(done.returncode == 2 and '--quick leaves out' in done.stderr, done.stderr)


def test_bad_source(_quick):
    done = run('--sources', 'none,sundial')
    check(done.returncode == 1 and '--sources sundial: no such source'
          in done.stderr, done.stderr)


def test_stock_as_ours(_quick):
    done = run('--qemu', STOCK)
    check(done.returncode == 1 and 'has no -clock' in done.stderr, done.stderr)


TESTS = {
    'an interval has the truth': test_interval,
    'a percentile is that of all values': test_percentile,
    'a goal is met, missed or not decided': test_verdict,
    'links differ by their order alone': test_links,
    'late interrupts keep their deadlines': test_late,
    'interrupts after a pause keep their deadlines': test_burst,
    'lost interrupts are counted': test_lost,
    'doubled interrupts are counted': test_doubled,
    'a trifle early is not doubled': test_early,
    'one soon after a late one is not doubled': test_soon_after_late,
    'the phase of the RTC is found': test_phase,
    'a part that does not exist is refused': test_bad_part,
    'a source that does not exist is refused': test_bad_source,
    'a stock emulator is not taken for ours': test_stock_as_ours,
    'a source that this host lacks is measured in the lab': test_lab,
    'bench --quick misses no goal': test_exit,
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
