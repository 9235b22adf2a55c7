#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Run every command of the book and of README.md, and build the book.

A command is a line of a 'console' block that begins with '$ '; what follows it
is what it prints, with '...' for anything. A block that cannot run here stands
behind a comment '.. not-run: REASON', and is a skipped test with that reason.

A VM that a command starts is stopped before its first instruction and told to
quit, unless the command itself says what to do with it. Prints TAP; arguments
choose pages by name.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.paths import EMULATOR, OBJ, OURS, ROOT
from lib.tap import Tap
import book

# With a monitor of its own, or help, a command needs nothing from us.
WRAPPER = r'''#!/bin/bash
for arg; do
    case $arg in
    help | -monitor | -qmp | --version) exec {qemu} "$@" ;;
    esac
done
echo quit | {qemu} -display none -S -monitor stdio "$@"
'''
# The terminal's own: the monitor echoes with cursor movements.
ESCAPES = re.compile(r'\x1b\[[0-9;]*[A-Za-z]|\r')


class Block:
    """The commands of one block, and what each should print."""

    def __init__(self, page, line, reason, text):
        self.name = f'{page}:{line}'
        self.reason = reason
        self.commands = []
        for row in text:
            if row.startswith('$ '):
                self.commands.append((row[2:], []))
            elif row.strip() and self.commands:
                self.commands[-1][1].append(row.strip())


def blocks_of(path):
    lines = path.read_text().splitlines()
    reason = None
    for number, line in enumerate(lines):
        mark = re.match(r'\.\. not-run: (.*)', line)
        if mark:
            reason = mark[1]
        elif line.strip() == '.. code-block:: console':
            yield Block(path.name, number + 1, reason, indented(lines[number + 1:]))
            reason = None
        elif line.strip() and reason and not line.startswith('.. '):
            reason = None


def indented(lines):
    """The block at the start of `lines`, without its indentation."""
    found = []
    for line in lines:
        if line.strip() and not line.startswith('   '):
            break
        found.append(line[3:])
    return found


def pages():
    yield from sorted(book.DOCS.glob('*.rst'))
    yield from sorted((ROOT / 'hw-rtc').glob('*.rst'))


# -- running

def check_output(command, expected, output):
    """Each expected line is in the output, in this order."""
    rest = ESCAPES.sub('', output)
    for line in expected:
        pattern = '.*'.join(re.escape(part) for part in line.split('...'))
        found = re.search(pattern, rest)
        if not found:
            return f'$ {command}\nshould print: {line}\nbut printed:\n{output.strip()}'
        rest = rest[found.end():]
    return ''


def make_sandbox(folder):
    """A folder with ./run, and programs that are those we built."""
    programs = folder / '.bin'
    programs.mkdir()
    qemu = shlex.quote(str(OURS))
    (programs / EMULATOR).write_text(WRAPPER.format(qemu=qemu))
    (programs / EMULATOR).chmod(0o755)
    (programs / 'qemu-img').symlink_to(OBJ / 'qemu-img')
    (folder / 'run').symlink_to(ROOT / 'run')
    return {**os.environ, 'PATH': f'{programs}:{os.environ["PATH"]}'}


def run_block(block, folder, env):
    for command, expected in block.commands:
        done = subprocess.run(['bash', '-c', command], cwd=folder, env=env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, errors='replace')
        if done.returncode:
            return f'$ {command}\nexit status {done.returncode}:\n{done.stdout}'
        message = check_output(command, expected, done.stdout)
        if message:
            return message
    return ''


# -- README.md

def readme_commands():
    """Lines that begin with one of our programs, in its indented blocks."""
    for number, line in enumerate((ROOT / 'README.md').read_text().splitlines(), 1):
        if re.match(r'    (\./run|build/bin/)', line):
            yield number, line.strip().split('#')[0].strip()


def check_verbs():
    """./run knows the verbs of README.md, and README.md those of ./run."""
    out = subprocess.run([ROOT / 'run', 'help'], capture_output=True, text=True).stdout
    known = set(re.findall(r'^  (\w+) ', out, re.M)) - {'help'}
    text = (ROOT / 'README.md').read_text()
    named = set(re.findall(r'\./run ([a-z]+)', text))
    wrong = [f'README.md: ./run has no verb {verb}' for verb in sorted(named - known)]
    wrong += [f'README.md does not name ./run {verb}' for verb in sorted(known - named)]
    return '\n'.join(wrong)


def check_readme_emulator():
    """The command lines of README.md: each starts a VM."""
    text = re.sub(r' \\\n\s+', ' ', (ROOT / 'README.md').read_text())
    failed = []
    for match in re.finditer(r'^    build/bin/qemu-system-x86_64 (.*)$', text, re.M):
        words = match[1].split('#')[0].replace('...', '').strip()
        failed.append(start(words))
    return '\n'.join(filter(None, failed)) if failed else 'README.md starts no emulator'


def start(words):
    # hpet and rtc are devices, which the machine may not have.
    with tempfile.TemporaryDirectory(prefix='host-clock-docs.') as folder:
        env = make_sandbox(Path(folder))
        done = subprocess.run(['bash', '-c', f'qemu-system-x86_64 {words}'], env=env, text=True,
                              cwd=folder, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        return done.returncode and f'qemu-system-x86_64 {words}:\n{done.stdout}{done.stderr}'


# -- TAP

def check_book():
    try:
        html = book.build()
    except book.BookError as error:
        return str(error)
    names = [path.stem for path in pages() if path.parent == book.DOCS]
    missing = [name for name in names if not (html / f'{name}.html').is_file()]
    return f'not in the book: {missing}' if missing else ''


def points(chosen):
    yield 'the book is built without a warning', None, check_book
    yield 'README.md and ./run help name the same verbs', None, check_verbs
    yield 'the command lines of README.md start', None, check_readme_emulator
    for page in pages():
        if chosen and not any(word in page.name for word in chosen):
            continue
        # Later commands of a page use what earlier ones made.
        folder = tempfile.TemporaryDirectory(prefix='host-clock-docs.')
        env = make_sandbox(Path(folder.name))
        for block in blocks_of(page):
            yield (f'{block.name}: {block.commands[0][0][:60] if block.commands else "empty"}',
                   block.reason, lambda b=block, f=folder, e=env: run_block(b, f.name, e))
        folder.cleanup()


def main(chosen):
    tap = Tap()
    for name, reason, run in points(chosen):
        tap.point(name, None if reason else run(), reason)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
