#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment: is the guest's RTC right under every host clock?

Boots a Linux guest for each pair of host clock (-clock) and RTC setting
(-rtc base=,clock=), reads /proc/driver/rtc and the HPET in the guest, compares
with what must be there, and prints a table and totals. A host clock whose
device this host lacks is tried in the lab: a guest of our own emulator that has
it, with a smaller guest in it.
"""

import argparse
import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import pairs
import report
from judge import (CLASSIC, DATE, NONE, SYSTEM, ZONE_TZ, Result, Row,
                   count_checks, judge_clock, judge_hpet_rate, judge_seconds,
                   parse_time, row_name, skip_row, tolerance_text)
from lib.emulator import Emulator, EmulatorError, stamp
from lib.kernel import GetKernelError, kernel_folder
from lib.paths import OURS, ROOT
from lib.sources import list_sources
from table import print_failures, print_table, print_tap

HERE = Path(__file__).resolve().parent

# Bounds on waiting; they only matter when something is broken.
START_S = 60    # until QMP answers: 0.1 s when idle
BOOT_S = 180    # until the guest's first line: 3 s when idle
SECOND_S = 30   # until the RTC shows a new second: 1 s
EXIT_S = 30     # from the guest's power-off to the end of the process


@dataclass
class Seen:
    """What the guest said: facts by name, and (arrival, rtc, uptime)."""
    facts: dict = field(default_factory=dict)
    seconds: list = field(default_factory=list)


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


def clocks_in_use(vm):
    """What query-host-clocks says, or why it does not."""
    try:
        return vm.qmp.command("query-host-clocks")
    except EmulatorError as e:
        return str(e)


def judge(result, seen, start, running, used):
    """Compare what was seen with what must be; fills in result."""
    row = result.row
    outcome = judge_seconds(result, [(a, rtc) for a, rtc, _ in seen.seconds],
                            start, running)
    has_open = seen.facts["hpet-open"] == ["yes"]
    has_source = "hpet" in seen.facts["clocksources"]
    outcome["/dev/hpet"] = (
        has_open == row.hpet,
        "opens" if has_open else " ".join(seen.facts["hpet-open"]))
    outcome["HPET clocksource"] = (
        has_source == row.hpet,
        "among " + " ".join(seen.facts["clocksources"])
        if has_source else "none")
    result.hpet_seen = has_open == has_source == row.hpet
    if row.hpet and seen.facts["clocksource"] == ["hpet"]:
        outcome["HPET rate"] = judge_hpet_rate(
            result, [(a.mono, up) for a, _, up in seen.seconds])
    if row.source != NONE:
        outcome["host clock in use"] = judge_clock(row, used)
    result.fill_in(check_names(row), outcome)


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
            used = clocks_in_use(vm) if row.source != NONE else ""
            seen = watch(vm)
            judge(result, seen, vm.before_start, running, used)
            status = vm.wait(EXIT_S)
            if status:
                raise EmulatorError(f"the emulator ended with status {status}")
        except (EmulatorError, KeyError, ValueError, IndexError) as e:
            result.fail(str(e) if isinstance(e, EmulatorError) else
                        f"the guest's words make no sense: {e!r}",
                        check_names(row))
        result.tail = [*vm.tail[-20:], *vm.stderr().splitlines()[-10:]]
    result.took = time.monotonic() - began
    return result


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
    """Why each source that this emulator lacks is lacking, by name; and the
    set of those that it has but this host has not."""
    wanted = {row.source for row in rows} - {NONE}
    missing, absent = {}, set()
    for name in wanted:
        if name not in listed and name not in [SYSTEM, *CLASSIC]:
            raise EmulatorError(f"no host clock '{name}'; '{binary} -clock "
                                "help' lists: " + " ".join(listed))
        if name not in listed:
            missing[name] = "not built into this emulator"
        elif listed[name].reason:
            absent.add(name)
    return missing, absent


def run_here(todo, kernel, args, say):
    """Run rows on this host, args.jobs at a time; yields their results."""
    initramfs = ROOT / "build" / "guest" / "initramfs"
    subprocess.run([HERE / "make-initramfs.sh", initramfs], check=True)
    say(f"{len(todo)} rows on this host, {args.jobs} at a time, about "
        f"{5 + 7 * len(todo) / args.jobs:.0f} s")
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run_row, row, args.qemu, kernel, initramfs)
                   for row in todo]
        try:
            for n, future in enumerate(as_completed(futures), 1):
                result = future.result()
                say(f"[{n:{len(str(len(todo)))}}/{len(todo)}] "
                    f"{result.verdict()}  {row_name(result.row)}  "
                    f"({result.took:.1f} s)")
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise


def run_rows(rows, listed, kernel, args, say):
    """Run all rows, here or in the lab, whose kernel has every source."""
    missing, absent = missing_sources(rows, listed, args.qemu)
    if args.no_lab:
        missing.update({name: listed[name].reason for name in absent})
        absent = set()
    results = {row: skip_row(row, missing[row.source], check_names(row))
               for row in rows if row.source in missing}
    in_lab = [row for row in rows if row.source in absent]
    here = [row for row in rows if row not in results and row not in in_lab]
    for some in ([run_here(here, kernel, args, say)] if here else []) + (
            # The lab needs both cores for itself: not at the same time.
            [pairs.run_rows(in_lab, args.qemu, args.lab_file, say)]
            if in_lab else []):
        results.update({result.row: result for result in some})
    return [results[row] for row in rows]


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
                        default=str(OURS))
    parser.add_argument("--sources", metavar="LIST", help="host clocks, with "
                        f"commas; '{NONE}' is the emulator without -clock")
    parser.add_argument("--no-lab", action="store_true", help="leave out what "
                        "this host lacks, in place of running it in the lab")
    parser.add_argument("--lab-file", metavar="PATH", action="append",
                        default=[], help="a file that the emulator needs in "
                        "the lab, at the same path; can be repeated")
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
        kernel = kernel_folder()
        results = run_rows(rows, listed, kernel, args, say)
    except (EmulatorError, GetKernelError, OSError) as e:
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
