"""The scratch directory of a test program, the free ports it may use, and the
processes it runs there.  Nothing of it is left when the program has ended,
however it ended: see reaper.py.
"""
import atexit
import glob
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

import reaper

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
START_SECONDS = 60	# for one server on a busy machine
STOP_SECONDS = 10


class RigError(Exception):
    """A server of the rig did not do what was asked of it."""


class _State:
    """One per test program; made at first use."""
    directory = None
    reaper = None
    made = 0
    ports = {}		# port -> the socket that reserves it
    servers = []	# every server of this program, also stopped ones


def directory():
    if _State.directory is None:
        _begin()
    return _State.directory


def _begin():
    # Servers that run as another user must reach it, and unix socket paths
    # are short: so not below a private TMPDIR.
    base = tempfile.gettempdir()
    if os.geteuid() == 0 and not _open_to_all(base) or len(base) > 40:
        base = "/tmp"
    _State.directory = tempfile.mkdtemp(prefix="datatier-", dir=base)
    os.chmod(_State.directory, 0o711)
    _State.reaper = subprocess.Popen(
        [sys.executable, "-S", os.path.join(HERE, "reaper.py"), _State.directory],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True)
    atexit.register(_end)


def _open_to_all(path):
    path = os.path.realpath(path)
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True


def _end():
    """All servers are stopped in good order, then the reaper takes the rest."""
    for server in reversed(_State.servers):
        try:
            server.stop(patience=2)
        except Exception as error:		# the reaper will do it
            print("# %s: %s" % (server.name, error), file=sys.stderr)
    _State.reaper.stdin.close()
    _State.reaper.wait(timeout=30)


def subdirectory(name, user=None):
    """A new directory, owned by user (a pwd entry) where that is given."""
    _State.made += 1
    path = os.path.join(directory(), "%s-%d" % (name, _State.made))
    os.mkdir(path, 0o700 if user else 0o755)
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)
    return path


def free_port():
    """A loopback port below the ephemeral range.  It stays reserved for this
    program, against other test programs too, by an abstract socket."""
    for _ in range(2000):
        port = random.randrange(20000, 32000)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind("\0datatier-test-port-%d" % port)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _State.ports[port] = mark
        return port
    raise RigError("no free port on 127.0.0.1")


def unprivileged_user():
    """Who runs the servers that refuse to run as root; None: who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RigError("neither a user postgres nor nobody")


def maven_environment():
    """Without the files that a JVM leaves in /tmp/hsperfdata_USER."""
    return dict(os.environ, MAVEN_OPTS=os.environ.get("MAVEN_OPTS", "") + " -XX:-UsePerfData")


def wait_for(ready, what, seconds=START_SECONDS, every=0.05):
    """Calls ready until it returns something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        result = ready()
        if result:
            return result
        if time.monotonic() > end:
            raise RigError("not within %g s: %s" % (seconds, what))
        time.sleep(every)


def children(pid):
    """The pids of all descendants of a process."""
    parents = {}
    for child, _, fields in reaper.processes():
        parents.setdefault(int(fields[1]), []).append(child)
    found, todo = [], [pid]
    while todo:
        more = parents.get(todo.pop(), [])
        found += more
        todo += more
    return found


def _at_rest(pid):
    """Every thread of it is stopped, or has ended."""
    for path in glob.glob("/proc/%d/task/*/stat" % pid):
        try:
            with open(path) as stat:
                if stat.read().rpartition(")")[2].split()[0] not in "TtZX":
                    return False
        except OSError:
            continue
    return True


class Server:
    """A process with a directory, a log and a port.  Runs from construction to
    the end of the `with`, or of the program.  A subclass says how: command(),
    ready(), and what to do once in prepare()."""

    name = "server"
    stop_signal = signal.SIGTERM

    def __init__(self, user=None):
        self.user = user
        self.process = None
        self.dir = subdirectory(self.name, user)
        self.log_path = self.dir + ".log"
        _State.servers.append(self)

    # What a subclass has:

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ, LC_ALL="C")

    def ready(self):
        """True when it serves."""
        return True

    # What a test uses:

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def launch(self):
        """Starts the process without waiting for it to serve."""
        who = {}
        if self.user:
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.dir, env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, **who)

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, seconds=START_SECONDS):
        def ready_or_dead():
            if not self.alive():
                raise RigError("%s ended with status %s" % (self.name, self.process.returncode))
            return self.ready()
        try:
            wait_for(ready_or_dead, "%s serves" % self.name, seconds)
        except RigError as error:
            self.stop(patience=1)
            raise RigError("%s\n%s" % (error, self.tail())) from None

    def signal(self, sig):
        """To the process and all its descendants; SIGSTOP has stopped them, with
        all their threads, when this returns."""
        pids = [self.pid] + children(self.pid)
        for pid in pids:
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass
        if sig == signal.SIGSTOP:
            wait_for(lambda: all(map(_at_rest, pids)), "%s is stopped" % self.name, 10, 0.005)

    def stop(self, patience=STOP_SECONDS):
        """Ends it in good order, or after so many seconds by force; also when
        it is stopped by SIGSTOP, or has ended already."""
        if self.process is None:
            return
        if self.process.poll() is None:
            rest = children(self.pid)
            self.process.send_signal(self.stop_signal)
            self.signal(signal.SIGCONT)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                rest = children(self.pid)
                self.process.kill()
                self.process.wait()
            self._kill(rest)
        self.process = None

    def _kill(self, pids):
        """What a dead server left: only what still works in its directory, as
        a pid may be somebody else's by now."""
        for pid in pids:
            try:
                if (os.readlink("/proc/%d/cwd" % pid) + "/").startswith(self.dir + "/"):
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    def kill(self):
        """SIGKILL to the process and its descendants, now."""
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines=20):
        return "\n".join(self.log().splitlines()[-lines:])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop(patience=3)


def servers():
    """Every server this program started, in order."""
    return list(_State.servers)
