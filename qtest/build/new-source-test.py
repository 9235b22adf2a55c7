#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host clock that is added as 'Writing a host clock' says; TAP output.

    new-source-test.py [--full]

The page's code blocks name their files. They are applied to a copy of the staged
tree, in build/new-source, which is built; then the unit tests run, and some parts
of the conformance suite on the new source, or with --full all of them.
"""

import argparse
import os
import re
import subprocess
import sys
import textwrap
from collections import namedtuple

from lib.paths import BUILD, EMULATOR, ROOT, SRC
from lib.sources import list_sources
from lib.tap import Tap
import tree

PAGE = ROOT / 'hw-rtc/writing-host-clocks.rst'
NAME = 'stopwatch'
KIND = 'new-source'
COPY, OBJ = BUILD / KIND / 'src', BUILD / KIND / 'obj'
MOST_FILES, MOST_NEW = 8, 3
UNIT = ['tests/unit/test-host-clock' + part
        for part in ('', '-choice', '-rate', '-step', '-view', f'-{NAME}')]
CONFORMANCE = 'tests/qtest/host-clock-test'
# What takes least: the RTC and the HPET while the VM runs, stops and is reset
QUICK = [f'/x86_64/host-clock/{NAME}/{setting}/{part}'
         for setting in ('host', 'rt', 'vm') for part in ('run', 'stop', 'reset')]
# With nothing in the compiler's cache it takes several minutes.
BUILD_S, TEST_S = 1000, 900

Block = namedtuple('Block', 'language path text')


def blocks():
    """The blocks of the page that name a file."""
    pattern = r'^\.\. code-block:: (\w+)\n   :caption: (\S+)\n\n((?:   .*\n|\n)+)'
    return [Block(language, path, textwrap.dedent(text.rstrip() + '\n'))
            for language, path, text in re.findall(pattern, PAGE.read_text(), re.M)]


def write(path, text):
    """Leave a file alone that has this text, so that it is not compiled again."""
    file = COPY / path
    if not file.exists() or file.read_text() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def copy_tree(changed):
    """The staged tree as it is, with its linked files, but for the changed ones."""
    if not (COPY / '.git').is_dir():
        tree.clone(SRC, COPY, 'HEAD', '--local')
    tree.git(COPY, 'fetch', '-q', SRC, 'HEAD')
    if tree.git(COPY, 'rev-parse', 'HEAD') != tree.git(COPY, 'rev-parse', 'FETCH_HEAD'):
        tree.git(COPY, 'reset', '-q', '--hard', 'FETCH_HEAD')
    links = tree.tree_map()
    for path in set(tree.git(COPY, 'diff', '--name-only').splitlines()) - changed:
        tree.git(COPY, 'checkout', '-q', '--', path)
    for path in set(tree.git(COPY, 'ls-files', '-o').splitlines()) - changed - set(links):
        (COPY / path).unlink()
    for path in set(links) - changed:
        write(path, links[path].read_text())


def apply(block):
    """A new file, or a change whose old lines are there once."""
    file = SRC / block.path
    if block.language != 'diff':
        write(block.path, block.text)
        return f'{block.path} is there already' if file.exists() else None
    lines = block.text.splitlines(True)
    old, new = (''.join(line[1:] for line in lines if line[0] in ' ' + sign) for sign in '-+')
    text = file.read_text()
    write(block.path, text.replace(old, new))
    if text.count(old) != 1:
        return f'{block.path} has these lines {text.count(old)} times:\n{old}'
    return None


def check_size(found):
    new = {block.path for block in found if block.language != 'diff'}
    files = {block.path for block in found}
    if not files or len(files) > MOST_FILES or len(new) > MOST_NEW:
        return f'{len(files)} files, {len(new)} of them new: {" ".join(sorted(files))}'
    return None


def build():
    done = subprocess.run(
        [ROOT / 'scripts/build-qemu.sh', KIND, EMULATOR, 'modules', 'qemu-img', *UNIT, CONFORMANCE],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=BUILD_S)
    return done.stdout[-3000:] if done.returncode else None


def run(tap, program, *options):
    """Each point of a test program is one here."""
    done = subprocess.run(
        [ROOT / 'scripts/run-in-qemu.sh', program, *options], stdout=subprocess.PIPE, text=True,
        env={**os.environ, 'HOST_CLOCK_KIND': KIND}, timeout=TEST_S)
    points = re.findall(r'^(not )?ok \d+ (\S+)(?: # SKIP (.*))?$', done.stdout, re.M)
    for bad, name, skip in points:
        tap.point(name, bad and done.stdout[-3000:], skip)
    if done.returncode or not points:
        tap.point(program, f'exit status {done.returncode} after {len(points)} tests')


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n', maxsplit=1)[0])
    parser.add_argument('--full', action='store_true', help='the whole conformance suite')
    args = parser.parse_args()
    tap, found = Tap(), blocks()
    tap.point(f'at most {MOST_FILES} files, {MOST_NEW} of them new', check_size(found))
    copy_tree({block.path for block in found})
    for block in found:
        tap.point(block.path, apply(block))
    if not tap.failed:
        tap.point('it builds', build())
    if tap.failed:
        return tap.end()
    source = list_sources(OBJ / EMULATOR).get(NAME)
    tap.point(f'-clock help lists {NAME}', None if source and not source.reason else str(source))
    for program in UNIT:
        run(tap, program)
    run(tap, CONFORMANCE, *(['-r', f'/x86_64/host-clock/{NAME}'] if args.full else
                            [word for path in QUICK for word in ('-r', path)]))
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
