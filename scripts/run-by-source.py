#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run-by-source.py PROGRAM [--full]: run the conformance suite of host clocks.

Its tests on clocks that cannot be told what time it is mostly wait. So run one
process for each source, all at the same time, and make one TAP stream of what
they say. Without --full some sources run only what has to do with them.
"""

import re
import subprocess
import sys
import tempfile

POINT = re.compile(r'^(not ok|ok) \d+')
PLAN = re.compile(r'^1\.\.(\d+)')
PATH = re.compile(r'^(/\S*?host-clock/([^/\s]+))/(\S+)', re.M)

# They are like dynticks, but for a row of the table of the system's clocks; like no
# -clock; or like manual, beneath: of what the devices do those show enough.
LIKE_OTHERS = ('unix', 'boottime', 'raw', 'system', 'scaled')
# What the clock itself has a part in
OF_THE_CLOCK = re.compile(r'(host|rt|vm)/(power-on|run|stop|step|migrate|snapshot|load)/')


def sources(program, full):
    """{prefix of a source: its tests}"""
    listed = subprocess.run([program, '-l'], stdout=subprocess.PIPE, text=True, check=True)
    found = {}
    for path in PATH.finditer(listed.stdout):
        prefix, source, behaviour = path.groups()
        if full or source not in LIKE_OTHERS or OF_THE_CLOCK.match(behaviour):
            found.setdefault(prefix, []).append(path[0])
    return found


def start(program, prefix, tests):
    out = tempfile.TemporaryFile('w+')
    words = [word for test in tests for word in ('-p', test)]
    return prefix, out, subprocess.Popen([program, '--tap', '-k', *words], stdout=out)


def points(prefix, out, process):
    """The lines of one process; a point of its own if it did not finish."""
    process.wait()
    out.seek(0)
    planned, seen = None, 0
    for line in out:
        plan = PLAN.match(line)
        if plan:
            planned = int(plan[1])
        else:
            seen += bool(POINT.match(line))
            yield line.rstrip('\n')
    if planned != seen:
        yield (f'not ok 0 {prefix}: ended after {seen} tests with status '
               f'{process.returncode}')


def main(program, *options):
    number = failed = 0
    for run in [start(program, *source) for source
                in sources(program, '--full' in options).items()]:
        for line in points(*run):
            match = POINT.match(line)
            if match:
                number += 1
                failed += match[1] != 'ok'
                line = f'{match[1]} {number}{line[match.end():]}'
            print(line, flush=True)
    print(f'1..{number}')
    return failed > 0 or not number


sys.exit(main(*sys.argv[1:]))
