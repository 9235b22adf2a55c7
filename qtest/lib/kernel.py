# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernel for the guests.

The package is downloaded by apt (which checks its hash against the signed
lists), unpacked and kept in the cache folder, never installed. The folder has

    vmlinux    the uncompressed kernel: boots in 3 s under TCG, the compressed
               one in 7 s, as TCG would have to unpack it
    vmlinuz    the kernel as packaged
    modules    /lib/modules/VERSION, without the classes no test can use
    package    name and version

Once there, no network is needed.
"""

import fcntl
import lzma
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from . import packages

NEEDED_MB = 400         # on disk while a kernel is fetched; 260 stay
META_PACKAGE = "linux-image-amd64"      # depends on the newest generic kernel
# Half of the 400 MB are drivers for things an emulated machine never has.
LEAVE_OUT = ["*/drivers/" + name + "/*" for name in (
    "gpu", "media", "net/wireless", "infiniband", "staging", "iio", "scsi",
    "usb", "hid", "input")] + ["*/sound/*", "*/net/*/netfilter/*"]

GetKernelError = packages.PackageError


def payload(image):
    """The uncompressed kernel within a bzImage; the layout is in the
    kernel's Documentation/arch/x86/boot.rst, protocol 2.08 and later."""
    if image[0x202:0x206] != b"HdrS":
        raise GetKernelError("the packaged kernel is no bzImage")
    start, length = struct.unpack_from("<II", image, 0x248)
    start += (image[0x1f1] + 1) * 512
    data = image[start:start + length]
    if data.startswith(b"\xfd7zXZ\0"):
        # A decompressor object stops at the end of the stream; four bytes
        # with the unpacked size follow it.
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        try:
            return subprocess.run(["zstd", "-dcq"], input=data[:-4],
                                  capture_output=True, check=True).stdout
        except FileNotFoundError as e:
            raise GetKernelError("the kernel is packed with zstd: apt-get "
                                 "install zstd") from e
    raise GetKernelError("unknown compression of the kernel: "
                         + data[:6].hex())


def unpack(deb, folder):
    """Lay out one kernel in folder, as the text on top says."""
    root = folder / "root"
    root.mkdir()
    excludes = [f"--exclude={pattern}" for pattern in LEAVE_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb],
                          stdout=subprocess.PIPE) as deb_tar:
        done = subprocess.run(["tar", "-x", "-C", str(root), *excludes],
                              stdin=deb_tar.stdout, capture_output=True)
    if done.returncode or deb_tar.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise GetKernelError(f"cannot unpack {deb}: "
                             + (said[0] if said else "dpkg-deb failed"))
    kernel = next(root.glob("boot/vmlinuz-*"))
    (folder / "vmlinux").write_bytes(payload(kernel.read_bytes()))
    modules = next(iter([*root.glob("lib/modules/*"),
                         *root.glob("usr/lib/modules/*")]))
    (folder / "vmlinuz").symlink_to(kernel.relative_to(folder))
    (folder / "modules").symlink_to(modules.relative_to(folder))
    (folder / "package").write_text(Path(deb).stem + "\n")


def get(cache):
    """Get the newest kernel into the cache; `current` is switched last."""
    free_mb = shutil.disk_usage(cache).free >> 20
    if free_mb < NEEDED_MB:
        raise GetKernelError(
            f"{free_mb} MB are free at {cache}, the guest's kernel needs "
            f"{NEEDED_MB}: make room, or name another place with "
            "XDG_CACHE_HOME")
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
    try:
        deb = packages.download(work, META_PACKAGE, "linux-image-")
        target = cache / Path(deb).stem
        if not (target / "package").exists():
            new = work / "kernel"
            new.mkdir()
            unpack(deb, new)
            shutil.rmtree(target, ignore_errors=True)
            new.rename(target)
        link = work / "current"
        link.symlink_to(target.name)
        link.rename(cache / "current")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for old in cache.iterdir():
        if old.is_dir() and not old.is_symlink() and old != target:
            shutil.rmtree(old, ignore_errors=True)


def kernel_folder():
    """The folder of the kernel, fetched first if there is none."""
    cache = packages.cache_dir("kernel")
    current = cache / "current"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Two runs started together download once.
        with open(cache / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (current / "package").exists():
                get(cache)
    except OSError as e:
        raise GetKernelError(f"{e.filename or cache}: {e.strerror}; the "
                             "kernel's cache moves with XDG_CACHE_HOME") from e
    return current.resolve()
