#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The staged QEMU tree: base commit + patches/<base>/ as commits + linked files.

  stage [--discard]   bring build/host-clock/src up to date
  export              write its commits back to patches/<base>/
  check               say how the staged tree and patches/ differ; 1 if they do
  tests               list this project's tests: suite, name
  new-files           list this project's files that are linked into the tree
  supported DIR       is there a patches/ folder for the QEMU tree DIR?
  try DIR             do the patches apply on the base commit in DIR?
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The base and its folders, as in scripts/env.sh.
BASE = os.environ.get('HOST_CLOCK_BASE') or '10.0'
BUILD = ROOT / 'build' if BASE == '10.0' else ROOT / 'build' / f'base-{BASE}'
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'qemu-host-clock'
SOURCE = CACHE / ('source' if BASE == '10.0' else f'source-{BASE}')
STOCK = BUILD / 'stock' / 'src'
STAGED = BUILD / 'host-clock' / 'src'
# Suites whose programs are qtest/SUITE/*-test.py
OWN_FOLDER = 'lab', 'stock-faults', 'differential', 'mutation', 'sanitizers', 'fuzz'
STATE = 'host-clock-staged.json'        # in .git of the staged tree
LINKS_MARK = '# files linked from the project'

# Exported patches must not depend on the user's git configuration, and staged
# commits must have the same hash everywhere.
USER_GIT_CONFIG = os.environ.get('GIT_CONFIG_GLOBAL')
os.environ.update(GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_NOSYSTEM='1')
IDENTITY = {'GIT_COMMITTER_NAME': 'host-clock',
            'GIT_COMMITTER_EMAIL': 'host-clock@localhost'}


class TreeError(Exception):
    """One message that names the cause and the remedy."""


def git(tree, *args, env=None, check=True, stdin=None):
    done = subprocess.run(['git', '-C', str(tree), *map(str, args)],
                          env={**os.environ, **(env or {})}, input=stdin,
                          capture_output=True, text=True,
                          errors='surrogateescape')
    if check and done.returncode:
        raise TreeError(f'git {args[0]} failed in {tree}: {done.stderr.strip()}')
    return done.stdout.strip() if check else done


# -- bases and patches

def series(tree):
    """The folder of patches for the QEMU in `tree`."""
    try:
        version = (tree / 'VERSION').read_text().strip()
    except OSError:
        raise TreeError(f'{tree} is no QEMU source tree: it has no file VERSION. '
                        'Give the top folder of one') from None
    base = '.'.join(version.split('.')[:2])
    known = sorted(d.name for d in (ROOT / 'patches').glob('*') if d.is_dir())
    if known and base not in known:
        raise TreeError(f'{tree} is QEMU {version}, for which there is no patches/{base}. '
                        f'Give a tree of {" or ".join(known)}')
    if known and base != BASE:
        raise TreeError(f'{tree} is QEMU {version}, and the base is {BASE}. Add --base {base}')
    return ROOT / 'patches' / base


def patches(folder):
    return sorted(folder.glob('*.patch'))


def digest(folder):
    """What `folder` holds, as one string."""
    total = hashlib.sha256()
    for patch in patches(folder):
        total.update(patch.name.encode() + b'\0' + patch.read_bytes() + b'\0')
    return total.hexdigest()


def apply_patch(tree, parent, patch, scratch):
    """Make `patch` a commit on `parent`; return it.

    This is what git am does, done in the object store: the files are not
    touched, so a later reset changes only those that differ in the end.
    """
    info = git(tree, 'mailinfo', '--encoding=UTF-8', scratch / 'msg', scratch / 'diff',
               stdin=patch.read_text(errors='surrogateescape'))
    head = dict(line.split(': ', 1) for line in info.splitlines() if ': ' in line)
    env = {**IDENTITY, 'GIT_INDEX_FILE': str(scratch / 'index')}
    git(tree, 'read-tree', parent, env=env)
    done = git(tree, 'apply', '--cached', '--whitespace=nowarn', scratch / 'diff',
               env=env, check=False)
    if done.returncode:
        raise TreeError(f'{patch.relative_to(ROOT)} does not apply on QEMU '
                        f'{(tree / "VERSION").read_text().strip()} in {tree}: '
                        f'{"; ".join(done.stderr.strip().splitlines())}. '
                        'Give a tree that it was made for, or correct the patch')
    body = (scratch / 'msg').read_text(errors='surrogateescape')
    env.update(GIT_AUTHOR_NAME=head.get('Author', 'unknown'),
               GIT_AUTHOR_EMAIL=head.get('Email', 'unknown'),
               GIT_AUTHOR_DATE=head.get('Date', '2025-01-01T00:00:00+0000'))
    env['GIT_COMMITTER_DATE'] = env['GIT_AUTHOR_DATE']
    new_tree = git(tree, 'write-tree', env=env)
    message = head.get('Subject', patch.stem) + '\n\n' + body
    return git(tree, 'commit-tree', new_tree, '-p', parent, env=env,
               stdin=message.strip() + '\n')


def apply_series(tree, base, folder):
    head = base
    with tempfile.TemporaryDirectory() as scratch:
        for patch in patches(folder):
            head = apply_patch(tree, head, patch, Path(scratch))
    return head


def format_series(tree, base, folder):
    """Write base..HEAD of `tree` into `folder`, in a form that never varies."""
    git(tree, '-c', 'diff.renames=true', 'format-patch', '-q', '-N', '--zero-commit',
        '--no-signature', '--no-stat', '--abbrev=12', '--diff-algorithm=myers',
        '-o', folder, f'{base}..HEAD')


# -- linked files

def tree_map():
    """{path in QEMU: path in the project} of each new file that exists."""
    found, seen = {}, set()
    for line in (ROOT / 'scripts' / 'tree-map').read_text().splitlines():
        words = line.split('#')[0].split()
        if not words:
            continue
        pattern, to = words
        for source in sorted(ROOT.glob(pattern)):
            if source in seen or source.name.startswith('.'):
                continue
            seen.add(source)
            found[to + source.name if to.endswith('/') else to] = source
    return found


def our_tests():
    """(suite, name) of each test of this project, in the order of running."""
    for path in sorted(tree_map()):
        name = Path(path)
        if path.startswith('tests/unit/test-') and name.suffix == '.c':
            yield 'unit', name.stem
        elif path.startswith('tests/qtest/') and name.name.endswith('-test.c'):
            yield 'qtest', name.stem
    for suite, pattern in (('build', 'qtest/build-test*'), ('guest', 'qtest/guest/*-test.*'),
                           ('guest', 'qtest/guest/experiment.py'),
                           *((name, f'qtest/{name}/*-test.py') for name in OWN_FOLDER)):
        for path in sorted(ROOT.glob(pattern)):
            yield suite, str(path.relative_to(ROOT))


def refresh_links(tree):
    """Make the links of tree_map() in `tree`, and remove those of before."""
    exclude = tree / '.git' / 'info' / 'exclude'
    kept, _, old = exclude.read_text().partition(LINKS_MARK + '\n')
    wanted = tree_map()
    for path in old.splitlines():
        link = tree / path.lstrip('/')
        if path.lstrip('/') not in wanted and link.is_symlink():
            link.unlink()
    for path, source in wanted.items():
        link = tree / path
        target = os.path.relpath(source, link.parent)
        if link.is_symlink() and os.readlink(link) == target:
            continue
        if link.exists() and not link.is_symlink():
            raise TreeError(f'{source.relative_to(ROOT)} cannot be linked to {path}: '
                            'QEMU has a file there. Change that one with a patch, '
                            'or correct scripts/tree-map')
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    text = kept + LINKS_MARK + '\n' + ''.join(f'/{path}\n' for path in sorted(wanted))
    if text != kept + LINKS_MARK + '\n' + old:
        exclude.write_text(text)


# -- staging

def load_state():
    try:
        return json.loads((STAGED / '.git' / STATE).read_text())
    except (OSError, ValueError):
        return {}


def save_state(base, folder, tree=STAGED):
    state = {'base': base, 'patches': digest(folder), 'head': git(tree, 'rev-parse', 'HEAD')}
    (tree / '.git' / STATE).write_text(json.dumps(state))


def edits(tree):
    return git(tree, 'status', '--porcelain', '--untracked-files=no').splitlines()


def base_commit():
    if not (STOCK / '.git').is_dir():
        raise TreeError('there is no QEMU tree yet. Run ./run build first')
    return git(STOCK, 'rev-parse', 'HEAD')


def first_stage(base, folder):
    new = STAGED.with_name('src.new')
    shutil.rmtree(new, ignore_errors=True)
    STAGED.parent.mkdir(parents=True, exist_ok=True)
    git(STOCK, 'clone', '-q', '--local', '--no-checkout', '.', new)
    git(new, 'reset', '-q', '--hard', apply_series(new, base, folder))
    save_state(base, folder, new)
    new.rename(STAGED)


def unexported(state, base):
    """Does the staged tree hold work that patches/ has not?

    Only asked when patches/ or the base changed since it was staged.
    """
    if edits(STAGED):
        return True
    if git(STAGED, 'rev-parse', 'HEAD') == state.get('head'):
        return False
    known = git(STAGED, 'cat-file', '-e', base, check=False).returncode == 0
    return not (known and not differences(base, series(STOCK)))


def stage(discard=False):
    base, folder = base_commit(), series(STOCK)
    if not (STAGED / '.git').is_dir():
        first_stage(base, folder)
        print(f'== staged QEMU {(STOCK / "VERSION").read_text().strip()} '
              f'with {len(patches(folder))} patches')
    state = load_state()
    current = (state.get('base'), state.get('patches')) == (base, digest(folder))
    if discard or not current:
        if not discard and unexported(state, base):
            raise TreeError(
                f'build/host-clock/src has work that is not in {folder.relative_to(ROOT)}, '
                'which (or the base) has changed too. Keep the work with ./run export, '
                'or drop it with ./run stage --discard')
        git(STAGED, 'fetch', '-q', STOCK, base)
        git(STAGED, 'reset', '-q', '--hard', apply_series(STAGED, base, folder))
        save_state(base, folder)
        print(f'== staged {len(patches(folder))} patches again')
    refresh_links(STAGED)


def export():
    base, folder = base_commit(), series(STOCK)
    if not (STAGED / '.git').is_dir():
        raise TreeError('nothing is staged yet. Run ./run stage first')
    if git(STAGED, 'merge-base', '--is-ancestor', base, 'HEAD', check=False).returncode:
        raise TreeError(f'HEAD of build/host-clock/src does not stem from the base commit {base[:12]}. '
                        'Rebase it there, or start again with ./run stage --discard')
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch)
        format_series(STAGED, base, new)
        folder.mkdir(parents=True, exist_ok=True)
        gone = {p.name for p in patches(folder)} - {p.name for p in patches(new)}
        for name in gone:
            (folder / name).unlink()
        changed = 0
        for patch in patches(new):
            there = folder / patch.name
            if not there.exists() or there.read_bytes() != patch.read_bytes():
                shutil.copyfile(patch, there)
                changed += 1
        print(f'{folder.relative_to(ROOT)}: {len(patches(folder))} patches, '
              f'{changed} written, {len(gone)} removed')
    save_state(base, folder)
    left = edits(STAGED)
    if left:
        print(f'note: {len(left)} edited files are not committed, so not exported:',
              *left, sep='\n  ')


def differences(base, folder):
    """Names of the patches that differ between the staged tree and `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch)
        format_series(STAGED, base, new)
        ours = {p.name: p.read_bytes() for p in patches(folder)}
        theirs = {p.name: p.read_bytes() for p in patches(new)}
    return sorted(name for name in ours.keys() | theirs.keys()
                  if ours.get(name) != theirs.get(name))


def check():
    base, folder = base_commit(), series(STOCK)
    found = differences(base, folder) + edits(STAGED)
    if found:
        raise TreeError('the staged tree and ' + str(folder.relative_to(ROOT)) +
                        ' differ (commit in build/host-clock/src, then ./run export):\n  ' +
                        '\n  '.join(found))


def main(args):
    verb, rest = (args[0] if args else ''), args[1:]
    if verb == 'stage' and rest in ([], ['--discard']):
        stage(discard=bool(rest))
    elif verb == 'export' and not rest:
        export()
    elif verb == 'check' and not rest:
        check()
    elif verb == 'tests' and not rest:
        print(*(f'{suite} {name}' for suite, name in our_tests()), sep='\n')
    elif verb == 'new-files' and not rest:
        print(*(path.relative_to(ROOT) for path in tree_map().values()), sep='\n')
    elif verb == 'supported' and len(rest) == 1:
        series(Path(rest[0]))
    elif verb == 'try' and len(rest) == 1:
        tree = Path(rest[0])
        apply_series(tree, git(tree, 'rev-parse', 'HEAD'), series(tree))
    else:
        raise TreeError('usage: ' + __doc__)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except TreeError as error:
        where = os.environ.get('HOST_CLOCK_ERROR')
        with open(where, 'w') if where else os.fdopen(os.dup(2), 'w') as out:
            print('error:', error, file=out)
        sys.exit(1)
