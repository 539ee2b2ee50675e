"""The exporter under test, as a process, and what it answers."""
import gzip
import http.client
import os
import re
import time
from urllib.parse import urlencode

import scratch
from page import Page

BUILD = os.path.join(scratch.TOP, "build")
# DATATIER_SAN=address or thread: the build with that sanitizer is under test.
BINARY = os.path.join(BUILD, os.environ.get("DATATIER_SAN", ""), "datatier_exporter")
SHIPPED_CONFIG = os.path.join(scratch.TOP, "config", "datatier.conf")

SANITIZER = re.compile(r"(?s)(==\d+==ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|[^\n]*: runtime error: ).*")


def fetch(port, path="/metrics", headers=None, timeout=10, method="GET"):
    """One request on a connection of its own; the answer as a Page."""
    begin = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    seconds = time.monotonic() - begin
    got = {name.lower(): value for name, value in answer.getheaders()}
    plain = gzip.decompress(raw) if got.get("content-encoding") == "gzip" else raw
    return Page(plain.decode("utf-8"), answer.status, got, seconds, raw)


class Exporter(scratch.Server):
    """config_text None: the shipped configuration, driven by env alone.  env
    is all that the exporter sees besides PATH: nothing of DATATIER_* is taken
    over from the caller.  wait=False: for one that is not expected to start."""

    name = "exporter"

    def __init__(self, config_text=None, env=None, args=(), wait=True, binary=BINARY):
        super().__init__()
        self.binary, self.args, self.env = binary, list(args), dict(env or {})
        self.port = scratch.free_port()
        self.config_path = SHIPPED_CONFIG
        if config_text is not None:
            self.config_path = self.dir + "/datatier.conf"
            with open(self.config_path, "w") as out:
                out.write(config_text)
        if wait:
            self.start()
        else:
            self.launch()

    def command(self):
        return [self.binary, "--config.file", self.config_path,
                "--web.listen-address", "127.0.0.1:%d" % self.port] + self.args

    def environment(self):
        kept = {key: value for key, value in os.environ.items() if not key.startswith("DATATIER_")}
        kept.update({key: str(value) for key, value in self.env.items()})
        return kept

    def ready(self):
        try:
            return fetch(self.port, "/-/ready", timeout=5).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def scrape(self, path="/metrics", headers=None, timeout=10, method="GET", **query):
        """timeout is also told to the exporter, as Prometheus does.  query:
        target=["a", "b"], collect=["GROUP"]."""
        pairs = [("collect[]" if key == "collect" else key, value)
                 for key, values in query.items()
                 for value in ([values] if isinstance(values, str) else values)]
        if pairs:
            path += "?" + urlencode(pairs)
        told = {"X-Prometheus-Scrape-Timeout-Seconds": "%g" % timeout}
        told.update(headers or {})
        told = {key: value for key, value in told.items() if value is not None}
        return fetch(self.port, path, told, timeout + 5, method)

    def stop(self, patience=scratch.STOP_SECONDS):
        """Also looks for what a build with sanitizers has to say."""
        super().stop(patience)
        report = SANITIZER.search(self.log())
        if report:
            self.log_path += ".seen"		# once is enough
            raise scratch.RigError(report.group())

    def wait_exit(self, seconds=20):
        """The exit status of one that ends by itself."""
        return self.process.wait(seconds)

    def workers(self):
        """{collector: pid}, as the processes call themselves."""
        found = {}
        for pid in scratch.children(self.pid):
            try:
                with open("/proc/%d/cmdline" % pid) as line:
                    words = line.read().replace("\0", " ")
            except OSError:
                continue
            name = re.search(r"datatier_exporter: (\w+)|--worker[= ](\w+)", words)
            if name:
                found[name.group(1) or name.group(2)] = pid
        return found

    def processes(self):
        return [self.pid] + scratch.children(self.pid)
