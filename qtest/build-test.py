#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of getting, staging and exporting: bad input, and no work lost.

Each test runs ./run in a copy of the project, with a cache of its own and a
made-up QEMU tree of three files, so nothing here builds or downloads. Prints
TAP; arguments choose tests by name.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GIT_USER = ['-c', 'user.name=A Tester', '-c', 'user.email=tester@localhost']


def lines(*numbers):
    return ''.join(f'line {n}\n' for n in numbers)


class Project:
    """A copy of the project's build machinery, and a QEMU tree to give it."""

    def __init__(self, folder):
        self.top = folder / 'project'
        self.cache = folder / 'cache'
        self.qemu = folder / 'qemu'
        self.top.mkdir()
        for name in ('run', 'meson.build', 'scripts'):
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, self.top / name)
        for part in (ROOT / 'qtest').glob('*/meson.build'):
            shutil.copytree(part.parent, self.top / 'qtest' / part.parent.name)
        (self.top / 'hw-rtc').mkdir()
        (self.top / 'hw-rtc' / 'host-clock.c').write_text('/* new */\n')
        self.patches = self.top / 'patches'
        self.series = self.patches / 'fixes'
        for part in ('fixes', '10.0'):
            (self.patches / part).mkdir(parents=True)
        self.staged = self.top / 'build' / 'host-clock' / 'src'
        self.make_qemu('10.0.99')
        self.make_patch()

    def make_qemu(self, version, folder=None, first=1):
        for path, text in (('VERSION', version + '\n'), ('hw/a.c', lines(*range(first, 20))),
                           ('hw/b.c', lines(*range(1, 20))), ('.gitignore', '*.c\n')):
            file = (folder or self.qemu) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def make_patch(self):
        """0001 changes line 5 of hw/a.c."""
        (self.patches / 'series').write_text('# A comment.\n\nfixes/0001-hw-change-five.patch\n')
        (self.series / '0001-hw-change-five.patch').write_text(
            'From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n'
            'From: A Tester <tester@localhost>\nDate: Wed, 1 Jan 2025 12:00:00 +0000\n'
            'Subject: [PATCH] hw: change five\n\nFor the test.\n---\n'
            'diff --git a/hw/a.c b/hw/a.c\n--- a/hw/a.c\n+++ b/hw/a.c\n@@ -3,5 +3,5 @@\n'
            ' line 3\n line 4\n-line 5\n+line five\n line 6\n line 7\n')

    def drop_patch(self):
        (self.series / '0001-hw-change-five.patch').unlink()
        (self.patches / 'series').write_text('')

    def files(self):
        return {str(p.relative_to(self.patches)): p.read_bytes()
                for p in self.patches.rglob('*') if p.is_file()}

    def run(self, *args, prefix=(), **env):
        return subprocess.run(
            [*prefix, self.top / 'run', *args], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120,
            env={**os.environ, 'XDG_CACHE_HOME': str(self.cache), 'HOST_CLOCK_BASE': '', **env})

    def stage(self):
        """Import the made-up tree and stage it; nothing is configured or built."""
        self.good('build', '--qemu-src', self.qemu, 'stage.step')

    def good(self, *args, **env):
        done = self.run(*args, **env)
        assert done.returncode == 0, f'./run {args} failed:\n{done.stdout}{done.stderr}'
        return done.stdout

    def bad(self, *args, says, **more):
        """./run must fail with one message, which holds each string of `says`."""
        done = self.run(*args, **more)
        assert done.returncode != 0, f'./run {args} did not fail:\n{done.stdout}'
        errors = [ln for ln in (done.stdout + done.stderr).splitlines()
                  if ln.startswith('error: ')]
        assert len(errors) == 1, f'{len(errors)} messages:\n{done.stdout}{done.stderr}'
        for text in says:
            assert str(text) in done.stderr, f'{text!r} is not in: {done.stderr}'
        assert 'Traceback' not in done.stderr, done.stderr

    def git(self, *args):
        return subprocess.run(['git', '-C', self.staged, *GIT_USER, *args], check=True,
                              capture_output=True, text=True).stdout.strip()

    def commit_edit(self, path, old, new, subject):
        file = self.staged / path
        file.write_text(file.read_text().replace(old, new))
        self.git('commit', '-qam', subject)

    def leftovers(self):
        return [p for p in self.top.glob('build/*/src.new')] + \
            [p for p in self.cache.glob('qemu-host-clock/source/*')]


# -- bad input

def test_unknown_verb(project):
    project.bad('frobnicate', says=['frobnicate', './run help'])


def test_unknown_option(project):
    project.bad('build', '--frobnicate', says=['--frobnicate', '--qemu-src'])


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


# -- staging and exporting

def test_stage_applies_and_links(project):
    project.stage()
    assert project.git('log', '--format=%s') == 'hw: change five\nQEMU 10.0.99'
    assert 'line five' in (project.staged / 'hw/a.c').read_text()
    assert (project.staged / 'hw/rtc/host-clock.c').read_text() == '/* new */\n'
    assert project.git('status', '--porcelain') == ''


def test_stage_without_patches(project):
    shutil.rmtree(project.top / 'patches')
    project.stage()
    assert project.git('log', '--format=%s') == 'QEMU 10.0.99'


def test_stage_twice_touches_nothing(project):
    project.stage()
    before = {p: p.lstat().st_mtime_ns for p in project.staged.rglob('*')
              if '.git' not in p.parts}
    project.good('stage')
    assert before == {p: p.lstat().st_mtime_ns for p in project.staged.rglob('*')
                      if '.git' not in p.parts}


def test_removed_file_is_unlinked(project):
    project.stage()
    (project.top / 'hw-rtc' / 'host-clock.c').unlink()
    project.good('stage')
    assert not (project.staged / 'hw/rtc/host-clock.c').is_symlink()


def test_new_file_over_qemus(project):
    (project.qemu / 'hw/rtc').mkdir()
    (project.qemu / 'hw/rtc/host-clock.c').write_text('theirs\n')
    project.bad('build', '--qemu-src', project.qemu, 'stage.step',
                says=['hw-rtc/host-clock.c', 'tree-map'])


def test_changed_patch_touches_only_its_file(project):
    project.stage()
    before = (project.staged / 'hw/b.c').stat().st_mtime_ns
    patch = project.series / '0001-hw-change-five.patch'
    patch.write_text(patch.read_text().replace('line five', 'line FIVE'))
    project.good('stage')
    assert 'line FIVE' in (project.staged / 'hw/a.c').read_text()
    assert (project.staged / 'hw/b.c').stat().st_mtime_ns == before


def test_export_twice(project):
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.good('export')
    first = project.files()
    assert sorted(first) == ['fixes/0001-hw-change-five.patch', 'fixes/0002-hw-change-nine.patch',
                             'series']
    assert '0 written' in project.good('export')
    assert first == project.files()


def test_exported_can_be_staged_elsewhere(project):
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.good('export')
    first = project.files()
    shutil.rmtree(project.top / 'build')
    project.stage()
    assert 'line nine' in (project.staged / 'hw/b.c').read_text()
    project.good('export')
    assert first == project.files()


def compare(project):
    return subprocess.run([project.top / 'scripts' / 'tree.py', 'check'],
                          capture_output=True, text=True).stderr


def test_difference_is_found(project):
    project.stage()
    project.good('export')
    assert compare(project) == ''
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    assert 'hw-change-nine.patch' in compare(project)
    project.good('export')
    assert compare(project) == ''
    (project.staged / 'hw/b.c').write_text('edited\n')
    assert 'hw/b.c' in compare(project)


def test_work_is_not_dropped(project):
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.drop_patch()
    project.bad('stage', says=['./run export', '--discard'])
    assert 'line nine' in (project.staged / 'hw/b.c').read_text()
    project.good('stage', '--discard')
    assert project.git('log', '--format=%s') == 'QEMU 10.0.99'


def test_edits_are_not_dropped(project):
    project.stage()
    (project.staged / 'hw/b.c').write_text('edited\n')
    project.good('stage')
    project.drop_patch()
    project.bad('stage', says=['./run export', '--discard'])
    assert (project.staged / 'hw/b.c').read_text() == 'edited\n'


def test_checkout_is_the_same_base(project):
    project.stage()
    base = project.git('rev-list', '--max-parents=0', 'HEAD')
    for args in (['init', '-q'], ['add', '-f', '-A'], ['commit', '-qm', 'theirs']):
        subprocess.run(['git', '-C', project.qemu, *GIT_USER, *args], check=True)
    shutil.rmtree(project.top / 'build')
    project.stage()
    assert project.git('rev-list', '--max-parents=0', 'HEAD') == base


def test_new_base_moves_the_staged_tree(project):
    project.stage()
    before = (project.staged / 'hw/a.c').stat().st_mtime_ns
    (project.qemu / 'hw/b.c').write_text(lines(1, 2, 3))
    project.stage()
    assert (project.staged / 'hw/b.c').read_text() == lines(1, 2, 3)
    assert 'line five' in (project.staged / 'hw/a.c').read_text()
    assert (project.staged / 'hw/a.c').stat().st_mtime_ns == before


# -- patches/

def test_commits_get_group_and_number(project):
    """That of the one before them; what comes after is renumbered."""
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.commit_edit('hw/b.c', 'line 15\n', 'line fifteen\n', 'hw: change fifteen')
    project.good('export')
    series = project.patches / 'series'
    (project.patches / 'core').mkdir()
    (project.series / '0003-hw-change-fifteen.patch').rename(
        project.patches / 'core' / '0003-hw-change-fifteen.patch')
    series.write_text(series.read_text().replace('fixes/0003', 'core/0003'))
    project.good('stage')
    fifteen = project.files()['core/0003-hw-change-fifteen.patch']
    project.git('reset', '-q', '--hard', 'HEAD^')
    project.commit_edit('hw/a.c', 'line 9\n', 'line nine\n', 'hw: a new one')
    project.git('cherry-pick', 'ORIG_HEAD')
    assert 'hw-a-new-one.patch, in the group fixes' in project.good('export')
    assert series.read_text() == (
        '# A comment.\n\nfixes/0001-hw-change-five.patch\nfixes/0002-hw-change-nine.patch\n'
        'fixes/0003-hw-a-new-one.patch\n\ncore/0004-hw-change-fifteen.patch\n')
    assert project.files()['core/0004-hw-change-fifteen.patch'] == fifteen
    assert compare(project) == ''


def test_order_is_that_of_the_commits(project):
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.good('export')
    project.git('reset', '-q', '--hard', 'HEAD~2')
    project.git('cherry-pick', 'ORIG_HEAD', 'ORIG_HEAD^')
    assert 'the order' in compare(project)
    project.good('export')
    assert sorted(project.files()) == ['fixes/0001-hw-change-nine.patch',
                                       'fixes/0002-hw-change-five.patch', 'series']


def test_patch_without_a_line(project):
    project.stage()
    (project.series / '0002-hw-more.patch').write_text('')
    project.bad('stage', says=['no line of patches/series', 'fixes/0002-hw-more.patch'])


def test_line_without_a_patch(project):
    project.stage()
    with (project.patches / 'series').open('a') as series:
        series.write('fixes/0002-hw-more.patch\n')
    project.bad('stage', says=['fixes/0002-hw-more.patch', 'no such file'])


def test_named_twice(project):
    project.stage()
    with (project.patches / 'series').open('a') as series:
        series.write('fixes/0001-hw-change-five.patch\n')
    project.bad('export', says=['hw-change-five.patch twice'])


def test_same_subject_twice(project):
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change five')
    project.bad('export', says=['two commits', 'hw-change-five.patch'])


def stage_both(project):
    """Another base too, whose hw/a.c begins with line 3; line 15 of hw/b.c differs."""
    other = project.top.parent / 'qemu-10.2'
    project.make_qemu('10.2.99', other, first=3)
    (other / 'hw/b.c').write_text(lines(*range(1, 15), 'of 10.2', *range(16, 20)))
    (project.patches / '10.2').mkdir()
    project.stage()
    project.good('build', '--base', '10.2', '--qemu-src', other, 'stage.step')
    return project.top / 'build' / 'base-10.2' / 'host-clock' / 'src'


def test_export_is_for_both_bases(project):
    other = stage_both(project)
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.good('export')
    assert sorted(project.files()) == ['fixes/0001-hw-change-five.patch',
                                       'fixes/0002-hw-change-nine.patch', 'series']
    project.good('stage', '--base', '10.2')
    assert 'line nine' in (other / 'hw/b.c').read_text()
    # And from there: no other line numbers are written, but what was changed.
    assert '0 written' in project.good('export', '--base', '10.2')
    project.staged = other
    project.git('reset', '-q', '--hard', 'HEAD^')
    project.commit_edit('hw/b.c', 'line 9\n', 'line NINE\n', 'hw: change nine')
    project.good('export', '--base', '10.2')
    project.good('stage')
    assert 'line NINE' in (project.top / 'build/host-clock/src/hw/b.c').read_text()


def test_other_base_is_not_there(project):
    (project.patches / '10.2').mkdir()
    project.stage()
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    assert 'not tried on 10.2' in project.good('export')
    assert 'fixes/0002-hw-change-nine.patch' in project.files()


def test_change_for_one_base(project):
    """What the other base does not take goes to patches/10.0/."""
    other = stage_both(project)
    before = project.files()
    (project.staged / 'hw/b.c').write_text(
        (project.staged / 'hw/b.c').read_text().replace('line 15\n', 'line fifteen\n'))
    project.git('commit', '-q', '-a', '--amend', '--no-edit')
    said = project.good('export')
    assert 'hw-change-five.patch: for 10.0 alone' in said, said
    after = project.files()
    assert b'line fifteen' in after.pop('10.0/0001-hw-change-five.patch')
    assert after == before
    assert compare(project) == ''
    project.good('stage', '--base', '10.2')
    assert 'line five' in (other / 'hw/a.c').read_text()
    assert 'fifteen' not in (other / 'hw/b.c').read_text()
    # A change to the one for the other bases touches it alone.
    project.staged = other
    project.git('commit', '-q', '--amend', '-m', 'hw: change five', '-m', 'Otherwise.')
    assert '10.0 has its own hw-change-five' in project.good('export', '--base', '10.2')
    assert b'Otherwise.' in project.files()['fixes/0001-hw-change-five.patch']
    assert b'Otherwise.' not in project.files()['10.0/0001-hw-change-five.patch']


def test_context_in_a_wrong_place(project):
    """It applies on the other base, but to other lines than were meant."""
    project.make_qemu('10.0.99')
    (project.qemu / 'hw/a.c').write_text(
        lines(*range(1, 10)) + 'one {\n}\n\ntwo {\n}\n\nthree {\n}\n\n' + lines('end'))
    other = project.top.parent / 'qemu-10.2'
    project.make_qemu('10.2.99', other)
    (other / 'hw/a.c').write_text((project.qemu / 'hw/a.c').read_text().replace(
        'one {\n', 'none {\n}\n\none {\n'))
    (project.patches / '10.2').mkdir()
    project.stage()
    project.good('build', '--base', '10.2', '--qemu-src', other, 'stage.step')
    project.commit_edit('hw/a.c', 'two {\n}\n', 'two {\n}\nhere\n', 'hw: after two')
    assert 'hw-after-two.patch: for 10.0 alone' in project.good('export')


def test_patch_for_one_base(project):
    """A new patch, which keeps its place when the other base is exported."""
    other = stage_both(project)
    project.git('reset', '-q', '--hard', 'HEAD^')
    project.commit_edit('hw/b.c', 'line 15\n', 'line fifteen\n', 'hw: change fifteen')
    project.git('cherry-pick', 'ORIG_HEAD')
    assert 'hw-change-fifteen.patch: for 10.0 alone' in project.good('export')
    wanted = ['10.0/0001-hw-change-fifteen.patch', 'fixes/0002-hw-change-five.patch', 'series']
    assert sorted(project.files()) == wanted, project.files().keys()
    project.good('stage', '--base', '10.2')
    assert 'line five' in (other / 'hw/a.c').read_text()
    project.good('export', '--base', '10.2')
    assert sorted(project.files()) == wanted
    project.staged = other
    project.git('reset', '-q', '--hard', 'HEAD^')
    project.good('export', '--base', '10.2')
    assert sorted(project.files()) == ['10.0/0001-hw-change-fifteen.patch', 'series']


def test_dropped_patch_that_the_other_base_needs(project):
    stage_both(project)
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: change nine')
    project.good('export')
    project.good('stage', '--base', '10.2')
    project.staged = project.top / 'build' / 'base-10.2' / 'host-clock' / 'src'
    project.commit_edit('hw/b.c', 'line of 10.2\n', 'line fifteen\n', 'hw: change fifteen')
    (project.staged / 'hw/b.c').write_text(
        (project.staged / 'hw/b.c').read_text().replace('line nine\n', 'line 99\n'))
    project.git('commit', '-q', '-a', '--amend', '--no-edit')
    assert 'hw-change-fifteen.patch: for 10.2 alone' in project.good('export', '--base', '10.2')
    project.staged = project.top / 'build' / 'host-clock' / 'src'
    project.git('reset', '-q', '--hard', 'HEAD^')
    assert 'hw-change-nine.patch: for 10.2 alone' in project.good('export')
    assert sorted(project.files()) == [
        '10.2/0002-hw-change-nine.patch', '10.2/0003-hw-change-fifteen.patch',
        'fixes/0001-hw-change-five.patch', 'series']


# -- counting tests

def closing_line(project, *entries):
    """What count-tests.py says last of a made-up meson log, and its status."""
    log = project.top / 'testlog.json'
    log.write_text(''.join(
        json.dumps({'name': f'p:suite{n} / t{n}', 'stdout': out, 'result': result,
                    'returncode': 0}) + '\n' for n, (result, out) in enumerate(entries)))
    done = subprocess.run([project.top / 'scripts' / 'count-tests.py', log, '0'],
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


def test_count_crash(project):
    last, status, said = closing_line(project, ('ERROR', '1..3\nok 1 /a\n'))
    assert (last, status) == ('1 passed, 1 failed', 1), said


def test_count_nothing(project):
    last, status, said = closing_line(project)
    assert (last, status) == ('0 passed, 1 failed', 1), said


def main(chosen, names, fixture=Project):
    tests = [(name, test) for name, test in names.items() if name.startswith('test_')
             and (not chosen or any(word in name for word in chosen))]
    print(f'1..{len(tests)}')
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='host-clock-build-test.') as folder:
            try:
                skip = test(fixture(Path(folder)))
                print(f'ok {number} {name}' + (f' # SKIP {skip}' if skip else ''), flush=True)
            except Exception:       # whatever it is, the next test runs
                failed += 1
                print(f'not ok {number} {name}')
                print('# ' + traceback.format_exc().rstrip().replace('\n', '\n# '), flush=True)
    return failed > 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:], globals()))
