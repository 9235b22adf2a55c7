#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of ./run stage and ./run export: no work is lost, and a patch is for the
bases that take it. Prints TAP; arguments choose tests by name."""

import os
import shutil
import subprocess
import sys

from project import GIT_USER, lines, main


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
    return subprocess.run([project.top / 'scripts' / 'tree.py', 'check'], text=True,
                          env={**os.environ, 'HOST_CLOCK_BASE': ''},
                          capture_output=True).stderr


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


if __name__ == '__main__':
    sys.exit(main(globals()))
