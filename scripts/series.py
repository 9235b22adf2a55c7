#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compose the mails of an upstream series, and prove that they are right.

What is sent is what is staged, the patches of the base in the order of
patches/series, with each new file of the project in the first commit that builds
or uses it. The mails are written to build/series/<base>/. See docs/series.rst.
"""

import argparse
import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tree
from tree import ROOT, STOCK, TreeError, git

PLACEHOLDER = 'M: Name Of Submitter <submitter@example.org>'
MAIL = ['-c', 'diff.renames=true', 'format-patch', '-q', '--zero-commit', '--abbrev=12',
        '--diff-algorithm=myers', '--stat=72', '--no-signature']


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
    tree.clone(STOCK, path, base, '--shared')
    return path


def amend(top, env):
    git(top, 'commit', '-q', '--no-verify', '--amend', '--no-edit', env=env)


def add_new_files(top, pending, here, env):
    changed = git(top, 'diff', '--name-only', 'HEAD^', 'HEAD').splitlines()
    new = entering(top, pending, here, [top / name for name in changed])
    for to in sorted(new):
        (top / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree.tree_map()[to], top / to)
        git(top, 'add', '-f', to)
    if new:
        amend(top, env)
    return new


def fill_in_submitter(top, submitter, env):
    """The MAINTAINERS entry names a placeholder until somebody submits."""
    path = top / 'MAINTAINERS'
    if not submitter or not path.is_file() or PLACEHOLDER not in path.read_text():
        return
    path.write_text(path.read_text().replace(PLACEHOLDER, 'M: {} <{}>'.format(*submitter)))
    git(top, 'add', 'MAINTAINERS')
    amend(top, env)


def compose(top, base, submitter):
    """Make the series as commits on `base` in the private tree `top`.

    Returns [(group, subject, new files)].
    """
    pending, here, done, env = set(tree.tree_map()), set(), [], identity(submitter)
    for patch in tree.patches():
        git(top, 'reset', '-q', '--hard', tree.apply_series(top, 'HEAD', [patch]))
        fill_in_submitter(top, submitter, env)
        new = add_new_files(top, pending, here, env)
        pending -= new
        here |= new
        done.append((patch.group, git(top, 'log', '-1', '--format=%s'), sorted(new)))
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
    parser.add_argument('--part', choices=['fixes'],
                        help='write the fixes as independent mails, each with its test')
    parser.add_argument('--first', type=int, metavar='N', help='verify the first N mails only')
    parser.add_argument('--no-build', action='store_true',
                        help='verify all but the builds and tests: takes seconds')
    options = parser.parse_args(args)
    if (options.first is not None or options.no_build) and not options.verify:
        raise TreeError('--first and --no-build say how to --verify: give that too')

    if options.part and options.quilt:
        raise TreeError('--quilt is for the whole series')

    import series_fixes
    import series_verify
    submitter = find_submitter() if options.signoff else None
    if options.part:
        return series_fixes.main(options, submitter)
    if options.verify and (tree.STAGED / '.git').is_dir():
        # To be compared with at the end: if it has work of its own, say so now.
        tree.stage()
    if not options.verify:
        with writing():
            compose_and_write(options, submitter)
        return 0
    with series_verify.at_work(series_verify.work_folder(options)) as work:
        with writing():
            base, mails, out = compose_and_write(options, submitter)
            # Its own copy: whoever composes again in the meantime writes others.
            shutil.rmtree(work / 'mails', ignore_errors=True)
            shutil.copytree(out, work / 'mails')
        mails = [work / 'mails' / mail.name for mail in mails]
        return series_verify.verify(mails, base, work / 'mails', options, submitter)


@contextlib.contextmanager
def writing():
    """Two that write the same mails take turns."""
    folder = ROOT / 'build' / 'series'
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def compose_and_write(options, submitter):
    """What is printed is what the mails hold."""
    base = tree.base_commit()
    tree.check_base(STOCK)
    out = ROOT / 'build' / 'series' / tree.BASE
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='series-tree.', dir=tree.BUILD) as scratch:
        top = private_tree(Path(scratch) / 'src', base)
        done = compose(top, base, submitter)
        mails = write_mails(top, base, out, submitter)
    for number, (group, subject, new) in enumerate(done, 1):
        print(f'{number:3} {group:14}{subject}' + (f'  [{len(new)} new]' if new else ''))
    print(f'== {len(mails) - 1} mails and a cover letter in {out.relative_to(ROOT)}')
    if options.quilt:
        print(f'== Debian patches in {write_quilt(mails, out).relative_to(ROOT)}')
    return base, mails, out


if __name__ == '__main__':
    try:
        sys.exit(main(sys.argv[1:]))
    except TreeError as error:
        print('error:', error, file=sys.stderr)
        sys.exit(1)
