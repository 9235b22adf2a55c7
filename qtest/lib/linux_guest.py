# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest that says what it sees of RTC and HPET, and what it said.

Debian's kernel with an initramfs of busybox, util-linux's hwclock and rtcwake
and, for who asks, the kernel's selftests. linux-init runs them.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections import namedtuple
from datetime import datetime, timezone
from pathlib import Path

from . import packages
from .emulator import EmulatorError
from .image import Image
from .kernel import kernel_folder

HERE = Path(__file__).resolve().parent

BASE_ARGS = ["-no-user-config", "-nodefaults", "-display", "none",
             "-no-reboot", "-accel", "tcg"]

# Bounds on waiting; they only matter when something is broken.
BOOT_S = 600    # until the first word: 3 s when idle, 12 with UEFI; 220 were seen
PART_S = 60     # for each part; what waits for the RTC gives up after 15 s
SELFTEST_S = 400  # all of rtctest takes 160 s

# These tests of rtctest take from 30 s to a minute each.
LONG_TESTS = r"date_read_loop|\w+_minute"

# What a part printed, its exit status, and when it began and ended.
Part = namedtuple("Part", "lines status began ended")


class Facts(dict):
    """The parts of one guest, by name."""

    def text(self, name):
        return "\n".join(self[name].lines)

    def interrupts(self, when):
        """How often each line of /proc/interrupts has counted, by its device"""
        return {line.split()[-1]: int(line.split()[1])
                for line in self[f"interrupts-{when}"].lines}

    def arrived(self, device):
        """Interrupts of a device while the parts ran"""
        return (self.interrupts("after").get(device, 0)
                - self.interrupts("before").get(device, 0))

    def tests(self):
        """{name: whether it passed} of rtctest's TAP"""
        found = re.findall(r"^(not ok|ok) +\d+ (?:- )?(rtc\.\w+)",
                           self.text("rtctest"), re.M)
        return {name: word == "ok" for word, name in found}


# Those of the kernel's selftests of timers that need no exact clock, and what to
# tell them: the first is about all clocks, the last reads one for 5 s.
TIMERS = {"nanosleep": "", "posix_timers": "", "inconsistency-check": "-c 1 -t 5"}
SELFTESTS = {"rtctest", *TIMERS}


def fill_selftests(deb, folder):
    """Of the kernel's source only its selftests of RTC and timers."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                          stdout=subprocess.PIPE) as outer, \
        subprocess.Popen(["tar", "-xO", "--wildcards", "*/linux-source-*.tar.*"],
                         stdin=outer.stdout, stdout=subprocess.PIPE) as inner:
        done = subprocess.run(
            ["tar", "-xJ", "-C", folder, "--strip-components=4", "--wildcards",
             "*/tools/testing/selftests/rtc/*",
             "*/tools/testing/selftests/timers/*",
             "*/tools/testing/selftests/kselftest*.h"],
            stdin=inner.stdout, capture_output=True)
    if done.returncode or not (Path(folder) / "rtc/rtctest.c").exists():
        raise packages.PackageError(f"no rtctest in {deb}: "
                                    + done.stderr.decode(errors="replace"))


def selftests():
    """The folder of the selftests' source."""
    return packages.folder("linux-source", "linux-source-", fill_selftests,
                           "timers/nanosleep.c")


def compile_test(out, source, text):
    done = subprocess.run(["gcc", "-static", "-O2", "-pthread", "-x", "c", "-iquote",
                           source, "-I", source, "-o", out, "-", "-lrt"],
                          input=text, text=True, capture_output=True)
    if done.returncode:
        raise packages.PackageError(f"Debian's {Path(out).name} does not compile: "
                                    + done.stderr[:500])


def build_rtctest(out, full):
    """Compile Debian's rtctest, without the long tests unless full."""
    source = selftests() / "rtc"
    text = (source / "rtctest.c").read_text()
    if not full:
        text = re.sub(rf"^TEST_F(?:_TIMEOUT)?\(rtc, (?:{LONG_TESTS})\b.*?^}}\n",
                      "", text, flags=re.M | re.S)
    compile_test(out, source, text)


def add_timers(image):
    """The selftests of timers, and how they are run."""
    source, lines = selftests() / "timers", []
    with tempfile.TemporaryDirectory() as folder:
        for name, words in TIMERS.items():
            compile_test(f"{folder}/{name}", source, (source / f"{name}.c").read_text())
            image.add(f"{folder}/{name}", f"/sbin/{name}")
            lines.append(f"part {name} /sbin/{name} {words}\n")
    image.write("/timers", "".join(lines))


def make_initramfs(out, rtctest=None, timers=False):
    """rtctest: None, 'short' or 'full'; timers: with the selftests of those."""
    with Image() as image:
        for program in ("busybox", "hwclock", "rtcwake"):
            found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
            if not found:
                raise packages.PackageError(f"{program} is not installed: "
                                            "'./run build' as root does it")
            image.add(found, "/bin/busybox" if program == "busybox" else
                      f"/sbin/{program}")
        for name in ("proc", "sys", "dev"):
            image.place(f"/{name}/x").parent.mkdir(exist_ok=True)
        image.add(HERE / "linux-init", "/init")
        image.place("/init").chmod(0o755)
        if rtctest:
            with tempfile.TemporaryDirectory(dir=image.root) as folder:
                build_rtctest(f"{folder}/rtctest", rtctest == "full")
                image.add(f"{folder}/rtctest", "/sbin/rtctest")
        if timers:
            add_timers(image)
        image.pack(out)


def kernel_args(initramfs, compressed=False, append=""):
    """What boots the guest. UEFI wants the compressed kernel. Without the option,
    Linux panics if the host is busy in the moment in which it counts ticks."""
    kernel = kernel_folder()
    return ["-kernel", str(kernel / ("vmlinuz" if compressed else "vmlinux")),
            "-initrd", str(initramfs),
            "-append", "console=ttyS0 quiet panic=-1 no_timer_check "
            + append]


def listen(vm, other=lambda line: None):
    """Facts of a guest that was started with serial=True. Lines that are in none of
    its parts go to other()."""
    facts, lines, began = Facts(), [], None
    deadline = time.monotonic() + BOOT_S
    while True:
        try:
            at, line = vm.read_line(deadline) or (None, None)
        except EmulatorError as e:
            raise EmulatorError(f"{e}; of the guest there are: "
                                + (", ".join(facts) or "nothing")) from e
        if line is None:
            raise EmulatorError("the emulator ended before the guest was done")
        words = line[line.find("@ "):].split() if "@ " in line else []
        if words[1:2] == ["done"]:
            return facts
        if words[1:2] == ["begin"]:
            lines, began = [], at
            deadline = time.monotonic() + (
                SELFTEST_S if words[2] in SELFTESTS else PART_S)
        elif words[1:2] == ["end"]:
            facts[words[2]] = Part(lines, int(words[3]), began, at)
            began = None
        elif began:
            lines.append(line)
        else:
            other(line)


# The machine may be busy with other things between the RTC's second and its line.
DATE_SLACK_S = 5


def hwclock_error(facts):
    """What is wrong with hwclock, which waits for an update interrupt; or None"""
    part = facts["hwclock"]
    return (f"status {part.status}: {facts.text('hwclock')}" if part.status else
            date_error(facts.text("hwclock"), part, DATE_SLACK_S))


def rtcwake_error(facts):
    """What is wrong with rtcwake, which waits for an alarm; or None"""
    status = facts["rtcwake"].status
    return f"status {status}: {facts.text('rtcwake')}" if status else None


def rtctest_error(facts):
    """What is wrong with the kernel's rtctest; or None"""
    bad = [name for name, passed in facts.tests().items() if not passed]
    if bad or facts["rtctest"].status or not facts.tests():
        return f"{bad} of\n{facts.text('rtctest')}"
    return None


def date_error(text, part, slack_s):
    """What is wrong with a date that a part has printed; None: nothing."""
    found = re.search(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)", text)
    if not found:
        return f"no date in {text!r}"
    shown = datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(
        tzinfo=timezone.utc).timestamp()
    if not part.began.wall - slack_s <= shown <= part.ended.wall + slack_s:
        return (f"{found[0]} is not from {part.began.wall:.0f} to "
                f"{part.ended.wall:.0f}, give or take {slack_s} s")
    return None
