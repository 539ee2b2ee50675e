"""What the benchmark measures with: a scraper on one kept connection, and the
processor time and memory of processes as the kernel counts them."""
import re
import socket
import statistics
import time

# As Prometheus asks.
REQUEST = ("GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n"
           "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
           "X-Prometheus-Scrape-Timeout-Seconds: 10\r\nUser-Agent: bench\r\n\r\n")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.I)


class Scraper:
    """Little code between the clock's two readings, and the same for all."""

    def __init__(self, port, path="/metrics"):
        self.request = (REQUEST % path).encode()
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def scrape(self):
        """Seconds from the request to the last byte of the answer."""
        began = time.perf_counter()
        self.socket.sendall(self.request)
        data = self.socket.recv(262144)
        while not self.complete(data):
            more = self.socket.recv(262144)
            if not more:
                raise OSError("the connection was closed: %r" % data[:200])
            data += more
        took = time.perf_counter() - began
        if not data.startswith(b"HTTP/1.1 200"):
            raise OSError("no good answer: %r" % data[:200])
        return took

    @staticmethod
    def complete(data):
        head = data.find(b"\r\n\r\n")
        if head < 0:
            return False
        length = LENGTH.search(data, 0, head + 2)
        if length:
            return len(data) >= head + 4 + int(length.group(1))
        return bool(CHUNKED.search(data, 0, head + 2)) and data.endswith(b"0\r\n\r\n")

    def close(self):
        self.socket.close()


def cpu_seconds(pids):
    """User and system time of these processes, ended threads included, to the
    nanosecond: the clock that clock_getcpuclockid(3) gives."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def memory(pids, field):
    """Bytes: Rss or Pss, from smaps_rollup."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as text:
            total += int(re.search(r"^%s: +(\d+) kB" % field, text.read(), re.M).group(1)) * 1024
    return total


def median(values):
    return statistics.median(values)


def p95(values):
    return sorted(values)[int(len(values) * 0.95)]
