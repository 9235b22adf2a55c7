#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Put what was built under a prefix, or take it away again.

The emulator finds its modules and data by its own place, so the prefix can be
moved afterwards. What was installed is listed in share/qemu-host-clock/files.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import book
import tree

OBJ = tree.BUILD / 'host-clock' / 'obj'
OWN = Path('share/qemu-host-clock')
LIST = OWN / 'files'
MODULE = 'hw-rtc-host-clock-'


class InstallError(Exception):
    """One message that names the cause and the remedy."""


def configured(name):
    """The values of a path in QEMU's config-host.h."""
    text = (OBJ / 'config-host.h').read_text()
    line = re.search(rf'^#define CONFIG_{name} (.*)$', text, re.M)
    return re.findall(r'"([^"]*)"', line[1])


def below_prefix(name):
    """Where the emulator looks for `name`, relative to its prefix."""
    return Path(configured(name)[0]).relative_to(configured('PREFIX')[0])


# -- what there is to install: {path under the prefix: file, or link's target}

def programs():
    for name in ('qemu-system-x86_64', 'qemu-img'):
        yield below_prefix('BINDIR') / name, OBJ / name


def modules(without):
    """All that were built but those of the host clocks in `without`."""
    found = {path.name: path for path in OBJ.glob('*.so')}
    for source in without:
        if f'{MODULE}{source}.so' not in found:
            have = sorted(name[len(MODULE):-3] for name in found if name.startswith(MODULE))
            raise InstallError(f"--without {source}: there is no module {MODULE}{source}. "
                               f"Host clocks that are modules: {', '.join(have) or 'none'}")
        del found[f'{MODULE}{source}.so']
    for name, path in sorted(found.items()):
        yield below_prefix('QEMU_MODDIR') / name, path


def firmware():
    """Links to what Debian's packages have; the first folder of the path wins."""
    linked = set()
    for folder in map(Path, configured('QEMU_FIRMWAREPATH')):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.name not in linked:
                linked.add(path.name)
                yield below_prefix('QEMU_DATADIR') / path.name, path


def documents(folder):
    book.manual_page(folder / 'man')
    yield Path('share/man/man1/qemu-system-x86_64.1'), folder / 'man' / 'qemu.1'
    html = book.build(folder / 'html')
    for path in sorted(html.rglob('*')):
        if path.is_file() and '.doctrees' not in path.parts:
            yield Path('share/doc/qemu-host-clock/html') / path.relative_to(html), path


# -- installing

def installed(prefix):
    """Paths, relative to the prefix, of an installation; [] if there is none."""
    try:
        return (prefix / LIST).read_text().splitlines()
    except FileNotFoundError:
        return []


def check_strangers(prefix, files):
    """Refuse to overwrite what another program put there."""
    ours = set(installed(prefix))
    for to in files:
        if os.path.lexists(prefix / to) and str(to) not in ours:
            raise InstallError(f'{prefix / to} exists and is not of ours. '
                               'Choose another prefix, or remove it')


def put(target, source, link):
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(source)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)


def install(prefix, without):
    if not (OBJ / 'qemu-system-x86_64').is_file():
        raise InstallError('there is nothing to install yet. Run ./run build first')
    links = dict(firmware())
    with tempfile.TemporaryDirectory(prefix='host-clock-install.') as folder:
        files = {**dict(programs()), **dict(modules(without)), **dict(documents(Path(folder)))}
        check_strangers(prefix, [*files, *links, LIST])
        if installed(prefix):
            uninstall(prefix)
        listed = sorted(map(str, [*files, *links, LIST]))
        (prefix / OWN).mkdir(parents=True, exist_ok=True)
        # First, so that an installation that breaks off can be taken away.
        (prefix / LIST).write_text('\n'.join(listed) + '\n')
        for to, source in files.items():
            put(prefix / to, source, link=False)
        for to, source in links.items():
            put(prefix / to, source, link=True)
    say = f'{len(files)} files and {len(links)} links to firmware'
    print(f'{prefix}: {say}' + (f', without {", ".join(without)}' if without else ''))


def uninstall(prefix):
    files = installed(prefix)
    if not files:
        raise InstallError(f'{prefix / LIST} does not exist: nothing of ours is installed there')
    folders = set()
    for to in files:
        path = prefix / to
        path.unlink(missing_ok=True)
        folders.update(parent for parent in path.parents if parent.is_relative_to(prefix))
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        try:
            folder.rmdir()
        except OSError:     # not empty, or not there
            pass


def main(args):
    parser = argparse.ArgumentParser(prog='./run install', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('prefix', metavar='PREFIX', type=Path)
    parser.add_argument('--uninstall', action='store_true',
                        help='remove what was installed there, and nothing else')
    parser.add_argument('--without', action='append', default=[], metavar='SOURCE',
                        help='leave out the module of a host clock; can be given more than once')
    options = parser.parse_args(args)
    prefix = options.prefix.absolute()
    if prefix.exists() and not prefix.is_dir():
        raise InstallError(f'{prefix} is not a folder')
    if options.uninstall:
        uninstall(prefix)
        print(f'{prefix}: nothing of ours is left')
    else:
        install(prefix, options.without)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except (InstallError, tree.TreeError, book.BookError) as error:
        print('error:', error, file=sys.stderr)
        sys.exit(1)
    except (OSError, subprocess.SubprocessError) as error:
        print(f'error: could not install: {error}', file=sys.stderr)
        sys.exit(1)
