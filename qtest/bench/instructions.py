# SPDX-License-Identifier: GPL-2.0-or-later
"""Host instructions a read, in the device's own code.

callgrind counts only between entry to and return from the functions that the
guest's accesses arrive in; nothing else of the emulator is in the figure, and
no noise.  Under valgrind there is no vDSO, so what the kernel needs to tell the
time is not in it either.
"""
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import NONE, command, fail
from page import bars
from plan import SYSTEM
from results import Goal, Result, Table, worst
from stats import exact

# Few reads are enough for a count.
READS = {'date': 1000, 'hpet': 5000}
FUNCTIONS = {'date': ('cmos_ioport_write', 'cmos_ioport_read'),
             'hpet': ('hpet_ram_read',)}
# Where the guest's access leaves the translated code
ACCESS = {'date': ('helper_outb', 'helper_inb'), 'hpet': ('do_ld_mmio_beN',)}
NAMES = {'date': 'date (registers 0 to 9)', 'hpet': 'HPET counter'}
# Above stock's
GOAL = 5
TIMEOUT_S = 300


def count(bench, subject, kind, rtc, functions):
    """Instructions per read.

    The firmware reads the CMOS too: what a run without reads costs is taken
    off.
    """
    none = collect(bench, subject, kind, rtc, functions, 0)
    some = collect(bench, subject, kind, rtc, functions, READS[kind])
    return (some - none) / READS[kind]


def collect(bench, subject, kind, rtc, functions, reads):
    other = 'hpet' if kind == 'date' else 'date'
    with tempfile.TemporaryDirectory() as folder:
        args = [shutil.which('valgrind'), '--tool=callgrind',
                '--collect-atstart=no', f'--callgrind-out-file={folder}/out',
                *(f'--toggle-collect={name}' for name in functions[kind]),
                *command(subject, bench.guest('bench-read'),
                         {kind: reads, other: 0}, rtc=rtc)]
        run = subprocess.run(args, stdin=subprocess.DEVNULL, text=True,
                             capture_output=True, check=False,
                             timeout=TIMEOUT_S)
        out = Path(folder, 'out')
        total = out.is_file() and re.search(r'^(?:summary|totals): (\d+)',
                                            out.read_text(), re.M)
    if '|' not in run.stdout or not total:
        fail(f'no count from {subject.qemu} (clock {subject.name}):\n'
             + '\n'.join(run.stderr.splitlines()[-5:]))
    return int(total[1])


def count_all(bench, jobs, functions):
    """{(kind, rtc, subject): instructions a read}"""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(jobs, pool.map(lambda job: count(
            bench, job[2], job[0], job[1], functions), jobs)))


def table(title, bench, counts):
    rows = []
    for (kind, rtc, subject), number in counts.items():
        stock = counts[kind, rtc, bench.stock]
        if subject != bench.stock:
            rows.append([NAMES[kind], rtc, subject.name, f'{stock:.1f}',
                         f'{number:.1f}', f'{number - stock:+.1f}',
                         f'{stock / number:.3f}'])
    return Table(title, ['read', '-rtc clock', '-clock', 'stock', 'ours', 'more',
                         'stock / ours'], rows, left=3)


def goals(bench, counts):
    result = [worst([Goal(
        f"{NAMES[kind]}: instructions above stock's",
        exact(number - counts[kind, rtc, bench.stock]), GOAL, digits=1,
        worst=f'-clock {subject.name}, -rtc clock={rtc}')
        for (which, rtc, subject), number in counts.items()
        if which == kind and subject != bench.stock]) for kind in READS]
    by_name = {(kind, rtc, subject.name): number
               for (kind, rtc, subject), number in counts.items()}
    apart = [abs(number - by_name[kind, rtc, NONE])
             for (kind, rtc, name), number in by_name.items()
             if name == SYSTEM and (kind, rtc, NONE) in by_name]
    if apart:
        result.append(Goal('-clock system and none: instructions apart',
                           exact(max(apart)), 0, digits=1))
    return result


def plot(counts):
    kinds = list(dict.fromkeys((kind, rtc) for kind, rtc, _ in counts))
    names = list(dict.fromkeys(subject.name for _, _, subject in counts))
    values = [[next(([number] for (kind, rtc, subject), number in counts.items()
                     if (kind, rtc, subject.name) == (*group, name)), None)
               for group in kinds] for name in names]
    return bars('Instructions a read, in the device', 'instructions',
                [f'{kind}, {rtc}' for kind, rtc in kinds], names, values, log=True)


def run(bench):
    if not shutil.which('valgrind'):
        fail('valgrind is not there: install the Debian package valgrind '
             '(./run build does)')
    rtcs = bench.pick(['host'], ['host', 'vm'])
    subjects = bench.pick(bench.subjects[:2], bench.subjects)
    jobs = [(kind, rtc, subject) for kind in READS for rtc in rtcs
            for subject in subjects if kind == 'date' or rtc == 'host']
    counts = count_all(bench, jobs, FUNCTIONS)
    whole = count_all(bench, [] if bench.quick else [
        job for job in jobs if job[1] == 'host'
        and job[2] in bench.subjects[:2]], ACCESS)
    return Result(
        'instructions', 'host instructions a read, in the device’s own code',
        'callgrind, from the entry of the function that the guest’s access '
        'arrives in to its return. A date is 20 accesses. What the kernel '
        'needs to tell the time is not in it.',
        tables=[table('In the device', bench, counts),
                *([table('On the whole way from the translated code and back: '
                         'what speed can be, of stock\'s', bench, whole)]
                  if whole else [])],
        goals=goals(bench, counts), plots=[plot(counts)],
        header=('read', 'rtc', 'clock', 'instructions'),
        raw=[(kind, rtc, subject.name, round(number, 2))
             for (kind, rtc, subject), number in counts.items()])
