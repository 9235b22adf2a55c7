# SPDX-License-Identifier: GPL-2.0-or-later
"""What an idle guest costs: how often the emulator wakes up, and CPU time.

All emulators are there at once, and are looked at over the same seconds: they
sleep, and do not get in each other's way. When in a second an update falls due is
luck, and may cost a wake-up each time; so each round starts them anew, but
for the lab, where that takes minutes, and where stock is there once.
"""
import statistics
import time
from collections import namedtuple
from contextlib import ExitStack

from common import NONE, fail, machine_args, wakeups
from lib.emulator import Emulator, cpu_ns
from page import bars
from plan import STOCKS_ALIKE
from results import Goal, Result, Table, worst
from stats import SAME_ROWS, bootstrap, draw

# What the guest has switched on
MODES = {
    'unused': ('the RTC unused', {}),
    'update': ('update interrupts', {'update': 1}),
    'masked': ('HPET comparators at 1 kHz, masked', {'masked': 1}),
}
START_S = 60
# Firmware and translation have calmed down by then.
SETTLE_S = 3
# Wake-ups a second that do not count: one in ten seconds
WAKEUPS = 0.1
# What a guest asks for, of stock's: it differs from run to run by far more.
RATIO = 1.1
CPU_MS = 0.05

WHAT = {'wakeups': 'wake-ups', 'cpu_ms': 'CPU'}
Sample = namedtuple('Sample', WHAT)     # a second


def start(bench, stack, subject, mode, number):
    subject = bench.linked(subject, number)
    return stack.enter_context(Emulator(
        str(subject.qemu),
        machine_args(subject, bench.guest('bench-idle'), MODES[mode][1]),
        serial=True))


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


def begin(bench, stack):
    """Guests of the clocks that are sampled in the lab, for measure(), which takes
    its figures when they are. Other parts may run meanwhile."""
    bench.begun = {(subject, mode): start(bench, stack, subject, mode, 0)
                   for mode in MODES for subject in bench.subjects if subject.clock}


def measure(bench, seconds, rounds, windows):
    """{(subject, mode): [Sample of each window]}"""
    samples = {}
    subjects = bench.asleep(bench.subjects)
    for number in bench.rounds('idle', *rounds, lambda: goals(bench, samples)):
        with ExitStack() as stack:
            vms = {key: bench.begun.get(key) or start(bench, stack, *key, number)
                   for mode in MODES for key in [(s, mode) for s in subjects]}
            wait_ready(vms)
            time.sleep(bench.pick(1, SETTLE_S, SETTLE_S))
            bench.wait_learned()
            for key, some in sample_windows(vms, seconds, windows).items():
                samples.setdefault(key, []).extend(some)
    return samples


def medians(samples, key):
    return (statistics.median(s.wakeups for s in samples[key]),
            statistics.median(s.cpu_ms for s in samples[key]))


def differences(samples, one, other):
    """Wake-ups a second of one less those of the other, window by window: a
    stray one in a window must not decide, so the mean"""
    return draw(statistics.mean, [a.wakeups - b.wakeups for a, b in
                                  zip(samples[one], samples[other])])


def again_goal(bench, samples):
    """That stock is not told apart from stock, if it ever wakes up"""
    cases = [(mode, key) for mode in ('update', 'masked') for key in WHAT]
    return worst([Goal(
        STOCKS_ALIKE, draw(
            lambda drawn: sum(getattr(again, key) for _, again in drawn)
            / sum(getattr(stock, key) for stock, _ in drawn),
            list(zip(*(samples[stock, mode] for stock in bench.stocks)))).interval(
                len(cases) * SAME_ROWS),
        1, unit=' x', same=True, worst=f'{MODES[mode][0]}, {WHAT[key]}')
        for mode, key in cases])


def mode_goals(bench, samples, mode):
    what, of = MODES[mode][0], len(bench.ours)
    if mode == 'update':        # each second costs three or four, by luck
        yield worst([Goal(
            f"{what}: wake-ups a second, of stock's", bootstrap(
                [(a.wakeups - WAKEUPS) / b.wakeups for a, b in
                 zip(samples[s, mode], samples[bench.stock, mode])], of),
            RATIO, unit=' x', of_stock=True, worst=f'-clock {s.name}')
            for s in bench.ours])
    else:
        yield worst([Goal(
            f'{what}: wake-ups a second above stock',
            differences(samples, (s, mode), (bench.stock, mode)).interval(of),
            WAKEUPS, worst=f'-clock {s.name}') for s in bench.ours])
    if not bench.nested:        # all is slow there
        yield worst([Goal(
            f'{what}: CPU a second above {RATIO} x stock', bootstrap(
                [a.cpu_ms - RATIO * b.cpu_ms for a, b in
                 zip(samples[s, mode], samples[bench.stock, mode])], of),
            CPU_MS, unit=' ms', digits=3, worst=f'-clock {s.name}')
            for s in bench.ours])


def goals(bench, samples):
    # A sampled clock takes its samples as long as a timer waits on its time.
    modes = [mode for mode in MODES if not (bench.nested and mode == 'update')]
    result = [goal for mode in modes for goal in mode_goals(bench, samples, mode)]
    of = len(bench.ours)
    if not bench.nested:
        result.append(worst([Goal(
            'masked HPET comparators: wake-ups a second above none', differences(
                samples, (s, 'masked'), (s, 'unused')).interval(of),
            WAKEUPS, worst=f'-clock {s.name}') for s in bench.ours]))
    none = bench.named.get(NONE)
    clocks = [s for s in bench.ours if s.clock and none]
    if clocks:
        result.append(worst([Goal(
            'a clock without a timer: wake-ups a second above no -clock',
            differences(samples, (s, 'unused'), (none, 'unused')).interval(of),
            WAKEUPS, worst=f'-clock {s.name}') for s in clocks]))
    if not (bench.quick or bench.nested):       # four windows of 2 s say nothing
        result.append(again_goal(bench, samples))
    return result


def run(bench):
    # In the lab a window is not as long as an idle clock's pause, 16 s: by luck two
    # samples would be in it.
    samples = measure(bench, *bench.pick((2, (4, 4), 1), (6, (8, 12), 1), (15, (1, 1), 6)))
    rows = [[MODES[mode][0], subject.name,
             *(f'{value:.{digits}f}' for value, digits in
               zip(medians(samples, (subject, mode)), (2, 3)))]
            for subject, mode in samples]
    subjects = bench.asleep(bench.subjects)
    names = [subject.name for subject in subjects]
    return Result(
        'idle', 'an idle guest',
        'The guest halts; what wakes the emulator up is its devices. Wake-ups '
        'are voluntary context switches of all its threads, CPU is the time of '
        'all its threads.',
        tables=[Table('a second', ['guest', '-clock', 'wake-ups', 'CPU ms'],
                      rows, left=2)],
        goals=goals(bench, samples),
        plots=[bars('Wake-ups a second', 'wake-ups a second',
                    [what for what, _ in MODES.values()], names,
                    [[[s.wakeups + 0.01 for s in samples[subject, mode]]
                      for mode in MODES] for subject in subjects],
                    log=True)],
        header=('guest', 'clock', 'window', 'wakeups_per_s', 'cpu_ms_per_s'),
        raw=[(mode, subject.name, number + 1, f'{s.wakeups:.3f}',
              f'{s.cpu_ms:.4f}')
             for (subject, mode), some in samples.items()
             for number, s in enumerate(some)])
