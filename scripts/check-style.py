#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The suite 'style': QEMU's checkpatch.pl on every patch and new file, and the
rules of this project that a program can check. Prints TAP."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import sizes
import tree

# In parts, so that this file passes its own test.
REGISTRY = re.compile('|'.join([
    r'[\w-]+\.' + 'debian' + r'\.org', r'(?:registry|www)\.' + 'npmjs', 'py' + r'pi\.org',
    'crates' + r'\.io', r'files\.python' + 'hosted']))
CELL = re.compile(r'(/host-clock/[^/]+/(?:host|rt|vm))/(.+)')
NO_LICENCE = {'.md', '.patch', '.json', '.txt', '.rst', '.png', '.svg'}


def checkpatch(*args):
    """What QEMU's checkpatch.pl says, or '' if it has nothing to say."""
    script = tree.STAGED / 'scripts' / 'checkpatch.pl'
    done = subprocess.run(['perl', script, '--no-signoff', '--no-color', *args],
                          cwd=tree.STAGED, capture_output=True, text=True)
    clean = re.search(r'^total: 0 errors, 0 warnings', done.stdout, re.M)
    if clean and done.returncode == 0:
        return ''
    return done.stdout + done.stderr


def project_files():
    out = subprocess.run(
        ['git', '-c', 'safe.directory=*', '-C', tree.ROOT, 'ls-files', '-z', '-co', '--exclude-standard'],
        capture_output=True, check=True).stdout.decode()
    return [tree.ROOT / name for name in out.split('\0') if name and (tree.ROOT / name).is_file()]


def check_patch(patch):
    if re.search(r'^new file mode', patch.text, re.M):
        return 'adds a whole file: put it into hw-rtc/, plugin/ or qtest/ instead'
    return checkpatch(tree.ROOT / 'patches' / patch.path)


def check_staged():
    try:
        tree.check()
    except tree.TreeError as error:
        return str(error)
    return ''


def check_hosts():
    return '\n'.join(
        f'{path.relative_to(tree.ROOT)}: names the package registry {hit[0]}'
        for path in project_files()
        for hit in REGISTRY.finditer(path.read_text(errors='replace')))


def check_licences():
    return '\n'.join(
        f'{path.relative_to(tree.ROOT)}: no SPDX-License-Identifier in its first lines'
        for path in project_files()
        if path.suffix not in NO_LICENCE and path.suffix
        and 'SPDX-License-Identifier' not in path.read_text(errors='replace')[:1000])


def listed_tests():
    """The paths of all tests of this project's qtests, without the target's name."""
    obj = tree.STAGED.parent / 'obj'
    env = {**os.environ, 'QTEST_QEMU_BINARY': './qemu-system-x86_64'}
    names = [name for suite, name in tree.our_tests() if suite == 'qtest']
    programs = [obj / 'tests' / 'qtest' / name for name in names]
    return {path for program in programs if program.exists()
            for path in re.findall(r'^/[^/]+(/.*)$', subprocess.run(
                [program, '-l'], cwd=obj, env=env, text=True, stdout=subprocess.PIPE,
                check=True).stdout, re.M)}


def spelt_out(name):
    """a/{b,c} is a/b and a/c, as in a shell."""
    match = re.fullmatch(r'(.*)\{(.*)\}', name)
    return [match[1] + part for part in match[2].split(',')] if match else [name]


def check_semantics():
    """Each test that docs/semantics.rst names exists, and each behaviour of the
    conformance suite is in its table."""
    tests = listed_tests()
    parts = [match.groups() for match in map(CELL.match, tests) if match]
    cells = {cell for cell, _ in parts}
    suite = {name for _, name in parts if not name.startswith('fault/')}
    page = (tree.ROOT / 'docs' / 'semantics.rst').read_text()
    named = {name for text in re.findall(r':test:`([^`]+)`', page) for name in spelt_out(text)}
    wanted = {path for name in named
              for path in ([name] if name[0] == '/' else [f'{cell}/{name}' for cell in cells])}
    return '\n'.join([f'no test {path}' for path in sorted(wanted - tests)] +
                     [f'{name} is not in the table' for name in sorted(suite - named)])


def check_qapi():
    """What the QAPI generator of 10.2 refuses, and that of 10.0 takes"""
    return '\n'.join(f'{path.name}:{number}: longer than 70 characters'
                     for path in sorted((tree.ROOT / 'hw-rtc').glob('*.json'))
                     for number, line in enumerate(path.read_text().splitlines(), 1)
                     if line.startswith('#') and len(line) > 70)


def points():
    for patch in tree.patches():
        yield f'checkpatch patches/{patch.path}', lambda p=patch: check_patch(p)
    # checkpatch has other rules for tests, which it knows by their folder.
    sources = {path: path for path in (tree.ROOT / 'qtest').rglob('*.[ch]')}
    sources.update((source, path) for path, source in tree.tree_map().items())
    for path in sorted(sources):
        yield (f'checkpatch {path.relative_to(tree.ROOT)}',
               lambda p=sources[path]: checkpatch('-f', p))
    yield 'the staged tree is what patches/ holds', check_staged
    yield 'no file names a package registry', check_hosts
    yield 'every source file states its licence', check_licences
    yield 'the documentation in QAPI suits all bases', check_qapi
    yield 'docs/semantics.rst names the tests that there are', check_semantics
    for what, size, limit, more in sizes.measured():
        yield (f'{what}: {size} of {limit}{more}',
               lambda s=size, most=limit: '' if s <= most else 'larger than it may be')


def main():
    failed = number = 0
    names, runs = zip(*points())
    # checkpatch.pl takes most of the time, in a process of its own.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        messages = list(pool.map(lambda run: run(), runs))
    for number, (name, message) in enumerate(zip(names, messages), 1):
        failed += bool(message)
        print(f'{"not ok" if message else "ok"} {number} {name}')
        for line in message.splitlines():
            print('#', line)
    print(f'1..{number}')
    return bool(failed)


sys.exit(main())
