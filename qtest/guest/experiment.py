#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment: is the guest's RTC right under every host clock?

Boots a Linux guest for each pair of host clock (-clock) and RTC setting
(-rtc base=,clock=), reads /proc/driver/rtc and the HPET in the guest, compares
with what must be there, and prints a table and totals.
"""

import argparse
import calendar
import importlib
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter, namedtuple
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import report
from emulator import Emulator, EmulatorError, list_sources, stamp

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
get_kernel = importlib.import_module("get-kernel")

# The host of the original experiment was 6 hours east of Greenwich. POSIX
# counts zones westwards: its TZ for UTC+6 ends in -6; '+06' is only the name.
ZONE_TZ = "<+06>-6"
ZONE_S = 6 * 3600
DATE = "2006-06-17T16:01:21"

CLASSIC = ["dynticks", "hpet", "rtc", "unix"]
NONE = "none"               # the emulator without -clock
SYSTEM = "system"

# Tolerance of the date. The guest prints each new second as soon as it sees
# it, the host notes when the line arrives; 'late' is expected minus seen.
# Four seconds are printed and the least late one counts: a hiccup of the host
# makes a line late, a wrong clock makes all four wrong.
EARLY_S = 0.1       # no second can show before it begins; slewing of the host
WHOLE_SECOND_S = 1  # the RTC has no fraction to load at power-on: 1 s late at
                    # most; where QEMU subtracts two times in whole seconds
                    # (clock=rt, a date with clock=host) 1 s early, too
LATENCY_S = 0.5     # the guest's look, the serial line, two busy host cores
# The start of the emulator is added where time counts from power-on (clock=rt,
# clock=vm, a date given): power-on lies between the start of the process and
# the moment QMP says 'running', 0.1 s on an idle machine.

# Tolerance of rates: median of the slopes between all pairs of the four
# seconds. One line 0.3 s late moves it by less; wrong clocks seen in practice
# (PIT or HPET taken for one another, ticks lost) are off by more.
RATE = 0.1

# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 0.1 s when idle
BOOT_S = 180    # until the guest's first line: 3 s when idle
SECOND_S = 30   # until the RTC shows a new second: 1 s
EXIT_S = 30     # from the guest's power-off to the end of the process

Row = namedtuple("Row", "source base clock hpet")


def row_name(row):
    name = f"{row.source} base={row.base} clock={row.clock}"
    return name if row.hpet else name + " hpet=off"


@dataclass
class Check:
    """One thing that was compared; passed is None where it was skipped."""
    name: str
    passed: bool | None
    detail: str


@dataclass
class Seen:
    """What the guest said: facts by name, and (arrival, rtc, uptime)."""
    facts: dict = field(default_factory=dict)
    seconds: list = field(default_factory=list)


@dataclass
class Result:
    row: Row
    checks: list = field(default_factory=list)
    skipped: str = ""       # why this row did not run
    error: str = ""         # why there is nothing to compare
    command: str = ""
    tail: list = field(default_factory=list)
    expected: float | None = None
    shown: float | None = None
    late: float | None = None
    allowed: tuple = ()     # bounds of late
    rate: float | None = None
    hpet_rate: float | None = None
    took: float = 0

    def verdict(self):
        if self.skipped:
            return "not on this host"
        return "PASS" if all(c.passed for c in self.checks) else "FAIL"


def check_names(row):
    """What is checked in a row, in order; the totals count these."""
    names = ["date at power-on", "rate over 3 s", "/dev/hpet",
             "HPET clocksource"]
    if row.hpet:
        names.append("HPET rate")
    if row.source != NONE:
        names.append("host clock in use")
    return names


def emulator_args(row, kernel, initramfs):
    args = ["-no-user-config", "-nodefaults", "-display", "none",
            "-no-reboot", "-accel", "tcg", "-m", "256",
            "-machine", "pc" if row.hpet else "pc,hpet=off",
            "-kernel", str(kernel / "vmlinux"), "-initrd", str(initramfs),
            # panic=-1: a guest that panics ends the run at once.
            "-append", "console=ttyS0 quiet panic=-1",
            "-rtc", f"base={row.base},clock={row.clock}"]
    return args if row.source == NONE else [*args, "-clock", row.source]


def parse_time(text):
    """Seconds since 1970 of a calendar date, taken as UTC."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


def watch(vm):
    """Listen to the guest until it ends."""
    seen = Seen()
    deadline = time.monotonic() + BOOT_S
    while True:
        try:
            arrival, line = vm.read_line(deadline) or (None, None)
        except EmulatorError as e:
            raise EmulatorError(
                f"the guest's RTC shows no new second in {SECOND_S} s"
                if seen.facts else f"no guest after {BOOT_S} s") from e
        if line is None:
            raise EmulatorError("the emulator ended before the guest was done")
        # A kernel message may stand before ours on the line.
        words = line[line.find("@ "):].split()
        if words[:1] != ["@"]:
            continue
        if words[1] == "end":
            return seen
        if words[1] == "second":
            seen.seconds.append((arrival, parse_time(" ".join(words[2:4])),
                                 float(words[4])))
        else:
            seen.facts[words[1]] = words[2:]
        deadline = time.monotonic() + SECOND_S


def expected_time(row, start, arrival):
    """What the guest's RTC must show at arrival, were it without delay."""
    if row.clock == "host":
        elapsed = arrival.wall - start.wall
    else:
        elapsed = arrival.mono - start.mono
    if row.base == "utc":
        return start.wall + elapsed
    if row.base == "localtime":
        return start.wall + elapsed + ZONE_S
    return parse_time(row.base.replace("T", " ")) + elapsed


def date_tolerance(row, start_s):
    """Bounds of how late the guest's date may be, in seconds."""
    early, late = -EARLY_S, WHOLE_SECOND_S + LATENCY_S
    if row.clock != "host" or row.base == DATE:     # counts from power-on
        late += start_s
        if row.clock != "vm":
            early -= WHOLE_SECOND_S
    return early, late


def slope(points):
    """Median of the slopes between all pairs of (x, y)."""
    return statistics.median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2)
                             in itertools.combinations(points, 2))


def clock_in_use(vm):
    """The type of the default host clock, or why it is not known."""
    try:
        clocks = vm.qmp.command("query-host-clocks")
    except EmulatorError as e:
        return str(e)
    return " ".join(c["qom-type"] for c in clocks if c["default"])


def judge(result, seen, start, running, used):
    """Compare what was seen with what must be; fills in result."""
    row = result.row
    late = [(expected_time(row, start, arrival) - rtc, rtc)
            for arrival, rtc, _ in seen.seconds]
    result.late, result.shown = min(late)
    result.expected = result.shown + result.late
    result.rate = slope([(a.mono, rtc) for a, rtc, _ in seen.seconds])

    result.allowed = early, limit = date_tolerance(
        row, running.mono - start.mono)
    has_open = seen.facts["hpet-open"] == ["yes"]
    has_source = "hpet" in seen.facts["clocksources"]
    outcome = {
        "date at power-on": (
            early <= result.late <= limit,
            f"late by {result.late:.2f} s, allowed {early} to {limit:.2f}"),
        "rate over 3 s": (
            abs(result.rate - 1) <= RATE,
            f"{result.rate:.3f} s a second, allowed 1 ± {RATE}"),
        "/dev/hpet": (
            has_open == row.hpet,
            "opens" if has_open else " ".join(seen.facts["hpet-open"])),
        "HPET clocksource": (
            has_source == row.hpet,
            "among " + " ".join(seen.facts["clocksources"])
            if has_source else "none"),
    }
    if row.hpet and seen.facts["clocksource"] == ["hpet"]:
        result.hpet_rate = slope([(a.mono, up) for a, _, up in seen.seconds])
        outcome["HPET rate"] = (
            abs(result.hpet_rate - 1) <= RATE,
            f"{result.hpet_rate:.3f} s a second, allowed 1 ± {RATE}")
    if row.source != NONE:
        outcome["host clock in use"] = (used == f"host-clock-{row.source}",
                                        f"query-host-clocks: {used}")
    for name in check_names(row):
        passed, detail = outcome.get(name, (False, "nothing to measure"))
        result.checks.append(Check(name, passed, detail))


def run_row(row, binary, kernel, initramfs):
    """Boot one guest and judge it; never raises for a broken emulator."""
    result = Result(row)
    began = time.monotonic()
    # The guest's local time is the zone of the emulator's process.
    with Emulator(binary, emulator_args(row, kernel, initramfs),
                  env={"TZ": ZONE_TZ}, serial=True) as vm:
        result.command = vm.command_line()
        try:
            running = vm.wait_running(START_S)
            used = clock_in_use(vm) if row.source != NONE else ""
            seen = watch(vm)
            judge(result, seen, vm.before_start, running, used)
            status = vm.wait(EXIT_S)
            if status:
                raise EmulatorError(f"the emulator ended with status {status}")
        except (EmulatorError, KeyError, ValueError, IndexError) as e:
            result.error = (str(e) if isinstance(e, EmulatorError)
                            else f"the guest's words make no sense: {e!r}")
            result.checks = [Check(name, False, result.error)
                             for name in check_names(row)]
        result.tail = [*vm.tail[-20:], *vm.stderr().splitlines()[-10:]]
    result.took = time.monotonic() - began
    return result


def skip_row(row, reason):
    return Result(row, skipped=reason, checks=[
        Check(name, None, reason) for name in check_names(row)])


def plan_rows(args):
    """The rows to run, in the order of the table."""
    if args.sources:
        sources = args.sources.split(",")
    else:
        sources = [NONE, SYSTEM, *CLASSIC] if args.full else [NONE, *CLASSIC]
    if args.full:
        return [Row(*r) for r in itertools.product(
            sources, ["utc", "localtime", DATE], ["host", "rt", "vm"],
            [True, False])]
    return [Row(*r) for r in itertools.product(
        sources, ["utc", "localtime"], ["vm"], [True])]


def missing_sources(rows, listed, binary):
    """Why each source that cannot be had cannot be had, by name."""
    wanted = {row.source for row in rows} - {NONE}
    missing = {}
    for name in wanted:
        if name not in listed and name not in [SYSTEM, *CLASSIC]:
            raise EmulatorError(f"no host clock '{name}'; '{binary} -clock "
                                "help' lists: " + " ".join(listed))
        if name not in listed:
            missing[name] = "not built into this emulator"
        elif listed[name].reason:
            missing[name] = listed[name].reason
    return missing


def run_rows(rows, missing, kernel, args, say):
    """Run all rows, args.jobs at a time; a progress line for each boot."""
    results = {row: skip_row(row, missing[row.source])
               for row in rows if row.source in missing}
    todo = [row for row in rows if row not in results]
    initramfs = ROOT / "build" / "guest" / "initramfs"
    subprocess.run([HERE / "make-initramfs.sh", initramfs], check=True)

    say(f"{len(rows)} rows, {len(todo)} guests to boot, {args.jobs} at a "
        f"time, about {5 + 7 * len(todo) / args.jobs:.0f} s")
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run_row, row, args.qemu, kernel, initramfs)
                   for row in todo]
        try:
            for n, future in enumerate(as_completed(futures), 1):
                result = future.result()
                results[result.row] = result
                say(f"[{n:{len(str(len(todo)))}}/{len(todo)}] "
                    f"{result.verdict()}  {row_name(result.row)}  "
                    f"({result.took:.1f} s)")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise
    return [results[row] for row in rows]


def clock_text(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def table_cells(result):
    """One row of the table, as texts."""
    def number(value, form):
        return "-" if value is None else format(value, form)
    shown = [clock_text(t) if t is not None else "-"
             for t in (result.expected, result.shown)]
    late = None if result.late is None else -result.late
    hpet = {c.name: c.passed for c in result.checks}
    return [f"({NONE})" if result.row.source == NONE else result.row.source,
            result.row.base, result.row.clock,
            "on" if result.row.hpet else "off", result.verdict(), *shown,
            number(late, "+.2f"), number(result.rate, ".3f"),
            "-" if result.skipped or result.error else
            "as set" if hpet["/dev/hpet"] and hpet["HPET clocksource"]
            else "WRONG", number(result.hpet_rate, ".3f")]


HEADINGS = ["clock", "base", "rtc clock", "hpet", "result",
            "expected in guest", "seen in guest", "diff s", "rate",
            "hpet seen", "hpet rate"]


def print_table(results, say):
    lines = [HEADINGS, *map(table_cells, results)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for n, cells in enumerate(lines):
        say("  ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip())
        if n == 0:
            say("  ".join("-" * w for w in widths))
    reasons = {r.row.source: r.skipped for r in results if r.skipped}
    for source, reason in reasons.items():
        say(f"{source}: not on this host: {reason}")


def print_failures(results, say):
    """What somebody needs to look for the cause without running it again."""
    for result in results:
        if result.verdict() != "FAIL":
            continue
        say("")
        say(f"FAIL  {row_name(result.row)}"
            + (f": {result.error}" if result.error else ""))
        for check in [] if result.error else result.checks:
            say(f"  {'ok  ' if check.passed else 'FAIL'}  {check.name}: "
                f"{check.detail}")
        say("  last words of guest and emulator:")
        for line in result.tail:
            say(f"    | {line}")
        say("  to run this machine by hand:")
        say(f"    {result.command}")


def print_tap(results):
    checks = [(row_name(r.row), c) for r in results for c in r.checks]
    for n, (name, check) in enumerate(checks, 1):
        skip = f" # SKIP {check.detail}" if check.passed is None else ""
        print("not ok" if check.passed is False else "ok", n,
              f"- {name}: {check.name}{skip}")
    print(f"1..{len(checks)}")


def count_checks(results):
    """How many passed, failed, were skipped."""
    count = Counter(c.passed for r in results for c in r.checks)
    return count[True], count[False], count[None]


def tolerance_text():
    return (f"Date: the least late of four printed seconds may be "
            f"{EARLY_S} s early ({EARLY_S + WHOLE_SECOND_S} s where QEMU "
            "subtracts whole seconds: clock=rt, and a date with clock=host), "
            f"and late by {WHOLE_SECOND_S} s (an RTC has "
            f"whole seconds only) + {LATENCY_S} s (serial line, busy host) "
            "+ the measured start of the emulator where time counts from "
            f"power-on. Rates: 1 ± {RATE} over 3 s of the host's "
            "CLOCK_MONOTONIC.")


def parse_args():
    parser = argparse.ArgumentParser(
        prog="experiment", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every source x "
                        "base x rtc clock x hpet on/off")
    parser.add_argument("--report", metavar="DIR", type=Path,
                        help="write the table as DIR/index.html")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="guests at a time (default: 2)")
    parser.add_argument("--qemu", metavar="PATH",
                        default=str(ROOT / "build/bin/qemu-system-x86_64"))
    parser.add_argument("--sources", metavar="LIST", help="host clocks, with "
                        f"commas; '{NONE}' is the emulator without -clock")
    parser.add_argument("--tap", action="store_true",
                        help="print each check as a TAP test point")
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error("--jobs: at least 1")
    if not os.access(args.qemu, os.X_OK):
        parser.error(f"no emulator at {args.qemu}: run './run build' first, "
                     "or name one with --qemu")
    return args


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(text):
        print(f"# {text}".rstrip() if args.tap else text, flush=True)

    began = stamp()
    try:
        if args.report:
            args.report.mkdir(parents=True, exist_ok=True)
        rows = plan_rows(args)
        # The stock emulator has no -clock: ask only when it is needed.
        listed = ({} if all(row.source == NONE for row in rows)
                  else list_sources(args.qemu))
        missing = missing_sources(rows, listed, args.qemu)
        kernel = get_kernel.kernel_folder()
        results = run_rows(rows, missing, kernel, args, say)
    except (EmulatorError, get_kernel.GetKernelError, OSError) as e:
        sys.exit(f"experiment: {e}")
    except subprocess.CalledProcessError:
        sys.exit(1)     # it has said why
    except KeyboardInterrupt:
        sys.exit("experiment: interrupted")

    print_failures(results, say)
    say("")
    print_table(results, say)
    passed, failed, skipped = count_checks(results)
    if args.report:
        facts = report.host_facts(
            args, began, (kernel / "package").read_text().strip())
        about = {name: source.description for name, source in listed.items()}
        page = report.write(args.report, results, facts, about,
                            (passed, failed, skipped), tolerance_text())
        say(f"report: {page}")
    if args.tap:
        print_tap(results)
    say(f"{passed} passed, {failed} failed"
        + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
