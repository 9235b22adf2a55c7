#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""count-tests.py TESTLOG STATUS: how many tests each suite ran.
count-tests.py --failed-suites TESTLOG: in which of them something failed.

Reads meson's testlog.json and counts TAP points, not programs. A program that
prints 'N passed, N failed' instead is believed, any other one counts as one
test. Ends with the totals; exit status 1 if anything failed or nothing ran.
"""

import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

POINT = re.compile(r'^( *)(not )?ok\b *\d* *-? *([^#]*)(?:# *(SKIP|TODO)\S* *(.*))?$', re.I)
CLOSING = re.compile(r'^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)

# /host-clock/<source>/<setting>/<behaviour>
SETTINGS, RESULTS = ('host', 'rt', 'vm'), ('passed', 'failed', 'skipped')
CELL = re.compile(rf'/host-clock/([^/]+)/({"|".join(SETTINGS)})/')


def tap_points(text):
    """(result, name, reason) of each TAP point; parents of subtests left out."""
    depth = 0
    for line in text.splitlines():
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
            yield 'failed', name.strip(), ''
        else:
            yield 'passed', name.strip(), ''


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
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        yield json.loads(line)


def failed_suites(path):
    """The suites of a log in which something failed, for running them again."""
    failed = {}
    for entry in read_log(Path(path)):
        suite = entry['name'].split(' / ')[0].split(':')[-1]
        if count(entry)[0]['failed']:
            failed[suite] = True
    print(*failed)


def main(path, status):
    suites, total, notes = defaultdict(Counter), Counter(), []
    cells = defaultdict(Counter)
    for entry in read_log(Path(path)):
        counts, said = count(entry)
        for result, name, _ in tap_points(entry.get('stdout') or ''):
            if cell := CELL.search(name):
                cells[cell.groups()][result] += 1
        suite = entry['name'].split(' / ')[0].split(':')[-1]
        suites[suite] += counts
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
    return total['failed'] > 0 or status != '0'


if sys.argv[1] == '--failed-suites':
    sys.exit(failed_suites(sys.argv[2]))
sys.exit(main(*sys.argv[1:]))
