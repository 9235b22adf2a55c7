#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The staged QEMU tree: base commit + patches/ as commits + linked files.

  stage [--discard]   bring build/host-clock/src up to date
  export              write its commits back to patches/
  check               say how the staged tree and patches/ differ; 1 if they do
  tests               list this project's tests: suite, name
  new-files           list this project's files that are linked into the tree
  supported DIR       are there patches for the QEMU tree DIR?
  try DIR             do the patches apply on the base commit in DIR?
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from patch_set import (ROOT, TreeError, bases, new_order, numbered, read_set,
                       select, short_name, write_set)

# The base and its folders, as in scripts/env.sh.
BASE = os.environ.get('HOST_CLOCK_BASE') or '10.0'
CACHE = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'qemu-host-clock'
SOURCE = CACHE / ('source' if BASE == '10.0' else f'source-{BASE}')


def build_folder(base):
    return ROOT / 'build' if base == '10.0' else ROOT / 'build' / f'base-{base}'


BUILD = build_folder(BASE)
STOCK = BUILD / 'stock' / 'src'
STAGED = BUILD / 'host-clock' / 'src'
# Suites whose programs are qtest/SUITE/*-test.py
OWN_FOLDER = ('build', 'guest', 'lab', 'libvirt', 'stock-faults', 'differential', 'mutation',
              'sanitizers', 'fuzz')
STATE = 'host-clock-staged.json'        # in .git of the staged tree
LINKS_MARK = '# files linked from the project'

# Exported patches must not depend on the user's git configuration, and staged
# commits must have the same hash everywhere.
USER_GIT_CONFIG = os.environ.get('GIT_CONFIG_GLOBAL')
os.environ.update(GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_NOSYSTEM='1')
IDENTITY = {'GIT_COMMITTER_NAME': 'host-clock',
            'GIT_COMMITTER_EMAIL': 'host-clock@localhost'}


class DoesNotApply(TreeError):
    """The patch `patch` is the first that does not."""


def git(tree, *args, env=None, check=True, stdin=None):
    done = subprocess.run(['git', '-C', str(tree), *map(str, args)],
                          env={**os.environ, **(env or {})}, input=stdin,
                          capture_output=True, text=True,
                          errors='surrogateescape')
    if check and done.returncode:
        raise TreeError(f'git {args[0]} failed in {tree}: {done.stderr.strip()}')
    return done.stdout.strip() if check else done


def clone(source, path, commit, *options):
    """A clone without roms/, which has two thirds of QEMU's files, and of which
    nothing is built"""
    path.parent.mkdir(parents=True, exist_ok=True)
    git(source, 'clone', '-q', '--no-checkout', *options, '.', path)
    git(path, 'sparse-checkout', 'set', '--no-cone', '/*', '!/roms/')
    git(path, 'reset', '-q', '--hard', commit)


# -- bases and patches

def check_base(tree):
    """Refuse a QEMU tree that is not of the base."""
    try:
        version = (tree / 'VERSION').read_text().strip()
    except OSError:
        raise TreeError(f'{tree} is no QEMU source tree: it has no file VERSION. '
                        'Give the top folder of one') from None
    base = '.'.join(version.split('.')[:2])
    if bases() and base not in bases():
        raise TreeError(f'{tree} is QEMU {version}, for which there is no patches/{base}. '
                        f'Give a tree of {" or ".join(bases())}')
    if bases() and base != BASE:
        raise TreeError(f'{tree} is QEMU {version}, and the base is {BASE}. Add --base {base}')


def patches():
    return select(*read_set(), BASE)


def digest():
    """What the patches of the base are, as one string."""
    total = hashlib.sha256()
    for patch in patches():
        total.update('\0'.join([patch.path, patch.text, '']).encode(errors='surrogateescape'))
    return total.hexdigest()


def apply_patch(tree, parent, patch, scratch):
    """Make `patch` a commit on `parent`, which the index in `scratch` has; return it.

    This is what git am does, done in the object store: the files are not
    touched, so a later reset changes only those that differ in the end.
    """
    info = git(tree, 'mailinfo', '--encoding=UTF-8', scratch / 'msg', scratch / 'diff',
               stdin=patch.text)
    head = dict(line.split(': ', 1) for line in info.splitlines() if ': ' in line)
    env = {**IDENTITY, 'GIT_INDEX_FILE': str(scratch / 'index')}
    done = git(tree, 'apply', '--cached', '--whitespace=nowarn', scratch / 'diff',
               env=env, check=False)
    if done.returncode:
        error = DoesNotApply(f'patches/{patch.path} does not apply on QEMU '
                             f'{(tree / "VERSION").read_text().strip()} in {tree}: '
                             f'{"; ".join(done.stderr.strip().splitlines())}. '
                             'Give a tree that it was made for, or correct the patch')
        error.patch = patch
        raise error
    body = (scratch / 'msg').read_text(errors='surrogateescape')
    env.update(GIT_AUTHOR_NAME=head.get('Author', 'unknown'),
               GIT_AUTHOR_EMAIL=head.get('Email', 'unknown'),
               GIT_AUTHOR_DATE=head.get('Date', '2025-01-01T00:00:00+0000'))
    env['GIT_COMMITTER_DATE'] = env['GIT_AUTHOR_DATE']
    new_tree = git(tree, 'write-tree', env=env)
    message = head.get('Subject', patch.path) + '\n\n' + body
    return git(tree, 'commit-tree', new_tree, '-p', parent, env=env,
               stdin=message.strip() + '\n')


def apply_series(tree, base, series):
    head = base
    with tempfile.TemporaryDirectory() as scratch:
        git(tree, 'read-tree', base, env={'GIT_INDEX_FILE': f'{scratch}/index'})
        for patch in series:
            head = apply_patch(tree, head, patch, Path(scratch))
    return head


def staged_patches(base):
    """[(commit, name, text)] of the commits base..HEAD of the staged tree.

    The text never varies, and suits more than one base: one line of context, and
    no hash of a file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        git(STAGED, '-c', 'diff.renames=true', 'format-patch', '-q', '-N', '-U1', '--zero-commit',
            '--no-signature', '--no-stat', '--diff-algorithm=myers', '-o', scratch,
            f'{base}..HEAD')
        mails = [(short_name(path.name), path.read_bytes().decode(errors='surrogateescape'))
                 for path in sorted(Path(scratch).iterdir())]
    commits = git(STAGED, 'rev-list', '--reverse', f'{base}..HEAD').split()
    names = [name for name, _ in mails]
    for name in names:
        if names.count(name) > 1:
            raise TreeError(f'two commits in {STAGED} have the subject of {name}: change one')
    return [(commit, name, re.sub(r'^index [0-9a-f]+\.\.[0-9a-f]+.*\n', '', text, flags=re.M))
            for commit, (name, text) in zip(commits, mails)]


def makes(patch, commit):
    """Does `patch` make this commit of the staged tree, whoever committed it?"""
    def look(commit):
        return git(STAGED, 'show', '-s', '--format=%T%n%an%n%ae%n%ad%n%B', commit)
    try:
        made = apply_series(STAGED, commit + '^', [patch])
    except DoesNotApply:
        return False
    return made == commit or look(made) == look(commit)


def changes(base, series):
    """What the staged tree has and `series` has not: {name: text}, or None if gone."""
    ours = {short_name(patch.path): patch for patch in series}
    found = dict.fromkeys(ours)
    for commit, name, text in staged_patches(base):
        found[name] = text
        if name in ours and makes(ours[name], commit):
            del found[name]
    return found


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
    for path, source in sorted(tree_map().items()):
        name = Path(path)
        if path.startswith('tests/unit/test-') and name.suffix == '.c':
            yield 'unit', name.stem
        elif path.startswith('tests/qtest/') and name.name.endswith('-test.c'):
            yield ('machines' if source.parent.name == 'machines' else 'qtest'), name.stem
    for suite, pattern in (('guest', 'qtest/guest/experiment.py'),
                           ('guest', 'qtest/bench/*-test.py'),
                           ('stock-faults', 'qtest/faults/*-test.py'),
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


def save_state(base, tree=STAGED):
    state = {'base': base, 'patches': digest(), 'head': git(tree, 'rev-parse', 'HEAD')}
    (tree / '.git' / STATE).write_text(json.dumps(state))


def edits(tree):
    return git(tree, 'status', '--porcelain', '--untracked-files=no').splitlines()


def base_commit():
    if not (STOCK / '.git').is_dir():
        raise TreeError('there is no QEMU tree yet. Run ./run build first')
    return git(STOCK, 'rev-parse', 'HEAD')


def first_stage(base):
    new = STAGED.with_name('src.new')
    shutil.rmtree(new, ignore_errors=True)
    STAGED.parent.mkdir(parents=True, exist_ok=True)
    git(STOCK, 'clone', '-q', '--local', '--no-checkout', '.', new)
    git(new, 'reset', '-q', '--hard', apply_series(new, base, patches()))
    save_state(base, new)
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
    return not (known and not differences(base))


def stage(discard=False):
    base = base_commit()
    check_base(STOCK)
    if not (STAGED / '.git').is_dir():
        first_stage(base)
        print(f'== staged QEMU {(STOCK / "VERSION").read_text().strip()} '
              f'with {len(patches())} patches')
    state = load_state()
    current = (state.get('base'), state.get('patches')) == (base, digest())
    if discard or not current:
        if not discard and unexported(state, base):
            raise TreeError(
                f'{STAGED.relative_to(ROOT)} has work that is not in patches/, '
                'which (or the base) has changed too. Keep the work with ./run export, '
                'or drop it with ./run stage --discard')
        git(STAGED, 'fetch', '-q', STOCK, base)
        git(STAGED, 'reset', '-q', '--hard', apply_series(STAGED, base, patches()))
        save_state(base)
        print(f'== staged {len(patches())} patches again')
    refresh_links(STAGED)


# -- exporting

def merges(stock, parent, made, commit):
    """Is `made`, on `parent` of another base, what merging `commit` makes of it?

    One line of context may be found in a wrong place; a merge knows both files.
    """
    env = {**IDENTITY, 'GIT_AUTHOR_NAME': 'host-clock', 'GIT_AUTHOR_EMAIL': 'host-clock@localhost',
           'GIT_ALTERNATE_OBJECT_DIRECTORIES': str(STAGED / '.git' / 'objects')}

    def commit_tree(of, *args):
        return git(stock, 'commit-tree', '-m', 'merge', f'{of}^{{tree}}', *args, env=env)
    old = commit_tree(f'{commit}^')
    done = git(stock, '-c', 'merge.renames=false', 'merge-tree', '--write-tree',
               commit_tree(parent, '-p', old), commit_tree(commit, '-p', old), env=env, check=False)
    return done.stdout.split('\n')[0] == git(stock, 'rev-parse', f'{made}^{{tree}}')


def failing(other, order, files, commits):
    """The name of the first patch that the base `other` does not take, or None.

    `commits` are those of this base that were changed and are to be for both.
    """
    stock = build_folder(other) / 'stock' / 'src'
    head = git(stock, 'rev-parse', 'HEAD')
    for patch in select(order, files, other):
        name = short_name(patch.path)
        try:
            made = apply_series(stock, head, [patch])
        except DoesNotApply:
            return name
        if (name in commits and not patch.path.startswith(other + '/')
                and not merges(stock, head, made, commits[name])):
            return name
        head = made
    return None


def share(changed, new, before, commits):
    """{(folder, name): text} with what has `changed`.

    A changed patch is for every base that has none of its own, if all that have
    been built still take theirs; otherwise for this base alone.
    """
    group = {name: group for group, name in new}
    others = [base for base in bases() if base != BASE]
    tried = [base for base in others if (build_folder(base) / 'stock' / 'src' / '.git').is_dir()]
    files, open_ones = dict(before), []
    for name in [name for _, name in new if name in changed]:
        shared, mine = (group[name], name), (BASE, name)
        if changed[name] is not None and mine in files:
            files[mine] = changed[name]
            continue
        open_ones.append(name)
        files.pop(mine, None)
        files.pop(shared, None)
        if changed[name] is not None:
            files[shared] = changed[name]
        for base in others:
            if (base, name) in files:
                print(f'note: {base} has its own {name}: it may need the same')
    if open_ones and others != tried:
        print('note: not tried on', *sorted(set(others) - set(tried)),
              '(./run stage --base imports it)')
    while True:
        both = {name: commits[name] for name in open_ones if name in commits}
        failed = next(filter(None, (failing(base, *numbered(new, files), both) for base in tried)),
                      None)
        if not failed:
            return files
        names = [name for _, name in new]
        guilty = [name for name in open_ones if names.index(name) <= names.index(failed)]
        if not guilty:
            raise TreeError(f'{failed} does not apply on another base in this order; '
                            'nothing was written. Leave it where it was')
        name = guilty[-1]
        open_ones.remove(name)
        old = before.get((group[name], name))
        files.pop((group[name], name), None)
        if changed[name] is None:       # the others keep it
            files.update({(base, name): old for base in others if old and (base, name) not in files})
        else:
            files[BASE, name] = changed[name]
            files.update({(group[name], name): old} if old else {})
        whose = BASE if changed[name] is not None else ' and '.join(others)
        print(f'{name}: for {whose} alone')


def export():
    base = base_commit()
    check_base(STOCK)
    where = STAGED.relative_to(ROOT)
    if not (STAGED / '.git').is_dir():
        raise TreeError('nothing is staged yet. Run ./run stage first')
    if git(STAGED, 'merge-base', '--is-ancestor', base, 'HEAD', check=False).returncode:
        raise TreeError(f'HEAD of {where} does not stem from the base commit {base[:12]}. '
                        'Rebase it there, or start again with ./run stage --discard')
    order, files = read_set()
    mine = select(order, files, BASE)
    commits = {name: commit for commit, name, _ in staged_patches(base)}
    new = new_order(order, commits)
    files = {(path.partition('/')[0], short_name(path)): text for path, text in files.items()}
    files = share(changes(base, mine), new, files, commits)
    order, files = numbered(new, files)
    written, removed = write_set(order, files)
    print(f'patches/: {len(select(order, files, BASE))} patches for {BASE}, '
          f'{written} written, {removed} removed')
    save_state(base)
    left = edits(STAGED)
    if left:
        print(f'note: {len(left)} edited files are not committed, so not exported:',
              *left, sep='\n  ')


def differences(base):
    """Names of the patches that differ between the staged tree and patches/."""
    series = patches()
    ours = [short_name(patch.path) for patch in series]
    found = sorted(changes(base, series))
    theirs = [name for _, name, _ in staged_patches(base)]
    return found or [f'the order: {name}' for name, other in zip(ours, theirs) if name != other]


def check():
    base = base_commit()
    check_base(STOCK)
    found = differences(base) + edits(STAGED)
    if found:
        raise TreeError(f'the staged tree and patches/ differ (commit in '
                        f'{STAGED.relative_to(ROOT)}, then ./run export):\n  ' +
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
        check_base(Path(rest[0]))
    elif verb == 'try' and len(rest) == 1:
        tree = Path(rest[0])
        check_base(tree)
        apply_series(tree, git(tree, 'rev-parse', 'HEAD'), patches())
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
