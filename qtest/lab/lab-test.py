#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of hpet and rtc in the lab, against real kernel drivers; TAP.

    lab-test.py [--full] [--boots LIST] [--only WORD] [--points LIST]

Each boot is a PC with other hardware. What its test programs say becomes test
points here, and so does that each of them, and the boot, came to its end. In
the lab nothing is missing by accident: a test that skips itself there fails,
unless boots.py expects it. Without --full it leaves out what the host has shown.
"""

import argparse
import re
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from boots import BOOTS
from lib.emulator import Emulator, EmulatorError
from lib.image import LAB_EMULATOR, Image, ImageError
from lib.kernel import GetKernelError, kernel_folder
from lib.lab import Lab, LabError
from lib.tap import Tap

# A program may take its own bound; the boot ends with its last program.
BOOT_MARGIN_S = 120
# TCG's virtualization can leave a lab without interrupts, and then no bound in there
# is kept. No test in there takes so long.
SILENCE_S = 300

# As many lines as a traceback has
TELL = 20

POINT = re.compile(r"(not )?ok \d+ ?-? ?([^#]*)(?:# *SKIP *(.*))?$")
PLAN = re.compile(r"1\.\.(\d+)")


class Listener:
    """Turns what a test program in the lab says into test points."""

    def __init__(self, tap, boot, program):
        self.tap, self.boot, self.program = tap, boot, program
        self.said, self.points, self.failed, self.plan = [], 0, 0, None
        self.tell = 0

    def line(self, text):
        point = POINT.match(text)
        if point:
            self.point(*point.groups())
        elif PLAN.match(text):
            self.plan = int(PLAN.match(text).group(1))
        elif text.startswith("# figure: "):
            self.tap.say(f"{self.boot.name}: {text[10:]}")
        elif text and self.tell:
            # Python's tests say after the point what was wrong.
            self.tell -= 1
            self.tap.say("  " + text.removeprefix("# "))
        elif text:
            self.said = [*self.said[-40:], text]

    def point(self, bad, name, reason):
        name = f"{self.boot.name}: {name.strip()}"
        self.points += 1
        self.failed += bad is not None
        self.tell = TELL if bad and not self.said else 0
        if bad:
            self.tap.point(name, error="\n".join(self.said) or "no message")
        elif reason is not None and not re.search(self.program.skips, name):
            self.tap.point(name, error="skipped, although the lab has what it "
                           f"needs: {reason}")
        else:
            self.tap.point(name, skip=reason)
        self.said = []

    def end(self, status, took_s):
        """The program ended: did it say all that it wanted to?"""
        error = None
        if status == 137:
            error = f"killed after {took_s:.0f} s"
        elif status and not self.failed:
            error = f"exit status {status}"
        elif self.plan is None or self.plan != self.points:
            error = f"{self.points} of {self.plan or 'no'} tests"
        elif not self.points:
            error = "no test"
        self.close(error, took_s)

    def close(self, error, took_s=None):
        took = "" if took_s is None else f", {took_s:.0f} s of the lab"
        self.tap.point(f"{self.boot.name}: {self.program.name()}: complete",
                       error and "\n".join([error, *self.said]))
        self.tap.say(f"{self.boot.name}: {self.program.name()}: "
                     f"{self.points} tests{took}")


def listen(tap, boot, lines):
    """Handle the lines of a boot; yields each program that came to its end."""
    listener = None
    try:
        for text in lines:
            words = text.split()
            if words[:2] == ["@", "begin"]:
                listener = Listener(tap, boot, boot.programs[int(words[2])])
            elif words[:2] == ["@", "end"]:
                listener.end(int(words[3]), float(words[5]) - float(words[4]))
                listener = None
                yield
            elif listener:
                listener.line(text)
    except LabError as e:
        if listener:
            listener.close(f"{e}")
            yield
        raise


def run_boot(tap, boot, full):
    """Boot the lab once and run its programs; never raises for a failure."""
    began = time.monotonic()
    done = 0
    error = None
    bound_s = BOOT_MARGIN_S + sum(p.bound_s for p in boot.programs)
    longest_s = max(p.bound_s for p in boot.programs) + 30
    silence_s = longest_s if full else min(longest_s, SILENCE_S)
    try:
        with Image() as image:
            image.add_build()
            boot.prepare(image, kernel_folder(), full)
            with Lab(image, boot.job(full), **boot.hardware) as lab:
                try:
                    for _ in listen(tap, boot, lab.lines(
                            began + bound_s, silence_s)):
                        done += 1
                except LabError as e:
                    error = "\n".join([str(e), *lab.last_words()])
    except (ImageError, EmulatorError, OSError, GetKernelError) as e:
        error = str(e)
    if boot.fails:
        tap.point(f"{boot.name}: says what is missing",
                  None if boot.fails in (error or "") else error or "it works")
        return
    for program in boot.programs[done:]:
        tap.point(f"{boot.name}: {program.name()}: complete", "not reached")
    tap.point(f"{boot.name}: the lab came to its end", error)
    tap.say(f"{boot.name}: {time.monotonic() - began:.0f} s")


def choose(boot, points):
    """Leave in a boot what has these points: single tests of a program if they are
    all of such; else all of it."""
    names = [name for where, _, name in (p.partition(":") for p in points)
             if where == boot.name]
    for program in boot.programs:
        program.chosen = [test for test in names if program.has(test)]
    if len(names) == sum(len(p.chosen) for p in boot.programs):
        boot.programs = [p for p in boot.programs if p.chosen]
    else:
        for program in boot.programs:
            program.chosen = []


def plan(args):
    """The boots that were asked for."""
    boots = [b for b in BOOTS if (b.name in args.boots if args.boots
                                  else args.full or not b.full)]
    for boot in boots:
        if args.only:
            boot.programs = [p for p in boot.programs if args.only in p.name()]
        if args.points:
            choose(boot, args.points)
    return [b for b in boots if b.programs]


def main():
    parser = argparse.ArgumentParser(prog="lab-test",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true", help="all, in place of "
                        "what depends on a device or on the lab")
    parser.add_argument("--boots", metavar="LIST", type=lambda s: s.split(","),
                        default=[], help="which, with commas: "
                        + ", ".join(b.name for b in BOOTS))
    parser.add_argument("--only", metavar="WORD",
                        help="only programs with this word in their name")
    parser.add_argument("--points", metavar="LIST", type=lambda s: s.split(","),
                        default=[], help="what failed, with commas: BOOT:TEST")
    parser.add_argument("--jobs", type=int, default=2, metavar="N",
                        help="boots at a time (default: 2)")
    args = parser.parse_args()
    args.boots = args.boots or [p.partition(":")[0] for p in args.points]
    unknown = set(args.boots) - {b.name for b in BOOTS}
    if unknown:
        parser.error(f"no boot '{unknown.pop()}'; the boots are: "
                     + ", ".join(b.name for b in BOOTS))
    if not LAB_EMULATOR.exists():
        parser.error(f"no emulator at {LAB_EMULATOR}: run './run build' first")
    # The way out on SIGTERM is that of Ctrl-C: no emulator stays behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    tap = Tap()
    with ThreadPoolExecutor(args.jobs) as pool:
        try:
            for future in [pool.submit(run_boot, tap, b, args.full)
                           for b in plan(args)]:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise
    return tap.end()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("lab-test: interrupted")
