# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the project and what it has built are."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# ./run --base builds elsewhere; scripts/env.sh says where.
BUILD = Path(os.environ.get("HOST_CLOCK_BUILD") or ROOT / "build")
SRC, OBJ = BUILD / "host-clock/src", BUILD / "host-clock/obj"
EMULATOR = "qemu-system-x86_64"
OURS = BUILD / "bin" / EMULATOR
VIRT = BUILD / "bin/qemu-system-aarch64"
STOCK = BUILD / "bin" / f"{EMULATOR}-stock"

# So that the project's own scripts can be imported too
sys.path.append(str(ROOT / "scripts"))
