#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz the host clocks with libFuzzer; TAP output.

    fuzz-test.py [--minutes N]

A source that says anything at all, for half a minute, or for N minutes. With
--minutes a build of QEMU for fuzzing, in build/fuzz, has its own generic fuzzer
write to the RTC's ports and the HPET's registers for as long.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lib.ninja import BuildError, rebuild
from lib.paths import BUILD, ROOT, SRC
from lib.tap import Tap

FULL = BUILD / "fuzz"
UNIT = "tests/unit/test-host-clock"
SHORT_S = 30
HANG_S = 120
FLAGS = ["-fsanitize=fuzzer,address,undefined", "-g", "-w",
         "-fno-sanitize-recover=undefined"]
TARGETS = {
    "rtc": ("*rtc*", "-machine pc -rtc clock=vm"),
    "hpet": ("hpet*", "-machine q35,hpet=on -rtc clock=vm"),
}
# The fuzzer steps to the next deadline and fails if there is none; this timer
# is always armed.
TIMER = ("-netdev hubport,id=n0,hubid=0 -object "
         "filter-buffer,id=f0,netdev=n0,interval=4000000000")
FIRMWARE = "-L /usr/share/qemu -L /usr/share/seabios"
# Warnings that clang has not, and the compiler that is replaced
GCC_ONLY = ("-W", "-ftrivial", "-fzero-call", "-O2")


def clang(words):
    """The same command for clang"""
    start = next(n for n, word in enumerate(words) if word.startswith("-"))
    return ["clang", *(w for w in words[start:]
                       if not w.startswith(GCC_ONLY) or w.startswith("-Wl,")),
            *FLAGS]


def compiled(words):
    """The unit test's main file is another one."""
    if not words[-1].endswith("/test-host-clock.c"):
        return clang(words)
    return [*clang([*words[:-1], str(ROOT / "qtest/fuzz/fuzz-host-clock.c")]),
            f"-I{ROOT / 'qtest/unit'}", f"-I{SRC}"]


def fuzz(command, seconds, env=None, timeout_s=10):
    """What was found, or None"""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            done = subprocess.run([*command, f"-max_total_time={seconds}",
                                   f"-timeout={timeout_s}",
                                   f"-artifact_prefix={folder}/"], text=True,
                                  capture_output=True, errors="replace",
                                  timeout=seconds + HANG_S,
                                  env={**os.environ, **(env or {}),
                                       "ASAN_OPTIONS": "detect_leaks=0"})
        except subprocess.TimeoutExpired:
            return "an input hangs"
        lines = done.stderr.splitlines()
        print("\n".join(f"# {line}" for line in lines if "DONE" in line or
                        line.startswith("Done ")))
        if not done.returncode:
            return None
        print("\n".join(f"# {line}" for line in lines[-40:]))
        kept = BUILD / "fuzz-found"
        kept.mkdir(exist_ok=True)
        for found in Path(folder).iterdir():
            shutil.copy(found, kept)
        return f"exit status {done.returncode}; inputs are in {kept}"


def build_full():
    """QEMU's own fuzzer, generic-fuzz; a second build of all of QEMU"""
    FULL.mkdir(exist_ok=True)
    if not (FULL / "build.ninja").exists():
        subprocess.run([SRC / "configure", "--cc=clang", "--cxx=clang++",
                        "--target-list=x86_64-softmmu", "--enable-fuzzing",
                        "--enable-asan", "--without-default-features",
                        "--disable-download", "--enable-tcg",
                        "--disable-install-blobs", "--python=/usr/bin/python3"],
                       cwd=FULL, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", FULL, "qemu-fuzz-x86_64"], check=True,
                   stdout=sys.stderr)
    return FULL / "qemu-fuzz-x86_64"


def points(minutes):
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        try:
            program = rebuild(UNIT, Path(folder), compiled, clang)
            # In simulated time libFuzzer cannot see an input hang.
            wrong = fuzz([program], minutes * 60 if minutes else SHORT_S,
                         timeout_s=0)
        except BuildError as e:
            wrong = f"it does not build: {e}"
        yield "/fuzz/readings", wrong
    if not minutes:
        return
    program = build_full()
    for name, (objects, args) in TARGETS.items():
        env = {"QEMU_FUZZ_ARGS": " ".join((
                   args, "-nodefaults -display none", FIRMWARE, TIMER)),
               "QEMU_FUZZ_OBJECTS": objects}
        yield (f"/fuzz/generic/{name}",
               fuzz([program, "--fuzz-target=generic-fuzz"], minutes * 60,
                    env))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=int, default=0)
    args = parser.parse_args()
    if not shutil.which("clang"):
        print("1..0 # SKIP no clang: install clang and libclang-rt-dev")
        return 0
    tap = Tap()
    tap.points(points(args.minutes))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
