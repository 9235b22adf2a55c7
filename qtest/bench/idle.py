# SPDX-License-Identifier: GPL-2.0-or-later
"""What an idle guest costs: how often the emulator wakes up, and CPU time.

All emulators are there at once, and are looked at over the same seconds: they
sleep, and do not get in each other's way.
"""
import statistics
import time
from collections import namedtuple
from contextlib import ExitStack

from common import fail, machine_args, progress, wakeups
from lib.emulator import Emulator, cpu_ns
from page import bars
from results import Goal, Result, Table

# What the guest has switched on
MODES = {
    'unused': ('the RTC unused', {}),
    'update': ('update interrupts', {'update': 1}),
    'masked': ('HPET comparators at 1 kHz, masked', {'masked': 1}),
}
START_S = 60
# Firmware and translation have calmed down by then.
SETTLE_S = 3
# A second more or less within the window, and a stray wake-up of a thread
SLACK = 3
# The CPU time that a wake-up takes differs from run to run by far more.
CPU_SLACK = 1.1
CPU_SLACK_MS = 0.05

Sample = namedtuple('Sample', 'wakeups cpu_ms')     # a second


def start(bench, stack, subject, mode):
    vm = stack.enter_context(Emulator(
        str(subject.qemu),
        machine_args(subject, bench.guest('bench-idle'), MODES[mode][1]),
        serial=True))
    return vm


def wait_ready(vms):
    """Until every guest has sent its 'r'."""
    for (subject, mode), vm in vms.items():
        if not vm.process.stdout.read(1):
            fail(f'{subject.name}, {mode}: {vm.stderr()}')


def look(vms):
    return {key: (time.monotonic(), wakeups(vm.process.pid),
                  cpu_ns(vm.process.pid)) for key, vm in vms.items()}


def sample_windows(vms, seconds, windows):
    """{key: [Sample of each window]} of these VMs, all over the same seconds"""
    samples = {}
    for _ in range(windows):
        before = look(vms)
        time.sleep(seconds)
        for key, (then, woke, cpu) in look(vms).items():
            passed = then - before[key][0]
            samples.setdefault(key, []).append(Sample(
                (woke - before[key][1]) / passed,
                (cpu - before[key][2]) / 1e6 / passed))
    return samples


def measure(bench, seconds, windows):
    """{(subject, mode): [Sample of each window]}"""
    with ExitStack() as stack:
        vms = {(subject, mode): start(bench, stack, subject, mode)
               for mode in MODES for subject in bench.subjects}
        wait_ready(vms)
        time.sleep(SETTLE_S)
        samples = sample_windows(vms, seconds, windows)
    progress(f'idle: {len(vms)} guests, {windows} times {seconds} s')
    return samples


def medians(samples, key):
    return (statistics.median(s.wakeups for s in samples[key]),
            statistics.median(s.cpu_ms for s in samples[key]))


def goals(bench, samples, seconds):
    result = []
    for mode, (what, _) in MODES.items():
        stock = medians(samples, (bench.stock, mode))
        ours = {s.name: medians(samples, (s, mode)) for s in bench.ours}
        woke, name = max((v[0], k) for k, v in ours.items())
        result.append(Goal(
            f'{what}: no more wake-ups a second than stock, but '
            f'{SLACK} in all '
            f'(the most: -clock {name})', f'{woke:.2f}, stock {stock[0]:.2f}',
            woke <= stock[0] + SLACK / seconds))
        cpu, name = max((v[1], k) for k, v in ours.items())
        result.append(Goal(
            f'{what}: no more CPU than stock, but 10 % and '
            f'0.05 ms (the most: -clock {name})',
            f'{cpu:.3f} ms/s, stock {stock[1]:.3f} ms/s',
            cpu <= stock[1] * CPU_SLACK + CPU_SLACK_MS))
    for subject in bench.ours:
        more = medians(samples, (subject, 'masked'))[0] - \
            medians(samples, (subject, 'unused'))[0]
        result.append(Goal(
            f'-clock {subject.name}: masked HPET comparators arm nothing',
            f'{more:+.2f} wake-ups a second against none',
            more <= SLACK / seconds))
    return result


def run(bench):
    seconds, windows = bench.pick((3, 1), (15, 3), (10, 1))
    samples = measure(bench, seconds, windows)
    rows = [[MODES[mode][0], subject.name,
             *(f'{value:.{digits}f}' for value, digits in
               zip(medians(samples, (subject, mode)), (2, 3)))]
            for subject, mode in samples]
    names = [subject.name for subject in bench.subjects]
    return Result(
        'idle', 'an idle guest',
        'The guest halts; what wakes the emulator up is its devices. Wake-ups '
        'are voluntary context switches of all its threads, CPU is the time of '
        'all its threads.',
        tables=[Table('a second', ['guest', '-clock', 'wake-ups', 'CPU ms'],
                      rows, left=2)],
        goals=goals(bench, samples, seconds),
        plots=[bars('Wake-ups a second', 'wake-ups a second',
                    [what for what, _ in MODES.values()], names,
                    [[[s.wakeups + 0.01 for s in samples[subject, mode]]
                      for mode in MODES] for subject in bench.subjects],
                    log=True)],
        header=('guest', 'clock', 'window', 'wakeups_per_s', 'cpu_ms_per_s'),
        raw=[(mode, subject.name, number + 1, f'{s.wakeups:.3f}',
              f'{s.cpu_ms:.4f}')
             for (subject, mode), some in samples.items()
             for number, s in enumerate(some)])
