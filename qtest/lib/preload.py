# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries to be preloaded: qtest/preload/*.c say what each does."""

import os
import subprocess
from pathlib import Path

from .paths import ROOT


def build_preload(folder, name):
    """Compile name.c; returns the library's path."""
    library = Path(folder) / f"{name}.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O2",
                    "-o", library, ROOT / "qtest/preload" / f"{name}.c"],
                   check=True)
    return library
