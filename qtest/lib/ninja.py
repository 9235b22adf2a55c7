# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that built QEMU, to build a part of it once more in another way."""

import shlex
import subprocess

from .paths import OBJ


class BuildError(Exception):
    """A compiler or a linker failed."""


def commands(target):
    """The commands that ninja would run to build a target, as words"""
    done = subprocess.run(["ninja", "-C", OBJ, "-t", "commands", target],
                          text=True, check=True, capture_output=True)
    return [shlex.split(line) for line in done.stdout.splitlines()]


def run(words):
    """Run one of them, changed or not."""
    done = subprocess.run(words, cwd=OBJ, text=True, capture_output=True)
    if done.returncode:
        raise BuildError(f"{words[0]} failed: "
                         + (done.stderr or done.stdout).strip()[-800:])


def rebuild(target, folder, compiled, linked):
    """Build a program's own objects, and it, in a folder.

    compiled and linked change a command, its output being changed already; that of
    a library stays as it is. Returns the program's path.
    """
    exchanged = {}
    program = folder / target.rsplit("/", 1)[-1]
    for words in commands(target):
        if "-o" not in words:
            continue
        at = words.index("-o") + 1
        output = words[at]
        if "-c" in words and output.startswith(f"{target}.p/"):
            words[at] = exchanged[output] = str(folder / output.replace("/", "_"))
            words[words.index("-MF") + 1] = words[at] + ".d"
            run(compiled(words))
        elif output == target:
            words[at] = str(program)
            run(linked([exchanged.get(word, word) for word in words]))
    return program
