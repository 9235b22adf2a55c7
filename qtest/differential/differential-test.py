#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two emulators, one sequence of random operations; TAP output.

    differential-test.py [--seed N] [--round N] [--operations N] [PAIRING...]

Port and MMIO accesses to RTC and HPET, time, stop and cont, reset and snapshots
go to both emulators of a pairing, and every read and every edge of an interrupt
line of the I/O APIC has to be the same:

  stock    stock QEMU and ours without -clock, but for what ALLOWED has;
           all time is qtest's
  manual   ours on the manual clock and ours on qtest's clock
  allowed  each entry of that list: without it, stock and ours do differ

A difference is printed with the shortest sequence found that shows it.
"""

import argparse
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

import generator
from allowed import ALLOWED
from lib.emulator import EmulatorError, cpu_ns
from lib.machine import NS, Machine
from lib.paths import OBJ, OURS, STOCK
from lib.qtest import ANSWER_S, Died, Hang
from lib.tap import Tap

# So many are in the sockets at once; the answers fit as well.
BATCH = 400
ROUND_OPERATIONS = 10_000
# The longest step here takes an emulator a tenth of a second; one that hangs
# uses this much.
HANG_CPU_S = 5
SHRINK_S = 60
SHOWN = 100
# Rounds until each allowed difference has been seen; most take one.
ALLOWED_ROUNDS = 12

Round = namedtuple("Round", "seed variant avoid operations")


class Difference(Exception):
    """Where two emulators differ: the number of the operation, and what each
    of them said, in short; or how one of them failed."""

    def __init__(self, at, a, b, failed=False):
        super().__init__(f"operation {at}: {short(a)} and {short(b)}")
        self.at, self.failed = at, failed


def short(said, limit=300):
    text = repr(said)
    return text if len(text) <= limit else \
        f"{text[:limit]}... ({len(text)} characters)"


class Side:
    """One of the two emulators"""

    def __init__(self, binary, source, variant, folder, number):
        self.disk = Path(folder) / f"{number}.qcow2"
        subprocess.run([OBJ / "qemu-img", "create", "-q", "-f", "qcow2", self.disk,
                        "64M"], check=True)
        self.m = Machine(binary, source, self._rtc(variant), args=[
            "-global", f"hpet.timers={variant.timers}",
            "-global", f"hpet.msi={'on' if variant.msi else 'off'}",
            # Time passes only while some timer is armed; this one always is.
            "-netdev", "hubport,id=n0,hubid=0", "-object",
            "filter-buffer,id=f0,netdev=n0,interval=4000000000",
            "-drive", f"if=none,file={self.disk},id=d0"],
            machine=f"{variant.machine},hpet=on,"
                    f"pit={'on' if variant.pit else 'off'}")
        self.manual = source == "manual"
        self.m.watch_irqs()

    @staticmethod
    def _rtc(variant):
        return (f"base={variant.base},clock=vm,"
                f"driftfix={'slew' if variant.slew else 'none'}")

    def close(self):
        self.m.vm.close()
        self.m.qtest.sock.close()
        self.m.stepper.close()
        self.disk.unlink(missing_ok=True)

    # Sending and receiving are apart, so that both emulators work at once.

    def begin(self, ops):
        self.ops = ops
        if not self.manual:
            text = "".join(f"{line_of(op)}\n" for op in ops if op[0] != "w")
            self.m.qtest.sock.sendall(text.encode())

    def finish(self):
        """[answer, edges before it] of each operation"""
        if not self.manual:
            return [self._answer() if kind != "w" else ["", []]
                    for kind, _ in self.ops]
        answers = []
        for kind, what in self.ops:
            if kind in ("t", "w"):
                self.m.vm.qmp.command("host-clock-advance",
                                      {"id": "hc0", "ns": what})
                answers.append(["", []])
            else:
                self.m.qtest.sock.sendall(f"{what}\n".encode())
                answers.append(self._answer())
        return answers

    def _answer(self):
        begin = cpu_ns(self.m.pid)

        def check():
            if cpu_ns(self.m.pid) - begin > HANG_CPU_S * NS:
                raise Hang(f"no answer after {HANG_CPU_S} s of processor time")
        edges = []
        deadline = time.monotonic() + ANSWER_S
        while True:
            line = self.m.qtest.line(deadline, check)
            if line.startswith("IRQ"):
                edges.append(line)
            else:
                return [line, edges]

    def command(self, name):
        qmp = self.m.vm.qmp
        if name == "reset":
            qmp.events.clear()
            qmp.command("system_reset")
            while not any(e["event"] == "RESET" for e in qmp.events):
                qmp.command("query-status")
        elif name in ("save", "load"):
            said = qmp.command("human-monitor-command",
                               {"command-line": f"{name}vm s0"})
            if said.strip():
                raise EmulatorError(f"{name}vm: {said.strip()}")
        else:
            qmp.command(name)
        qmp.events.clear()


def line_of(op):
    kind, what = op
    return f"clock_step {what}" if kind in ("t", "w") else what


# Comparing

def by_line(edges, pulses_once):
    """Edges by line; of pulses that follow each other perhaps only the first"""
    lines = {}
    for edge in edges:
        _, level, line = edge.split()
        seen = lines.setdefault(line, [])
        seen.append(level)
        if pulses_once and seen[-3:] == ["lower", "raise", "lower"]:
            del seen[-2:]
    return lines


def apart(a, b):
    """The same without the edges that both begin with"""
    if isinstance(a[1], list):
        same = next((n for n, (x, y) in enumerate(zip(a[1], b[1])) if x != y),
                    min(len(a[1]), len(b[1])))
        return [a[0], same, a[1][same:]], [b[0], same, b[1][same:]]
    return a, b


class Pair:
    """Two emulators and what counts as the same"""

    def __init__(self, sides, variant, has_manual):
        self.sides = sides
        self.grid = variant.grid and not has_manual
        # The answer to clock_step is qtest's, and comes after the edges; on
        # the manual clock they come before the next answer.
        self.carry = has_manual
        self.carried = [[], []]
        self.edges = 0

    def compare(self, ops, at):
        for side in self.sides:
            side.begin(ops)
        answers = [side.finish() for side in self.sides]
        for n, (a, b) in enumerate(zip(*answers)):
            if self.carry:
                a, b = (self._carry(i, ops[n], x) for i, x in
                        enumerate((a, b)))
            self.edges += len(a[1])
            if self.grid or self.carry:
                a[1], b[1] = (by_line(x[1], self.grid) for x in (a, b))
            if a != b:
                raise Difference(at + n, *apart(a, b))

    def _carry(self, i, op, answer):
        if op[0] in ("t", "w"):
            self.carried[i] += answer[1]
            return ["", []]
        answer[1][:0] = self.carried[i]
        self.carried[i] = []
        return answer

    def run(self, ops):
        at = 0
        while at < len(ops):
            if ops[at][0] == "m":
                for side in self.sides:
                    side.command(ops[at][1])
                at += 1
                continue
            end = at
            while end < len(ops) and end - at < BATCH and ops[end][0] != "m":
                end += 1
            self.compare(ops[at:end], at)
            at = end


def play(pairing, variant, ops):
    """Run ops on both; returns the number of edges or raises Difference."""
    with tempfile.TemporaryDirectory(prefix="differential-") as folder:
        sides = []
        try:
            for binary, source in pairing.sides:
                sides.append(Side(binary, source, variant, folder, len(sides)))
            pair = Pair(sides, variant,
                        any(source == "manual" for _, source in pairing.sides))
            pair.run(ops)
            return pair.edges
        except (Died, Hang, EmulatorError, OSError) as e:
            raise Difference(len(ops), f"{type(e).__name__}: {e}", "",
                             failed=True) from e
        finally:
            for side in sides:
                side.close()


# Shrinking

# Without these, other operations would mean something else.
STAY = ("m", "reset"), ("m", "stop"), ("m", "cont")

def shrink(pairing, variant, ops, failed, bound_s=SHRINK_S):
    """Leave out what the difference does not need, in ever smaller pieces.
    What fails only now, as a load without a save does, is another matter."""
    deadline = time.monotonic() + bound_s
    size = len(ops) // 2
    while size and time.monotonic() < deadline:
        at = 0
        while at < len(ops) and time.monotonic() < deadline:
            fewer = ops[:at] + [op for op in ops[at:at + size]
                                if op[0] == "k" or op in STAY] + \
                ops[at + size:]
            if len(fewer) == len(ops):
                at += size
                continue
            try:
                play(pairing, variant, fewer)
                at += size
            except Difference as e:
                if e.failed != failed:
                    at += size
                else:
                    ops = fewer[:e.at + 1]
        size //= 2
    return ops


def in_groups(ops):
    """[text, how often] of operations, equal ones in a row together"""
    groups = []
    for op in ops:
        text = f"QMP {op[1]}" if op[0] == "m" else line_of(op)
        if groups and groups[-1][0] == text:
            groups[-1][1] += 1
        else:
            groups.append([text, 1])
    return groups


def report(pairing, round_, difference):
    """Comments on a difference: how to replay it, and its shortest form"""
    seed, number = round_.seed.split("/")[1:]
    print(f"# replay: ./run check differential --seed {seed} --round {number} "
          f"--operations {pairing.operations} {pairing.name}")
    print(f"# machine: {round_.variant}")
    ops = shrink(pairing, round_.variant,
                 round_.operations[:difference.at + 1], difference.failed)
    print(f"# {len(ops)} operations that show it:")
    for text, times in in_groups(ops)[-SHOWN:]:
        print(f"#   {text}{f'    # {times} times' if times > 1 else ''}")
    try:
        play(pairing, round_.variant, ops)
    except Difference as e:
        print(f"# {e}")
    sys.stdout.flush()


# Pairings

Pairing = namedtuple("Pairing", "name sides avoid grid_share manual operations")


def allowed():
    """The entries of the list that are about this base"""
    base = os.environ.get("HOST_CLOCK_BASE", "10.0")
    return [a for a in ALLOWED if a.base in (None, base)]


def pairings(args):
    all_allowed = {a.name for a in allowed()}
    stock = [(args.stock, None), (args.qemu, None)]
    manual = [(args.qemu, "manual"), (args.qemu, "system")]
    return [Pairing("stock", stock, all_allowed, 0.25, False, args.operations),
            # No PIT: it tells qtest too much while time passes.
            # Periods of 10 ns, over seconds, tell qtest too much: only on a grid.
            Pairing("manual", manual, {"exact"}, 0.4, True, args.operations)]


def make_round(pairing, seed, number, avoid, grid=None):
    text = f"{pairing.name}/{seed}/{number}"
    rng = random.Random(text)
    if grid is None:
        grid = rng.random() < pairing.grid_share
    variant = generator.choose_variant(rng, grid, pairing.manual)
    # Endless re-injection is to be seen, so there must be some.
    if "endless" not in avoid and pairing.name == "stock":
        variant = variant._replace(slew=True)
    if "fsb" not in avoid and pairing.name == "stock":
        variant = variant._replace(msi=False)
    if "past-last" not in avoid and pairing.name == "stock":
        variant = variant._replace(timers=3)
    if "2262" in avoid:
        variant = variant._replace(base=rng.choice(generator.NEAR_BASES))
    ops = generator.operations(text, variant, avoid, ROUND_OPERATIONS)
    return Round(text, variant, avoid, ops)


def run_pairing(tap, pairing, args):
    rounds = [args.round] if args.round is not None else \
        range(-(-pairing.operations // ROUND_OPERATIONS))
    count = edges = 0
    begin = time.monotonic()
    for number in rounds:
        round_ = make_round(pairing, args.seed, number, pairing.avoid)
        try:
            edges += play(pairing, round_.variant, round_.operations)
        except Difference as e:
            tap.point(f"/differential/{pairing.name}: round {number}", e)
            report(pairing, round_, e)
            return
        count += len(round_.operations)
    print(f"# {pairing.name}: {count} operations, {edges} edges in "
          f"{len(rounds)} rounds, {time.monotonic() - begin:.0f} s")
    tap.point(f"/differential/{pairing.name}")


def check_allowed(tap, pairing, args):
    """Each entry of ALLOWED is there because of a difference."""
    for entry in allowed():
        avoid = pairing.avoid - {entry.name}
        said = None
        for number in range(ALLOWED_ROUNDS):
            round_ = make_round(pairing, args.seed, number, avoid, grid=False)
            try:
                play(pairing, round_.variant, round_.operations)
            except Difference as e:
                said = str(e)
                break
        tap.say(f"{entry.name}: {said or 'no difference'}")
        tap.point(f"/differential/allowed/{entry.name}: {entry.patch}",
                  None if said else "stock and ours do not differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--qemu", default=OURS)
    parser.add_argument("--stock", default=STOCK)
    parser.add_argument("--seed", type=int, default=1,
                        help="-1: a random one (default: %(default)s)")
    parser.add_argument("--round", type=int, help="only this round")
    parser.add_argument("--operations", type=int, default=200_000,
                        help="for each pairing (default: %(default)s)")
    parser.add_argument("pairings", nargs="*", metavar="PAIRING",
                        help="stock, manual, allowed (default: all)")
    args = parser.parse_args()
    names = {"stock", "manual", "allowed"}
    wanted = set(args.pairings) or names
    if wanted - names:
        parser.error(f"no pairing {' or '.join(wanted - names)}; there are "
                     f"{', '.join(sorted(names))}")
    if args.seed < 0:
        args.seed = random.SystemRandom().randrange(1 << 32)
    print(f"# seed {args.seed}; to replay: ./run check differential "
          f"{shlex.join(['--seed', str(args.seed)])}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tap = Tap()
    stock, manual = pairings(args)
    for pairing in (stock, manual):
        if pairing.name in wanted:
            run_pairing(tap, pairing, args)
    if "allowed" in wanted:
        check_allowed(tap, stock, args)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
