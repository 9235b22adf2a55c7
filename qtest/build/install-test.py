#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of ./run install, in a prefix of their own. Prints TAP; arguments
choose tests."""

import json
import subprocess
import sys
from pathlib import Path

from lib.paths import OBJ, ROOT
from lib.sources import parse_help
from project import main


class Prefix:
    def __init__(self, folder):
        self.path = folder / 'prefix'

    def install(self, *args, fails=False):
        done = subprocess.run([ROOT / 'scripts' / 'install.py', self.path, *args],
                              capture_output=True, text=True, timeout=300)
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        assert 'Traceback' not in done.stderr, done.stderr
        return done.stdout + done.stderr

    def qemu(self, *args, stdin='', path=None):
        """The installed emulator, without what a build leaves in the environment."""
        return subprocess.run([(path or self.path) / 'bin' / 'qemu-system-x86_64', *args],
                              input=stdin, capture_output=True, text=True, timeout=120,
                              env={'PATH': '/usr/bin:/bin'}, cwd='/')

    def files(self):
        return {str(path.relative_to(self.path)) for path in self.path.rglob('*')
                if path.is_symlink() or path.is_file()}


def modules():
    return sorted(path.name[len('hw-rtc-host-clock-'):-3] for path in
                  OBJ.glob('hw-rtc-host-clock-*.so'))


def clocks(prefix, path=None):
    """What the emulator of the prefix says to query-host-clocks."""
    qmp = '\n'.join(json.dumps({'execute': name}) for name in
                    ('qmp_capabilities', 'query-host-clocks', 'quit'))
    done = prefix.qemu('-clock', 'dynticks', '-accel', 'tcg', '-display', 'none', '-S',
                       '-qmp', 'stdio', stdin=qmp, path=path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(prefix):
    """The names that '-clock help' of the prefix has."""
    return set(parse_help(prefix.qemu('-clock', 'help').stdout))


def test_runs_from_there(prefix):
    prefix.install()
    assert 'host-clock-dynticks' in clocks(prefix)
    # Listed, so its module was found and loaded.
    assert set(modules()) <= listed(prefix), listed(prefix)


def test_can_be_moved(prefix):
    prefix.install()
    moved = prefix.path.with_name('elsewhere')
    prefix.path.rename(moved)
    assert 'host-clock-dynticks' in clocks(prefix, moved)


def test_firmware_is_that_of_the_prefix(prefix):
    prefix.install()
    data = prefix.path / 'share' / 'qemu'
    assert (data / 'bios-256k.bin').is_symlink() and (data / 'bios-256k.bin').is_file()
    broken = [path for path in data.iterdir() if path.is_symlink() and not path.exists()]
    assert not broken, broken
    shown = prefix.qemu('-L', 'help').stdout
    folders = {str(Path(line).resolve()) for line in shown.splitlines()}
    assert str(data) in folders, shown


def test_documents(prefix):
    prefix.install()
    page = (prefix.path / 'share/man/man1/qemu-system-x86_64.1').read_text()
    assert r'\-clock name' in page and r'host\-clock\-name' in page
    html = prefix.path / 'share/doc/qemu-host-clock/html'
    for name in ('index', 'users', 'operators', 'system/host-clock', 'devel/writing-host-clocks'):
        assert (html / f'{name}.html').is_file(), name


def test_without_a_module(prefix):
    if not modules():
        return 'no host clock is a module'
    left_out = modules()[0]
    prefix.install('--without', left_out)
    assert not any(left_out + '.so' in path for path in prefix.files())
    done = prefix.qemu('-clock', left_out)
    assert done.returncode == 1
    assert f'not built in, and no module hw-rtc-host-clock-{left_out} found' in done.stderr, done.stderr
    # All else works, and a list falls through to what there is.
    assert 'host-clock-dynticks' in clocks(prefix)
    done = prefix.qemu('-clock', f'{left_out},unix', '-display', 'none', '-S', '-monitor', 'stdio',
                       stdin='quit\n')
    assert done.returncode == 0 and "took 'unix'" in done.stderr, done.stderr
    names = listed(prefix)
    assert left_out not in names and set(modules()[1:]) <= names, names


def test_no_such_module(prefix):
    said = prefix.install('--without', 'sundial', fails=True)
    assert 'sundial' in said and 'modules' in said, said
    assert not prefix.path.exists()


def test_uninstall_leaves_nothing(prefix):
    prefix.install()
    prefix.install('--uninstall')
    assert not prefix.path.exists(), prefix.files()


def test_uninstall_leaves_what_is_not_ours(prefix):
    stranger = prefix.path / 'bin' / 'stranger'
    stranger.parent.mkdir(parents=True)
    stranger.write_text('mine\n')
    prefix.install()
    prefix.install('--uninstall')
    assert prefix.files() == {'bin/stranger'}, prefix.files()
    assert 'nothing of ours' in prefix.install('--uninstall', fails=True)


def test_again_is_an_update(prefix):
    prefix.install()
    before = prefix.files()
    prefix.install()
    assert prefix.files() == before
    name = modules()[0] if modules() else None
    if name:
        prefix.install('--without', name)
        assert before - prefix.files() == {
            path for path in before if path.endswith(f'hw-rtc-host-clock-{name}.so')}


def test_does_not_overwrite_strangers(prefix):
    theirs = prefix.path / 'bin' / 'qemu-img'
    theirs.parent.mkdir(parents=True)
    theirs.write_text('theirs\n')
    said = prefix.install(fails=True)
    assert str(theirs) in said and 'not of ours' in said, said
    assert theirs.read_text() == 'theirs\n' and prefix.files() == {'bin/qemu-img'}


def test_prefix_is_a_file(prefix):
    prefix.path.write_text('')
    assert 'not a folder' in prefix.install(fails=True)


if __name__ == '__main__':
    sys.exit(main(globals(), Prefix))
