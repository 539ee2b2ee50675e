"""A private Redis, or a server that speaks like it (Valkey, KeyDB)."""
import os
import shutil
import subprocess
import unittest

import scratch


def make_certificates(directory):
    """ca.crt; server.crt/key for localhost and 127.0.0.1; client.crt/key."""
    def openssl(*args):
        done = subprocess.run(("openssl",) + args, cwd=directory, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise scratch.RigError("openssl %s: %s" % (args[0], done.stdout))
    if not shutil.which("openssl"):
        raise unittest.SkipTest("openssl is not installed")
    with open(directory + "/server.ext", "w") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    with open(directory + "/client.ext", "w") as out:
        out.write("extendedKeyUsage=clientAuth\n")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2",
            "-subj", "/CN=test authority")
    for who, name in (("server", "localhost"), ("client", "client")):
        openssl("req", *key, "-keyout", who + ".key", "-out", who + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", who + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", who + ".ext", "-out", who + ".crt")


class Redis(scratch.Server):
    """conf: directives; a list as value repeats the directive ("user").  With
    tls the port speaks TLS only; ca, client_cert, client_key are the files."""

    name = "redis"

    def __init__(self, conf=None, tls=False, binary=None):
        self.binary = binary or shutil.which("redis-server") or shutil.which("valkey-server")
        if not self.binary:
            raise unittest.SkipTest("no redis-server is installed")
        super().__init__()
        self.port = scratch.free_port()
        self.socket_path = self.dir + "/redis.sock"
        self.tls = tls
        settings = {"bind": "127.0.0.1", "port": self.port, "unixsocket": self.socket_path,
                    "dir": self.dir, "save": '""', "appendonly": "no", "daemonize": "no"}
        if tls:
            make_certificates(self.dir)
            self.ca = self.dir + "/ca.crt"
            self.client_cert, self.client_key = self.dir + "/client.crt", self.dir + "/client.key"
            settings.update({"port": 0, "tls-port": self.port, "tls-auth-clients": "no",
                             "tls-cert-file": self.dir + "/server.crt",
                             "tls-key-file": self.dir + "/server.key",
                             "tls-ca-cert-file": self.ca})
        settings.update(conf or {})
        self.password = settings.get("requirepass")
        with open(self.dir + "/redis.conf", "w") as out:
            for key, value in settings.items():
                for one in value if isinstance(value, (list, tuple)) else [value]:
                    out.write("%s %s\n" % (key, one))
        self.start()

    def command(self):
        return [self.binary, self.dir + "/redis.conf"]

    def ready(self):
        try:
            answer = self.cli("PING")
        except scratch.RigError:
            return False
        return answer.startswith(("PONG", "NOAUTH", "NOPERM"))

    def _cli_binary(self):
        beside = os.path.join(os.path.dirname(self.binary), "redis-cli")
        return beside if os.access(beside, os.X_OK) else (
            shutil.which("redis-cli") or shutil.which("valkey-cli"))

    def cli(self, *args, timeout=30, input=None):
        """The answer as redis-cli prints it, an error reply included, without
        the last line end.  Goes over the unix socket."""
        auth = ["-a", self.password, "--no-auth-warning"] if self.password else []
        done = subprocess.run(
            [self._cli_binary(), "-s", self.socket_path] + auth + [str(a) for a in args],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            timeout=timeout, input=input, cwd=scratch.directory())
        if done.returncode != 0 and not done.stdout:
            raise scratch.RigError("redis-cli: %s" % done.stderr.strip())
        return done.stdout.rstrip("\n")

    def info(self, section="everything"):
        """INFO as a dictionary of strings."""
        lines = self.cli("INFO", section).splitlines()
        return dict(line.strip().split(":", 1) for line in lines if ":" in line)

    @property
    def url(self):
        secret = ":%s@" % self.password if self.password else ""
        return "%s://%s127.0.0.1:%d" % ("rediss" if self.tls else "redis", secret, self.port)
