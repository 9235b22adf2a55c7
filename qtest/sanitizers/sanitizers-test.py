#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The unit tests of the host clocks under sanitizers; TAP output.

    sanitizers-test.py [--full]

Each unit test is built once more, its own files and those of the host clocks
with -fsanitize, by the commands that built it; the libraries it is linked with
stay as they are. AddressSanitizer and UBSan run all of them, ThreadSanitizer
the one with threads. --full builds the whole emulator with ASan and UBSan, in
build/sanitizers, and runs its qtests.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "qtest/guest"))
from emulator import link_firmware  # noqa: E402

# ./run --base builds elsewhere; scripts/env.sh says where.
BUILD = Path(os.environ.get("HOST_CLOCK_BUILD") or ROOT / "build")
SRC, OBJ = BUILD / "host-clock/src", BUILD / "host-clock/obj"
FULL = BUILD / "sanitizers"
ASAN = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
# Seqlocks have fences, about which GCC warns.
TSAN = ["-fsanitize=thread", "-Wno-tsan", "-g"]
# Ten times slower than without is usual; without, none takes five seconds.
BOUND_S = 300
QTESTS = "host-clock-fault-test", "host-clock-test", "hpet-test", "rtc-test"
# What QEMU and GLib keep until the end is no leak of ours.
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS":
           "print_stacktrace=1", "TSAN_OPTIONS": "halt_on_error=1"}


def unit_tests():
    return sorted(path.stem for path in (ROOT / "qtest").rglob("test-*.c"))


def ninja_commands(target):
    done = subprocess.run(["ninja", "-C", OBJ, "-t", "commands", target],
                          text=True, check=True, capture_output=True)
    return [shlex.split(line) for line in done.stdout.splitlines()]


def run(words):
    done = subprocess.run(words, cwd=OBJ, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip()[-800:])


def build(name, flags, folder):
    """The test program, with flags, in folder"""
    target = f"tests/unit/{name}"
    exchanged = {}
    for words in ninja_commands(target):
        if "-o" not in words:
            continue
        at = words.index("-o") + 1
        output = words[at]
        if "-c" in words and output.startswith(f"{target}.p/"):
            exchanged[output] = str(folder / output.replace("/", "_"))
            words[at] = exchanged[output]
            words[words.index("-MF") + 1] = exchanged[output] + ".d"
            run([*words[:-2], *flags, *words[-2:]])
        elif output == target:
            words[at] = str(folder / name)
            run([exchanged.get(word, word) for word in words] + flags)
    return folder / name


def problem(command, env=None):
    """What a test program says is wrong, or None"""
    try:
        done = subprocess.run(command, cwd=OBJ, text=True, errors="replace",
                              capture_output=True, timeout=BOUND_S * 4,
                              env={**os.environ, **OPTIONS, **(env or {})})
    except subprocess.TimeoutExpired:
        return "it takes too long"
    said = done.stdout + done.stderr
    found = re.findall(r"^.*(?:runtime error|ERROR: \w+Sanitizer|WARNING: "
                       r"ThreadSanitizer|not ok ).*$", said, re.M)
    if found or done.returncode:
        for line in said.splitlines()[-60:]:
            print("#", line)
        return (found or [f"exit status {done.returncode}"])[0].strip()
    return None


def unit_points():
    with tempfile.TemporaryDirectory(prefix="sanitizers-") as folder:
        for name in unit_tests():
            kinds = [("asan-ubsan", ASAN)]
            if name.endswith("-threads"):
                kinds.append(("tsan", TSAN))
            for kind, flags in kinds:
                place = Path(folder) / kind
                place.mkdir(exist_ok=True)
                try:
                    wrong = problem([build(name, flags, place), "--tap", "-k"])
                except RuntimeError as e:
                    wrong = f"it does not build: {e}"
                yield f"/sanitizers/{kind}/{name}", wrong


def configure_command():
    """The first line of configure.log's twin: how the emulator was made"""
    status = (OBJ / "config.status").read_text()
    return shlex.split(re.search(r"exec (\S*configure.*?) *\"\$@\"", status,
                                 re.S)[1].replace("\\\n", " "))


def full_points():
    """The emulator and its qtests"""
    FULL.mkdir(exist_ok=True)
    words = configure_command()
    if not (FULL / "build.ninja").exists():
        subprocess.run([SRC / "configure", *words[1:], "--enable-asan",
                        "--enable-ubsan"], cwd=FULL, check=True,
                       stdout=subprocess.DEVNULL)
    targets = ["qemu-system-x86_64", "modules", "qemu-img",
               *(f"tests/qtest/{name}" for name in QTESTS)]
    subprocess.run(["ninja", "-C", FULL, *targets], check=True,
                   stdout=sys.stderr)
    link_firmware(FULL)
    env = {"QTEST_QEMU_BINARY": str(FULL / "qemu-system-x86_64"),
           "QTEST_QEMU_IMG": str(FULL / "qemu-img")}
    for name in QTESTS:
        program = FULL / "tests/qtest" / name
        # The conformance suite mostly waits, so all sources at the same time
        command = [ROOT / "scripts/run-by-source.py", program] \
            if name == "host-clock-test" else [program, "--tap", "-k"]
        yield f"/sanitizers/asan-ubsan/{name}", problem(command, env)
    yield ("/sanitizers/asan-ubsan/differential",
           problem([ROOT / "qtest/differential/differential-test.py", "--qemu",
                    FULL / "qemu-system-x86_64", "stock", "manual"], env))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--full", action="store_true",
                        help="the emulator too, with its qtests")
    args = parser.parse_args()
    count = failed = 0
    for points in [unit_points()] + ([full_points()] if args.full else []):
        for name, wrong in points:
            count += 1
            failed += wrong is not None
            print(f"{'not ok' if wrong else 'ok'} {count} - {name}"
                  f"{': ' + wrong if wrong else ''}", flush=True)
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
