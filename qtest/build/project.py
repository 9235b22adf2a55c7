# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the build share: a copy of the project, and how they run.

The copy has a cache of its own and a made-up QEMU tree of three files, so nothing
here builds or downloads.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.paths import ROOT
from lib.tap import Tap

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


def main(names, fixture=Project):
    """Run each function test_*(), of names, that an argument chooses."""
    tap = Tap()
    for name, test in names.items():
        if name.startswith('test_') and (
                not sys.argv[1:] or any(word in name for word in sys.argv[1:])):
            with tempfile.TemporaryDirectory(prefix='host-clock-build-test.') as folder:
                tap.attempt(name, lambda t=test, f=folder: t(fixture(Path(f))))
    return tap.end()
