# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests that pass the second at which 32-bit time ends, 2038-01-19T03:14:07.

They begin 17 s before it, by -rtc base= or by the offset of a scaled clock. It is slow
until the guest can be asked, so that no machine is too busy to boot one meanwhile.
"""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import table
from clocks_guest import ClocksGuest, make_initramfs
from judge import Result, Row, row_name
from lib.emulator import Emulator, EmulatorError

START = "2038-01-19T03:13:50"
START_S = datetime.fromisoformat(START + "+00:00").timestamp()
LAST_S = 2**31 - 1          # 03:14:07
ALARM_S = LAST_S + 3
UNTIL_S = LAST_S + 6

SCALED = "scaled"
ROWS = [Row(SCALED, "utc", "host", True), Row(SCALED, START, "rt", True),
        Row(SCALED, START, "vm", True)]
# A boot takes 5 s, and may take two minutes.
SLOW = "1/8"

# With these Linux has the RTC's alarm come by ACPI, and does not make one of its HPET's.
ALARM_ARGS = ["-cpu", "Skylake-Client-v1", "-smbios", "type=0,date=06/01/2024"]

# Uptimes are rounded by so much.
ROUNDED_S = 0.02

CHECKS = ["begins before", "RTC", "kernel's date", "RTC's alarm"]


def arguments(row):
    ahead_s = START_S - time.time() if row.base == "utc" else 0
    return ["-object", f"host-clock-scaled,id=s,rate={SLOW},"
            f"offset-ns={round(ahead_s * 1e9)}", "-machine", "host-clock=s", *ALARM_ARGS,
            "-rtc", f"base={row.base},clock={row.clock}"]


def watch(guest):
    """([(Edge, Date) of each second], whether the alarm has come)"""
    guest.wait_ready()
    guest.qmp.command("qom-set", {"path": "/objects/s", "property": "rate",
                                  "value": "1"})
    seconds = [(guest.edge(UNTIL_S), guest.date())]
    if guest.ask(f"alarm {ALARM_S}") != ["0"]:
        raise EmulatorError("the RTC's alarm cannot be set")
    while seconds[-1][0].rtc_s < UNTIL_S:
        seconds.append((guest.edge(UNTIL_S), guest.date()))
    return seconds, not guest.ask("armed")


def moment(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%F %T")


def check_rtc(edges):
    """All its seconds began where the uptime says, give or take no more than it took
    to look."""
    low = max(edge.rtc_s - edge.to_s for edge in edges)
    high = min(edge.rtc_s - edge.from_s for edge in edges)
    return (low <= high + ROUNDED_S,
            f"{moment(edges[0].rtc_s)} to {moment(edges[-1].rtc_s)}, "
            + (f"off by {low - high:.2f} s" if low > high + ROUNDED_S else "evenly"))


def check_date(seconds):
    """The kernel took the RTC's seconds when it booted, and half a second with them;
    and `date` shows whole ones."""
    for edge, date in seconds:
        low = edge.rtc_s + date.from_s - edge.to_s - 2
        high = edge.rtc_s + date.to_s - edge.from_s + 1
        if not low <= date.date_s <= high or date.text != moment(date.date_s):
            return False, f"{date.text} at {moment(edge.rtc_s)}"
    return True, f"the RTC's until {date.text}"


def judge(result, seconds, has_rung):
    result.seconds = seconds
    first = seconds[0][0].rtc_s
    result.fill_in(CHECKS, {
        CHECKS[0]: (START_S <= first < LAST_S, moment(first)),
        CHECKS[1]: check_rtc([edge for edge, _ in seconds]),
        CHECKS[2]: check_date(seconds),
        CHECKS[3]: (has_rung, f"for {moment(ALARM_S)} has "
                    + ("come" if has_rung else "not come"))})


def run_row(row, binary, initramfs):
    """Boot one guest and judge it; never raises for a broken emulator."""
    result = Result(row)
    result.seconds = []
    began = time.monotonic()
    # What it keeps time by must not change with the rate.
    with ClocksGuest(binary, initramfs, arguments(row), "clocksource=hpet") as guest:
        result.command = guest.command_line()
        try:
            judge(result, *watch(guest))
        except (EmulatorError, ValueError) as e:
            result.fail(repr(e), CHECKS)
        result.tail = [*guest.tail[-20:], *guest.stderr().splitlines()[-10:]]
    result.took = time.monotonic() - began
    return result


def run_rows(binary, jobs, say):
    say(f"{len(ROWS)} guests, {jobs} at a time, about {30 * len(ROWS) // jobs} s")
    with tempfile.TemporaryDirectory(prefix="y2038-") as folder, \
         ThreadPoolExecutor(jobs) as pool:
        initramfs = Path(folder) / "initramfs"
        make_initramfs(initramfs)
        try:
            results = []
            for result in pool.map(lambda row: run_row(row, binary, initramfs), ROWS):
                say(f"{result.verdict()}  {row_name(result.row)}  ({result.took:.1f} s)")
                results.append(result)
            return results
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Emulator.kill_all()
            raise


HEADINGS = ["clock", "base", "rtc clock", "result", "first seen",
            "RTC before", "RTC after", "uptime between", "date after", "alarm"]


def cells(result):
    row = result.row
    start = [row.source, row.base, row.clock, result.verdict()]
    after = [n for n, (edge, _) in enumerate(result.seconds) if edge.rtc_s > LAST_S]
    if not after or not after[0]:
        return [*start, *["-"] * (len(HEADINGS) - len(start))]
    (old, _), (new, date) = result.seconds[after[0] - 1:after[0] + 1]
    return [*start, moment(result.seconds[0][0].rtc_s), moment(old.rtc_s),
            moment(new.rtc_s), f"{new.to_s - old.to_s:.2f}", date.text,
            "came" if result.checks[-1].passed else "LOST"]


def print_table(results, say):
    table.print_columns(HEADINGS, map(cells, results), say)
