# SPDX-License-Identifier: GPL-2.0-or-later
"""1, 8, 32 and 64 VMs on one clock: CPU, memory, wake-ups, and how long one starts.

Each guest has the RTC's periodic interrupts on, at 64 Hz, so that there is
something to count; each at a phase that drifts, as those that meet again and
again cost another time. As many VMs without -clock run beside them, and are counted
over the same seconds; those of a clock join one after the other, so that a few of
them are counted, too. One process costs more than another of the same kind for as
long as it is there: so a VM counts once, and the interval is that of other VMs.
"""
import os
import statistics
import time
from collections import namedtuple

from common import (
    ALL_PROCESSORS, NONE, fail, machine_args, progress, pss_kib, use_processors, wakeups)
from lib.emulator import Emulator, cpu_ns
from page import intervals
from results import Goal, Result, Table, worst
from stats import Interval, bootstrap, draw

RATE_64 = 10
SETTLE_S = 1
START_S = 60
# So many more starts, if they do not decide
STARTS_MORE = 6
AGAIN = '(none) again'
COUNTS_IN_LAB = (4,)
# Of what as many VMs without -clock cost
GOAL = 1.02
# Above a VM without -clock: rtc waits for an edge of a second
START_GOALS_MS = {'rtc': 1100}
START_GOAL_MS = 50
WHAT = {'cpu_ms': ('CPU, ms/s', 2), 'wakeups': ('wake-ups/s', 1),
        'pss_mib': ('memory, MiB', 1)}

Cost = namedtuple('Cost', WHAT)         # of a VM


class Herd:
    """VMs of one subject"""

    def __init__(self, bench, subject):
        self.bench, self.subject, self.vms = bench, subject, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for vm in self.vms:
            vm.kill()
        for vm in self.vms:
            vm.close()

    def start(self):
        return Emulator(str(self.subject.qemu), machine_args(
            self.subject, self.bench.guest('bench-idle'), {'rate': RATE_64, 'drift': 1}),
            serial=True)

    def grow(self, count):
        """To so many, all of which run. They are spread over the processors, of which
        one may be slower than another."""
        had, processors = len(self.vms), sorted(ALL_PROCESSORS)
        try:
            for number in range(had, count):
                # Of this thread, and so of what it starts
                os.sched_setaffinity(0, [processors[number % len(processors)]])
                self.vms.append(self.start())
        finally:
            use_processors()
        new = self.vms[had:]
        for vm in new:
            if not vm.process.stdout.read(1):
                fail(f'{self.subject.name}, {count} VMs: {vm.stderr()}')
            vm.qmp.open(START_S)

    def each(self, command):
        """'stop', 'cont': of all of them"""
        for vm in self.vms:
            vm.qmp.command(command)

    def look(self):
        return [(time.monotonic(), cpu_ns(vm.process.pid) / 1e6,
                 wakeups(vm.process.pid)) for vm in self.vms]

    def costs(self, before):
        """[Cost of each VM] since an earlier look"""
        after = self.look()
        return [Cost((cpu_ms - had_ms) / (now - then), (woke - had) / (now - then),
                     pss_kib(vm.process.pid) / 1024)
                for vm, (then, had_ms, had), (now, cpu_ms, woke)
                in zip(self.vms, before, after)]


def without_clock(bench):
    """What the others are compared with"""
    return bench.named.get(NONE, bench.ours[0])


def costs(herds, seconds):
    """[Cost of each VM] of each herd, over the same seconds"""
    time.sleep(SETTLE_S)
    looks = [herd.look() for herd in herds]
    time.sleep(seconds)
    return [herd.costs(look) for herd, look in zip(herds, looks)]


def begin(bench, stack):
    """VMs of the clocks that are sampled in the lab, stopped: each emulator has to
    have learned the rate of its clock before measure() takes figures."""
    for subject in bench.ours:
        if subject.clock:
            herd = bench.herds[subject.name] = stack.enter_context(Herd(bench, subject))
            herd.grow(COUNTS_IN_LAB[-1])
            herd.each('stop')


def measure(bench, counts, seconds, seconds_last):
    """{(name, VMs): [(Cost of a VM, that of one without -clock)]}"""
    bench.wait_learned()
    none = without_clock(bench)
    found = {}
    with Herd(bench, none) as reference:
        reference.grow(counts[-1])
        for name, subject in [(AGAIN, none), *bench.named.items()]:
            if subject is none and name != AGAIN:
                continue
            with bench.herds.get(name) or Herd(bench, subject) as herd:
                herd.each('cont')
                for count in counts:
                    herd.grow(count)
                    last = count == counts[-1]
                    found[name, count] = list(zip(*costs(
                        [herd, reference], seconds_last if last else seconds)))
            progress(f'vms: {name}')
    return found


def start_ms(subject, bench):
    """Until it runs; what its guest then does is another matter."""
    began = time.monotonic()
    with Emulator(str(subject.qemu), machine_args(
            subject, bench.guest('bench-idle'), {})) as vm:
        vm.wait_running(START_S)
        return (time.monotonic() - began) * 1000


def measure_starts(bench, least, most):
    """{subject: [ms]}, taken in turn, as a machine with other work is slower for
    some time. What is decided starts no more."""
    starts = {subject: [] for subject in bench.ours}
    turns = bench.ours
    for number in range(most):
        if number >= least and not number % STARTS_MORE:
            undecided = [subject for subject in turns if subject.clock
                         and start_goal(bench, starts, subject).open]
            if not undecided:
                break
            turns = [without_clock(bench), *undecided]
        turn = number % len(turns)
        for subject in turns[turn:] + turns[:turn]:
            starts[subject].append(start_ms(subject, bench))
    return starts


# -- figures

def above(bench, starts, subject):
    """The Interval of what a start takes above the one without -clock beside it"""
    return bootstrap([ms - base for ms, base in zip(
        starts[subject], starts[without_clock(bench)])])


def ratio(pairs, key, of=1):
    return draw(lambda drawn: sum(getattr(cost, key) for cost, _ in drawn)
                / sum(getattr(base, key) for _, base in drawn), pairs).interval(of)


def goals(bench, found, starts, most):
    names = [name for name, count in found if count == most and name != AGAIN]
    result = [worst([Goal(
        f'{most} VMs: {what.split(",")[0]}, of that without -clock',
        ratio(found[name, most], key, len(names)), GOAL, unit=' x', digits=3,
        worst=f'-clock {name}', of_stock=bench.nested)
        for name in names])
        for key, (what, _) in WHAT.items() if names]
    value, low, high = ratio(found[AGAIN, most], 'cpu_ms')
    if value < 1:
        value, low, high = 1 / value, 1 / high, 1 / low
    result.append(Goal(
        f'{most} VMs without -clock and as many: more, of less',
        Interval(value, low, high), GOAL, unit=' x', digits=3, of_stock=True,
        worst='CPU'))
    return result + [start_goal(bench, starts, subject)
                     for subject in bench.ours if subject.clock]


def start_goal(bench, starts, subject):
    return Goal(f'start-up on {subject.name} above that without -clock',
                above(bench, starts, subject),
                START_GOALS_MS.get(subject.name, START_GOAL_MS), digits=1, unit=' ms')


def cost_rows(found):
    for (name, count), pairs in found.items():
        cost = Cost(*(statistics.mean(getattr(cost, key) for cost, _ in pairs)
                      for key in WHAT))
        row = [name, str(count), *(f'{getattr(cost, key):.{digits}f}'
                                   for key, (_, digits) in WHAT.items()),
               f'{cost.wakeups * count:.0f}', '']
        if count > 1:
            some = ratio(pairs, 'cpu_ms')
            row[-1] = f'{some.value:.3f} ({some.low:.3f}-{some.high:.3f})'
        yield row


def run(bench):
    counts = bench.pick((4,), (1, 8, 32, 64), COUNTS_IN_LAB)
    # The clocks of VMs that are there know by then that the lab is no longer busy.
    starts = measure_starts(bench, *bench.pick((6, 12), (12, 36), (18, 72)))
    found = measure(bench, counts, *bench.pick((1.4, 5.6), (1.5, 12), (2, 10)))
    most = counts[-1]
    return Result(
        'vms', f'{most} VMs on one clock, and fewer',
        'Each guest sleeps but for RTC interrupts at 64 Hz. Memory is the '
        'proportional set size. As many VMs without -clock run at the same time, '
        'and the ratio is to them, over the same seconds. Start-up is until the '
        'machine runs, without what its firmware does.',
        tables=[Table('a VM', ['-clock', 'VMs', *(name for name, _ in
                                                  WHAT.values()),
                               'wake-ups/s in all', 'CPU, of none'],
                      list(cost_rows(found))),
                Table('start-up, ms', ['-clock', 'median', 'above none'],
                      [[subject.name, f'{statistics.median(some):.0f}',
                        f'{above(bench, starts, subject).value:+.1f}']
                       for subject, some in starts.items()])],
        goals=goals(bench, found, starts, most),
        plots=[intervals(
            f'{most} VMs on one clock', 'of as many without -clock',
            [(what.split(',')[0], name, ratio(pairs, key))
             for key, (what, _) in WHAT.items()
             for (name, count), pairs in found.items() if count == most],
            [GOAL])],
        header=('clock', 'vms', 'vm', *Cost._fields),
        raw=[(name, count, number + 1, *(f'{x:.4f}' for x in cost))
             for (name, count), pairs in found.items()
             for number, (cost, _) in enumerate(pairs)])
