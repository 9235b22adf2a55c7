#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator for a host that does not tell when its clock is set.

    stub-test.py [--full]

It is this host's emulator, linked with the stub in place of the watch, as on
systems without timerfd. The tests of the clocks that such a host has run on it:
those that can be stepped, with clock=host, which is what the watch is for, or with
--full manual, too, and every setting.
Prints TAP.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from lib.paths import EMULATOR, OBJ, ROOT
from lib.tap import Tap

STUB = f'no-watch/{EMULATOR}'
WATCH = 'host-clock-os-watch'
SOURCES = 'system', 'dynticks', 'unix'


def tests(full):
    """(program, path of its tests), each of which runs by itself."""
    yield from ((f'host-clock-{name}-test', '/x86_64') for name in ('manual', 'options'))
    for source in SOURCES + ('manual',) * full:
        yield 'host-clock-test', f'/x86_64/host-clock/{source}' + ('' if full else '/host')


def commands():
    """{output: command} of all that ninja would run."""
    listed = subprocess.run(['ninja', '-C', OBJ, '-t', 'compdb', '-x'], stdout=subprocess.PIPE,
                            check=True, text=True).stdout
    return {entry['output']: entry['command']
            for entry in json.loads(listed[listed.index('['):])}


def run(command):
    subprocess.run(shlex.split(command), cwd=OBJ, check=True)


def build():
    found = commands()
    watch = next(word for word in shlex.split(found[EMULATOR])
                 if word.endswith(f'{WATCH}.c.o'))
    stub = watch.replace(WATCH, WATCH + '-stub')
    (OBJ / STUB).parent.mkdir(exist_ok=True)
    if not (OBJ / STUB).with_name('qemu-bundle').exists():
        (OBJ / STUB).with_name('qemu-bundle').symlink_to('../qemu-bundle')
    run(found[watch].replace(WATCH, WATCH + '-stub'))
    run(found[EMULATOR].replace(watch, stub).replace(f'-o {EMULATOR} ', f'-o {STUB} '))


def points(test):
    """[(line, error)] of the tests of one program below one path."""
    name, prefix = test
    done = subprocess.run([ROOT / 'scripts' / 'run-in-qemu.sh', f'tests/qtest/{name}', '-r', prefix],
                          env={**os.environ, 'HOST_CLOCK_EMULATOR': f'./{STUB}'},
                          stdout=subprocess.PIPE, text=True, check=False)
    found = re.findall(r'^(ok|not ok) \d+ (.*)$', done.stdout, re.M)
    result = [(text, word != 'ok' and 'see above') for word, text in found]
    plan = re.search(r'^1\.\.(\d+)', done.stdout, re.M)
    if not plan or int(plan[1]) != len(found):
        result.append((f'{name} {prefix}', f'ended with status {done.returncode}'))
    return result


def has_no_watch():
    """Is the stub what was linked? Its emulator has no timerfd for the watch."""
    symbols = subprocess.run(['nm', '-u', OBJ / STUB], stdout=subprocess.PIPE, text=True, check=True)
    both = subprocess.run(['nm', '-u', OBJ / EMULATOR], stdout=subprocess.PIPE, text=True, check=True)
    return 'timerfd_settime' in both.stdout and 'timerfd_settime' not in symbols.stdout


def main():
    tap = Tap()
    build()
    tap.point('the emulator has the stub', None if has_no_watch() else 'it watches the clock')
    # They mostly wait, so all at a time.
    todo = list(tests(sys.argv[1:] == ['--full']))
    with ThreadPoolExecutor(len(todo)) as pool:
        for result in pool.map(points, todo):
            tap.points(result)
    return tap.end()


sys.exit(main())
