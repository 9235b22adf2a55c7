# SPDX-License-Identifier: GPL-2.0-or-later
"""./run series --part fixes: each fault of stock QEMU as a mail of its own.

A mail is a fix, picked out of the series onto the pristine base, with its tests;
qtest/faults/mails says which. --verify shows that each mail by itself applies, that
its tests fail on the pristine base, and that they pass with its fix alone.
"""

import re
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import series
import series_verify as verify
import tree
from tree import ROOT, STOCK, TreeError, git

FOLDER = ROOT / 'qtest' / 'faults'
WORK = tree.BUILD / 'series-fixes'
Mail = namedtuple('Mail', 'path tests')
# Where a test is named, by the beginning of its name: the line above, and the line
I386 = re.compile(r".*\['rtc-test'\] : \[\]\) \+ *\\\n")
IN_MESON = {'hpet': (I386, "  (config_all_devices.has_key('CONFIG_HPET') ? ['{}'] : []) +"),
            'rtc': (I386, "  (config_all_devices.has_key('CONFIG_MC146818RTC') ? ['{}'] : []) +"),
            'object': (re.compile(r"  'machine-none-test',\n"), "  '{}',")}


def tests_of_fixes():
    """{short name of a patch: its tests}, of the patches of this base"""
    every = {tree.short_name(line): line for line in tree.read_set()[0]}
    here = [tree.short_name(patch.path) for patch in tree.patches()]
    found = {}
    for line in (FOLDER / 'mails').read_text().splitlines():
        name, *tests = line.split('#')[0].split() or ['']
        if name and name + '.patch' not in every:
            raise TreeError(f'qtest/faults/mails: there is no patch {name}')
        found[name + '.patch'] = tests
    for name, line in every.items():
        if line.startswith('fixes/') and not found.get(name):
            raise TreeError(f'qtest/faults/mails names no test for {line}')
    return {name: found[name] for name in here if name in found}


def add_tests(top, tests):
    """The files, and their lines in meson.build"""
    meson = top / 'tests' / 'qtest' / 'meson.build'
    text = meson.read_text()
    for name in tests:
        after, line = IN_MESON[name.partition('-')[0]]
        above = after.search(text)
        if not above:
            raise TreeError(f'{meson} has no line {after.pattern} to add {name} behind')
        line = line.format(name)
        line = f'{line:92}\\\n' if line.endswith('+') else line + '\n'
        text = text[:above.end()] + line + text[above.end():]
        shutil.copyfile(FOLDER / f'{name}.c', meson.parent / f'{name}.c')
        git(top, 'add', '-f', f'tests/qtest/{name}.c')
    meson.write_text(text)
    git(top, 'add', 'tests/qtest/meson.build')


def pick(top, base, commit, name, env):
    git(top, 'reset', '-q', '--hard', base)
    done = git(top, 'cherry-pick', commit, env=env, check=False)
    if done.returncode:
        raise TreeError(f'{name} does not stand alone, it changes what a fix before it has '
                        f'changed: {done.stdout.strip()}. Make the two one, or change other lines')


def compose(top, base, out, submitter):
    """Write the mails to `out`: [Mail]"""
    wanted, env, mails, head = tests_of_fixes(), series.identity(submitter), [], base
    signoff = ['--signoff'] if submitter else []
    for old in out.glob('*.patch'):
        old.unlink()
    for patch in tree.patches():
        head = tree.apply_series(top, head, [patch])
        tests = wanted.get(tree.short_name(patch.path))
        if not tests:
            continue
        pick(top, base, head, patch.path, env)
        add_tests(top, tests)
        series.amend(top, env)
        git(top, *series.MAIL, '-N', '-1', f'--start-number={len(mails) + 1}', *signoff, '-o', out,
            env=env)
        mails.append(Mail(sorted(out.glob('*.patch'))[-1], tests))
        print(f'{len(mails):3} {git(top, "log", "-1", "--format=%s")}  [{", ".join(tests)}]')
    return mails


def write(base, submitter):
    out = ROOT / 'build' / 'series' / f'{tree.BASE}-fixes'
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='series-tree.', dir=tree.BUILD) as scratch:
        mails = compose(series.private_tree(Path(scratch) / 'src', base), base, out, submitter)
    print(f'== {len(mails)} mails, each for QEMU {(STOCK / "VERSION").read_text().strip()}, '
          f'in {out.relative_to(ROOT)}')
    return mails


# -- verifying

def apply_all(top, base, mails, submitter):
    """Each on the pristine base: their commits"""
    commits, granted = [], set()
    verify.start_tree(top, base)
    for mail in mails:
        git(top, 'reset', '-q', '--hard', base)
        verify.apply_mail(top, mail.path)
        granted |= set(verify.check_style(top, mail.path, submitter, 'qtest'))
        commits.append(git(top, 'rev-parse', 'HEAD'))
        print(f'ok {mail.path.name} applies', flush=True)
    for line in sorted(granted):
        print('   exception:', line)
    return commits


def see_them_fail(tests, log):
    for name in tests:
        done = verify.run_program(f'tests/qtest/{name}', log, WORK.name)
        # A program that is not there, or cannot start, has no plan.
        if not re.search(r'^1\.\.\d', done.stdout, re.M) or not done.returncode:
            raise verify.Failed(f'{name} does not fail on the pristine base: see {log.name}')
        said = re.findall(r'(?:assertion failed[^:]*: |Assertion ).*', done.stdout + done.stderr)
        print(f'ok {name} fails on the pristine base:',
              said[0] if said else f'exit status {done.returncode}', flush=True)


def build_all(top, base, mails, commits):
    """One tree has all the tests, so that meson need not run for each mail."""
    git(top, 'reset', '-q', '--hard', base)
    add_tests(top, [name for mail in mails for name in mail.tests])
    git(top, '-c', 'user.name=host-clock', '-c', 'user.email=host-clock@localhost', 'commit', '-q',
        '--no-verify', '-m', 'all tests')
    tests = git(top, 'rev-parse', 'HEAD')
    with (WORK / 'build.log').open('w') as log:
        verify.build(log, WORK.name)
        see_them_fail([name for mail in mails for name in mail.tests], log)
        for mail, commit in zip(mails, commits):
            git(top, 'reset', '-q', '--hard', tests)
            # Not stripped: its last line may be an empty one of context.
            fix = git(top, 'diff', base, commit, '--', '.', ':!tests/qtest', check=False).stdout
            git(top, 'apply', stdin=fix)
            verify.build(log, WORK.name)
            counts = {name: verify.run_test(f'tests/qtest/{name}', log, WORK.name)
                      for name in [*mail.tests, 'rtc-test']}
            passed = ', '.join(f'{name} {count}' for name, count in counts.items())
            print(f'ok {mail.path.name}: {passed}', flush=True)


def main(options, submitter):
    base = tree.base_commit()
    tree.check_base(STOCK)
    if not options.verify:
        write(base, submitter)
        return 0
    with verify.at_work(WORK):
        mails = write(base, submitter)[:options.first]
        top = WORK / 'src'
        commits = apply_all(top, base, mails, submitter)
        if not options.no_build:
            build_all(top, base, mails, commits)
    print(f'== each of {len(mails)} mails stands alone')
    return 0
