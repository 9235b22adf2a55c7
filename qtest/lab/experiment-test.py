#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiment under KVM, of this host or in the lab, with a Linux guest; TAP.

    experiment-test.py [--full]

The clocks of the original experiment, or all.
"""

import os
import sys

from lib.paths import ROOT

PROGRAM = ROOT / "qtest" / "guest" / "experiment.py"
ORIGINAL = ["--sources", "none,dynticks,hpet,rtc,unix"]

os.execv(PROGRAM, [PROGRAM, "--kvm", "--tap", *(sys.argv[1:] or ORIGINAL)])
