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

from lib.ninja import BuildError, rebuild
from lib.paths import BUILD, OBJ, ROOT, SRC
from lib.tap import Tap

FULL = BUILD / "sanitizers"
ASAN = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
# Seqlocks have fences, about which GCC warns.
TSAN = ["-fsanitize=thread", "-Wno-tsan", "-g"]
# Ten times slower than without is usual; without, none takes five seconds.
BOUND_S = 300
QTESTS = "host-clock-fault-test", "host-clock-test", "hpet-test", "rtc-test"
FIRMWARE = "usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"
# What QEMU and GLib keep until the end is no leak of ours.
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS":
           "print_stacktrace=1", "TSAN_OPTIONS": "halt_on_error=1"}


def unit_tests():
    return sorted(path.stem for path in (ROOT / "qtest").rglob("test-*.c"))


def build(name, flags, folder):
    """The test program, with flags, in folder"""
    return rebuild(f"tests/unit/{name}", folder,
                   lambda words: [*words[:-2], *flags, *words[-2:]],
                   lambda words: words + flags)


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
                except BuildError as e:
                    wrong = f"it does not build: {e}"
                yield f"/sanitizers/{kind}/{name}", wrong


def configure_command():
    """The first line of configure.log's twin: how the emulator was made"""
    status = (OBJ / "config.status").read_text()
    return shlex.split(re.search(r"exec (\S*configure.*?) *\"\$@\"", status,
                                 re.S)[1].replace("\\\n", " "))


def link_firmware(obj):
    """Where an emulator looks that was built in obj and is run there; as in
    scripts/build-qemu.sh"""
    for folder in FIRMWARE:
        place = obj / "qemu-bundle" / folder
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(f"/{folder}")


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
        command = [ROOT / "scripts/run-by-source.py", program, "--full"] \
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
    tap = Tap()
    tap.points(unit_points())
    if args.full:
        tap.points(full_points())
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
