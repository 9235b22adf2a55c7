# SPDX-License-Identifier: GPL-2.0-or-later
"""How large the project is, and how large it may be: part of the suite 'style'."""

import re
from pathlib import Path

import tree
from tree import ROOT

# What goes beyond the host clocks: fixes of QEMU, counted by themselves.
FIXES = 'fixes', 'model-fixes'
CODE = re.compile(r'^( *)(?:\.\. code-block::.*|(?!\.\. ).*::)\n(?:\1 +.*\n|\n)*', re.M)
FUNCTION = re.compile(r'^\{\n(.*?)^\}', re.M | re.S)


def lines(paths):
    return sum(path.read_text(errors='replace').count('\n') for path in paths)


def product():
    return [path for folder in ('hw-rtc', 'plugin') for path in sorted((ROOT / folder).glob('*.[ch]'))]


def sources():
    """All files that people write and read as code."""
    return product() + [path for pattern in ('qtest/**/*.[ch]', 'qtest/**/*.py', 'scripts/*')
                        for path in sorted(ROOT.glob(pattern)) if path.is_file()]


def added(groups):
    """Lines that the patches of `groups` add to QEMU's own files."""
    return sum(len(re.findall(r'^\+(?!\+\+ )', patch.text, re.M))
               for patch in tree.patches() if patch.group in groups)


def longest(paths, measure):
    """(size, name) of the largest of what `measure` finds in each file."""
    return max((size, path.relative_to(ROOT)) for path in paths for size in measure(path))


def functions(path):
    return [body.count('\n') for body in FUNCTION.findall(path.read_text())] or [0]


def words():
    """Those of the documentation, without its blocks of code and the rules of tables."""
    pages = [*ROOT.glob('docs/*.rst'), *ROOT.glob('hw-rtc/*.rst'), ROOT / 'README.md']
    return sum(len(re.findall(r'\S*\w\S*', CODE.sub('', path.read_text())))
               for path in pages)


def measured():
    """(what, size, limit, more to say) of each figure."""
    mails = tree.patches()
    groups = {patch.group for patch in mails}
    model_fixes = {path.name for path in ROOT.glob('patches/model-fixes/*.patch')}
    function, where = longest(product(), functions)
    file, name = longest(sources(), lambda path: [lines([path])])
    ptp = ROOT / 'plugin/host-clock-ptp.c'
    yield 'lines of hw-rtc/ and plugin/, but for ptp', lines(product()) - lines([ptp]), 5200, ''
    yield 'lines of plugin/host-clock-ptp.c', lines([ptp]), 220, ''
    yield 'lines of the longest function there', function, 50, f' in {where}'
    yield "lines that host clocks add to QEMU's own files", added(groups - {*FIXES}), 1000, ''
    yield 'mails', len(mails), 46, ''
    yield 'patches of a base', max(len(list(folder.glob('*.patch')))
                                   for folder in (ROOT / 'patches').glob('[0-9]*')), 12, ''
    yield 'lines of patches/ without model-fixes', \
        lines(path for path in ROOT.glob('patches/*/*.patch')
              if path.name not in model_fixes), 4000, ''
    yield 'lines of the longest file', file, 500, f': {name}'
    yield 'words of documentation, without code', words(), 8000, ''
    yield 'lines of README.md', lines([ROOT / 'README.md']), 80, ''
