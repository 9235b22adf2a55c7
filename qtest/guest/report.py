# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of the experiment as one HTML page: no scripts, one file."""

import itertools
import os
import platform
import shlex
import subprocess
import sys
import time
from html import escape
from pathlib import Path

from judge import KVM, LAB, TCG

TITLE = "Does the guest’s clock depend on the host’s?"

STORY = """In the days of KVM 0.12, <code>-clock</code> chose what woke the
emulator up: <code>dynticks</code>, <code>hpet</code>, <code>rtc</code> or
<code>unix</code>. A user whose host stood six hours east of Greenwich
started a guest with every pair of host clock and
<code>-rtc base=utc|localtime,clock=vm</code> and read
<code>/proc/driver/rtc</code> inside it, to learn whether the host’s clock
and the guest’s setting are independent. They were; only a second VM on an
exclusive clock did not start: <em>could not initialize alarm timer</em>. Then
QEMU lost the option. This emulator has it again, and this is his experiment,
repeated: behind each row is a Linux guest that was booted, asked for the time,
and asked again until three seconds later."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #f7f5f0; --card: #fffefb; --ink: #22262e; --soft: #6b7280;
  --line: #e4dfd4; --accent: #0f6e84; --code: #efebe1;
  --pass: #1b7f4b; --pass-bg: #e0f3e7; --fail: #b3261e; --fail-bg: #fbe2df;
  --skip: #80641a; --skip-bg: #f6ecd0; --window: #cfe6ea; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #14171c; --card: #1b1f26; --ink: #e6e4df; --soft: #98a0ad;
  --line: #2c323c; --accent: #6cc5d9; --code: #262c35;
  --pass: #74d6a0; --pass-bg: #17362a; --fail: #ff9d94; --fail-bg: #46201e;
  --skip: #e2c675; --skip-bg: #38301a; --window: #24454e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.6 system-ui, "Segoe UI", "Noto Sans", "DejaVu Sans",
  sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 3.5rem 1.5rem 5rem; }
h1 { font: 600 2.5rem/1.15 Georgia, "Noto Serif", "DejaVu Serif", serif;
  letter-spacing: -.015em; margin: .3rem 0 1.2rem; text-wrap: balance; }
h2 { font-size: 1.15rem; margin: 0; }
.kicker { color: var(--accent); font-weight: 600; font-size: .8rem;
  letter-spacing: .12em; text-transform: uppercase; margin: 0; }
.story { max-width: 46rem; margin: 0; }
code, .mono { font-family: ui-monospace, "SF Mono", "Noto Sans Mono",
  "DejaVu Sans Mono", monospace; font-size: .86em; }
p code, dd code { background: var(--code); padding: .1em .35em;
  border-radius: .3em; }
.totals { display: flex; flex-wrap: wrap; gap: 1rem; margin: 2.2rem 0; }
.total { flex: 1 1 10rem; padding: 1rem 1.3rem; border-radius: .9rem; }
.total b { display: block; font-size: 2.3rem; line-height: 1.15;
  font-variant-numeric: tabular-nums; }
.pass { color: var(--pass); background: var(--pass-bg); }
.fail { color: var(--fail); background: var(--fail-bg); }
.skip { color: var(--skip); background: var(--skip-bg); }
.lab { color: var(--accent); background: var(--code); }
.zero { color: var(--soft); background: var(--card);
  box-shadow: inset 0 0 0 1px var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; margin: 0;
  gap: .4rem 1.4rem; font-size: .93rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line);
  border-radius: .9rem; margin: 1.1rem 0; overflow: hidden; }
.plain { padding: 1.2rem 1.4rem; } .plain h2 { margin-bottom: .7rem; }
.plain p { margin: .5rem 0 0; max-width: 56rem; font-size: .93rem; }
header.source { padding: 1rem 1.4rem .9rem; display: flex; gap: .9rem;
  align-items: baseline; flex-wrap: wrap; }
header.source p { margin: 0; color: var(--soft); font-size: .93rem; }
header.source h2 { font-family: ui-monospace, "Noto Sans Mono",
  "DejaVu Sans Mono", monospace; }
.scroll { overflow-x: auto; }
.rows { min-width: 69rem; }
.row { display: grid; align-items: center; gap: .8rem; padding: .5rem 1.4rem;
  grid-template-columns: 15.4rem 2.6rem 2.4rem 2.4rem 10rem 10rem 1fr 3rem 3rem
    3.6rem;
  border-top: 1px solid var(--line); font-size: .9rem;
  font-variant-numeric: tabular-nums; }
.row .mono { white-space: nowrap; }
.head { color: var(--soft); font-size: .78rem; padding-block: .35rem; }
.absent .row { color: var(--soft); }
summary { cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary:hover, summary:focus-visible { background: var(--code); }
.pill { display: inline-block; padding: .08rem .65rem; border-radius: 1rem;
  font-weight: 600; font-size: .8rem; white-space: nowrap; }
.gauge { width: 6.5rem; height: 1.6rem; vertical-align: middle;
  margin-right: .6rem; }
.row > :last-child { text-align: right; }
.row > :first-child { padding-left: 1.1rem; position: relative; }
summary.row > :first-child::before { content: "›"; position: absolute;
  left: 0; color: var(--soft); transition: transform .15s; }
details[open] > summary > :first-child::before { transform: rotate(90deg); }
.answer { font-size: 1.15rem; font-weight: 600; margin: 1.3rem 0 0;
  max-width: 46rem; }
.more { padding: .3rem 1.4rem 1.2rem 2.5rem; font-size: .88rem; }
.more ul { list-style: none; margin: .4rem 0 .8rem; padding: 0;
  display: grid; grid-template-columns: max-content max-content 1fr;
  gap: .3rem 1rem; align-items: baseline; }
.more li { display: contents; } .more .pill { justify-self: start; }
pre { margin: 0 0 .6rem; padding: .8rem 1rem; border-radius: .6rem;
  background: var(--code); white-space: pre-wrap; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .85rem; margin-top: 1.6rem; }
@media (max-width: 40rem) { h1 { font-size: 1.9rem; }
  main { padding: 2rem .9rem 3rem; } dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; } }
@media print { body { background: none; } section { break-inside: avoid; } }
"""

IN_LAB = {
    TCG: """. This host lacks it: each guest ran in the lab, a Linux guest of
this emulator whose kernel has the device, and is a smaller one that reads the
registers itself""",
    KVM: """. Each guest ran under KVM in the lab, a Linux guest of this emulator
that has the device and the KVM that this host lacks""",
}

KIND = {"PASS": "pass", "FAIL": "fail", "skipped": "skip"}
LABEL = {True: "ok", False: "failed", None: "skipped"}
KIND_OF = {True: "pass", False: "fail", None: "skip"}


def pill(text, kind):
    return f'<span class="pill {kind}">{escape(text)}</span>'


def gauge(result):
    """Where the difference lies within its tolerance, as a small drawing."""
    if result.late is None:
        return "<span>–</span>"
    early, limit = result.allowed
    low, high = -limit - 0.3, -early + 0.3     # seen minus expected, seconds

    def x(seconds):
        part = (min(max(seconds, low), high) - low) / (high - low)
        return round(4 + 92 * part, 1)
    ok = early <= result.late <= limit
    difference = f"{-result.late:+.2f}".replace("-", "−")
    return (
        '<svg class="gauge" viewBox="0 0 100 24" aria-hidden="true">'
        f'<rect x="{x(-limit)}" y="8" width="{x(-early) - x(-limit):.1f}" '
        'height="8" rx="4" fill="var(--window)"/>'
        f'<line x1="{x(0)}" x2="{x(0)}" y1="4" y2="20" stroke="var(--soft)"/>'
        f'<circle cx="{x(-result.late)}" cy="12" r="4.5" '
        f'fill="var(--{"pass" if ok else "fail"})"/>'
        f'</svg>{difference} s')


def number(value):
    return "–" if value is None else f"{value:.3f}"


def moment(seconds):
    if seconds is None:
        return "–"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def render_row(result):
    row = result.row
    cells = [f'<span class="mono">base={escape(row.base)}</span>',
             escape(row.clock), "on" if row.hpet else "off",
             result.accel.upper(),
             f'<span class="mono">{moment(result.expected)}</span>',
             f'<span class="mono">{moment(result.shown)}</span>',
             gauge(result), number(result.rate), number(result.hpet_rate),
             pill("skip" if result.skipped else result.verdict(),
                  KIND[result.verdict()])]
    line = "".join(f"<span>{cell}</span>" for cell in cells)
    if result.skipped:
        return f'<div class="row">{line}</div>'
    checks = "".join(
        f"<li>{pill(LABEL[c.passed], KIND_OF[c.passed])}"
        f"<span>{escape(c.name)}</span><span>{escape(c.detail)}</span></li>"
        for c in result.checks)
    tail = ("<p>Last words of guest and emulator:</p><pre><code>"
            + escape("\n".join(result.tail)) + "</code></pre>"
            if result.verdict() == "FAIL" else "")
    opened = " open" if result.verdict() == "FAIL" else ""
    return (f'<details{opened}><summary class="row">{line}</summary>'
            f'<div class="more"><ul>{checks}</ul>{tail}'
            f"<pre><code>{escape(result.command)}</code></pre>"
            "</div></details>")


def render_source(source, results, about):
    """One card: the source, and a row for each guest."""
    reason = results[0].skipped
    name = "no -clock" if source == "none" else f"-clock {source}"
    text = ("the default: QEMU’s own clocks, as in the stock emulator"
            if source == "none" else about)
    mark = pill("skipped", "skip") if reason else ""
    if results[0].where == LAB:
        mark = pill("in the lab", "lab")
        text += IN_LAB[results[0].accel]
    heads = ["", "clock", "hpet", "by", "expected in the guest", "seen in the guest",
             "seen − expected", "rate", "HPET", ""]
    head = "".join(f"<span>{h}</span>" for h in heads)
    return (f'<section{" class=absent" if reason else ""}>'
            f'<header class="source"><h2>{escape(name)}</h2>{mark}'
            f"<p>{escape(reason or text)}</p></header>"
            '<div class="scroll"><div class="rows">'
            f'<div class="row head">{head}</div>'
            f'{"".join(map(render_row, results))}</div></div></section>')


def read_first(path, start=""):
    """The first line of a file that begins with start, without it."""
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(start):
                return line[len(start):].strip(" \t:")
    except OSError:
        pass
    return "unknown"


def host_facts(args, began, kernel):
    version = subprocess.run([args.qemu, "--version"], text=True,
                             capture_output=True).stdout.splitlines()
    devices = [f"{d} {'present' if os.path.exists(d) else 'absent'}"
               for d in ("/dev/hpet", "/dev/rtc0")]
    clocksource = read_first("/sys/devices/system/clocksource/clocksource0/"
                             "current_clocksource")
    return {
        "When": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began.wall))
        + f", in {time.monotonic() - began.mono:.0f} s",
        "Emulator": version[0] if version else "unknown",
        "Host": f"{platform.system()} {platform.release()}, "
        f"{os.cpu_count()} × {read_first('/proc/cpuinfo', 'model name')}",
        "Host’s clocks": ", ".join([*devices, f"clocksource {clocksource}"]),
        "Guest": f"{kernel}, busybox, under "
        + ("KVM" if args.kvm else "TCG; in the lab read-clocks.elf"),
        "Zone": "UTC+6: the emulator runs with TZ='<+06>-6', so localtime is "
        "six hours ahead of utc",
        "Run with": shlex.join(["./run", "experiment", *sys.argv[1:]]),
    }


def answer(results):
    """The outcome in a sentence."""
    ran = [r for r in results if not r.skipped]
    wrong = [r for r in ran if r.verdict() == "FAIL"]
    if wrong:
        return (f"{len(wrong)} of {len(ran)} guests did not see what they "
                "must; their rows are open below.")
    if not ran:
        return "No guest ran: this host offers none of these clocks."
    return (f"No. All {len(ran)} guests saw the date that their own setting "
            "asks for, at the right rate.")


def render(results, facts, about, totals, tolerance):
    """The whole page; totals are (passed, failed, skipped)."""
    boxes = "".join(
        f'<div class="total {kind if count else "zero"}"><b>{count}</b>'
        f"checks {word}</div>" for count, kind, word
        in zip(totals, ["pass", "fail", "skip"],
               ["passed", "failed", "skipped"]))
    fact_list = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>"
                        for k, v in facts.items())
    cards = "".join(
        render_source(source, list(group), about.get(source, ""))
        for source, group
        in itertools.groupby(results, lambda r: r.row.source))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{TITLE}</title><style>{STYLE}</style></head><body><main>
<p class="kicker">QEMU host clocks · the experiment</p>
<h1>{TITLE}</h1>
<p class="story">{STORY}</p>
<p class="answer">{answer(results)}</p>
<div class="totals">{boxes}</div>
{cards}
<section class="plain"><h2>How exact is this?</h2><p>{escape(tolerance)}</p>
<p>The pale bar is the tolerance, the line in it is no difference at all, the
dot is what was seen. A row opens to show its checks and the command that
starts the same machine.</p></section>
<section class="plain"><h2>Where it ran</h2><dl>{fact_list}</dl></section>
</main></body></html>
"""


def write(folder, results, facts, about, totals, tolerance):
    """Write the page, whole or not at all; returns its path."""
    page = folder / "index.html"
    draft = folder / f".index.html.{os.getpid()}"
    draft.write_text(render(results, facts, about, totals, tolerance),
                     encoding="utf-8")
    draft.rename(page)
    return page
