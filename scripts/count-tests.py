#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""count-tests.py TESTLOG [AGAIN...]: how many tests each suite ran.
count-tests.py --failed TESTLOG: a line for each program in which something failed,
with tabs: its suite, its name, and the arguments that choose what failed.

Reads meson's testlog.json and counts TAP points, not programs. A program that
prints 'N passed, N failed' instead is believed, any other one counts as one
test. AGAIN are the logs of what failed and ran once more: what it says then counts,
and it is said that it had to. Ends with the totals; exit status 1 if anything failed
or nothing ran.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from itertools import takewhile
from pathlib import Path

POINT = re.compile(r'^( *)(not )?ok\b *\d* *-? *([^#]*)(?:# *(SKIP|TODO)\S* *(.*))?$', re.I)
PLAN = re.compile(r'^1\.\.(\d+)', re.M)
CLOSING = re.compile(r'^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)

# /host-clock/<source>/<setting>/<behaviour>
SETTINGS, RESULTS = ('host', 'rt', 'vm'), ('passed', 'failed', 'skipped')
CELL = re.compile(rf'/host-clock/([^/]+)/({"|".join(SETTINGS)})/')


def why(lines):
    """What a point failed for: of the comments after it, the last that names an error,
    as a traceback ends with it; or the first one."""
    said = [line.strip('# ') for line in takewhile(lambda line: line.startswith('#'), lines)]
    return next((line for line in reversed(said) if re.search(r'(Error|ERROR)\b|assertion', line)),
                ''.join(said[:1]))


def tap_points(text):
    """(result, name, reason) of each TAP point; parents of subtests left out."""
    depth = 0
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        match = POINT.match(line)
        if not match:
            continue
        indent, failed, name, directive, reason = match.groups()
        is_parent, depth = len(indent) < depth, len(indent)
        if is_parent:
            continue
        if directive and directive.upper() == 'SKIP':
            yield 'skipped', name.strip(), reason.strip()
        elif failed and not directive:
            yield 'failed', name.strip(), why(lines[number:])
        else:
            yield 'passed', name.strip(), ''


def is_complete(out):
    """Did it say as many points as it wanted to? With several -p, glib writes a plan
    after the tests of each."""
    plans = PLAN.findall(out)
    return bool(plans) and int(plans[-1]) == len(list(tap_points(out)))


def print_cells(cells):
    """What the conformance suite of host clocks ran, per source and setting."""
    if not cells:
        return
    print(f'\n{"host clock":12}' + ''.join(f'{"clock=" + setting:>22}' for setting in SETTINGS))
    for source in dict.fromkeys(source for source, _ in cells):
        print(f'{source:12}' + ''.join(
            f'{"/".join(str(cells[source, setting][r]) for r in RESULTS):>22}'
            for setting in SETTINGS))
    print(f'{"":12}({", ".join(RESULTS)})')


def count(entry):
    """Counter of one test program, and notes about what did not pass."""
    out, bad = entry.get('stdout') or '', entry['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL')
    program = entry['name'].split(' / ')[-1]
    # Of two plans meson says that they are an error.
    bad = bad and not (entry['returncode'] == 0 and is_complete(out))
    points = list(tap_points(out))
    total = Counter(result for result, _, _ in points)
    notes = [f'{result}: {program} {name}{": " if reason else ""}{reason}'
             for result, name, reason in points if result != 'passed']
    if not points:
        closing = CLOSING.findall(out)
        if closing:
            passed, failed, skipped = (int(n or 0) for n in closing[-1])
            total.update(passed=passed, failed=failed, skipped=skipped)
        elif entry['result'] == 'SKIP':
            total['skipped'] += 1
            notes.append(f'skipped: {program}: {out.strip().splitlines()[-1:] or "no reason given"}')
        elif not bad:
            total['passed'] += 1
    if bad and not total['failed']:
        # It crashed, timed out, or ran fewer tests than it had announced.
        total['failed'] += 1
        notes.append(f'failed: {program}: {entry["result"]}, exit status {entry["returncode"]}')
    return total, notes


def read_log(path):
    if not Path(path).exists():
        return
    for line in Path(path).read_text().splitlines():
        yield json.loads(line)


def suite_and_program(entry):
    suite, program = entry['name'].split(' / ')
    return suite.split(':')[-1], program


def named(entry, wanted):
    """Names of the points with this result."""
    return [name for result, name, _ in tap_points(entry.get('stdout') or '')
            if result == wanted]


def selection(entry):
    """Arguments that choose what failed; none: all of the program, as one that can
    choose nothing, or did not come to its end."""
    suite, program = suite_and_program(entry)
    out = entry.get('stdout') or ''
    failed = named(entry, 'failed')
    if not is_complete(out):
        return []
    if not program.endswith('.py') and all(name.startswith('/') for name in failed):
        return [word for name in failed for word in ('-p', name)]
    if program == 'lab-test.py':
        return ['--points', ','.join(name.replace(': ', ':', 1).replace(' ', '_')
                                     for name in failed)]
    if all(name.startswith('test_') for name in failed):
        return failed
    return []


def print_failed(path):
    for entry in read_log(path):
        if count(entry)[0]['failed']:
            print(*suite_and_program(entry), ' '.join(selection(entry)), sep='\t')


def count_both(entry, second):
    """count() of a test program of which something failed, and ran again."""
    (counts, notes), (later, said) = count(entry), count(second)
    program = suite_and_program(entry)[1]
    said = [note for note in said if note.startswith('failed')]
    if selection(entry):
        passed = named(second, 'passed')
        failed = max(sum(name not in passed for name in named(entry, 'failed')), later['failed'])
        counts['passed'] += counts['failed'] - failed
        counts['failed'] = failed
        if failed and not said:
            said = [f'failed: {program}: what failed did not run']
    else:
        counts = later
    return counts, [note.replace('failed:', 'failed at first:', 1) for note in notes] + [
        note.replace('failed:', 'failed again:', 1) for note in said] + (
        [] if counts['failed'] else [f'passed, when it ran by itself: {program}'])


def main(path, *again):
    suites, total, notes = defaultdict(Counter), Counter(), []
    cells = defaultdict(Counter)
    seconds = {suite_and_program(entry): entry for log in again for entry in read_log(log)}
    for entry in read_log(path):
        second = seconds.get(suite_and_program(entry))
        counts, said = count_both(entry, second) if second else count(entry)
        for result, name, _ in tap_points(entry.get('stdout') or ''):
            if cell := CELL.search(name):
                cells[cell.groups()][result] += 1
        suites[suite_and_program(entry)[0]] += counts
        total += counts
        notes += said
    print()
    print(*sorted(notes, reverse=True), sep='\n', end='\n\n' if notes else '')
    print(f'{"suite":12}{"tests":>8}{"passed":>8}{"failed":>8}{"skipped":>9}')
    for suite, counts in suites.items():
        print(f'{suite:12}{sum(counts.values()):8}{counts["passed"]:8}'
              f'{counts["failed"]:8}{counts["skipped"]:9}')
    print_cells(cells)
    if not total:
        total['failed'] = 1
        print('no test ran')
    print()
    skipped = f', {total["skipped"]} skipped' if total['skipped'] else ''
    print(f'{total["passed"]} passed, {total["failed"]} failed{skipped}')
    return total['failed'] > 0


if sys.argv[1] == '--failed':
    sys.exit(print_failed(sys.argv[2]))
sys.exit(main(*sys.argv[1:]))
