# SPDX-License-Identifier: GPL-2.0-or-later
"""What ./run series --verify does with the mails; see series.py."""

import contextlib
import fcntl
import fnmatch
import os
import re
import shutil
import subprocess
import time

import tree
from tree import ROOT, STAGED, TreeError, git

# The one message of checkpatch.pl that need not be a fault: see unmaintained().
MAINTAINERS_ASKED = 'added, moved or deleted file(s)'
ENTRY = 'Host clocks'

# Its src and obj are beside those of ./run build, so that they share the cache.
WORK = tree.BUILD / 'series-verify'


class Failed(TreeError):
    """A mail is not what it should be."""


# -- applying

def apply_mail(top, mail):
    env = {**tree.IDENTITY}
    done = git(top, 'am', '-q', mail, env=env, check=False)
    if done.returncode:
        git(top, 'am', '--abort', check=False)
        raise Failed(f'git am {mail.name}: {done.stderr.strip() or done.stdout.strip()}')


def staged_tree(top, base):
    """The tree that patches/ and the new files make."""
    head = tree.apply_series(top, base, tree.patches())
    env = {'GIT_INDEX_FILE': str(top / '.git' / 'staged-index')}
    git(top, 'read-tree', head, env=env)
    links = tree.tree_map()
    blobs = git(top, 'hash-object', '-w', '--stdin-paths',
                stdin=''.join(f'{source}\n' for source in links.values())).split()
    git(top, 'update-index', '--index-info', env=env, stdin=''.join(
        f'100644 {blob}\t{to}\n' for blob, to in zip(blobs, links)))
    return git(top, 'write-tree', env=env)


def compare(top, base, submitter):
    """The end of the series is what ./run build builds, to the last byte."""
    wanted = staged_tree(top, base)
    allowed = {'MAINTAINERS'} if submitter else set()
    differ = set(git(top, 'diff', '--name-only', wanted, 'HEAD').splitlines()) - allowed
    if differ:
        raise Failed(f'the series does not end with the staged tree: {", ".join(sorted(differ))}')
    alone = unmaintained(top, added(top, base), ENTRY)
    if alone:
        raise Failed(f'the entry "{ENTRY}" of MAINTAINERS lacks {", ".join(alone)}')
    if (STAGED / '.git').is_dir():
        tree.check()


# -- style

def added(top, since):
    return git(top, 'diff', '--name-only', '--no-renames', '--diff-filter=A', since,
               'HEAD').splitlines()


def unmaintained(top, paths, entry):
    """Those of `paths` that the section `entry` of MAINTAINERS does not cover"""
    _, _, section = (top / 'MAINTAINERS').read_text().partition(f'\n{entry}\n')
    patterns = re.findall(r'^F: (\S+)$', section.split('\n\n')[0], re.M)
    patterns = [pattern + '*' if pattern.endswith('/') else pattern for pattern in patterns]
    return [path for path in paths
            if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns)]


def check_style(top, mail, submitter, entry=ENTRY):
    """checkpatch.pl on one mail; returns the exceptions that were granted."""
    args = [] if submitter else ['--no-signoff']
    done = subprocess.run(['perl', 'scripts/checkpatch.pl', '--no-color', *args, mail],
                          cwd=top, capture_output=True, text=True)
    found = re.findall(r'^(?:ERROR|WARNING): .*$', done.stdout, re.M)
    total = re.search(r'^total: (\d+) errors, (\d+) warnings', done.stdout, re.M)
    granted = []
    for line in list(found):
        if MAINTAINERS_ASKED in line and not unmaintained(top, added(top, 'HEAD^'), entry):
            found.remove(line)
            granted.append(f'{line} -- no: the entry "{entry}", which is there already, '
                           'covers each of them')
    if found or not total or int(total[1]) + int(total[2]) != len(granted):
        raise Failed(f'checkpatch.pl on {mail.name}:\n{done.stdout}{done.stderr}')
    return granted


# -- building and testing

def build(log, kind=WORK.name):
    done = subprocess.run(['nice', ROOT / 'scripts' / 'build-qemu.sh', kind],
                          stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failed(f'does not build: see {log.name}')


def tests_there():
    """rtc-test, and those of our tests that the tree has by now."""
    obj = WORK / 'obj'
    known = subprocess.run(['ninja', '-C', obj, '-t', 'targets', 'all'], check=True,
                           capture_output=True, text=True).stdout
    names = ['tests/qtest/rtc-test'] + [f'tests/{suite}/{name}' for suite, name in tree.our_tests()
                                        if suite in ('unit', 'qtest')]
    return [name for name in names if re.search(rf'^{re.escape(name)}:', known, re.M)]


def run_program(name, log, kind):
    done = subprocess.run([ROOT / 'scripts' / 'run-in-qemu.sh', name], text=True,
                          capture_output=True, timeout=1800,
                          env={**os.environ, 'HOST_CLOCK_KIND': kind})
    log.write(f'# {name}\n{done.stdout}{done.stderr}')
    return done


def run_test(name, log, kind=WORK.name):
    """How many passed. Some measure real time, on a machine that others may use:
    what failed runs once more, and it is said that it had to."""
    for words in ('', ' the second time'):
        done = run_program(name, log, kind)
        passed = len(re.findall(r'^ok ', done.stdout, re.M))
        if not done.returncode and passed and not re.search(r'^not ok(?!.*# TODO)', done.stdout,
                                                            re.M):
            return f'{passed}{words}'
    raise Failed(f'{name} fails: see {log.name}')


def build_and_test(number):
    log_path = WORK / f'{number:04}.log'
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open('w') as log:
        build(log)
        return {name.split('/')[-1]: run_test(name, log) for name in tests_there()}


# -- documentation

def check_documentation(top):
    """Run sphinx over QEMU's own documentation; nothing of ours may warn.

    The generated QAPI code is made by the build, which stops at a member or a
    section that is not documented.  This finds what only sphinx sees.
    """
    if not shutil.which('sphinx-build'):
        return "not checked with sphinx: there is no sphinx-build; install python3-sphinx"
    html = WORK / 'html'
    shutil.rmtree(html, ignore_errors=True)
    done = subprocess.run(
        ['sphinx-build', '-q', '-b', 'html', '-Dversion=0', '-Drelease=0', '-d', html / '.doctrees',
         top / 'docs', html],
        env={**os.environ, 'CONFDIR': '/etc/qemu'}, capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines()
            if 'host-clock' in line or 'host_clock' in line or 'HOST_CLOCK' in line]
    if done.returncode or ours:
        raise Failed('sphinx on docs/ says:\n' + '\n'.join(ours or done.stderr.splitlines()[-20:]))
    pages = [path for path in html.rglob('*.html') if 'query-host-clocks' in path.read_text()]
    if not pages:
        raise Failed('the QMP reference that sphinx made does not name query-host-clocks')
    return f'sphinx made {len(list(html.rglob("*.html")))} pages, no warning is about host clocks'


# -- Debian's package

def check_quilt(out, top, base):
    """Debian's unpacked source with our debian/patches becomes the same tree.

    dpkg-source applies what the series file names and .pc/ has not yet, as it
    does at the start of each build of the package.
    """
    dsc = sorted(tree.SOURCE.glob('qemu_*.dsc'))
    if not dsc:
        return "not checked against Debian's package: it is not in the cache"
    source = top.with_name('debian')
    shutil.rmtree(source, ignore_errors=True)
    for command in (['dpkg-source', '--no-check', '-x', dsc[-1], source],
                    ['cp', '-r', out / 'debian', source],
                    ['dpkg-source', '--before-build', source]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f'{command[0]} {command[1]}: {done.stdout}{done.stderr}')
    changed = git(top, 'diff', '--name-only', base, 'HEAD').splitlines()
    for name in changed:
        if (source / name).read_bytes() != (top / name).read_bytes():
            raise Failed(f'{name} differs after dpkg-source has applied the patches')
    shutil.rmtree(source)
    return f'{dsc[-1].name} with debian/patches has the same {len(changed)} files'


# -- all of it

@contextlib.contextmanager
def about(number, mail):
    """What fails is said of this mail."""
    try:
        yield
    except Failed as error:
        raise TreeError(f'mail {number}, {mail.name}: {error}') from None


def apply_all(top, mails, submitter):
    """One on the other; returns their commits."""
    commits = []
    for number, mail in enumerate(mails, 1):
        with about(number, mail):
            apply_mail(top, mail)
            granted = check_style(top, mail, submitter)
        commits.append(git(top, 'rev-parse', 'HEAD'))
        print(f'ok {number} {mail.name} applies', flush=True)
        for line in granted:
            print('   exception:', line)
    return commits


def build_all(top, mails, commits):
    print('== building with the flags of ./run build; one line per commit', flush=True)
    for number, (mail, commit) in enumerate(zip(mails, commits), 1):
        before = time.monotonic()
        git(top, 'reset', '-q', '--hard', commit)
        with about(number, mail):
            results = build_and_test(number)
        words = ', '.join(f'{name} {passed}' for name, passed in results.items())
        print(f'ok {number} {mail.name}: {words} ({time.monotonic() - before:.0f} s)', flush=True)


def work_folder(options):
    return WORK if not options.no_build else WORK.with_name('series-apply')


@contextlib.contextmanager
def at_work(folder):
    """Nobody else may verify in the same folder meanwhile, for hours perhaps."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TreeError(f'another ./run series --verify is at work in {folder}') from None
        yield folder


def start_tree(top, base):
    """Back to the base; objects that were built before stay of use."""
    import series
    if not (top / '.git').is_dir():
        series.private_tree(top, base)
    git(top, 'am', '--abort', check=False)
    git(top, 'fetch', '-q', tree.STOCK, base)
    git(top, 'reset', '-q', '--hard', base)
    git(top, 'clean', '-q', '-fdx', 'hw', 'include', 'docs', 'qapi', 'tests')


def verify(mails, base, out, options, submitter):
    """All that takes seconds comes before what takes minutes."""
    top = work_folder(options) / 'src'
    start_tree(top, base)
    mails = mails[1:]
    wanted = mails[:options.first]
    commits = apply_all(top, wanted, submitter)
    if len(wanted) < len(mails):
        print(f'== the first {len(wanted)} of {len(mails)} mails; the end was not compared')
    else:
        compare(top, base, submitter)
        print('== the end is the staged tree')
        if options.quilt:
            print('==', check_quilt(out, top, base))
    if not options.no_build:
        git(top, 'reset', '-q', '--hard', base)
        build_all(top, wanted, commits)
        if len(wanted) == len(mails):
            print('==', check_documentation(top))
    return 0
