# SPDX-License-Identifier: GPL-2.0-or-later
"""Host instructions a read, in the device's own code.

callgrind counts only between entry to and return from the functions with which an
access of the guest leaves the translated code; nothing else of the emulator is in
the figure, and no noise.  Under valgrind there is no vDSO, so what the kernel needs
to tell the time is not in it either.
"""
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common import NONE, command, fail
from page import bars
from plan import SCALED, SYSTEM
from results import Goal, Result, Table, worst
from stats import exact

# Few reads are enough for a count.
READS = {'date': 1000, 'hpet': 5000}
# The device's own code, and where the guest's access leaves the translated code for it
DEVICE = {'date': ('cmos_ioport_write', 'cmos_ioport_read'),
          'hpet': ('hpet_ram_read',)}
ACCESS = {'date': ('helper_outb', 'helper_inb'), 'hpet': ('do_ld_mmio_beN',)}
NAMES = {'date': 'date (registers 0 to 9)', 'hpet': 'HPET counter'}
COST = re.compile(r'^ *([\d,]+) \(.*?\) +\S*:(\w+) ', re.M)
# Above stock's
GOAL = 5
# A second makes a new date, and how many seconds the reads take is luck: an
# instruction or so a date, where one an access would make 20
APART = 5
CAUSES = {SCALED: 'a division in 128 bits',
          'date': 'the way of 20 port accesses to the RTC'}
# What speed can be, of stock's, to 1 %: GOAL is less than that.
WAYS = {'date': 1.25, 'hpet': 1.0}
TIMEOUT_S = 300


def count(bench, subject, rtc):
    """{functions: instructions a read in them and below}"""
    costs = collect(bench, subject, rtc)
    return {functions: sum(costs[name] for name in functions) / READS[kind]
            for place in (DEVICE, ACCESS) for kind, functions in place.items()}


def collect(bench, subject, rtc):
    """{function: instructions}. The firmware reads the CMOS, too: all begins anew
    with CPUID, which the guest executes before its reads."""
    with tempfile.TemporaryDirectory() as folder:
        out = f'{folder}/out'
        done = subprocess.run(
            ['valgrind', '--tool=callgrind', '--collect-atstart=no',
             '--zero-before=helper_cpuid',
             f'--callgrind-out-file={out}',
             *(f'--toggle-collect={name}' for name in sum(ACCESS.values(), ())),
             *command(subject, bench.guest('bench-read'), READS, rtc=rtc)],
            stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False,
            timeout=TIMEOUT_S)
        said = subprocess.run(
            ['callgrind_annotate', '--inclusive=yes', '--threshold=100', out],
            text=True, capture_output=True, check=False)
    costs = {name: int(number.replace(',', ''))
             for number, name in COST.findall(said.stdout)}
    if '|' not in done.stdout or 'helper_inb' not in costs:
        fail(f'no count from {subject.qemu} (clock {subject.name}):\n'
             + '\n'.join((done.stderr + said.stderr).splitlines()[-5:]))
    return costs


def count_all(bench, subjects, rtcs):
    """{(subject, rtc): what count() finds}"""
    jobs = [(subject, rtc) for rtc in rtcs for subject in subjects]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(jobs, pool.map(lambda job: count(bench, *job), jobs)))


def pick(counts, place):
    """{(kind, rtc, subject): instructions a read}; -rtc has no part in the HPET's"""
    return {(kind, rtc, subject): found[functions]
            for kind, functions in place.items()
            for (subject, rtc), found in counts.items()
            if kind == 'date' or rtc == 'host'}


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


def group_goals(bench, counts, kind, group):
    """Of each clock of a group, and each -rtc clock="""
    for (which, rtc, subject), number in counts.items():
        if which == kind and subject in group:
            text = f"{NAMES[kind]}: instructions above stock's"
            yield Goal(
                f'{SCALED}: {text}' if subject.name == SCALED else text,
                exact(round(number - counts[kind, rtc, bench.stock], 1)), GOAL,
                digits=1, worst=f'-clock {subject.name}, -rtc clock={rtc}',
                cause=CAUSES.get(subject.name, ''))


def way_goal(bench, counts, kind):
    """Where reads a second differ by the links more than by the code, this decides."""
    return worst([Goal(
        f"{NAMES[kind]}: instructions on the way, stock's of ours",
        exact(round(counts[kind, rtc, bench.stock] / number, 2)), WAYS[kind],
        least=True, unit=' x', worst=f'-clock {subject.name}, -rtc clock={rtc}',
        cause=CAUSES.get(kind, ''))
        for (which, rtc, subject), number in counts.items()
        if which == kind and subject in bench.groups[0]])


def goals(bench, counts, ways):
    result = [worst(some) for kind in READS for group in bench.groups
              if (some := list(group_goals(bench, counts, kind, group)))]
    by_name = {(kind, rtc, subject.name): number
               for (kind, rtc, subject), number in counts.items()}
    apart = [abs(number - by_name[kind, rtc, NONE])
             for (kind, rtc, name), number in by_name.items()
             if name == SYSTEM and (kind, rtc, NONE) in by_name]
    result += [way_goal(bench, ways, kind) for kind in READS]
    if apart:
        result.append(Goal('-clock system and none: instructions apart',
                           exact(max(apart)), APART, digits=1))
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
    found = count_all(bench, bench.pick(bench.subjects[:2], bench.subjects),
                      bench.pick(['host'], ['host', 'vm']))
    counts, ways = pick(found, DEVICE), pick(found, ACCESS)
    return Result(
        'instructions', 'host instructions a read, in the device’s own code',
        'callgrind, from the entry of the function that the guest’s access '
        'arrives in to its return. A date is 20 accesses. What the kernel '
        'needs to tell the time is not in it.',
        tables=[table('In the device', bench, counts),
                table('On the whole way from the translated code and back: '
                      'what speed can be, of stock\'s', bench, ways)],
        goals=goals(bench, counts, ways), plots=[plot(counts)],
        header=('read', 'rtc', 'clock', 'instructions'),
        raw=[(kind, rtc, subject.name, round(number, 2))
             for (kind, rtc, subject), number in counts.items()])
