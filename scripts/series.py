#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compose the mails of an upstream series, and prove that they are right.

What is sent is patches/<base>/ in the order of patches/<base>/series, each new
file of the project in the first commit that builds or uses it. The mails are
written to build/series/<base>/. See docs/series.rst.
"""

import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import tree  # noqa: E402
from tree import ROOT, STOCK, TreeError, git  # noqa: E402

GROUPS = ['fix', 'documentation', 'refactoring', 'core', 'sources', 'models', 'tests']
FOLDED = '+'
PLACEHOLDER = 'M: Name Of Submitter <submitter@example.org>'
MAIL = ['-c', 'diff.renames=true', 'format-patch', '-q', '--zero-commit', '--abbrev=12',
        '--diff-algorithm=myers', '--stat=72', '--no-signature']


# -- order

def patch_name(path):
    return re.sub(r'^\d+-', '', path.stem)


def read_order(folder):
    """[(group, name)] of patches/<base>/series; folded ones keep their '+'."""
    path = folder / 'series'
    if not path.is_file():
        raise TreeError(f'there is no {path.relative_to(ROOT)}: it gives each patch its group')
    order = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split('#')[0].split()
        if not words:
            continue
        where = f'{path.relative_to(ROOT)}:{number}'
        if len(words) != 2 or words[0] not in [*GROUPS, FOLDED]:
            raise TreeError(f'{where}: not "GROUP PATCH" with a group of {", ".join(GROUPS)} '
                            f'or {FOLDED}: {line.strip()}')
        if words[0] == FOLDED and not order:
            raise TreeError(f'{where}: there is no patch above to fold {words[1]} into')
        order.append((words[0], words[1]))
    return order


def check_order(folder, order):
    """Every patch has one place, and every place a patch."""
    names = [name for _, name in order]
    have = [patch_name(path) for path in tree.patches(folder)]
    where = (folder / 'series').relative_to(ROOT)
    for name in have:
        if name not in names:
            raise TreeError(f'the patch {name} is in no group: add a line for it to {where}')
    for name in names:
        if name not in have:
            raise TreeError(f'{where} names {name}, which is no patch in {folder.relative_to(ROOT)}')
        if names.count(name) > 1:
            raise TreeError(f'{where} names {name} twice')


def commits_to_be(order):
    """[(group, [name, folded name...])] in the order of sending."""
    commits = []
    for group, name in order:
        if group == FOLDED:
            commits[-1][1].append(name)
        else:
            commits.append((group, [name]))
    return sorted(commits, key=lambda commit: GROUPS.index(commit[0]))


# -- new files

def is_named(path, names):
    """Does `names`, the text of a build file or index, name the file `path`?"""
    stem = re.escape(path.stem)
    if path.suffix == '.rst':
        return re.search(rf'^\s+{stem}$', names, re.M)
    return re.search(rf"'(?:[^'\n]*/)?{stem}(?:{re.escape(path.suffix)})?'", names)


def index_of(path):
    """The files of the tree that make `path` part of it."""
    if path.suffix == '.rst':
        return sorted(path.parent.glob('index*.rst'))
    return [path.parent / 'meson.build']


def includes(path):
    return set(re.findall(r'^#include "([^"]+)"', path.read_text(errors='replace'), re.M))


def entering(top, pending, here, touched):
    """Those of `pending` that the tree `top` builds or uses, given that the
    files `here` are in it and the last commit changed the files `touched`."""
    new = {to for to in pending if Path(to).suffix != '.h'
           and any(index.is_file() and is_named(Path(to), index.read_text())
                   for index in index_of(top / to))}
    while True:
        wanted = set()
        for path in [tree.tree_map()[to] for to in here | new] + touched:
            if path.suffix in ('.c', '.h') and path.is_file():
                wanted |= includes(path)
        more = {to for to in pending - new if Path(to).suffix == '.h'
                and any(to.endswith('/' + name.lstrip('./')) for name in wanted)}
        if not more:
            return new
        new |= more


# -- composing

def identity(submitter):
    """Who commits: the submitter, or nobody in particular."""
    name, mail = submitter or ('host-clock', 'host-clock@localhost')
    return {'GIT_COMMITTER_NAME': name, 'GIT_COMMITTER_EMAIL': mail}


def find_submitter():
    """Name and address of git's configuration, which is the user's own here."""
    env = {key: value for key, value in os.environ.items()
           if key not in ('GIT_CONFIG_GLOBAL', 'GIT_CONFIG_NOSYSTEM')}
    if tree.USER_GIT_CONFIG:
        env['GIT_CONFIG_GLOBAL'] = tree.USER_GIT_CONFIG

    def value(key):
        return subprocess.run(['git', 'config', key], env=env, cwd=ROOT, text=True,
                              capture_output=True).stdout.strip()
    name, mail = value('user.name'), value('user.email')
    if not name or '@' not in mail:
        raise TreeError('--signoff needs to know who you are: git config --global user.name NAME, '
                        'and git config --global user.email ADDRESS')
    return name, mail


def private_tree(path, base):
    """A clone of the base at `path` that shares its objects."""
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    git(STOCK, 'clone', '-q', '--shared', '--no-checkout', '.', path)
    git(path, 'reset', '-q', '--hard', base)
    return path


def pick(top, commit, name, env, amend):
    """Cherry-pick one patch; with `amend` make it part of the last commit."""
    done = git(top, 'cherry-pick', '--no-commit', commit, env=env, check=False)
    if done.returncode:
        files = git(top, 'diff', '--name-only', '--diff-filter=U')
        raise TreeError(f'{name} does not apply in the place that the order file gives it: '
                        f'conflict in {files.replace(chr(10), ", ") or done.stderr.strip()}. '
                        'Move its line, or change the patch')
    message = git(top, 'log', '-1', '--format=%B', commit)
    author = git(top, 'log', '-1', '--format=%an%n%ae%n%ad', '--date=raw', commit).split('\n')
    env = {**env, 'GIT_AUTHOR_NAME': author[0], 'GIT_AUTHOR_EMAIL': author[1],
           'GIT_AUTHOR_DATE': author[2], 'GIT_COMMITTER_DATE': author[2]}
    commit_index(top, env, *(['--amend', '--no-edit'] if amend else ['-F', '-']), stdin=message)
    return env


def commit_index(top, env, *args, stdin=None):
    git(top, 'commit', '-q', '--no-verify', '--allow-empty', *args, env=env, stdin=stdin)


def add_new_files(top, pending, here, env):
    changed = git(top, 'diff', '--name-only', 'HEAD^', 'HEAD').splitlines()
    new = entering(top, pending, here, [top / name for name in changed])
    for to in sorted(new):
        (top / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.tree_map()[to], top / to)
        git(top, 'add', '-f', to)
    if new:
        commit_index(top, env, '--amend', '--no-edit')
    return new


def fill_in_submitter(top, submitter, env):
    """The MAINTAINERS entry names a placeholder until somebody submits."""
    path = top / 'MAINTAINERS'
    if not submitter or not path.is_file() or PLACEHOLDER not in path.read_text():
        return
    path.write_text(path.read_text().replace(PLACEHOLDER, 'M: {} <{}>'.format(*submitter)))
    git(top, 'add', 'MAINTAINERS')
    commit_index(top, env, '--amend', '--no-edit')


def compose(top, base, folder, submitter):
    """Make the series as commits on `base` in the private tree `top`.

    Returns [(group, subject, new files)].
    """
    order = read_order(folder)
    check_order(folder, order)
    head = tree.apply_series(top, base, folder)
    commits = dict(zip([patch_name(path) for path in tree.patches(folder)],
                       git(top, 'rev-list', '--reverse', f'{base}..{head}').split()))
    pending, here, done = set(tree.tree_map()), set(), []
    for group, names in commits_to_be(order):
        for number, name in enumerate(names):
            env = pick(top, commits[name], name, identity(submitter), number > 0)
        fill_in_submitter(top, submitter, env)
        new = add_new_files(top, pending, here, env)
        pending -= new
        here |= new
        done.append((group, git(top, 'log', '-1', '--format=%s'), sorted(new)))
    if pending:
        raise TreeError(f'no patch builds or uses {", ".join(sorted(pending))}: '
                        'name it in a meson.build, or an index, with a patch')
    return done


# -- writing

def cover_letter(path, base, submitter):
    """Fill in what git format-patch left open."""
    subject, _, blurb = (ROOT / 'patches' / 'cover-letter').read_text().partition('\n')
    text = path.read_text()
    text = text.replace('*** SUBJECT HERE ***', subject)
    text = text.replace('*** BLURB HERE ***', blurb.strip() +
                        f'\n\nBased on QEMU {(STOCK / "VERSION").read_text().strip()}.')
    path.write_text(text)


def write_mails(top, base, out, submitter):
    for old in out.glob('*.patch'):
        old.unlink()
    args = ['--cover-letter', '-o', out]
    if submitter:
        args.append('--signoff')
    git(top, *MAIL, *args, f'{base}..HEAD', env=identity(submitter))
    cover_letter(next(out.glob('0000-*.patch')), base, submitter)
    return sorted(out.glob('[0-9]*.patch'))


def write_quilt(mails, out):
    """debian/patches for a rebuild of Debian's own package."""
    folder = out / 'debian' / 'patches'
    shutil.rmtree(out / 'debian', ignore_errors=True)
    (folder / 'host-clock').mkdir(parents=True)
    theirs = STOCK / 'debian' / 'patches' / 'series'
    if not theirs.is_file():
        raise TreeError(f'{STOCK} has no debian/patches/series: --quilt needs the source package '
                        'as its base, ./run build --qemu-src debian')
    for mail in mails[1:]:
        shutil.copyfile(mail, folder / 'host-clock' / mail.name)
    text = theirs.read_text()
    text += '' if text.endswith('\n') else '\n'
    (folder / 'series').write_text(
        text + ''.join(f'host-clock/{mail.name}\n' for mail in mails[1:]))
    return folder


def main(args):
    parser = argparse.ArgumentParser(prog='./run series', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--signoff', action='store_true',
                        help="add the Signed-off-by of git's user.name and user.email; read "
                        "docs/devel/code-provenance.rst of QEMU before")
    parser.add_argument('--quilt', action='store_true',
                        help="write debian/patches too, for a rebuild of Debian's package")
    parser.add_argument('--verify', action='store_true',
                        help='apply with git am, build and test after every commit, check the style')
    parser.add_argument('--first', type=int, metavar='N', help='verify the first N mails only')
    parser.add_argument('--no-build', action='store_true',
                        help='verify all but the builds and tests: takes seconds')
    options = parser.parse_args(args)
    if (options.first is not None or options.no_build) and not options.verify:
        raise TreeError('--first and --no-build say how to --verify: give that too')

    import series_verify
    submitter = find_submitter() if options.signoff else None
    if options.verify and (tree.STAGED / '.git').is_dir():
        # To be compared with at the end: if it has work of its own, say so now.
        tree.stage()
    if not options.verify:
        compose_and_write(options, submitter)
        return 0
    with series_verify.at_work(options) as work:
        base, folder, mails, out = compose_and_write(options, submitter)
        # Its own copy: whoever composes again in the meantime writes others.
        shutil.rmtree(work / 'mails', ignore_errors=True)
        shutil.copytree(out, work / 'mails')
        mails = [work / 'mails' / mail.name for mail in mails]
        return series_verify.verify(mails, base, folder, work / 'mails', options, submitter)


def compose_and_write(options, submitter):
    """What is printed is what the mails hold."""
    base, folder = tree.base_commit(), tree.series(STOCK)
    out = ROOT / 'build' / 'series' / folder.name
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='series-tree.', dir=tree.BUILD) as scratch:
        top = private_tree(Path(scratch) / 'src', base)
        done = compose(top, base, folder, submitter)
        mails = write_mails(top, base, out, submitter)
    for number, (group, subject, new) in enumerate(done, 1):
        print(f'{number:3} {group:14}{subject}' + (f'  [{len(new)} new]' if new else ''))
    print(f'== {len(mails) - 1} mails and a cover letter in {out.relative_to(ROOT)}')
    if options.quilt:
        print(f'== Debian patches in {write_quilt(mails, out).relative_to(ROOT)}')
    return base, folder, mails, out


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except TreeError as error:
        print('error:', error, file=sys.stderr)
        sys.exit(1)
