# SPDX-License-Identifier: GPL-2.0-or-later
"""The rows of the experiment under KVM, in the lab.

TCG emulates the virtualization of AMD's processors, so the lab has KVM. The
experiment runs in there as it does on a host with KVM and the devices, with the
same guest, and tells its results.
"""

import shlex
import time

from judge import KVM, LAB, Result, from_json, row_name
from lib.emulator import EmulatorError
from lib.image import PYTHON, Image, ImageError
from lib.kernel import GetKernelError, kernel_folder
from lib.lab import KVM_CPU, Lab, LabError
from lib.paths import BUILD, ROOT
from experiment_guest import INITRAMFS, check_names, make_initramfs
from pairs import emulator_in_lab

EXPERIMENT = ROOT / "qtest" / "guest" / "experiment.py"
RESULT = "@ result "
# A guest in the lab is at its end 12 s after its start, 25 when two run.
JOBS = 1
ROW_S = 300
# The lab, its Python, and the emulator's list of clocks.
START_S = 300


def add_experiment(image, kernel):
    """The experiment, and the guest of it, for the lab."""
    image.add_build()
    image.add_kvm(kernel)
    image.add_python()
    image.add_scripts("guest")
    make_initramfs()
    image.add(INITRAMFS)
    image.add_kernel(kernel)


def command(options, binary):
    return [str(PYTHON), "-B", str(EXPERIMENT), "--kvm", "--results",
            "--no-lab", "--jobs", str(JOBS), "--qemu", binary, *options]


def job(options, binary, kernel):
    """The script of the lab."""
    # The cache is where it is outside, whoever is the user in there.
    cache = shlex.quote(str(kernel.parents[2]))
    return (f"export XDG_CACHE_HOME={cache}\n"
            f"export HOST_CLOCK_BUILD={shlex.quote(str(BUILD))}\n"
            f"load_kvm && {shlex.join(command(options, binary))} 2>&1\n")


def listen(lines, results, say):
    """Take the lines of the lab; results by row."""
    said = []
    for line in lines:
        if not line.startswith(RESULT):
            said = [*said[-30:], line]
            continue
        result = from_json(line[len(RESULT):])
        result.where = LAB
        results[result.row] = result
        say(f"[lab] {result.verdict()}  {row_name(result.row)}  "
            f"({result.took:.1f} s)")
    return said


def run(rows, options, args, results, say):
    """Boot the lab, run the experiment in it and fill in results."""
    kernel = kernel_folder()
    bound_s = START_S + ROW_S * (len(rows) + 1) // JOBS
    with Image() as image:
        add_experiment(image, kernel)
        path = emulator_in_lab(image, args.qemu, args.lab_file)
        with Lab(image, job(options, path, kernel), cpu=KVM_CPU) as lab:
            return listen(lab.lines(time.monotonic() + bound_s, ROW_S),
                          results, say)


def run_rows(rows, args, say):
    """Results of the rows, in order; never raises for a broken emulator."""
    options = ["--sources", ",".join(dict.fromkeys(r.source for r in rows)),
               *(["--full"] if args.full else [])]
    results, error, said = {}, "the lab said nothing of it", []
    say(f"{len(rows)} rows under KVM in the lab, {JOBS} at a time, about "
        f"{20 + 12 * len(rows) / JOBS:.0f} s")
    try:
        said = run(rows, options, args, results, say)
    except (LabError, ImageError, EmulatorError, OSError, ValueError,
            GetKernelError) as e:
        error = f"the lab: {e}"
    for row in rows:
        if row not in results:
            results[row] = Result(row, where=LAB, accel=KVM, tail=said)
            results[row].fail(error, check_names(row))
    return [results[row] for row in rows]
