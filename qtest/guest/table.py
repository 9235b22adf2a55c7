# SPDX-License-Identifier: GPL-2.0-or-later
"""The outcome of the experiment as text: table, failures, TAP."""

import time

from judge import NONE, row_name
from lib.tap import Tap


def clock_text(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def table_cells(result):
    """One row of the table, as texts."""
    def number(value, form):
        return "-" if value is None else format(value, form)
    shown = [clock_text(t) if t is not None else "-"
             for t in (result.expected, result.shown)]
    late = None if result.late is None else -result.late
    return [f"({NONE})" if result.row.source == NONE else result.row.source,
            result.row.base, result.row.clock,
            {True: "on", False: "off", None: "-"}[result.row.hpet],
            result.verdict(), *shown,
            number(late, "+.2f"), number(result.rate, ".3f"),
            "-" if result.hpet_seen is None else
            "as set" if result.hpet_seen else "WRONG",
            number(result.hpet_rate, ".3f"), result.accel.upper(), result.where]


HEADINGS = ["clock", "base", "rtc clock", "hpet", "result",
            "expected in guest", "seen in guest", "diff s", "rate",
            "hpet seen", "hpet rate", "by", "where"]


def print_columns(headings, rows, say):
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for n, cells in enumerate(lines):
        say("  ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip())
        if n == 0:
            say("  ".join("-" * w for w in widths))


def print_table(results, say):
    print_columns(HEADINGS, map(table_cells, results), say)
    reasons = {r.row.source: r.skipped for r in results if r.skipped}
    for source, reason in reasons.items():
        say(f"{source}: skipped: {reason}")


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


def tap_points(tap, results):
    for result in results:
        for check in result.checks:
            bad = check.passed is False
            tap.point(f"{row_name(result.row)}: {check.name}",
                      check.detail if bad else None,
                      check.detail if check.passed is None else None)


def print_tap(results):
    tap = Tap()
    tap_points(tap, results)
    tap.end()
