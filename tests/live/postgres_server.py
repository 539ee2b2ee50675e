"""Private PostgreSQL and PgBouncer servers."""
import glob
import os
import re
import shutil
import signal
import subprocess
import unittest
from urllib.parse import quote

import scratch

DEFAULTS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "shared_preload_libraries": "pg_stat_statements",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    # In the data directory, so that nothing stays in /dev/shm.
    "dynamic_shared_memory_type": "mmap",
}


def bindirs():
    """Every PostgreSQL of this machine, newest first."""
    found = [os.path.dirname(p) for p in glob.glob("/usr/lib/postgresql/*/bin/postgres")]
    found += [os.path.dirname(p) for p in glob.glob("/usr/pgsql-*/bin/postgres")]
    found.sort(key=lambda p: -int(re.search(r"(\d+)/bin$", p).group(1)))
    if shutil.which("pg_config"):
        found.append(subprocess.run(["pg_config", "--bindir"], stdout=subprocess.PIPE,
                                    check=True, text=True).stdout.strip())
    if shutil.which("postgres"):
        found.append(os.path.dirname(shutil.which("postgres")))
    good = [d for d in found if os.access(d + "/initdb", os.X_OK)]
    return list(dict.fromkeys(os.path.realpath(d) for d in good))


def run_psql(uri, sql, timeout=30):
    """The output of psql, unaligned, tuples only, without the last line end.
    Every statement is a transaction of its own."""
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", uri], input=sql,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout, cwd=scratch.directory())
    if done.returncode != 0:
        raise scratch.RigError("psql: %s: %s" % (done.stderr.strip(), sql))
    return done.stdout.rstrip("\n")


def serves(uri, sql):
    """A server that wants a password does so, too."""
    try:
        return bool(run_psql(uri, sql))
    except scratch.RigError as error:
        return "password" in str(error)


def make_uri(port, user, db, password):
    secret = ":" + quote(password, safe="") if password is not None else ""
    return "postgresql://%s%s@127.0.0.1:%d/%s" % (quote(user, safe=""), secret, port, quote(db, safe=""))


class Session:
    """A psql that stays connected: for open transactions, locks, idle sessions."""

    def __init__(self, uri):
        self.process = subprocess.Popen(
            ["psql", "-XAtq", "-d", uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, bufsize=1, cwd=scratch.directory())
        self.asked = 0

    def send(self, sql):
        """Does not wait for the answer (a statement that waits for a lock)."""
        self.process.stdin.write(sql.rstrip(";") + ";\n")
        self.process.stdin.flush()

    def answer(self):
        """All that was printed up to now, once everything sent was answered."""
        self.asked += 1
        mark = "-- answered %d" % self.asked
        self.process.stdin.write("\\echo '%s'\n" % mark)
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == mark:
                return "\n".join(lines)
            lines.append(line.rstrip("\n"))
        raise scratch.RigError("psql ended: %s" % "\n".join(lines))

    def execute(self, sql):
        self.send(sql)
        return self.answer()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Postgres(scratch.Server):
    """conf: settings of postgresql.conf.  hba: lines before the default ones,
    which trust everybody.  A conf value of None leaves the default out."""

    name = "postgres"
    stop_signal = signal.SIGINT		# "fast"

    def __init__(self, conf=None, bindir=None, hba=()):
        known = bindirs()
        if bindir is None and not known:
            raise unittest.SkipTest("no PostgreSQL server is installed")
        self.bindir = bindir or known[0]
        super().__init__(scratch.unprivileged_user())
        self.port = scratch.free_port()
        self.socket_dir = self.dir
        self.data = self.dir + "/data"
        self._initdb(dict(DEFAULTS, port=str(self.port), unix_socket_directories=self.dir,
                          **(conf or {})), hba)
        self.start()

    def _initdb(self, conf, hba):
        who = {}
        if self.user:
            who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        with open(self.log_path, "ab") as log:
            done = subprocess.run(
                [self.bindir + "/initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                 "-E", "UTF8", "--locale=C", "--no-sync"],
                cwd=self.dir, stdout=log, stderr=log, env=self.environment(), **who)
        if done.returncode != 0:
            raise scratch.RigError("initdb: %s" % self.tail())
        with open(self.data + "/postgresql.conf", "a") as out:
            for key, value in conf.items():
                if value is not None:
                    out.write("%s = '%s'\n" % (key, str(value).replace("'", "''")))
        path = self.data + "/pg_hba.conf"
        with open(path) as old:
            rest = old.read()
        with open(path, "w") as out:
            out.write("".join(line + "\n" for line in hba) + rest)

    def version(self):
        """15, 16 ..."""
        with open(self.data + "/PG_VERSION") as text:
            return int(text.read())

    def command(self):
        return [self.bindir + "/postgres", "-D", self.data]

    def ready(self):
        return serves(self.uri(), "SELECT 1")

    def uri(self, user="postgres", db="postgres", password=None):
        return make_uri(self.port, user, db, password)

    def psql(self, sql, db="postgres", user="postgres", password=None):
        return run_psql(self.uri(user, db, password), sql)

    def session(self, db="postgres", user="postgres", password=None):
        return Session(self.uri(user, db, password))

    def backends(self):
        """The pids of its processes, the postmaster's left out."""
        return scratch.children(self.pid)


class PgBouncer(scratch.Server):
    """In front of postgres, transaction pooling.  users: name -> password of
    those it lets in; without a password in auth_type=trust, the default.
    postgres is admin, monitor may only look (stats_users)."""

    name = "pgbouncer"
    stop_signal = signal.SIGINT

    def __init__(self, postgres, conf=None, users=None, databases=None):
        binary = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
        if not binary:
            raise unittest.SkipTest("pgbouncer is not installed")
        self.binary = binary
        super().__init__(scratch.unprivileged_user())
        self.port = scratch.free_port()
        self._configure(postgres, conf or {}, users or {}, databases or {})
        self.start()

    def _configure(self, postgres, conf, users, databases):
        users = dict({"postgres": "", "monitor": ""}, **users)
        databases = databases or {"*": ""}
        settings = dict({
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": self.dir,
            "auth_type": "trust", "auth_file": self.dir + "/users.txt",
            "admin_users": "postgres", "stats_users": "monitor", "pool_mode": "transaction",
        }, **conf)
        with open(self.dir + "/users.txt", "w") as out:
            for name, password in users.items():
                out.write('"%s" "%s"\n' % (name.replace('"', '""'), password.replace('"', '""')))
        with open(self.dir + "/pgbouncer.ini", "w") as out:
            out.write("[databases]\n")
            for name, more in databases.items():
                out.write("%s = host=127.0.0.1 port=%d %s\n" % (name, postgres.port, more))
            out.write("[pgbouncer]\n")
            for key, value in settings.items():
                out.write("%s = %s\n" % (key, value))

    def command(self):
        return [self.binary, self.dir + "/pgbouncer.ini"]

    def ready(self):
        return serves(self.admin_uri, "SHOW VERSION")

    @property
    def admin_uri(self):
        return self.uri(db="pgbouncer")

    def uri(self, user="postgres", db="postgres", password=None):
        return make_uri(self.port, user, db, password)

    def psql(self, sql, db="postgres", user="postgres", password=None):
        return run_psql(self.uri(user, db, password), sql)

    def session(self, db="postgres", user="postgres", password=None):
        return Session(self.uri(user, db, password))
