# SPDX-License-Identifier: GPL-2.0-or-later
"""1, 8 and 32 VMs on one source: CPU and memory per VM, and start-up time.

Each guest has the RTC's periodic interrupts on, at 64 Hz, so that there is
something to count.
"""
import statistics
import time
from collections import namedtuple
from contextlib import ExitStack

from common import fail, machine_args, progress, pss_kib
from lib.emulator import Emulator, cpu_ns
from page import bars
from results import Result, Table, at_most

COUNTS = (1, 8, 32)
RATE_64 = 10
SETTLE_S = 1
# Per VM, 32 VMs against 1: what counts as linear
GOAL = 1.25
WHAT = {'start_cpu_s': ('start-up CPU, s', 3), 'start_s': ('start-up, s', 2),
        'cpu_ms': ('CPU, ms/s', 2), 'pss_mib': ('memory, MiB', 1)}

# Per VM, but start_s: until the last of them runs
Cost = namedtuple('Cost', 'start_s start_cpu_s cpu_ms pss_mib')


def measure(bench, subject, count, seconds):
    began = time.monotonic()
    with ExitStack() as stack:
        vms = [stack.enter_context(Emulator(
            str(subject.qemu), machine_args(
                subject, bench.guest('bench-idle'), {'rate': RATE_64}),
            serial=True)) for _ in range(count)]
        for vm in vms:
            if not vm.process.stdout.read(1):
                fail(f'{subject.name}, {count} VMs: {vm.stderr()}')
        start_s = time.monotonic() - began
        pids = [vm.process.pid for vm in vms]
        start_cpu = sum(map(cpu_ns, pids))
        time.sleep(SETTLE_S)
        before, then = sum(map(cpu_ns, pids)), time.monotonic()
        time.sleep(seconds)
        cpu = sum(map(cpu_ns, pids)) - before
        passed = time.monotonic() - then
        memory = sum(map(pss_kib, pids))
    return Cost(start_s, start_cpu / 1e9 / count, cpu / 1e6 / passed / count,
                memory / 1024 / count)


def median(costs):
    return Cost(*map(statistics.median, zip(*costs)))


def table(found):
    rows = []
    for (subject, count), costs in found.items():
        cost = median(costs)
        rows.append([subject.name, str(count), *(
            f'{getattr(cost, key):.{digits}f}'
            for key, (_, digits) in WHAT.items())])
    return Table('per VM, but start-up: until the last one runs',
                 ['-clock', 'VMs', *(name for name, _ in WHAT.values())], rows)


def growth(found, subject, key, counts):
    few, many = (getattr(median(found[subject, count]), key)
                 for count in (counts[0], counts[-1]))
    return many / few


def run(bench):
    counts = bench.pick((1, 4), COUNTS, COUNTS)
    seconds, rounds = bench.pick((1, 1), (2, 2))
    found = {(subject, count): [] for subject in bench.subjects
             for count in counts}
    for number in range(rounds):
        for count in counts:
            for subject in bench.subjects:
                found[subject, count].append(
                    measure(bench, subject, count, seconds))
        progress(f'vms: round {number + 1} of {rounds}')
    result = Result(
        'vms', f'{counts[0]} to {counts[-1]} VMs on one source',
        'Each guest sleeps but for RTC interrupts at 64 Hz. Memory is the '
        'proportional set size. Start-up is the time from the first process '
        'until the last guest runs, firmware included; it and CPU depend on '
        'how busy the host is.')
    result.tables = [table(found)]
    for key in ('start_cpu_s', 'cpu_ms', 'pss_mib'):
        worst, name = max((growth(found, s, key, counts), s.name)
                          for s in bench.ours)
        stock = growth(found, bench.stock, key, counts)
        result.goals.append(at_most(
            f'linear: {WHAT[key][0].split(",")[0]} per VM, {counts[-1]} VMs '
            f'against {counts[0]}, at most {GOAL} x (stock {stock:.2f}; the '
            f'most: -clock {name})', worst, GOAL))
    names = [subject.name for subject in bench.subjects]
    for key in ('cpu_ms', 'pss_mib'):
        result.plots.append(bars(
            f'{WHAT[key][0]} per VM', WHAT[key][0],
            [f'{count} VM{"s" * (count > 1)}' for count in counts], names,
            [[[getattr(c, key) for c in found[s, count]] for count in counts]
             for s in bench.subjects]))
    result.header = ('clock', 'vms', 'round', *Cost._fields)
    result.raw = [(s.name, count, number + 1, *(f'{x:.4f}' for x in cost))
                  for (s, count), costs in found.items()
                  for number, cost in enumerate(costs)]
    return result
