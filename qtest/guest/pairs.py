# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the experiment whose host clock this host lacks, in the lab.

One boot of the lab runs them all, two at a time: an emulator within the lab
boots qtest/baremetal/read-clocks.elf, whose lines say what the RTC and the HPET
show. What must be there is known from the lab's own clocks: CLOCK_REALTIME, or
the RTC for '-clock rtc', whose seconds begin at another instant.
"""

import json
import os
import re
import shlex
import time
from dataclasses import dataclass, field

from judge import (LAB, NONE, ZONE_TZ, Result, judge_clock, judge_hpet_rate,
                   judge_seconds, parse_time, row_name)
from lib.emulator import EmulatorError, Stamp
from lib.image import LAB_EMULATOR, Image, ImageError
from lib.kvm import GUEST, GUEST_STATUS
from lib.kernel import GetKernelError
from lib.lab import Lab, LabError

# Seven new seconds, not four as in the other rows: emulated twice over, a guest
# is held up twice as often, and 6 s make a second of it weigh less.
SECONDS = 6
GUEST_OPTIONS = f"times={SECONDS + 1} gap=1"
# For the same reason a line may come so much later.
LATENCY_S = 0.5
RATE_NAME = f"rate over {SECONDS} s"

# Bound on a pair: its emulator is up in 3 s, its BIOS and guest take 10 s more.
PAIR_S = 180
JOBS = 2

RTC_LINE = re.compile(r"RTC (\d+-\d+-\d+ \d+:\d+:\d+) ")
HPET_LINE = re.compile(r"HPET present period=(\d+) counter=(\d+) ")


def check_names(row):
    """What is checked in a row, in order; the totals count these."""
    names = ["date at power-on", RATE_NAME, "HPET in guest"]
    if row.hpet:
        names.append("HPET rate")
    if row.source != NONE:
        names.append("host clock in use")
    return names


def command(row, binary):
    """What runs in the lab; 'pair' adds QMP and the serial line."""
    return ["env", f"TZ={ZONE_TZ}", binary, "-no-user-config", "-nodefaults",
            "-display", "none", "-no-reboot", "-accel", "tcg", "-m", "16",
            "-machine", "pc" if row.hpet else "pc,hpet=off",
            "-kernel", str(GUEST), "-append", GUEST_OPTIONS,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-rtc", f"base={row.base},clock={row.clock}", "-clock", row.source]


def job(rows, binary):
    """The script of the lab: all pairs, JOBS at a time."""
    lines = ["say_epochs"]
    for n, row in enumerate(rows):
        lines.append(f"pair {n} {PAIR_S} {shlex.join(command(row, binary))} &")
        if n % JOBS == JOBS - 1:
            lines.append("wait")
    return "\n".join([*lines, "wait", ""])


@dataclass
class Heard:
    """What came out of the lab about one pair; times are the lab's uptime."""
    start: float | None = None
    running: float | None = None
    clocks: object = "no answer"
    status: int | None = None
    seconds: list = field(default_factory=list)     # (uptime, date)
    hpet: list = field(default_factory=list)        # (uptime, HPET's time)
    absent: bool = False                            # the guest has no HPET
    tail: list = field(default_factory=list)

    def line(self, up, text):
        """A line of the guest, or the emulator's exit status."""
        self.tail.append(text)
        if text.startswith("@status "):
            self.status = int(text.split()[1])
        rtc, hpet = RTC_LINE.match(text), HPET_LINE.match(text)
        if rtc:
            self.seconds.append((up, parse_time(rtc.group(1))))
        elif hpet:
            period, counter = map(int, hpet.groups())
            self.hpet.append((up, counter * period / 1e15))
        elif text.startswith("HPET absent"):
            self.absent = True

    def answer(self, text):
        """What QMP answered to query-host-clocks."""
        message = json.loads(text)
        self.clocks = message.get("return", message.get("error", {}).get(
            "desc", text))

    def error(self):
        """Why there is nothing to compare, or None."""
        if self.status not in (GUEST_STATUS, None):
            killed = " (took too long)" if self.status == 137 else ""
            return f"the emulator ended with status {self.status}{killed}"
        if len(self.seconds) < 2 or self.running is None:
            return "the emulator, or its guest, said too little"
        return None


def hear(heard, epochs, line):
    """One line of the lab."""
    words = line.split(" ", 4)
    if words[:2] == ["@", "epoch"]:
        epochs[words[2]] = float(words[3]) - float(words[4])
    if words[:2] != ["@", "pair"]:
        return None
    pair, what, rest = heard[int(words[2])], words[3], words[4:]
    if what in ("start", "running"):
        setattr(pair, what, float(rest[0]))
    elif what == "clocks":
        pair.answer(rest[0])
    elif what == "line":
        up, _, text = rest[0].partition(" ")
        pair.line(float(up), text)
    elif what == "said":
        pair.tail.extend(rest)
    return int(words[2]) if what == "end" else None


def judge(result, heard, epochs):
    """Compare what was seen with what must be; fills in result."""
    row, names = result.row, check_names(result.row)
    result.tail = heard.tail[-30:]
    error = heard.error()
    epoch = epochs.get("rtc" if row.source == "rtc" else "system")
    if error or epoch is None:
        result.fail(error or "the lab's own clocks are not known", names)
        return

    def moment(up):
        return Stamp(epoch + up, up)
    outcome = judge_seconds(
        result, [(moment(up), rtc) for up, rtc in heard.seconds],
        moment(heard.start), moment(heard.running), RATE_NAME, LATENCY_S)
    result.hpet_seen = bool(heard.hpet) == row.hpet != heard.absent
    outcome["HPET in guest"] = (result.hpet_seen,
                                "present" if heard.hpet else "absent")
    if len(heard.hpet) > 1:
        outcome["HPET rate"] = judge_hpet_rate(result, heard.hpet)
    outcome["host clock in use"] = judge_clock(row, heard.clocks)
    result.fill_in(names, outcome)


def emulator_in_lab(image, binary, files):
    """Bring the emulator of the experiment into the lab; its path there."""
    for name in files:
        image.add(name)
    if os.path.realpath(binary) == str(LAB_EMULATOR):
        return str(LAB_EMULATOR)
    image.add(binary)       # a script that runs ours
    return os.path.abspath(binary)


def run(results, binary, files, say):
    """Boot the lab and fill in the results."""
    heard, epochs = [Heard() for _ in results], {}
    began = time.monotonic()
    bound_s = 300 + PAIR_S * (len(results) + 1) // JOBS
    with Image() as image:
        image.add_build()
        path = emulator_in_lab(image, binary, files)
        for result in results:
            result.command = ("./run lab, and in it: "
                              + shlex.join(command(result.row, path))
                              + " -serial stdio")
        with Lab(image, job([r.row for r in results], path)) as lab:
            for line in lab.lines(began + bound_s, PAIR_S + 60):
                done = hear(heard, epochs, line)
                if done is not None:
                    result = results[done]
                    judge(result, heard[done], epochs)
                    say(f"[lab] {result.verdict()}  {row_name(result.row)}")


def run_rows(rows, binary, files, say):
    """Results of the rows, in order; never raises for a broken emulator."""
    results = [Result(row, where=LAB) for row in rows]
    say(f"{len(rows)} rows in the lab, {JOBS} at a time, about "
        f"{15 + 12 * len(rows) / JOBS:.0f} s")
    try:
        run(results, binary, files, say)
    except (LabError, ImageError, EmulatorError, OSError, ValueError,
            GetKernelError) as e:
        for result in results:
            if not result.checks:
                result.fail(f"the lab: {e}", check_names(result.row))
    for result in results:
        if not result.checks:
            result.fail("the lab said nothing of it", check_names(result.row))
    return results
