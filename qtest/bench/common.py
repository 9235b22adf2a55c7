# SPDX-License-Identifier: GPL-2.0-or-later
"""What the parts of the benchmark share: whom they compare, how a guest is
started, and what an emulator has used.
"""
import os
import re
import statistics
import sys
from collections import namedtuple
from pathlib import Path

from lib.emulator import EmulatorError
from lib.sources import list_sources

FIRMWARE = ('/usr/share/qemu', '/usr/share/seabios')
NONE = '(none)'
STOCK = 'stock'
PTP = os.environ.get('HOST_CLOCK_PTP')
ALL_PROCESSORS = os.sched_getaffinity(0)
# It stands still until it is told.
NOT_MEASURED = ('manual',)
# Rows of one table with unix, and no other code: 'readings' has what differs
LIKE_UNIX = ('boottime', 'raw')
SYSTEM = 'system'

# Who is measured: name is 'stock', '(none)' for ours without -clock, or a source
Subject = namedtuple('Subject', 'name qemu clock')


class BenchError(Exception):
    """Says what went wrong and what to do about it."""


def fail(message):
    raise BenchError(message)


def progress(text):
    print(text, file=sys.stderr, flush=True)


# -- emulators

def machine_args(subject, guest, options, rtc='host', cpus=1,
                 accel='tcg,thread=multi'):
    """All of the command line but -serial and the program's name."""
    args = []
    for folder in FIRMWARE:
        args += ['-L', folder]
    args += ['-M', 'pc,hpet=on', '-accel', accel, '-m', '32',
             '-smp', str(cpus), '-nodefaults', '-display', 'none',
             '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4',
             '-rtc', f'clock={rtc}', '-kernel', str(guest),
             '-append', ' '.join(f'{k}={v}' for k, v in options.items())]
    return args + clock_args(subject)


def clock_args(subject):
    """A PTP clock has to be said which and of which scale: the lab does so."""
    if subject.clock == 'ptp' and PTP:
        return ['-object', f'host-clock-ptp,id=card,{PTP}',
                '-machine', 'host-clock=card']
    return ['-clock', subject.clock] if subject.clock else []


def command(subject, guest, options, **machine):
    return [str(subject.qemu), '-serial', 'stdio',
            *machine_args(subject, guest, options, **machine)]


def sources(qemu):
    """Names that '-clock help' calls available, and {name: reason} of the
    others; None when the emulator has no -clock at all."""
    try:
        listed = list_sources(qemu).values()
    except EmulatorError:
        return None, {}
    missing = {source.name: source.reason for source in listed if source.reason
               and not (source.name == 'ptp' and PTP)}
    return [source.name for source in listed if source.name not in missing], missing


def wakeups(pid):
    """How often the threads of a process went to sleep, and so woke up."""
    total = 0
    for task in Path(f'/proc/{pid}/task').iterdir():
        status = (task / 'status').read_text()
        total += int(re.search(r'^voluntary_ctxt_switches:\s*(\d+)', status,
                               re.M)[1])
    return total


def pss_kib(pid):
    """Memory of a process, what it shares divided by those who share it."""
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'^Pss:\s*(\d+)', text, re.M)[1])


def use_processors(count=len(ALL_PROCESSORS)):
    """Puts this program, and the emulators that it starts, on so many."""
    os.sched_setaffinity(0, sorted(ALL_PROCESSORS)[-count:])


# -- statistics

def quartiles(values):
    """Lower and upper quartile; the range, of fewer than four values."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4, method='inclusive')
    return low, high
