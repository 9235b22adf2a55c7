# SPDX-License-Identifier: GPL-2.0-or-later
"""patches/: one set of patches for all bases.

The file series has a line GROUP/PATCH for each patch, in the order of the mails.
The file of that name is for every base; one of the same name in patches/<base>/
takes its place on that base. A patch that has no file in its group is for those
bases alone that have it. The numbers are those of the lines.
"""

import re
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATCHES = ROOT / 'patches'
Patch = namedtuple('Patch', 'group path text')      # path: below patches/


class TreeError(Exception):
    """One message that names the cause and the remedy."""


def bases():
    """Their folders are those of patches/ that begin with a digit."""
    return sorted(folder.name for folder in PATCHES.glob('[0-9]*') if folder.is_dir())


def short_name(path):
    """A patch's file name without its number: what its subject makes of it."""
    return path.rpartition('/')[2].partition('-')[2]


def read_set():
    """patches/ as the lines of the file series and {path: text}."""
    if not (PATCHES / 'series').is_file():
        return [], {}
    order = [line for line in (PATCHES / 'series').read_text().splitlines()
             if line and not line.startswith('#')]
    files = {str(path.relative_to(PATCHES)): path.read_bytes().decode(errors='surrogateescape')
             for path in PATCHES.glob('*/*.patch')}
    known = set(order) | {own(line, base) for line in order for base in bases()}
    for path in sorted(files.keys() - known):
        raise TreeError(f'no line of patches/series is for patches/{path}: add one')
    names = [short_name(line) for line in order]
    for line, name in zip(order, names):
        if names.count(name) > 1:
            raise TreeError(f'patches/series names {name} twice')
        if not files.keys() & {line, *(own(line, base) for base in bases())}:
            raise TreeError(f'patches/series names {line}, and there is no such file')
    return order, files


def own(line, base):
    return f'{base}/{line.partition("/")[2]}'


def select(order, files, base):
    """Those for `base`, in order."""
    chosen = [(line, own(line, base) if own(line, base) in files else line) for line in order]
    return [Patch(line.partition('/')[0], path, files[path])
            for line, path in chosen if path in files]


def new_order(order, staged):
    """[(group, name)]: the commits as they are staged, and what else patches/ has
    each behind what it is behind now."""
    group = {short_name(line): line.partition('/')[0] for line in order}
    new, last = [], order[0].partition('/')[0] if order else 'fixes'
    for name in staged:
        if name not in group:
            print(f'new: {name}, in the group {last} of the one before it')
        last = group.get(name, last)
        new.append((last, name))
    place = 0
    for name in map(short_name, order):
        if (group[name], name) in new:
            place = new.index((group[name], name)) + 1
        else:
            new.insert(place, (group[name], name))
            place += 1
    return new


def numbered(new, files):
    """The same as read_set() gives, from [(group, name)] and {(folder, name): text}."""
    there = {name for _, name in files}
    new = [(group, name) for group, name in new if name in there]
    number = {name: f'{at:04}-{name}' for at, (_, name) in enumerate(new, 1)}
    return ([f'{group}/{number[name]}' for group, name in new],
            {f'{folder}/{number[name]}': text for (folder, name), text in files.items()})


def write_set(order, files):
    """Make patches/ hold that; return how many files were written and removed."""
    there = {str(path.relative_to(PATCHES)): path for path in PATCHES.glob('*/*.patch')}
    for path in there.keys() - files.keys():
        there[path].unlink()
    written = [path for path, text in files.items() if path not in there or
               there[path].read_bytes() != text.encode(errors='surrogateescape')]
    for path in written:
        (PATCHES / path).parent.mkdir(parents=True, exist_ok=True)
        (PATCHES / path).write_bytes(files[path].encode(errors='surrogateescape'))
    series, last = PATCHES / 'series', None
    old = series.read_text().splitlines(True) if series.is_file() else []
    text = ''.join(line for line in old if line.startswith('#'))
    for line in order:
        group = line.partition('/')[0]
        text += ('' if group == last else '\n') + line + '\n'
        last = group
    series.write_text(text)
    return len(written), len(there.keys() - files.keys())
