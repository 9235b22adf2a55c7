# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of the clocks that this host lacks, and that of KVM, in the lab.

The lab is a Linux guest with /dev/rtc0, /dev/hpet and /dev/ptp0 (qtest/lab/). It gets
stock QEMU, Python and the benchmark besides, and runs the parts that need an
emulator on such a source. What it measures is emulated twice over: figures are
for comparing with each other, not with those of the host.
"""
import re
import shlex
import subprocess
import sys
import time

from common import BenchError, fail, progress
from lib.image import LAB_EMULATOR, PYTHON, Image, ImageError
from lib.kernel import GetKernelError, kernel_folder
from lib.lab import KVM_CPU, LINUX_GUEST, Lab, LabError
from lib.linux_guest import make_initramfs
from lib.paths import BUILD, ROOT
from results import RESULT, from_text

# What these find depends on the clock's device; the others are about what all
# clocks share, or simulate the device.
# Guests of 'vms' and 'idle' begin before the others, and are measured after them.
PARTS = ('periodic', 'vms', 'idle')
# After it, other work is no harm.
LAST_TIMED = 'vms'
# All parts take 10 minutes on two idle processors, a part 5 at most.
BOUND_S = 3000
SILENCE_S = 900
# Guests of one machine boot in 30 s.
KVM_SILENCE_S = 240


def add_bench(image, bench):
    image.add_python()
    image.add_scripts('bench')
    image.add_emulator(bench.stock.qemu.resolve().parent)


def benchmark(bench, qemu, names, parts, *more):
    """What comes after Python on its command line"""
    return ['-B', ROOT / 'qtest/bench/bench.py',
            '--qemu', qemu, '--stock', bench.stock.qemu.resolve(),
            '--sources', ','.join(['none', *names]), *parts, *more]


def few_names(bench):
    return [subject.name for subject in bench.few if subject.clock]


def job(bench, names, parts, *more):
    words = [PYTHON, *benchmark(bench, LAB_EMULATOR, names, parts, '--nested', *more,
                                *(['--quick'] if bench.quick else []))]
    # A huge page or two decide what four VMs seem to need.
    return ('echo never > /sys/kernel/mm/transparent_hugepage/enabled\n'
            f'export HOST_CLOCK_BUILD={shlex.quote(str(BUILD))}\n'
            f'export XDG_CACHE_HOME={kernel_folder().parents[2]}\n'
            f'{shlex.join(map(str, words))} 2>&1\n')


def fetch(lines, heard=lambda line: None):
    """The results, among the lines of the lab, each of which is heard()."""
    packed, others = [], []
    for line in lines:
        heard(line)
        if line.startswith(RESULT):
            packed.append(line[len(RESULT):])
        elif line.strip():
            others.append(line)
            progress(f'[lab] {line}')
    if not packed:
        fail('the lab had no results: ' + ' / '.join(others[-3:]))
    return from_text(''.join(packed))


def label(result, what):
    result.part = f'{result.part}-lab'
    result.title = f'{result.title}: {what}, nested in the lab'
    result.about = ('Emulated twice over, in a guest that has what is measured: '
                    'to be compared with each other only. ' + result.about)
    for goal in result.goals:
        goal.text = f'nested: {goal.text}'


def run(bench, names, parts, calm=lambda: None):
    """[Result] of these sources, beside stock and ours without -clock. calm() is called
    when the lab has no more to do than to count wake-ups."""
    def heard(line):
        if re.fullmatch(rf'{LAST_TIMED}: \d+ s', line):
            calm()

    parts = [part for part in PARTS if part in parts]
    if not parts:
        return []
    if bench.qemu.resolve() != LAB_EMULATOR.resolve():
        fail(f'--qemu {bench.qemu}: the lab has {LAB_EMULATOR} only; leave out '
             f'--qemu, or {", ".join(names)} with --sources')
    began = time.monotonic()
    try:
        with Image() as image:
            image.add_build()
            add_bench(image, bench)
            image.add_igb(kernel_folder())
            with Lab(image, 'load_igb\n' + job(bench, names, parts),
                     extra=['-device', 'igb']) as lab:
                results = fetch(lab.lines(began + BOUND_S, SILENCE_S), heard)
    except (LabError, ImageError, subprocess.CalledProcessError,
            GetKernelError) as error:
        fail(f'the lab: {error}')
    for result in results:
        label(result, ', '.join(names))
    progress(f'{", ".join(names)} in the lab: {time.monotonic() - began:.0f} s')
    return results


class Beside:
    """The parts under KVM, if any, by a process of its own beside other parts"""

    def __init__(self, bench, parts):
        self.bench, self.parts, self.process = bench, parts, None

    def begin(self):
        if self.process or not self.parts:
            return
        self.process = subprocess.Popen(
            [sys.executable, *benchmark(
                self.bench, self.bench.qemu, few_names(self.bench), self.parts,
                '--kvm-lab')],
            stdout=subprocess.PIPE, text=True)

    def end(self):
        """[Result]"""
        return fetch(line.rstrip('\n') for line in self.process.stdout) \
            if self.process else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process.stdout.close()


def run_kvm(bench, parts):
    """[Result] of parts under KVM"""
    try:
        with Image() as image:
            image.add_build()
            add_bench(image, bench)
            image.add_kvm(kernel_folder())
            image.add_kernel(kernel_folder())
            make_initramfs(image.place(LINUX_GUEST))
            results = run_under_kvm(image, job(bench, few_names(bench), parts, '--accel', 'kvm'))
    except (LabError, ImageError, subprocess.CalledProcessError,
            GetKernelError) as error:
        fail(f'the lab: {error}')
    for result in results:
        label(result, 'KVM')
    return results


def run_under_kvm(image, script):
    """[Result]. Emulated SVM now and then loses a guest, or the lab: then once more."""
    for tries_left in (1, 0):
        try:
            with Lab(image, 'load_kvm\n' + script, cpu=KVM_CPU, cpus=1) as lab:
                return fetch(lab.lines(time.monotonic() + BOUND_S, KVM_SILENCE_S))
        except (LabError, BenchError) as error:
            if not tries_left:
                raise
            progress(f'KVM in the lab, once more: {error}')
