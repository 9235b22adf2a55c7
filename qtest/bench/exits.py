# SPDX-License-Identifier: GPL-2.0-or-later
"""How often a read of the guest leaves KVM for the emulator.

What KVM counts itself, with QMP's query-stats: accesses to ports, and to memory that
only the emulator can answer. Two guests that differ by a number of reads.
"""
import time

from common import fail, machine_args
from lib.emulator import Emulator, EmulatorError
from page import bars
from results import Goal, Result, Table, worst
from slices import NAMES
from stats import exact

# By kind of read: how many more the second guest does, and the counter
READS = {'date': (500, 'io_exits'), 'hpet': (10_000, 'mmio_exits')}
FEW = 100
START_S = 60
END_S = 240
# Two runs of the same guest may differ by an exit or two.
SLACK = 0.05


def exits(vm, counter):
    stats = vm.qmp.command('query-stats', {'target': 'vcpu'})
    found = [stat['value'] for entry in stats for stat in entry['stats']
             if stat['name'] == counter]
    if not found:
        fail(f'query-stats has no {counter}: Linux 5.14 or later is needed')
    return sum(found)


def count(bench, subject, kind, reads):
    """The exits of a guest that does so many reads and ends."""
    # It is still there when its guest has gone.
    args = [*machine_args(subject, bench.guest('bench-read'),
                          {'date': 0, 'hpet': 0, kind: reads}, accel='kvm'),
            '-cpu', 'host', '-serial', 'null', '-no-shutdown']
    try:
        with Emulator(str(subject.qemu), args) as vm:
            vm.qmp.open(START_S)
            end = time.monotonic() + END_S
            while vm.qmp.command('query-status')['running']:
                if time.monotonic() > end:
                    fail(f'{subject.name}: {reads} reads take over {END_S} s')
                time.sleep(0.1)
            return exits(vm, READS[kind][1])
    except EmulatorError as error:
        fail(f'exits, {subject.name}: {error}')


def measure(bench):
    """{(kind, subject): exits a read}"""
    return {(kind, subject): (count(bench, subject, kind, FEW + more)
                              - count(bench, subject, kind, FEW)) / more
            for kind, (more, _) in READS.items() for subject in bench.subjects}


def run(bench):
    found = measure(bench)
    names = [subject.name for subject in bench.subjects]
    return Result(
        'exits', 'what a read leaves KVM for',
        'A date is 20 accesses to ports, a read of the HPET one to memory.',
        tables=[Table('Exits to the emulator, a read', ['read', '-clock', 'exits'],
                      [[NAMES[kind], subject.name, f'{number:.2f}']
                       for (kind, subject), number in found.items()], left=2)],
        goals=[worst([Goal(f"{NAMES[kind]}: exits to the emulator above stock's",
                           exact(found[kind, subject] - found[kind, bench.stock]),
                           SLACK, worst=f'-clock {subject.name}')
                      for subject in bench.ours]) for kind in READS],
        plots=[bars('Exits a read', 'exits', [NAMES[kind] for kind in READS], names,
                    [[[found[kind, subject]] for kind in READS]
                     for subject in bench.subjects], log=True)],
        header=('read', 'clock', 'exits'),
        raw=[(kind, subject.name, f'{number:.4f}')
             for (kind, subject), number in found.items()])
