# SPDX-License-Identifier: GPL-2.0-or-later
"""The host clocks that an emulator has, by its own word."""

import subprocess
from collections import namedtuple

from .emulator import EmulatorError

# One line of `-clock help`; reason is None where the source is available.
Source = namedtuple("Source", "name description reason")


def list_sources(binary):
    """The sources that `-clock help` lists, by name, in its order."""
    done = subprocess.run([binary, "-clock", "help"], text=True, timeout=60,
                          capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise EmulatorError(f"'{binary} -clock help' failed: "
                            f"{done.stderr.strip()}; a stock emulator has "
                            "no -clock")
    return parse_help(done.stdout)


def list_running(binary):
    """Names of those that this host has and whose time passes by itself, in a VM that
    is not qtest's; without the default."""
    return [source.name for source in list_sources(binary).values()
            if not source.reason and source.name not in ("system", "manual")]


def parse_help(text):
    """{name: Source} of what `-clock help` prints"""
    sources = {}
    for line in text.splitlines():
        name, _, text = line.strip().partition(" ")
        text, _, reason = text.strip().partition("[not available:")
        if name and not line.endswith(":"):     # a heading ends so
            sources[name] = Source(name, text.strip(),
                                   reason.strip().removesuffix("]") or None)
    return sources
