#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of ./run series: order, new files, sign-off, and what --verify finds.

Most run in a copy of the project with a made-up QEMU tree, as build-test.py
does; the last ones compose the real series. Prints TAP; arguments choose tests.
"""

import os
import re
import subprocess
import sys

from lib.paths import ROOT
from project import main

CHECKPATCH = r'''#!/usr/bin/perl
# Stands in for QEMU's: a line of nothing but "bad" is an error.
my $errors = 0;
while (<>) { if (/^\+bad$/) { print "ERROR: bad\n"; $errors++; } }
print "total: $errors errors, 0 warnings, 1 lines checked\n";
exit $errors > 0;
'''


def stage(project):
    """A project whose base has what the composer looks at, and three patches."""
    for name, text in (('hw/rtc/meson.build', "files('old.c')\n"),
                       ('MAINTAINERS', '\nHost clocks\nF: hw/rtc/host-clock*\nF: include/hw/rtc/\n'
                        'M: Name Of Submitter <submitter@example.org>\n'),
                       ('scripts/checkpatch.pl', CHECKPATCH)):
        file = project.qemu / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    # Its includes decide when the headers come.
    (project.top / 'hw-rtc' / 'host-clock.c').write_text('#include "host-clock-internal.h"\n')
    (project.top / 'hw-rtc' / 'host-clock-internal.h').write_text(
        '#include "hw/rtc/host-clock.h"\n')
    (project.top / 'hw-rtc' / 'host-clock.h').write_text('/* new */\n')
    (project.top / 'patches' / 'cover-letter').write_text('hw: a subject\n\nA blurb.\n')
    project.stage()
    project.commit_edit('hw/rtc/meson.build', "'old.c'", "'old.c', 'host-clock.c'",
                        'hw/rtc: build the host clock')
    project.commit_edit('hw/b.c', 'line 9\n', 'line nine\n', 'hw: a late fix')
    project.good('export')


def order(project, *names):
    """Give the lines of patches/series that are of these patches another order."""
    series = project.patches / 'series'
    lines = series.read_text().splitlines(True)
    series.write_text(''.join(line for name in names for line in lines if name in line))


def mails(project):
    folder = project.top / 'build' / 'series' / '10.0'
    return {path.name: path.read_text() for path in sorted(folder.glob('*.patch'))}


def test_order_is_that_of_the_lines(project):
    stage(project)
    order(project, 'hw-a-late-fix', 'hw-change-five', 'hw-rtc-build')
    project.good('series')
    assert [name[5:] for name in mails(project)] == [
        'cover-letter.patch', 'hw-a-late-fix.patch', 'hw-change-five.patch',
        'hw-rtc-build-the-host-clock.patch'], mails(project).keys()


def test_new_files_come_with_their_user(project):
    stage(project)
    project.good('series')
    made = {name[5:-6]: set(re.findall(r'^\+\+\+ b/(.*)$', text, re.M))
            for name, text in mails(project).items()}
    assert made['hw-change-five'] == {'hw/a.c'}
    assert made['hw-rtc-build-the-host-clock'] == {
        'hw/rtc/meson.build', 'hw/rtc/host-clock.c', 'hw/rtc/host-clock-internal.h',
        'include/hw/rtc/host-clock.h'}


def test_cover_letter(project):
    stage(project)
    project.good('series')
    cover = mails(project)['0000-cover-letter.patch']
    assert 'Subject: [PATCH 0/3] hw: a subject' in cover, cover
    assert 'A blurb.' in cover and 'Based on QEMU 10.0.99.' in cover and '***' not in cover, cover


def test_order_that_conflicts(project):
    stage(project)
    project.commit_edit('hw/a.c', 'line five\n', 'line FIVE\n', 'hw: five again')
    project.good('export')
    order(project, 'hw-five-again', 'hw-change-five', 'hw-rtc-build', 'hw-a-late-fix')
    project.bad('series', says=['hw-five-again', 'hw/a.c', 'does not apply'])


def test_file_that_nobody_builds(project):
    stage(project)
    (project.top / 'hw-rtc' / 'host-clock-lonely.c').write_text('/* new */\n')
    project.good('stage')
    project.bad('series', says=['hw/rtc/host-clock-lonely.c', 'meson.build'])


def test_signoff_is_of_the_submitter(project):
    stage(project)
    config = project.top / 'gitconfig'
    config.write_text('[user]\nname = Sub Mitter\nemail = sub@mitter.example\n')
    project.good('series', '--signoff', '--verify', '--no-build', GIT_CONFIG_GLOBAL=str(config))
    found = list(mails(project).values())[1:]
    assert all('\nSigned-off-by: Sub Mitter <sub@mitter.example>\n' in text for text in found)
    # Nobody else's, and the author is who it was.
    assert all(text.count('Signed-off-by') == 1 for text in found)
    assert 'From: A Tester' in found[1]


def test_no_signoff_unless_asked(project):
    stage(project)
    project.good('series')
    assert not any('Signed-off-by' in text for text in mails(project).values())


def test_signoff_of_nobody(project):
    stage(project)
    project.bad('series', '--signoff', says=['--signoff', 'user.name', 'user.email'],
                GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_NOSYSTEM='1')


def test_verify_passes(project):
    stage(project)
    out = project.good('series', '--verify', '--no-build')
    assert '== the end is the staged tree' in out, out


def test_verify_finds_bad_style(project):
    stage(project)
    project.commit_edit('hw/b.c', 'line 12\n', 'bad\n', 'hw: bad style')
    project.good('export')
    project.bad('series', '--verify', '--no-build',
                says=['mail 4', '0004-hw-bad-style.patch', 'checkpatch.pl'])


def test_verify_finds_another_end(project):
    """git am drops carriage returns, so the end is not what we build."""
    stage(project)
    (project.top / 'hw-rtc' / 'host-clock.h').write_bytes(b'/* new */\r\n')
    project.bad('series', '--verify', '--no-build',
                says=['does not end with the staged tree', 'include/hw/rtc/host-clock.h'])


def test_verify_finds_a_file_that_is_not_maintained(project):
    stage(project)
    project.commit_edit('MAINTAINERS', 'F: include/hw/rtc/\n', '', 'MAINTAINERS: forget a folder')
    project.good('export')
    project.bad('series', '--verify', '--no-build',
                says=['"Host clocks" of MAINTAINERS lacks include/hw/rtc/host-clock.h'])


def test_verify_finds_work_that_is_not_exported(project):
    stage(project)
    project.commit_edit('hw/b.c', 'line 12\n', 'line twelve\n', 'hw: not exported')
    project.bad('series', '--verify', '--no-build', says=['differ', './run export'])


def test_first_ones_only(project):
    stage(project)
    out = project.good('series', '--verify', '--no-build', '--first', '2')
    assert 'ok 2 ' in out and 'ok 3 ' not in out and 'not compared' in out, out
    project.bad('series', '--first', '2', says=['--first', '--verify'])


def test_quilt_without_debian(project):
    stage(project)
    project.bad('series', '--quilt', says=['debian/patches/series', '--qemu-src debian'])


def test_quilt(project):
    theirs = project.qemu / 'debian' / 'patches' / 'series'
    theirs.parent.mkdir(parents=True)
    theirs.write_text('theirs.patch')
    stage(project)
    project.good('series', '--quilt')
    folder = project.top / 'build/series/10.0/debian/patches'
    names = (folder / 'series').read_text().splitlines()
    assert names[0] == 'theirs.patch' and len(names) == 4, names
    assert all((folder / name).is_file() for name in names[1:])


def stage_fixes(project):
    """Each of the patches in fixes/ with a test."""
    meson = project.qemu / 'tests' / 'qtest' / 'meson.build'
    meson.parent.mkdir(parents=True, exist_ok=True)
    meson.write_text("  (config_all_devices.has_key('A') ? ['rtc-test'] : []) + \\\n")
    stage(project)
    folder = project.top / 'qtest' / 'faults'
    folder.mkdir(parents=True)
    (folder / 'mails').write_text(
        '# A comment.\nhw-change-five hpet-five-test\nhw-rtc-build-the-host-clock rtc-build-test\n'
        'hw-a-late-fix hpet-late-test hpet-nine-test\n')
    for name in ('hpet-five', 'rtc-build', 'hpet-late', 'hpet-nine'):
        (folder / f'{name}-test.c').write_text('/* new */\n')


def fix_mails(project):
    folder = project.top / 'build' / 'series' / '10.0-fixes'
    return {path.name[5:-6]: path.read_text() for path in sorted(folder.glob('*.patch'))}


def test_fixes_have_their_tests(project):
    stage_fixes(project)
    project.good('series', '--part', 'fixes')
    found = fix_mails(project)
    assert list(found) == ['hw-change-five', 'hw-rtc-build-the-host-clock', 'hw-a-late-fix']
    late = found['hw-a-late-fix']
    assert set(re.findall(r'^\+\+\+ b/(.*)$', late, re.M)) == {
        'hw/b.c', 'tests/qtest/hpet-late-test.c', 'tests/qtest/hpet-nine-test.c',
        'tests/qtest/meson.build'}, late
    assert "+  (config_all_devices.has_key('CONFIG_HPET') ? ['hpet-nine-test'] : []) +" in late
    assert 'Subject: [PATCH] hw: a late fix' in late, late


def test_fixes_apply_by_themselves(project):
    stage_fixes(project)
    out = project.good('series', '--part', 'fixes', '--verify', '--no-build')
    assert '== each of 3 mails stands alone' in out, out


def test_fix_that_does_not_stand_alone(project):
    stage_fixes(project)
    project.commit_edit('hw/b.c', 'line nine\n', 'line IX\n', 'hw: nine again')
    project.good('export')
    with (project.top / 'qtest' / 'faults' / 'mails').open('a') as file:
        file.write('hw-nine-again hpet-nine-test\n')
    project.bad('series', '--part', 'fixes', says=['hw-nine-again', 'does not stand alone'])


def test_fix_without_a_test(project):
    stage_fixes(project)
    (project.top / 'qtest' / 'faults' / 'mails').write_text('hw-change-five hpet-five-test\n')
    project.bad('series', '--part', 'fixes', says=['names no test for', 'hw-rtc-build'])


def test_the_real_fixes(project):
    base = os.environ.get('HOST_CLOCK_BASE', '10.0')
    done = subprocess.run([ROOT / 'run', 'series', '--base', base, '--part', 'fixes', '--verify',
                           '--no-build'], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert 'stands alone' in done.stdout


def test_the_real_series(project):
    """Applies, passes checkpatch.pl, ends with the staged tree; Debian's too."""
    base = os.environ.get('HOST_CLOCK_BASE', '10.0')
    done = subprocess.run([ROOT / 'run', 'series', '--base', base, '--verify',
                           '--no-build', '--quilt'], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert '== the end is the staged tree' in done.stdout


if __name__ == '__main__':
    sys.exit(main(globals()))
