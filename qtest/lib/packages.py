# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages that guests are made of: unpacked in the cache folder, never
installed, as some of them would change how this machine boots.

    packages.folder("ovmf") / "usr/share/ovmf/OVMF.fd"
    packages.folder("busybox-static", arch="arm64") / "bin/busybox"

apt downloads a package and checks its hash against the signed lists. Once there,
no network is needed; who wants a newer one removes the folder.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .paths import ROOT


class PackageError(Exception):
    """A package cannot be had: which, and why."""


def cache_dir(name):
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qemu-host-clock" / name


def run(*command, cwd=None):
    """Standard output of a command; its own words when it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True,
                              env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError as e:
        raise PackageError(f"{command[0]} is not installed") from e
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        words = [w for w in map(str, command) if w[0] != "-" and "=" not in w]
        raise PackageError(f"{' '.join(words)} failed: "
                           + (said[-1] if said else "no message"))
    return done.stdout


def apt_options(arch):
    """What apt needs for packages of another architecture than this machine's."""
    if not arch:
        return []
    return ["-c", run(ROOT / "scripts/foreign-apt.sh", arch).decode().strip()]


def depended_on(meta, prefix, options):
    """The package that a meta package depends on; None without lists."""
    try:
        text = run("apt-cache", *options, "depends", meta).decode()
    except PackageError:
        return None
    for word in text.split():
        if word.startswith(prefix) and word != meta:
            return word
    return None


def update_lists(package, options):
    print("packages: apt-get update", file=sys.stderr)
    try:
        run("apt-get", *options, "-q", "update")
    except PackageError as e:
        raise PackageError(
            f"{e}\nThe guests need Debian's {package}: check the network and "
            "/etc/apt, run 'apt-get update' as root, and try again") from e


def download(folder, package, prefix=None, arch=None):
    """Download a .deb into folder and return its path; with a prefix, that of the
    package on which this one depends. Lists may be missing, or older than the
    mirror: renew them once, then give up."""
    options = apt_options(arch)
    for attempt in ("lists as they are", "new lists"):
        if attempt == "new lists":
            update_lists(package, options)
        name = depended_on(package, prefix, options) if prefix else package
        if not name:
            continue
        print(f"packages: downloading {name}", file=sys.stderr)
        try:
            # root: the folder is not readable for apt's own user.
            run("apt-get", *options, "-q", "-o", "APT::Sandbox::User=root",
                "download", name, cwd=folder)
            return next(Path(folder).glob("*.deb"))
        except PackageError as e:
            if attempt == "new lists":
                raise PackageError(
                    f"{e}\nThe guests need Debian's {name}, which is not in the "
                    "archive that /etc/apt names, or the network fails") from e
    raise PackageError(f"apt knows no {package}: /etc/apt must name Debian's "
                       f"main archive for {arch or 'amd64'}")


def unpack(deb, folder):
    run("dpkg-deb", "--extract", deb, folder)


def folder(package, prefix=None, fill=unpack, needs=".", arch=None):
    """The folder with what is in a package, fetched first if there is none, or none
    with the file `needs`. fill(deb, folder) puts into it what is wanted."""
    cache = cache_dir("packages")
    target = cache / (f"{package}-{arch}" if arch else package)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Two runs started together download once.
        with open(cache / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (target / needs).exists():
                work = Path(tempfile.mkdtemp(prefix=".new-", dir=cache))
                try:
                    (work / "root").mkdir()
                    fill(download(work, package, prefix, arch), work / "root")
                    shutil.rmtree(target, ignore_errors=True)
                    (work / "root").rename(target)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
    except OSError as e:
        raise PackageError(f"{e.filename or cache}: {e.strerror}; the cache "
                           "moves with XDG_CACHE_HOME") from e
    return target
