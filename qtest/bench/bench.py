#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares our emulator with stock QEMU of the same source and flags.

Parts, all of them unless some are named:
  reads         date and HPET reads a second from guest code
  vcpus         HPET reads by 2, 4 and 8 vCPUs at once
  instructions  host instructions a read, in the device's own code
  readings      one reading of each clock beside one clock_gettime()
  periodic      lateness of periodic interrupts; lost and doubled ones
  idle          what an idle guest costs
  linux         what an idle Linux guest costs, on pc and q35, under TCG and KVM
  step          a wall step of a day at 8192 Hz
  vms           1, 8, 32 and 64 VMs on one clock; how long one takes to start
  accuracy      error and bound of the sampled clocks, simulated
  exits         how often a read leaves KVM for the emulator

Where speed is compared, each round links both emulators anew, with their object
files in a random order: where the linker puts the code decides more than any patch.
A goal is met or missed if the whole 95 % interval of its figure says so; if not,
more rounds are run, up to a bound. Stock is compared with stock, too.

hpet, ptp and rtc are measured in the lab if this host lacks their devices, and KVM
is in any case: emulated twice over, and labelled as nested.

Prints tables and goals; writes an HTML page with plots, the goals for docs/, and the
raw figures as CSV, to build/report/.  Exits with 1 if a goal is missed and it is not
known why.
"""
import argparse
import importlib
import os
import platform
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from common import LIKE_UNIX, NONE, NOT_MEASURED, BenchError, fail, progress, sources
from lib.emulator import EmulatorError
from lib.paths import BUILD, OURS, STOCK
import page
from plan import SCALED, Bench
from results import goals_rst, print_result, say_packed, tally, write_csv

PARTS = ('reads', 'vcpus', 'instructions', 'readings', 'periodic', 'idle', 'linux',
         'step', 'vms', 'accuracy', 'exits')
KVM_PARTS = ('linux', 'exits')      # under KVM, in the lab
# A count is the same whatever runs beside it.
COUNTED_PARTS = ('instructions',)
# Unless it is asked for, a clock with a pace of its own is where its price shows.
SCALED_PARTS = ('reads', 'instructions', 'idle')
QUICK_SOURCES = 3       # none, system, and one
DEVICE_SOURCES = ('hpet', 'rtc', 'ptp')


def parse_args():
    parser = argparse.ArgumentParser(
        prog='./run bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('parts', nargs='*', metavar='PART', help='which parts')
    add('--quick', action='store_true',
        help='briefly, with no -clock and one source, and not in the lab: what '
        'is decided is right, but less of it is')
    add('--sources', metavar='LIST',
        help='only these, separated by commas; "none": no -clock '
        f'(default: all but {" and ".join(LIKE_UNIX)}, which are as unix, and '
        f'{SCALED} in {", ".join(SCALED_PARTS)} only)')
    add('--qemu', type=Path, default=OURS)
    add('--stock', type=Path, default=STOCK)
    add('--nested', action='store_true', help=argparse.SUPPRESS)
    add('--kvm-lab', action='store_true', help=argparse.SUPPRESS)
    add('--accel', default='tcg', help=argparse.SUPPRESS)
    add('--report', type=Path, metavar='DIR', default=BUILD / 'report')
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error(f"no part '{part}'. The parts are: "
                         f'{", ".join(PARTS)}')
    if args.quick and 'exits' in args.parts:
        parser.error('exits is measured in the lab, which --quick leaves out')
    return args


def choose_sources(args):
    """(No -clock and the sources that can be had here, those for the lab)"""
    names, missing = sources(args.qemu)
    if names is None:
        fail(f'{args.qemu} has no -clock: is it a stock emulator?')
    names = [NONE, *(name for name in names if name not in NOT_MEASURED)]
    nested = [name for name in DEVICE_SOURCES if name in missing]
    if not args.sources:
        for name, reason in missing.items():
            print(f'{name}: not on this host: {reason}')
        if args.quick:
            return names[:QUICK_SOURCES], []
        return [name for name in names if name not in LIKE_UNIX], nested
    wanted = [NONE if name == 'none' else name
              for name in args.sources.split(',')]
    # The lab has to have what it is there for.
    known = names if args.nested else names + nested
    for name in wanted:
        if name not in known:
            fail(f'--sources {name}: '
                 f'{missing.get(name, "no such source to be measured")}')
    return ([name for name in wanted if name in names],
            [name for name in wanted if name in nested])


def check_files(args):
    for path, remedy in ((args.stock, './run build, or --stock PATH'),
                         (args.qemu, './run build, or --qemu PATH')):
        if not path.is_file():
            fail(f'{path} does not exist: {remedy}')


def processor():
    for line in Path('/proc/cpuinfo').read_text().splitlines():
        if line.startswith('model name'):
            return line.split(':')[1].strip()
    return platform.machine()


def processor_time():
    """What other machines of the same host have taken, and all, in one unit"""
    times = list(map(int, Path('/proc/stat').read_text().split()[1:9]))
    return times[-1], sum(times)


def facts(args, began, time_began):
    stolen, passed = (now - then for now, then in zip(processor_time(), time_began))
    return [
        ('when', time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(began)) +
         f', {time.time() - began:.0f} s'),
        ('command', ' '.join(['./run bench', *sys.argv[1:]])),
        ('host', f'{os.cpu_count()} x {processor()}, Linux '
                 f'{platform.release()}'),
        ('load', 'average of the last minute, at the end: '
                 f'{os.getloadavg()[0]:.1f}, the benchmark included'),
        ('stolen', f'{100 * stolen / max(passed, 1):.1f} % of the time, by other '
                   'machines of the same host'),
        ('sources', ', '.join(args.sources) or 'none'),
        ('in the lab', ', '.join(args.in_lab) or 'none'),
    ]


def run_part(name, bench):
    began = time.monotonic()
    result = importlib.import_module(name).run(bench)
    progress(f'{name}: {time.monotonic() - began:.0f} s')
    return result


def keep(result, report):
    print_result(result)
    write_csv(report / f'bench-{result.part}.csv', result)
    return result


def measure_nested(parts, bench):
    """[Result]. What takes long in some goes on while other parts run."""
    with ExitStack() as stack:
        for name in ('vms', 'idle'):
            if name in parts:
                importlib.import_module(name).begin(bench, stack)
                bench.began = time.monotonic()
        return [run_part(name, bench) for name in parts]


def measure(args, bench):
    """[Result], printed as they come"""
    parts = [name for name in PARTS if not args.parts or name in args.parts]
    under_kvm = [name for name in KVM_PARTS if name in parts and not bench.quick]
    beside_kvm = [name for name in COUNTED_PARTS
                  if name in parts and under_kvm and args.sources]
    results = []
    if args.sources:
        for name in parts:
            if name not in ('exits', *beside_kvm):
                some = bench if args.asked or name in SCALED_PARTS else \
                    bench.without(SCALED)
                results.append(keep(run_part(name, some), args.report))
    # Not there in the lab itself
    nested = importlib.import_module('nested')
    with nested.Beside(bench, under_kvm) as kvm:
        if args.in_lab:
            for result in nested.run(bench, args.in_lab, parts, kvm.begin):
                results.append(keep(result, args.report))
        kvm.begin()
        for name in beside_kvm:
            results.append(keep(run_part(name, bench), args.report))
        for result in kvm.end():
            results.append(keep(result, args.report))
    return results


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    check_files(args)
    args.asked = args.sources
    args.sources, args.in_lab = choose_sources(args)
    bench = Bench(args)
    if args.nested:
        say_packed(measure_nested(args.parts, bench))
        return 0
    if args.kvm_lab:
        say_packed(importlib.import_module('nested').run_kvm(bench, args.parts))
        return 0
    args.report.mkdir(parents=True, exist_ok=True)
    began, time_began = time.time(), processor_time()
    results = measure(args, bench)
    path = args.report / 'bench.html'
    about = facts(args, began, time_began)
    page.write(path, results, about)
    goals = [goal for result in results for goal in result.goals]
    (args.report / 'goals.inc').write_text(goals_rst(goals, about),
                                           encoding='utf-8')
    print(f'\n{path}\n{tally(goals)}')
    return any(goal.failed for goal in goals)


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (BenchError, EmulatorError, OSError) as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
