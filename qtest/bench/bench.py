#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest clock reads a second: our emulator against stock, as a ratio.

A bare-metal guest (qtest/baremetal/bench-read.c) reads the RTC's date and the
HPET's counter in slices of a fixed number of reads, and sends a letter as each
slice begins.  This program stamps the letters.  Guest clocks are what is under
test, so no guest clock times anything.

The figure is reads per second of the emulator's CPU time, all threads
together: a busy neighbour takes wall time from a slice, but no CPU time.  Wall
time is kept beside it (table and CSV), since a source that slept in a read
would cost no CPU.  Stock and ours take turns slice by slice, and a ratio is
taken pair by pair, so a machine that slows down slows both; the table has the
median over the pairs of all rounds.
"""
import argparse
import csv
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
GOAL = 0.95
GOAL_CLOCKS = ('(none)', 'dynticks', 'unix')
SELF_TOLERANCE = 0.03
RTC_CLOCKS = ('host', 'vm')
# About 50 ms a slice on a current machine: long beside the 0.1 ms that it may
# take to stamp a letter, short beside a second, so that a run has several.
READS = {'date': 50_000, 'hpet': 250_000}
LETTERS = {'d': 'date', 'h': 'hpet'}
RUN_TIMEOUT_S = 120
FIRMWARE = ('/usr/share/qemu', '/usr/share/seabios')

Config = namedtuple('Config', 'clock rtc')      # clock: '(none)' or a source
Figure = namedtuple('Figure', 'cpu wall')       # reads a second


class BenchError(Exception):
    """Says what went wrong and what to do about it."""


def fail(message):
    raise BenchError(message)


# -- the emulator -----------------------------------------------------------

def command(qemu, guest, config, options):
    args = [str(qemu)]
    for folder in FIRMWARE:
        args += ['-L', folder]
    args += ['-M', 'pc,hpet=on', '-accel', 'tcg,thread=single', '-m', '32',
             '-nodefaults', '-display', 'none', '-no-reboot',
             '-serial', 'stdio',
             '-device', 'isa-debug-exit,iobase=0xf4,iosize=4',
             '-rtc', f'clock={config.rtc}',
             '-kernel', str(guest), '-append', options]
    if config.clock != '(none)':
        args += ['-clock', config.clock]
    return args


def sources(qemu):
    """Names that '-clock help' calls available, and {name: reason} of the
    others; None when the emulator has no -clock at all."""
    run = subprocess.run([str(qemu), '-clock', 'help'], text=True, check=False,
                         stdin=subprocess.DEVNULL, capture_output=True)
    if run.returncode:
        return None, {}
    names, missing = [], {}
    for line in run.stdout.splitlines():
        match = re.match(r'\s*([a-z][a-z0-9-]*)\b', line)
        if not match or line.rstrip().endswith(':'):
            continue
        reason = re.search(r'\[not available: (.*)\]\s*$', line)
        if reason:
            missing[match[1]] = reason[1]
        else:
            names.append(match[1])
    return names, missing


def share_one_processor():
    """Puts this program and the emulators, its children, on one processor.

    The kernel brings the CPU time of a thread up to date when the thread is
    switched out, else only with the tick (4 ms).  On one processor the
    emulator is switched out whenever a letter is stamped.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def process_cpu_ns(pid):
    # The clock id that clock_getcpuclockid(3) makes of a process id.
    return time.clock_gettime_ns((~pid << 3) | 2)


class Emulator:
    """An emulator that runs only from one letter of its guest to the next."""

    def __init__(self, qemu, guest, config, slices):
        options = ' '.join(f'{kind}={count}' for kind, count in READS.items())
        self.args = command(qemu, guest, config, f'{options} slices={slices}')
        self.what = f'{qemu} (clock {config.clock}, rtc {config.rtc})'
        self.figures = {kind: [] for kind in READS}
        self.letter = None              # the slice that is under way
        self.cpu_ns = 0                 # when it began

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            self.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors)
        self.process.send_signal(signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def fail_early(self):
        self.errors.seek(0)
        said = self.errors.read().decode(errors='replace').strip()
        fail(f'{self.what} ended before its guest did: {said or "no message"}')

    def advance(self):
        """Runs one slice and keeps its Figure; False after the last one."""
        began_ns = time.monotonic_ns()
        self.process.send_signal(signal.SIGCONT)
        letters = os.read(self.process.stdout.fileno(), 4096).decode('latin-1')
        wall_ns = time.monotonic_ns() - began_ns
        if not letters:
            self.fail_early()
        cpu_ns = process_cpu_ns(self.process.pid)
        self.process.send_signal(signal.SIGSTOP)
        for letter in letters:
            # Letters that come together have no moment of their own.
            self.note(letter, cpu_ns, wall_ns if len(letters) == 1 else None)
        return self.letter != '|'

    def note(self, letter, cpu_ns, wall_ns):
        """The slice under way ends, that of letter begins."""
        if letter != '|' and letter not in LETTERS:
            fail(f'the guest sent {letter!r}, which means nothing; '
                 'is bench-read.elf that of this tree?')
        if self.letter:
            kind = LETTERS[self.letter]
            self.figures[kind].append(wall_ns and Figure(
                READS[kind] * 1e9 / max(cpu_ns - self.cpu_ns, 1),
                READS[kind] * 1e9 / wall_ns))
        self.letter, self.cpu_ns = letter, cpu_ns


def measure_pair(args, guest, config, first):
    """{kind: [(stock Figure, ours Figure)]}, a pair a slice.

    Both emulators are there at once, one of them stopped: so they take turns
    slice by slice, and what slows the machine for a second slows both.
    """
    pair = (Emulator(args.stock, guest, config._replace(clock='(none)'),
                     args.slices),
            Emulator(args.qemu, guest, config, args.slices))
    signal.alarm(RUN_TIMEOUT_S)
    with pair[0] as stock, pair[1] as ours:
        going = [True, True]
        while any(going):
            for index in (first, 1 - first):
                going[index] = going[index] and pair[index].advance()
            first = 1 - first
    signal.alarm(0)
    return {kind: [both for both in zip(stock.figures[kind],
                                        ours.figures[kind]) if all(both)]
            for kind in READS}


# -- rates, interleaved -----------------------------------------------------

def run_rounds(args, configs, guest):
    """{(config, kind): [(round, stock Figure, ours Figure)]}"""
    pairs = {(config, kind): [] for config in configs for kind in READS}
    began = time.monotonic()
    for number in range(args.rounds):
        for index, config in enumerate(configs):
            got = measure_pair(args, guest, config, (number + index) % 2)
            for kind, both in got.items():
                pairs[config, kind] += [(number + 1, *pair) for pair in both]
        print(f'round {number + 1} of {args.rounds}: '
              f'{2 * len(configs)} runs, {time.monotonic() - began:.0f} s',
              file=sys.stderr, flush=True)
    for (config, kind), rows in pairs.items():
        if len(rows) < args.rounds * args.slices / 2:
            fail(f'{config.clock}/{config.rtc}/{kind}: most slices could not '
                 'be timed: the machine is too busy, try again')
    return pairs


def write_csv(path, pairs):
    with open(path, 'w', newline='', encoding='ascii') as file:
        out = csv.writer(file)
        out.writerow(['clock', 'rtc', 'read', 'round', 'emulator',
                      'reads_per_cpu_s', 'reads_per_wall_s'])
        for (config, kind), rows in pairs.items():
            for number, *pair in rows:
                for who, figure in zip(('stock', 'ours'), pair):
                    out.writerow([*config, kind, number, who,
                                  round(figure.cpu), round(figure.wall)])


def quartiles(values):
    """Lower and upper quartile; the range, of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, high


def cell(values, scale, digits):
    low, high = quartiles(values)
    return (f'{statistics.median(values) / scale:8.{digits}f} '
            f'{f"{low / scale:.{digits}f}-{high / scale:.{digits}f}":>13}')


def verdict(config, ratio, is_self):
    if is_self:
        return 'ok' if abs(ratio - 1) <= SELF_TOLERANCE else 'NOISY'
    if config.clock not in GOAL_CLOCKS:
        return 'no goal'
    return 'met' if ratio >= GOAL else 'NOT MET'


def print_table(pairs, is_self):
    """Prints a row for each (config, kind); returns those that are bad."""
    second = 'stock again' if is_self else 'ours'
    print(f'\nThousands of reads per second of CPU time: median, quartiles; '
          f'goal {f"1 +/- {SELF_TOLERANCE}" if is_self else f">= {GOAL}"}')
    print(f'{"-clock":9} {"-rtc clock":10} {"read":5} {"stock":>22} '
          f'{second:>22} {"ratio, by pair":>22} {"by wall":>7}  goal')
    bad = []
    for (config, kind), rows in pairs.items():
        _, stock, ours = zip(*rows)
        ratios = [b.cpu / a.cpu for _, a, b in rows]
        wall = statistics.median(b.wall / a.wall for _, a, b in rows)
        word = verdict(config, statistics.median(ratios), is_self)
        if word.isupper():
            bad.append(f'{config.clock}/{config.rtc}/{kind} '
                       f'{statistics.median(ratios):.3f}')
        print(f'{config.clock:9} {config.rtc:10} {kind:5} '
              f'{cell([f.cpu for f in stock], 1000, 0)} '
              f'{cell([f.cpu for f in ours], 1000, 0)} '
              f'{cell(ratios, 1, 3)} {wall:7.3f}  {word}')
    return bad


# -- host instructions a read -----------------------------------------------

def instruction_counter():
    """(name, argv prefix, pattern of the count), the first that works."""
    perf = shutil.which('perf')
    if perf:
        prefix = [perf, 'stat', '-x,', '-e', 'instructions:u', '--']
        probe = subprocess.run([*prefix, 'true'], text=True, check=False,
                               capture_output=True)
        if re.match(r'\d+,', probe.stderr):
            return 'perf', prefix, r'^(\d+),[^\n]*instructions'
    valgrind = shutil.which('valgrind')
    if valgrind:
        # Children too: the emulator's path may be that of a wrapper script.
        return 'valgrind', [valgrind, '--trace-children=yes',
                            '--tool=cachegrind', '--cache-sim=no',
                            '--cachegrind-out-file=/dev/null'], \
            r'I\s+refs:\s+([\d,]+)'
    return fail('no instruction counter: perf has none on this machine; '
                'install valgrind')


def count_instructions(counter, qemu, guest, config, reads):
    _, prefix, pattern = counter
    options = ' '.join(f'{kind}={count}' for kind, count in reads.items())
    run = subprocess.run(prefix + command(qemu, guest, config, options),
                         stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False, timeout=10 * RUN_TIMEOUT_S)
    counts = re.findall(pattern, run.stderr, re.MULTILINE)
    if '|' not in run.stdout or not counts:
        fail(f'no count from {qemu} (clock {config.clock}):\n'
             + '\n'.join(run.stderr.splitlines()[-5:]))
    return int(counts[-1].replace(',', ''))


def instructions_per_read(counter, qemu, guest, config):
    """{kind: instructions}: start-up cancels between N and 2N reads."""
    once = count_instructions(counter, qemu, guest, config, READS)
    return {kind: (count_instructions(counter, qemu, guest, config,
                                      {**READS, kind: 2 * count}) - once)
            / count for kind, count in READS.items()}


def bench_instructions(args, configs, guest):
    counter = instruction_counter()
    print(f'Host instructions a read, counted by {counter[0]} '
          '(user space only)')
    print(f'{"-clock":9} {"-rtc clock":10} {"read":5} {"stock":>8} '
          f'{"ours":>8} {"more":>7}')
    stock = {}
    for config in configs:
        if config.rtc not in stock:
            stock[config.rtc] = instructions_per_read(
                counter, args.stock, guest, Config('(none)', config.rtc))
        ours = instructions_per_read(counter, args.qemu, guest, config)
        for kind, count in ours.items():
            base = stock[config.rtc][kind]
            print(f'{config.clock:9} {config.rtc:10} {kind:5} {base:8.0f} '
                  f'{count:8.0f} {count - base:+7.0f}', flush=True)


# -- main -------------------------------------------------------------------

def parse_args():
    parser = argparse.ArgumentParser(
        prog='bench', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--qemu', type=Path, default=TOP / 'build/bin/qemu-system-x86_64')
    add('--stock', type=Path,
        default=TOP / 'build/bin/qemu-system-x86_64-stock')
    add('--guest', type=Path,
        default=TOP / 'build/qtest/baremetal/bench-read.elf')
    add('--rounds', type=int, help='pairs of runs (default 7)')
    add('--quick', action='store_true',
        help='3 rounds of shorter runs; with --instructions: only '
        '-rtc clock=host')
    add('--csv', type=Path, metavar='FILE', help='write the raw figures')
    add('--self', dest='is_self', action='store_true',
        help='stock against stock: the noise of this machine')
    add('--instructions', action='store_true',
        help='host instructions a read instead of reads a second')
    args = parser.parse_args()
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.slices = 4 if args.quick else 8
    if args.rounds < 1:
        parser.error('--rounds: at least 1')
    if args.is_self:
        args.qemu = args.stock
    return args


def check_files(args):
    for path, remedy in ((args.stock, './run build, or --stock PATH'),
                         (args.qemu, './run build, or --qemu PATH'),
                         (args.guest, './run build, or --guest FILE')):
        if not path.is_file():
            fail(f'{path} does not exist: {remedy}')


def choose_configs(args):
    """Every pair of host clock and -rtc clock that can be measured here."""
    clocks = ['(none)']
    if not args.is_self:
        names, missing = sources(args.qemu)
        if names is None:
            fail(f'{args.qemu} has no -clock: is it a stock emulator? '
                 '(--self compares stock with stock)')
        # "system" is what no -clock means.
        clocks += [name for name in names if name != 'system']
        for name, reason in missing.items():
            print(f'{name}: not on this host: {reason}')
        for name in GOAL_CLOCKS[1:]:
            if name not in clocks:
                fail(f'-clock {name} has a goal but is not available: '
                     f'{missing.get(name, "no such source")}')
    return [Config(clock, rtc) for clock in clocks for rtc in RTC_CLOCKS]


def too_slow(_signal, _frame):
    fail(f'a run took over {RUN_TIMEOUT_S} s: the guest hangs, or the '
         'machine is overloaded')


def main():
    args = parse_args()
    signal.signal(signal.SIGALRM, too_slow)
    # Leave through __exit__: a stopped emulator would stay for ever.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('bench: terminated'))
    check_files(args)
    configs = choose_configs(args)
    if args.instructions:
        if args.quick:
            configs = [config for config in configs if config.rtc == 'host']
        bench_instructions(args, configs, args.guest)
        return 0
    share_one_processor()
    pairs = run_rounds(args, configs, args.guest)
    if args.csv:
        write_csv(args.csv, pairs)
    bad = print_table(pairs, args.is_self)
    if bad:
        what = 'noise over the tolerance' if args.is_self else 'goal not met'
        print(f'{what}: {", ".join(bad)}')
        return 1
    print('stock equals stock within the tolerance' if args.is_self
          else f'all goals met (ratio >= {GOAL})')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (BenchError, OSError) as error:
        sys.exit(f'bench: {error}')
    except KeyboardInterrupt:
        sys.exit('bench: interrupted')
