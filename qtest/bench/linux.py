# SPDX-License-Identifier: GPL-2.0-or-later
"""What an idle Linux guest costs: Debian's kernel, on pc and q35, HPET on and off.

All guests are there at once, and are looked at over the same seconds. No boot ends
with the same timers as another, so there are several guests of each, and what
differs from one to the next is in the interval; but for the lab, which has no room
for them, nor for stock twice. Under KVM it runs in the lab.
"""
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from common import clock_args, fail, progress
from idle import RATIO, SETTLE_S, WHAT, Sample, sample_windows
from lib import linux_guest
from lib.emulator import Emulator, EmulatorError
from lib.lab import LINUX_GUEST
from page import bars
from plan import STOCKS_ALIKE
from results import Goal, Result, Table, worst
from stats import SAME_ROWS, draw

# Where HPETs of stock tick they cost those who boot after them.
MACHINES = [(board, hpet) for hpet in ('off', 'on') for board in ('pc', 'q35')]
# A kernel that is still at work after its init has started would be counted.
QUIET_S = 10
# Guests of each subject on each machine
COPIES = 4


def start(bench, stack, subject, machine, initramfs):
    """Without the kernel's tests of its ciphers, a tenth of the boot"""
    board, hpet = machine
    return stack.enter_context(Emulator(str(subject.qemu), [
        '-no-user-config', '-nodefaults', '-display', 'none', '-no-reboot',
        '-accel', bench.accel, *(['-cpu', 'host'] if bench.accel == 'kvm' else []),
        '-m', '128', '-machine', f'{board},hpet={hpet}',
        *linux_guest.kernel_args(initramfs, append='doze cryptomgr.notests'),
        *clock_args(subject)], serial=True))


def wait_idle(vm):
    deadline = time.monotonic() + linux_guest.BOOT_S
    while got := vm.read_line(deadline):
        if '@ idle' in got[1]:
            return
    fail('the guest did not come up: '
         f'{vm.stderr().strip() or " / ".join(vm.tail[-3:]) or "silent"}')


def boot(bench, stack, machine, initramfs):
    """{(machine, subject, number): VM} of one machine, idle"""
    vms = {(machine, subject, number):
           start(bench, stack, bench.linked(subject, number), machine, initramfs)
           for subject in bench.asleep(bench.few)
           for number in range(bench.pick(1, COPIES))}
    try:
        for vm in vms.values():
            wait_idle(vm)
    except EmulatorError as error:
        fail(f'linux, {" hpet=".join(machine)}: {error}')
    progress(f'linux: {" hpet=".join(machine)}, {len(vms)} guests')
    return vms


def measure(bench, initramfs, seconds, windows):
    """{(machine, subject): [Sample of each guest]}, or of each window, where there is
    one guest"""
    with ExitStack() as stack:
        vms = {}
        for machine in MACHINES[-1:] if bench.quick else MACHINES:
            vms.update(boot(bench, stack, machine, initramfs))
        time.sleep(SETTLE_S + QUIET_S)
        found = {}
        for (*key, _), some in sample_windows(vms, seconds, windows).items():
            found.setdefault(tuple(key), []).append(some)
        return {key: guests[0] if len(guests) == 1 else
                [Sample(*map(statistics.mean, zip(*some))) for some in guests]
                for key, guests in found.items()}


def measure_with(bench, *windows):
    """That, with the lab's initramfs or one that is made now"""
    if Path(LINUX_GUEST).exists():
        return measure(bench, Path(LINUX_GUEST), *windows)
    with tempfile.TemporaryDirectory() as folder:
        initramfs = Path(folder) / 'initramfs'
        linux_guest.make_initramfs(initramfs)
        return measure(bench, initramfs, *windows)


def medians(some):
    return (statistics.median(s.wakeups for s in some),
            statistics.median(s.cpu_ms for s in some))


def ratio(samples, machine, key, some, others):
    """Drawn: what guests of some have by their median, of that of others. Now and then
    a guest sleeps as no other does."""
    return draw(lambda *sides: statistics.median(sides[0]) / statistics.median(sides[1]),
                *([getattr(sample, key) for subject in side
                   for sample in samples[machine, subject]] for side in (some, others)))


def goals(bench, samples):
    ours = bench.few[1:]
    stocks = [subject for subject in bench.asleep(bench.few) if subject not in ours]
    cases = [(machine, key) for machine in dict.fromkeys(m for m, _ in samples)
             # How two boots differ is not known from one.
             if not (bench.nested and machine[1] == 'off') for key in WHAT]

    for machine, key in cases:
        yield worst([Goal(
            f"{', hpet='.join(machine)}: {WHAT[key]} a second, of stock's",
            ratio(samples, machine, key, [s], stocks).interval(len(ours)),
            RATIO, unit=' x', of_stock=True, worst=f'-clock {s.name}') for s in ours])
    if bench.again in stocks and not bench.quick:
        yield worst([Goal(
            STOCKS_ALIKE,
            ratio(samples, machine, key, [bench.again], [bench.stock]).interval(
                len(cases) * SAME_ROWS),
            1, unit=' x', same=True, worst=f"{', hpet='.join(machine)}, {WHAT[key]}")
            for machine, key in cases])


def run(bench):
    seconds, windows = bench.pick((1, 6), (4, 6), (5, 6))
    samples = measure_with(bench, seconds, windows)
    rows = [[machine[0], machine[1], subject.name,
             *(f'{value:.2f}' for value in medians(some))]
            for (machine, subject), some in samples.items()]
    subjects = bench.asleep(bench.few)
    names = [subject.name for subject in subjects]
    machines = list(dict.fromkeys(machine for machine, _ in samples))
    return Result(
        'linux' if bench.accel == 'tcg' else f'linux-{bench.accel}',
        f'an idle Linux guest, {bench.accel.upper()}',
        "Debian's kernel, whose only process sleeps. Wake-ups are voluntary context "
        'switches of all threads of the emulator, CPU is the time of them all.',
        tables=[Table('a second', ['machine', 'HPET', '-clock', 'wake-ups', 'CPU ms'],
                      rows, left=3)],
        goals=list(goals(bench, samples)),
        plots=[bars('Wake-ups a second', 'wake-ups a second',
                    [' hpet='.join(machine) for machine in machines], names,
                    [[[s.wakeups + 0.01 for s in samples[machine, subject]]
                      for machine in machines] for subject in subjects],
                    log=True)],
        header=('machine', 'hpet', 'clock', 'guest', 'wakeups_per_s', 'cpu_ms_per_s'),
        raw=[(*machine, subject.name, number + 1, f'{s.wakeups:.3f}',
              f'{s.cpu_ms:.4f}')
             for (machine, subject), some in samples.items()
             for number, s in enumerate(some)])
