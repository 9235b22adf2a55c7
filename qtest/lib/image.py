# SPDX-License-Identifier: GPL-2.0-or-later
"""The initramfs of the lab: our build, at the paths that it has on the host.

    with Image() as image:
        image.add_build()
        image.write("job", "echo hello")
        image.pack(path)

Equal paths make everything run in the lab as it does here: the emulator finds
its modules and firmware beside itself, and a script that names a file by its
absolute path finds it. Nothing is cached: to copy 60 MB takes less time than
to find out whether it could have been left out.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .paths import BUILD, EMULATOR, OBJ, ROOT

HERE = Path(__file__).resolve().parent

LAB_EMULATOR = OBJ / EMULATOR

# What an emulator with -nodefaults reads: SeaBIOS, its loaders of kernels and
# multiboot images, and the patch of the APIC for old Windows guests.
FIRMWARE = ["bios-256k.bin", "bios.bin", "kvmvapic.bin", "linuxboot.bin",
            "linuxboot_dma.bin", "multiboot.bin", "multiboot_dma.bin",
            "pvh.bin"]
FIRMWARE_PATH = ["usr/share/qemu", "usr/share/seabios"]

# KVM of the lab's processor, in the order in which they are loaded.
KVM_MODULES = ["virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko",
               "drivers/crypto/ccp/ccp.ko", "arch/x86/kvm/kvm-amd.ko"]

# The driver of a network card with a PTP clock, likewise
IGB_MODULES = ["drivers/i2c/algos/i2c-algo-bit.ko", "drivers/dca/dca.ko",
               "drivers/net/ethernet/intel/igb/igb.ko"]

PYTHON = Path("/usr/bin/python3")
# What is big there and of no use here.
PYTHON_LEFT_OUT = {"test", "idlelib", "tkinter", "lib2to3", "ensurepip",
                   "turtledemo", "dist-packages", "pydoc_data"}


class ImageError(Exception):
    """Something that belongs into the lab is not there."""


def command(*words, **more):
    """Standard output of a command that must succeed."""
    done = subprocess.run(words, capture_output=True, **more)
    if done.returncode:
        raise ImageError(f"{words[0]} failed: "
                         + done.stderr.decode(errors="replace").strip())
    return done.stdout


def libraries(program):
    """The shared libraries, and the loader, that a program needs; none for
    one that is linked statically."""
    done = subprocess.run(["ldd", program], text=True, capture_output=True,
                          env={**os.environ, "LC_ALL": "C"})
    for line in done.stdout.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        path = (rest if arrow else name).split(" (")[0]
        if path == "not found":
            raise ImageError(f"{program} needs {name}, which is not found")
        if path.startswith("/"):
            yield path


def is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


class Image:
    """A folder that becomes an initramfs; leaving the `with` removes it."""

    def __enter__(self):
        BUILD.mkdir(exist_ok=True)
        self.root = Path(tempfile.mkdtemp(prefix="lab-image-", dir=BUILD))
        self.root.chmod(0o755)      # unprivileged emulators run in there
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, path):
        """Where an absolute path of the lab is while it is being packed."""
        place = self.root / str(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def add(self, source, path=None):
        """Copy a file, with the libraries that it needs, to the same path or
        to another one."""
        place = self.place(path or os.path.abspath(source))
        if place.exists():
            return
        try:
            shutil.copy(source, place)
        except OSError as e:
            raise ImageError(f"{source}: {e.strerror}; './run build' makes "
                             "what the lab needs") from e
        if is_elf(place):
            for library in libraries(source):
                self.add(library)

    def write(self, path, text, mode=0o644):
        """A small file with this text."""
        place = self.place(path)
        place.write_text(text)
        place.chmod(mode)

    def link(self, path, target):
        self.place(path).symlink_to(target)

    def add_system(self):
        """busybox, the init, and what a C library looks for in /etc."""
        busybox = shutil.which("busybox") or "/usr/bin/busybox"
        if any(libraries(busybox)):
            raise ImageError(f"{busybox} is not static: apt-get install "
                             "busybox-static")
        self.add(busybox, "/bin/busybox")
        for applet in command(busybox, "--list").decode().split():
            if applet != "busybox":
                self.link(f"/bin/{applet}", "busybox")
        for folder in ("proc", "sys", "dev", "tmp", "root", "usr/bin"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.link("/usr/bin/env", "/bin/busybox")
        for name in ("init", "functions"):
            self.add(HERE / f"lab-{name}", f"/lab/{name}")
        self.link("/init", "/lab/init")
        self.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n"
                   "nobody:x:65534:65534::/:/bin/sh\n")
        self.write("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
        # The third line says what the RTC's calendar counts: the lab's is UTC.
        self.write("/etc/adjtime", "0.0 0 0.0\n0\nUTC\n")

    def add_build(self):
        """The emulator with its modules and firmware, and our tests."""
        self.add_system()
        self.add_emulator(OBJ)
        programs = [OBJ / "qemu-img", *OBJ.glob("tests/unit/test-host-*"),
                    *OBJ.glob("tests/qtest/host-clock-*-test"),
                    *OBJ.glob("tests/qtest/host-clock-test"),
                    *BUILD.glob("qtest/baremetal/*.elf")]
        for program in programs:
            if program.is_file():
                self.add(program)
        self.link(BUILD / "bin" / EMULATOR, LAB_EMULATOR)
        self.link(f"/bin/{EMULATOR}", LAB_EMULATOR)
        self.link("/root/read-clocks.elf",
                  BUILD / "qtest/baremetal/read-clocks.elf")

    def add_emulator(self, obj):
        """An emulator that was built in obj, its modules, and the folder that
        stands for / to an emulator run in place."""
        for program in (obj / EMULATOR, *obj.glob("accel-*.so"),
                        *obj.glob("hw-rtc-*.so")):
            self.add(program)
        bundle = obj / "qemu-bundle"
        for module in bundle.glob("usr/**/*.so"):
            if (self.root / str(module.resolve()).lstrip("/")).exists():
                self.link(module, module.resolve())
        for name in FIRMWARE:
            found = [bundle / folder / name for folder in FIRMWARE_PATH
                     if (bundle / folder / name).exists()]
            if found:
                self.add(found[0].resolve(), found[0])

    def add_kvm(self, kernel):
        """The modules that make KVM of the lab's processor; load_kvm loads
        them. kernel is the folder of the lab's kernel."""
        self.add_modules(kernel, "kvm", KVM_MODULES)

    def add_igb(self, kernel):
        """The driver of the card that has a PTP clock; load_igb loads it."""
        self.add_modules(kernel, "igb", IGB_MODULES)

    def add_modules(self, kernel, folder, names):
        for n, name in enumerate(names):
            module = kernel / "modules" / "kernel" / name
            if not module.exists():
                raise ImageError(f"the lab's kernel has no {module.name}: "
                                 f"remove {kernel}, and Debian's kernel, "
                                 "which has it, is fetched again")
            self.add(module, f"/lib/{folder}/{n}-{module.name}")

    def add_kernel(self, kernel):
        """The kernel, for guests of the lab, where kernel_folder() looks for it if
        XDG_CACHE_HOME is what it is here."""
        for name in ("vmlinux", "package"):
            self.add(kernel / name)
        self.link(kernel.parent / "current", kernel.name)

    def add_python(self):
        """The interpreter, and what comes with it and is of use here."""
        self.add(PYTHON.resolve(), PYTHON)
        # A thread that ends loads it, so that ldd does not tell.
        for line in command("ldconfig", "-p").decode().splitlines():
            if "libgcc_s.so.1 (libc6,x86-64)" in line:
                self.add(line.split(" => ")[1])
        library = Path(command(
            PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"
            ).decode().strip())
        for path in library.rglob("*"):
            if path.is_file() and PYTHON_LEFT_OUT.isdisjoint(
                    path.relative_to(library).parts):
                self.add(path)

    def add_scripts(self, room):
        """Our Python files in this folder of qtest/, and what they share."""
        for folder in (room, "lib"):
            for path in (ROOT / "qtest" / folder).glob("*.py"):
                self.add(path)
        self.link(ROOT / "qtest" / room / "lib", "../lib")

    def pack(self, out):
        """Write the initramfs; it appears whole or not at all."""
        names = command("find", ".", cwd=self.root)
        draft = Path(f"{out}.draft")
        # Not compressed: TCG would unpack it more slowly than it is read.
        draft.write_bytes(command("cpio", "-o", "-H", "newc", "--quiet",
                                  "--owner", "0:0", cwd=self.root,
                                  input=names))
        draft.rename(out)
