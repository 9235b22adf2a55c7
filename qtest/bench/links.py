# SPDX-License-Identifier: GPL-2.0-or-later
"""The same program, linked with its object files in random orders.

Where the linker puts a function decides how fast it is, by more than any patch
does: two links of the same object files differ by up to 14 % (HPET reads) and
54 % (date reads).  So figures are of many links; a seed gives an order.
"""
import json
import os
import random
import shlex
import subprocess
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from common import fail
from lib.paths import BUILD

FOLDER = BUILD / 'bench/links'
RULES = [f'{language}_LINKER{kind}' for language in ('c', 'cpp')
         for kind in ('', '_RSP')]


def build_folder(program):
    """Where ninja linked it"""
    for folder in program.resolve().parents:
        if (folder / 'build.ninja').exists():
            return folder
    fail(f'{program} is in no build folder of ninja: it cannot be linked again, '
         'and figures of one link are luck')


@lru_cache
def link_command(obj, name):
    """The words with which ninja links a program of its build folder."""
    done = subprocess.run(['ninja', '-t', 'compdb', '-x', *RULES], cwd=obj,
                          text=True, capture_output=True, check=False)
    for step in json.loads(done.stdout or '[]'):
        if step['output'] == name:
            return shlex.split(step['command'])
    fail(f'{obj}: ninja does not know how to link {name}')


def shuffled(words, rng):
    """The same words, with the object files among them in another order."""
    objects = [word for word in words if word.endswith('.o')]
    rng.shuffle(objects)
    return [objects.pop() if word.endswith('.o') else word for word in words]


def shuffled_archive(obj, archive, folder, rng):
    """A thin archive with the members of this one in another order."""
    members = subprocess.run(['ar', 't', archive], cwd=obj, text=True,
                             capture_output=True, check=True).stdout.split()
    rng.shuffle(members)
    made = folder / archive
    made.unlink(missing_ok=True)
    subprocess.run(['ar', 'rcsT', made, *(obj / name for name in members)],
                   check=True)
    return str(made)


def link(program, seed):
    """Links it in the seed's order, if that is not there; returns its path."""
    program = program.resolve()
    obj = build_folder(program)
    folder = FOLDER / f'{obj.parent.name}-{zlib.crc32(bytes(obj)):08x}-{seed}'
    made = folder / program.name
    if made.exists() and made.stat().st_mtime > program.stat().st_mtime:
        return made
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the emulator QEMU looks for its modules and firmware.
    bundle = folder / 'qemu-bundle'
    bundle.unlink(missing_ok=True)
    bundle.symlink_to(obj / 'qemu-bundle')
    rng = random.Random(seed)
    words = shuffled(link_command(obj, str(program.relative_to(obj))), rng)
    words = [shuffled_archive(obj, word, folder, rng)
             if word.endswith('.a') and '/' not in word else word
             for word in words]
    words[words.index('-o') + 1] = str(folder / 'new')
    # Symbols are not loaded, and there are many links.
    done = subprocess.run([*words, '-s'], cwd=obj, text=True,
                          capture_output=True, check=False)
    if done.returncode:
        fail(f'{folder}: {done.stderr.strip()[-500:]}')
    (folder / 'new').rename(made)
    return made


def make(programs, seeds):
    """Links all of these in the orders of these seeds."""
    jobs = [(program, seed) for seed in seeds for program in programs]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: link(*job), jobs))
