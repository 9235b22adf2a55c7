#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run-by-source.py PROGRAM: run the conformance suite of host clocks.

Its tests on clocks that cannot be told what time it is mostly wait. So run one
process for each source, all at the same time, and make one TAP stream of what
they say.
"""

import re
import subprocess
import sys
import tempfile

POINT = re.compile(r'^(not ok|ok) \d+')
PLAN = re.compile(r'^1\.\.(\d+)')


def sources(program):
    """The sources in the paths of PROGRAM's tests, in order, and the prefix."""
    listed = subprocess.run([program, '-l'], stdout=subprocess.PIPE, text=True, check=True)
    paths = re.findall(r'^(/\S*?host-clock)/([^/\s]+)/', listed.stdout, re.M)
    return list(dict.fromkeys(f'{prefix}/{source}' for prefix, source in paths))


def start(program, prefix):
    out = tempfile.TemporaryFile('w+')
    return prefix, out, subprocess.Popen([program, '--tap', '-k', '-r', prefix], stdout=out)


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


def main(program):
    number = failed = 0
    for run in [start(program, prefix) for prefix in sources(program)]:
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
