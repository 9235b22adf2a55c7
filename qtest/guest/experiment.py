#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment: is the guest's RTC right under every host clock?

Boots a Linux guest for each pair of host clock (-clock) and RTC setting
(-rtc base=,clock=), reads /proc/driver/rtc and the HPET in the guest, compares
with what must be there, and prints a table and totals. A host clock whose
device this host lacks is tried in the lab: a guest of our own emulator that has
it, with a smaller guest in it. With --kvm the guests run under KVM: this host's,
or that of the lab, which TCG emulates. With --y2038 they live through the end of
32-bit time instead. With --machine virt the guests are of arm64.
"""

import argparse
import itertools
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import kvm_rows
import pairs
import report
import y2038
from judge import (CLASSIC, DATE, KVM, NONE, SYSTEM, TCG, Row, count_checks,
                   row_name, skip_row, to_json, tolerance_text)
from lib import kvm
from lib.emulator import Emulator, EmulatorError, stamp
from lib.kernel import GetKernelError, kernel_folder
from lib.paths import OURS, VIRT
from lib.sources import list_sources
from experiment_guest import (INITRAMFS, check_names, make_initramfs, prepare_virt,
                              run_row)
from table import print_failures, print_table, print_tap

# Those that the lab can have, where KVM is too.
EVERY = ["dynticks", "unix", "boottime", "raw", "hpet", "rtc"]


def plan_rows(args):
    """The rows to run, in the order of the table."""
    if args.sources:
        sources = args.sources.split(",")
    else:
        sources = [NONE, *([SYSTEM] if args.full else []),
                   *(EVERY if args.kvm or args.machine == "virt" else CLASSIC)]
    is_pc = args.machine == "pc"
    if args.full:
        return [Row(*r) for r in itertools.product(
            sources, ["utc", "localtime", DATE], ["host", "rt", "vm"],
            [True, False] if is_pc else [None])]
    return [Row(*r) for r in itertools.product(
        sources, ["utc", "localtime"], ["vm"], [True if is_pc else None])]


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
    if args.machine == "pc":
        make_initramfs()
    accel = KVM if args.kvm else TCG
    say(f"{len(todo)} rows on this host, {args.jobs} at a time, about "
        f"{5 + 7 * len(todo) / args.jobs:.0f} s")
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(run_row, row, accel, args.qemu, kernel)
                   for row in todo]
        try:
            for n, future in enumerate(as_completed(futures), 1):
                result = future.result()
                if args.results:
                    print(kvm_rows.RESULT + to_json(result), flush=True)
                say(f"[{n:{len(str(len(todo)))}}/{len(todo)}] "
                    f"{result.verdict()}  {row_name(result.row)}  "
                    f"({result.took:.1f} s)")
                yield result
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise


def no_kvm_here(kernel, args, say):
    """Whether guests that are to run under KVM cannot on this host."""
    why = kvm.why_not(args.qemu) if args.kvm else None
    if why and args.no_lab:
        raise EmulatorError(why)
    if args.kvm and not why and not args.no_lab:
        make_initramfs()
        why = kvm.why_no_linux(args.qemu, kernel / "vmlinux", INITRAMFS)
    if why:
        say(f"KVM of this host is of no use ({why}), so the lab's is taken")
    return bool(why)


def run_in_lab(rows, args, say):
    if args.kvm:
        return kvm_rows.run_rows(rows, args, say)
    return pairs.run_rows(rows, args.qemu, args.lab_file, say)


def run_rows(rows, listed, kernel, args, say):
    """Run all rows, here or in the lab, whose kernel has every source."""
    missing, absent = missing_sources(rows, listed, args.qemu)
    if no_kvm_here(kernel, args, say):
        absent = {row.source for row in rows if row.source not in missing}
    if args.no_lab:
        missing.update({name: listed[name].reason for name in absent})
        absent = set()
    results = {row: skip_row(row, missing[row.source], check_names(row))
               for row in rows if row.source in missing}
    in_lab = [row for row in rows if row.source in absent]
    here = [row for row in rows if row not in results and row not in in_lab]
    for some in ([run_here(here, kernel, args, say)] if here else []) + (
            # The lab needs both cores for itself: not at the same time.
            [run_in_lab(in_lab, args, say)]
            if in_lab else []):
        results.update({result.row: result for result in some})
    return [results[row] for row in rows]


def parse_args():
    parser = argparse.ArgumentParser(
        prog="experiment", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kvm", action="store_true", help="guests under KVM, "
                        "of this host or in the lab, and more host clocks")
    parser.add_argument("--machine", choices=["pc", "virt"], default="pc",
                        help="virt: that of aarch64, after ./run build --targets "
                        "aarch64; this host's clocks only")
    parser.add_argument("--y2038", action="store_true", help="guests that pass "
                        "2038-01-19T03:14:07, by RTC and kernel")
    parser.add_argument("--full", action="store_true", help="every source x "
                        "base x rtc clock x hpet on/off")
    parser.add_argument("--report", metavar="DIR", type=Path,
                        help="write the table as DIR/index.html")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="guests at a time (default: 2)")
    parser.add_argument("--qemu", metavar="PATH")
    parser.add_argument("--sources", metavar="LIST", help="host clocks, with "
                        f"commas; '{NONE}' is the emulator without -clock")
    parser.add_argument("--no-lab", action="store_true", help="leave out what "
                        "this host lacks, in place of running it in the lab")
    parser.add_argument("--lab-file", metavar="PATH", action="append",
                        default=[], help="a file that the emulator needs in "
                        "the lab, at the same path; can be repeated")
    parser.add_argument("--results", action="store_true",
                        help="print each result as JSON, too")
    parser.add_argument("--tap", action="store_true",
                        help="print each check as a TAP test point")
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error("--jobs: at least 1")
    args.qemu = args.qemu or str(OURS if args.machine == "pc" else VIRT)
    build = "./run build"
    if args.machine == "virt":
        if args.kvm or args.y2038 or args.report:
            parser.error("--machine virt: not with --kvm, --y2038 or --report")
        args.no_lab = True
        build += " --targets aarch64"
    if not os.access(args.qemu, os.X_OK):
        parser.error(f"no emulator at {args.qemu}: run '{build}' first, "
                     "or name one with --qemu")
    return args


def end(results, args, say):
    """Say the totals; returns the exit status."""
    passed, failed, skipped = count_checks(results)
    if args.tap:
        print_tap(results)
    say(f"{passed} passed, {failed} failed"
        + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


def run_y2038(args, say):
    results = y2038.run_rows(args.qemu, args.jobs, say)
    print_failures(results, say)
    say("")
    y2038.print_table(results, say)
    return end(results, args, say)


def main():
    args = parse_args()
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def say(text):
        print(f"# {text}".rstrip() if args.tap else text, flush=True)

    began = stamp()
    try:
        if args.y2038:
            sys.exit(run_y2038(args, say))
        if args.report:
            args.report.mkdir(parents=True, exist_ok=True)
        rows = plan_rows(args)
        # The stock emulator has no -clock: ask only when it is needed.
        listed = ({} if all(row.source == NONE for row in rows)
                  else list_sources(args.qemu))
        kernel = kernel_folder() if args.machine == "pc" else prepare_virt()
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
    if args.report:
        facts = report.host_facts(
            args, began, (kernel / "package").read_text().strip())
        about = {name: source.description for name, source in listed.items()}
        page = report.write(args.report, results, facts, about,
                            count_checks(results), tolerance_text())
        say(f"report: {page}")
    sys.exit(end(results, args, say))


if __name__ == "__main__":
    main()
