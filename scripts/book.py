#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the book, docs/, into HTML with sphinx, as QEMU makes its documentation.

The pages of docs/ and those that the series adds to QEMU's own documentation are
one book: in build/book/src each file is where it is in the QEMU tree.
"""

import os
import shutil
import subprocess
import sys

import tree

DOCS = tree.ROOT / 'docs'


class BookError(Exception):
    """What sphinx did not like."""


def sphinx(*args, **env):
    if not shutil.which('sphinx-build'):
        raise BookError('there is no sphinx-build. Install the package python3-sphinx')
    done = subprocess.run(['sphinx-build', '-q', *map(str, args)], text=True,
                          capture_output=True, env={**os.environ, **env})
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BookError('sphinx: ' + '\n'.join(said[:20] + ['...'] * (len(said) > 20)))
    return done.stderr


def gather(folder):
    """The pages at the places that they have in QEMU, and what they quote."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder / 'docs')
    for to, source in tree.tree_map().items():
        (folder / to).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / to)
    return folder / 'docs'


def build(html=tree.ROOT / 'build' / 'book' / 'html'):
    """Build the book; a warning is an error. Returns its folder."""
    pages = gather(tree.ROOT / 'build' / 'book' / 'src')
    html.mkdir(parents=True, exist_ok=True)
    sphinx('-W', '--keep-going', '-b', 'html', '-d', html / '.doctrees', pages, html)
    return html


def manual_page(folder):
    """qemu.1 of the staged tree, from qemu-options.hx, into `folder`."""
    source = tree.STAGED / 'docs'
    page = 'system/qemu-manpage'
    # Only this page is read: all of QEMU's documentation takes minutes.
    sphinx('-b', 'man', '-D', f'include_patterns={page}.rst', '-D', f'root_doc={page}',
           '-D', f'master_doc={page}', '-D', f'version={(tree.STAGED / "VERSION").read_text().strip()}',
           '-D', 'release=', '-d', folder / '.doctrees', source, folder, CONFDIR='/etc/qemu')


def main(args):
    if args:
        raise BookError('usage: ./run book')
    print(f'{build().relative_to(tree.ROOT)}/index.html')


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except BookError as error:
        print('error:', error, file=sys.stderr)
        sys.exit(1)
