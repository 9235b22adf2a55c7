#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is each of some small faults noticed by the test named for it? TAP output.

    mutation-test.py [--full] [MUTANT...]

A mutant is compiled from a changed copy of one file, with the command that
built this file, and linked with everything else as it is. Neither the source
nor the object folder is written to. A point passes if the test fails. First,
each test has to pass without a mutant. --full takes the mutants of the device
models too, each of which needs an emulator.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.ninja import BuildError, commands, run
from lib.paths import EMULATOR, OBJ, SRC
from lib.tap import Tap
from mutants import MUTANTS

# What is chosen here takes seconds, a minute on a busy machine.
BOUND_S = 90


def replace_option(words, option, value):
    """The words with another value of an option such as -o"""
    words = list(words)
    words[words.index(option) + 1] = str(value)
    return words


def compile_mutant(file, lines, text, folder):
    """(name of the object it stands for, mutant's object)"""
    wanted = str(SRC / file)
    for words in lines:
        source = words[-1]
        if "-c" in words and os.path.realpath(OBJ / source) == \
           os.path.realpath(wanted):
            break
    else:
        raise LookupError(f"no command compiles {file}")
    changed = folder / Path(file).name
    changed.write_text(text)
    original = words[words.index("-o") + 1]
    # Its own folder is where "..." includes are looked for.
    words = replace_option(words, "-o", folder / "mutant.o")
    words = replace_option(words, "-MF", folder / "mutant.d")
    words[-1] = str(changed)
    words[1:1] = []
    words.insert(words.index("-c"), f"-iquote{(SRC / file).parent}")
    run(words)
    return original, folder / "mutant.o"


def link(target, lines, original, mutant, output, folder):
    """Link target with one object exchanged; members of archives are taken by
    the linker only if nothing before defines the same, so it comes first."""
    words = link_command(target, lines)
    words = replace_option(words, "-o", output)
    if original in words:
        words[words.index(original)] = str(mutant)
    else:
        words = in_archives(words, original, mutant, folder)
    run(words)


def link_command(target, lines):
    """Long ones are in a file, which ninja writes and removes again; what is
    in it is in build.ninja."""
    if not any(f"@{target}.rsp" in words for words in lines):
        return next(words for words in reversed(lines)
                    if "-o" in words and words[words.index("-o") + 1] == target)
    done = subprocess.run(["ninja", "-C", OBJ, "-t", "compdb-targets", target],
                          text=True, capture_output=True)
    if done.returncode:
        done = subprocess.run(["ninja", "-C", OBJ, "-t", "compdb", "-x"],
                              text=True, check=True, capture_output=True)
    for entry in json.loads(done.stdout):
        words = shlex.split(entry["command"])
        if "-o" in words and words[words.index("-o") + 1] == target:
            return words
    raise LookupError(f"no command links {target}")


def in_archives(words, original, mutant, folder):
    """Thin archives name their members; make a copy with another one."""
    for n, word in enumerate(words):
        archive = OBJ / word
        if not word.endswith(".a") or not archive.exists():
            continue
        members = subprocess.run(["ar", "t", archive], text=True, check=True,
                                 capture_output=True).stdout.split()
        if not any(m.endswith(original.removeprefix("./")) or
                   original.endswith(m) for m in members):
            continue
        paths = [m if os.path.isabs(m) else os.path.join(OBJ, m)
                 for m in members]
        paths = [str(mutant) if p.endswith(original) else p for p in paths]
        copy = folder / archive.name
        run(["ar", "crsT", copy, *paths])
        return words[:n] + [str(copy)] + words[n + 1:]
    raise LookupError(f"no archive and no object is {original}")


def test_output(program, pattern, emulator):
    """(names that passed, names that failed); a crash fails the next one"""
    env = {**os.environ, "QTEST_QEMU_BINARY": str(emulator),
           "QTEST_QEMU_IMG": "./qemu-img"}
    try:
        done = subprocess.run([program, "--tap", "-k",
                               *choose(program, pattern, env)], cwd=OBJ,
                              env=env, text=True, capture_output=True,
                              timeout=BOUND_S, errors="replace")
    except subprocess.TimeoutExpired:
        return [], ["it hangs"]
    points = re.findall(r"^(not )?ok \d+ (\S+)(.*)$", done.stdout, re.M)
    passed = [name for bad, name, rest in points
              if not bad and "SKIP" not in rest]
    failed = [name for bad, name, _ in points if bad]
    if done.returncode and not failed:
        failed = [(done.stderr.strip().splitlines() or ["it crashes"])[-1]]
    return passed, failed


def choose(program, beginning, env):
    """-p for each test whose name begins so; of a folder it takes no more than
    what is directly in it."""
    done = subprocess.run([program, "-l"], cwd=OBJ, env=env, text=True,
                          check=True, capture_output=True)
    return [word for name in done.stdout.splitlines()
            if name.startswith(beginning) for word in ("-p", name)]


class Runner:
    """Builds mutants, remembers what is good without one."""

    def __init__(self):
        self.clean = {}
        self.lines = {}

    def commands(self, target):
        if target not in self.lines:
            self.lines[target] = commands(target)
        return self.lines[target]

    def clean_error(self, mutant):
        """What is wrong with a test when there is no mutant, or None"""
        key = mutant.program, mutant.tests
        if key not in self.clean:
            passed, failed = test_output(OBJ / mutant.program,
                                         mutant.tests,
                                         OBJ / EMULATOR)
            self.clean[key] = None if passed and not failed else \
                f"without the mutant: {len(passed)} pass, fails: {failed[:3]}"
        return self.clean[key]

    def kill(self, mutant, folder):
        """Names of the tests that fail with the mutant"""
        text = (SRC / mutant.file).read_text()
        if text.count(mutant.old) != 1:
            raise LookupError(f"{mutant.file} has its text "
                              f"{text.count(mutant.old)} times, not once")
        text = text.replace(mutant.old, mutant.new)
        unit = mutant.program.startswith("tests/unit/")
        target = mutant.program if unit else EMULATOR
        lines = self.commands(target)
        # qemu/osdep.h has to be found from another folder.
        original, obj = compile_mutant(mutant.file, lines, text, folder)
        # In the object folder it finds its modules, and qtests take the
        # architecture from the end of its name.
        output = OBJ / f".mutant-{os.getpid()}-{EMULATOR}"
        output = folder / Path(target).name if unit else output
        try:
            link(target, lines, original, obj, output, folder)
            program = output if unit else OBJ / mutant.program
            return test_output(program, mutant.tests,
                               OBJ / EMULATOR if unit else output)[1]
        finally:
            output.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="mutants of the device models too")
    parser.add_argument("mutants", nargs="*", metavar="MUTANT")
    args = parser.parse_args()
    unknown = set(args.mutants) - {m.name for m in MUTANTS}
    if unknown:
        parser.error(f"no mutant is called {', '.join(unknown)}. They are: "
                     f"{' '.join(m.name for m in MUTANTS)}")
    chosen = [m for m in MUTANTS if m.name in args.mutants] or \
        [m for m in MUTANTS if args.full or "/unit/" in m.program]
    runner, tap = Runner(), Tap()
    for mutant in chosen:
        error, failed = runner.clean_error(mutant), []
        with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
            try:
                failed = [] if error else runner.kill(mutant, Path(folder))
            except (BuildError, LookupError, ValueError, OSError) as e:
                error = str(e)
        name = f"{mutant.name} in {mutant.file}"
        if failed:
            tap.point(f"{name}: noticed by {failed[0]}")
        else:
            tap.point(name, error or f"not noticed by {mutant.tests}")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
