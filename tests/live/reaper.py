"""Cleans up behind a test program, however that program ends.

Started by scratch.py with the scratch directory as its argument and a pipe on
stdin that nobody writes to.  When the pipe closes (the program ended, or was
killed with SIGKILL) it kills every process that still works inside the scratch
directory and removes the directory.  Needs no cooperation of the processes:
servers are started with their working directory inside the scratch directory.
"""
import ctypes
import glob
import os
import shutil
import signal
import sys
import time

IPC_RMID = 0


def processes():
    """(pid, name, fields of stat behind the name) of all that run."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % entry) as stat:
                head, _, tail = stat.read().rpartition(")")
        except OSError:
            continue
        fields = tail.split()
        if fields[0] not in "ZX":
            yield int(entry), head.partition("(")[2], fields


def group(pgid):
    """{pid: name} of what runs in a process group."""
    return {pid: name for pid, name, fields in processes() if int(fields[2]) == pgid}


def inside(scratch):
    """The processes whose working directory is in scratch."""
    found = []
    for pid, _, _ in processes():
        try:
            cwd = os.readlink("/proc/%d/cwd" % pid)
        except OSError:
            continue
        cwd = cwd[:-len(" (deleted)")] if cwd.endswith(" (deleted)") else cwd
        if pid != os.getpid() and (cwd + "/").startswith(scratch + "/"):
            found.append(pid)
    return found


def kill_all(scratch, patience=10):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        pids = inside(scratch)
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def remove_shared_memory(scratch):
    """PostgreSQL's own segment outlives a killed postmaster."""
    libc = ctypes.CDLL(None, use_errno=True)
    for path in glob.glob(scratch + "/**/data/postmaster.pid", recursive=True):
        try:
            with open(path) as pid_file:
                words = pid_file.read().split("\n")[6].split()
            libc.shmctl(int(words[1]), IPC_RMID, None)
        except (OSError, IndexError, ValueError):
            continue


def clean(scratch):
    kill_all(scratch)
    remove_shared_memory(scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def main():
    scratch = os.path.realpath(sys.argv[1])
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    clean(scratch)


if __name__ == "__main__":
    main()
