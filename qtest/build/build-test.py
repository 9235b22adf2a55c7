#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of ./run build and ./run check: bad input, the machine's mirror, and how
tests are counted. Prints TAP; arguments choose tests by name."""

import json
import os
import shutil
import subprocess
import sys

from project import lines, main


# -- bad input

def test_unknown_verb(project):
    project.bad('frobnicate', says=['frobnicate', './run help'])


def test_unknown_option(project):
    project.bad('build', '--frobnicate', says=['--frobnicate', '--qemu-src'])


def test_unknown_target(project):
    project.bad('build', '--targets', 'aarch64,sparc', says=["'sparc'", 'riscv64'])


def test_machines_not_built(project):
    done = subprocess.run([project.top / 'scripts' / 'check.sh', 'machines'],
                          capture_output=True, text=True)
    assert done.returncode and './run build --targets aarch64,riscv64' in done.stderr


def test_unknown_suite(project):
    done = subprocess.run([project.top / 'scripts' / 'check.sh', 'nosuch'],
                          capture_output=True, text=True)
    assert done.returncode and 'nosuch' in done.stderr and 'qtest' in done.stderr


def test_no_such_folder(project):
    project.bad('build', '--qemu-src', '/nonexistent/tree', says=['/nonexistent/tree', 'Give'])


def test_no_qemu_tree(project):
    (project.qemu / 'VERSION').unlink()
    project.bad('build', '--qemu-src', project.qemu, says=[project.qemu, 'VERSION'])


def test_other_version(project):
    project.make_qemu('9.2.1')
    project.bad('build', '--qemu-src', project.qemu, says=['9.2.1', 'patches/9.2', '10.0'])


def test_patch_does_not_apply(project):
    (project.qemu / 'hw' / 'a.c').write_text(lines(*range(100, 120)))
    project.bad('build', '--qemu-src', project.qemu, 'stage.step',
                says=['0001-hw-change-five.patch', 'hw/a.c', '10.0.99'])
    assert not project.leftovers() and not project.staged.exists()
    project.make_qemu('10.0.99')
    project.stage()


def test_bad_tree_leaves_the_staged_one(project):
    project.stage()
    before = project.git('rev-parse', 'HEAD')
    (project.qemu / 'hw' / 'a.c').write_text(lines(*range(100, 120)))
    project.bad('build', '--qemu-src', project.qemu, 'stage.step', says=['does not apply'])
    project.good('build', 'stage.step')
    assert project.git('rev-parse', 'HEAD') == before


def test_no_network(project):
    project.bad('build', 'stage.step', says=['file:///nonexistent', 'network', '--qemu-src'],
                HOST_CLOCK_MIRROR='file:///nonexistent')
    assert not project.leftovers(), project.leftovers()
    project.stage()


def test_damaged_cache(project):
    source = project.cache / 'qemu-host-clock' / 'source'
    source.mkdir(parents=True)
    (source / 'qemu_10.0.1.dsc').write_text('damaged\n')
    project.bad('build', 'stage.step', says=['qemu_10.0.1.dsc', 'remove ' + str(source)])


def test_disk_full(project):
    project.bad('build', '--qemu-src', project.qemu, 'stage.step',
                says=['not enough disk space', project.top / 'build', 'Free some'],
                HOST_CLOCK_NEED_MB='999999999')
    project.stage()


def test_no_root(project):
    if os.getuid():
        return 'only root can become somebody else'
    with (project.top / 'scripts' / 'packages').open('a') as packages:
        packages.write('no-such-package-here\n')
    for folder in [project.top, *project.top.parents]:
        if not folder.stat().st_mode & 0o005 == 0o005:
            folder.chmod(0o755)
    project.bad('build', says=['no-such-package-here', 'as root'],
                prefix=['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
                HOME='/nonexistent')


def test_no_such_package(project):
    if os.getuid():
        return 'only root installs packages'
    with (project.top / 'scripts' / 'packages').open('a') as packages:
        packages.write('no-such-package-here\n')
    # Lists of its own: the test must neither wait for a mirror nor touch the machine's.
    config = project.top / 'apt.conf'
    config.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n'
                      f'Dir::State::lists "{project.top}/lists";\n')
    project.bad('build', says=['no-such-package-here', 'run the same command again'],
                APT_CONFIG=str(config))


# -- the machine's mirror

def mirror_of(project, name, text):
    parts = project.top / 'sources'
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    (parts / name).write_text(text)
    config = project.top / 'apt.conf'
    config.write_text(f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{parts}";\n')
    done = subprocess.run([project.top / 'scripts' / 'apt-mirror.py'], text=True,
                          capture_output=True, env={**os.environ, 'APT_CONFIG': str(config)})
    return done.stdout.split('\t')[0] if done.returncode == 0 else None


def test_mirror_deb822(project):
    assert mirror_of(project, 'a.sources', '''
# a comment
Types: deb
URIs: http://disabled.example/debian
Suites: stable
Components: main
Enabled: no

Types: deb deb-src
URIs: http://security.example/debian-security
Suites: stable-security

Types: deb-src deb
# in between
URIs: http://mirror.example/debian
Suites: stable
 stable-updates
Components: main
''') == 'http://mirror.example/debian'


def test_mirror_one_line(project):
    assert mirror_of(project, 'a.list', '''
# deb http://commented.example/debian stable main
deb-src http://source.example/debian stable main
deb [arch=amd64 signed-by=/nowhere.gpg] http://mirror.example/debian stable main contrib
''') == 'http://mirror.example/debian'


def test_mirror_none(project):
    assert mirror_of(project, 'a.list', 'deb http://x.example/apt cloud main\n') is None


# -- counting tests

def write_log(path, entries):
    """A made-up log of meson's."""
    path.write_text(''.join(
        json.dumps({'name': f'p:qtest / t{n}-test', 'stdout': out, 'result': result,
                    'returncode': 0}) + '\n' for n, (result, out) in enumerate(entries)))
    return path


def closing_line(project, *entries, again=()):
    """What count-tests.py says last of a log, and of one of what ran again; its
    status, and all that it says."""
    logs = [write_log(project.top / 'testlog.json', entries),
            *([write_log(project.top / 'again-1.json', again)] if again else [])]
    done = subprocess.run([project.top / 'scripts' / 'count-tests.py', *logs],
                          capture_output=True, text=True)
    return done.stdout.splitlines()[-1], done.returncode, done.stdout


def test_count_points(project):
    last, status, said = closing_line(
        project, ('OK', 'ok 1 /a\nok 2 /b # SKIP no such device\n1..2\n'),
        ('OK', '    ok 1 /c\n    ok 2 /d\nok 1 group\n1..1\n'))
    assert (last, status) == ('3 passed, 0 failed, 1 skipped', 0), said
    assert 'no such device' in said


def test_count_failures(project):
    last, status, said = closing_line(project, ('FAIL', 'ok 1 /a\nnot ok 2 /b\n'))
    assert (last, status) == ('1 passed, 1 failed', 1), said


def test_count_says_why(project):
    said = closing_line(project, ('FAIL', 'not ok 1 /a\n# Traceback:\n#   raise it\n'
                                  '# ValueError: a is 3\n# figure: 4\nnot ok 2 /b\n# b is 5\n'
                                  'not ok 3 /c\nok 4 /d\n# Error of d\n'))[2]
    assert 'failed: t0-test /a: ValueError: a is 3\n' in said, said
    assert 'failed: t0-test /b: b is 5\n' in said and 'failed: t0-test /c\n' in said, said


def test_count_crash(project):
    last, status, said = closing_line(project, ('ERROR', '1..3\nok 1 /a\n'))
    assert (last, status) == ('1 passed, 1 failed', 1), said


def test_count_nothing(project):
    last, status, said = closing_line(project)
    assert (last, status) == ('0 passed, 1 failed', 1), said


FAILED = 'FAIL', '1..3\nok 1 /a\nnot ok 2 /b\nnot ok 3 /c\n'


def test_count_again(project):
    last, status, said = closing_line(project, FAILED, again=[('OK', '1..2\nok 1 /b\nok 2 /c\n')])
    assert (last, status) == ('3 passed, 0 failed', 0), said
    assert 'failed at first: t0-test /b' in said and 'when it ran by itself: t0-test' in said
    last, status, said = closing_line(project, FAILED, again=[
        ('FAIL', '1..2\nok 1 /b\nnot ok 2 /c\n')])
    assert (last, status) == ('2 passed, 1 failed', 1), said
    assert 'failed again: t0-test /c' in said and 'ran by itself' not in said
    # It dies: what failed before is not believed to have passed.
    last, status, said = closing_line(project, FAILED, again=[('ERROR', '1..2\nok 1 /b\n')])
    assert (last, status) == ('2 passed, 1 failed', 1), said


def test_count_again_several(project):
    """glib writes a plan after the tests of each -p, which meson calls an error."""
    for out, end in (('ok 1 /b\n1..1\nok 2 /c\n1..2\n', ('3 passed, 0 failed', 0)),
                     ('ok 1 /b\n1..1\nok 2 /c\n', ('2 passed, 1 failed', 1))):
        last, status, said = closing_line(project, FAILED, again=[('ERROR', out)])
        assert (last, status) == end, said


def test_count_again_without_an_answer(project):
    """What failed has to pass: to run nothing, or to skip it, is no answer."""
    for out in ('1..0\n', '1..2\nok 1 /b # SKIP why\nok 2 /c # SKIP why\n', '1..1\nok 1 /x\n'):
        last, status, said = closing_line(project, FAILED, again=[('OK', out)])
        assert (last, status) == ('1 passed, 2 failed', 1), said
        assert 'ran by itself' not in said, said


def test_count_again_after_a_crash(project):
    last, status, said = closing_line(project, ('ERROR', '1..3\nok 1 /a\n'),
                                      again=[('OK', '1..2\nok 1 /a\nok 2 /b\n')])
    assert (last, status) == ('2 passed, 0 failed', 0), said
    assert 'failed at first: t0-test: ERROR' in said, said


def test_what_failed(project):
    log = write_log(project.top / 'testlog.json', [
        FAILED, ('OK', '1..1\nok 1 /a\n'), ('ERROR', '1..3\nnot ok 1 /a\n')])
    done = subprocess.run([project.top / 'scripts' / 'count-tests.py', '--failed', log],
                          capture_output=True, text=True)
    assert done.stdout.splitlines() == ['qtest\tt0-test\t-p /b -p /c', 'qtest\tt2-test\t'], done


if __name__ == '__main__':
    sys.exit(main(globals()))
