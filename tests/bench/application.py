"""A service's page of up to a million series: what reading it costs, and that
what comes of it stays the same.

    application.py		alone; bench.py runs it among the others
"""
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "live"))
sys.path.insert(0, HERE)

import rig			# noqa: E402
from measure import cpu_seconds, median		# noqa: E402
from service import Service			# noqa: E402

CONVERSATIONS = (10, 10000, 100000, 1000000)
ROUNDS = 5
CPU_SECONDS, EXTRA_BYTES, BYTES_A_SECOND = 1.0, 8e6, 150e6	# to reach, with a million
CONFIG = 'targets = ( { collector = "application"; name = "chat"; url = "%s"; } );\n'


def peak(pid):
    """The most that was resident since forget_peak."""
    with open("/proc/%d/status" % pid) as status:
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status.read(), re.M).group(1)) * 1024


def forget_peak(pid):
    with open("/proc/%d/clear_refs" % pid, "w") as out:
        out.write("5")


class Result:
    """One page size."""

    def __init__(self, conversations):
        with Service(conversations) as service, rig.Exporter(CONFIG % service.url) as exporter:
            page = exporter.scrape(timeout=30)
            worker = exporter.workers()["application"]
            forget_peak(worker)
            before, times = cpu_seconds([worker]), []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                page = exporter.scrape(timeout=30)
                times.append(time.perf_counter() - began)
            self.cpu = (cpu_seconds([worker]) - before) / ROUNDS
            self.time, self.peak = median(times), peak(worker)
            self.bytes = page.value("datatier_application_page_bytes")
            self.samples = page.value("datatier_application_page_samples")
            self.series = sum(len(page.series(name)) for name in page.names())
            self.size = len(page.raw)
            if self.samples < conversations or page.value("ws_active_connections") is None:
                raise rig.RigError("the page was not read:\n" + exporter.tail())


def measure(report):
    """report: bench.Report, for the aims."""
    print("\n%-15s%12s%12s%12s%12s%14s%12s%10s" % (
        "Conversations", "page", "scrape", "CPU", "MB/s of CPU", "peak memory", "our page", "series"))
    results = [Result(n) for n in CONVERSATIONS]
    for n, r in zip(CONVERSATIONS, results):
        print("  %-13d%9.1f MB%9.1f ms%9.1f ms%12.0f%11.1f MB%9.1f kB%10d" % (
            n, r.bytes / 1e6, r.time * 1000, r.cpu * 1000, r.bytes / r.cpu / 1e6, r.peak / 1e6,
            r.size / 1e3, r.series), flush=True)
    least, most = results[0], results[-1]
    extra = most.peak - least.peak
    for name, value, wanted, good in (
            ("CPU with a million, at most", "%.2f s" % most.cpu, "%.2f s" % CPU_SECONDS, most.cpu <= CPU_SECONDS),
            ("its memory above that with ten, at most", "%.1f MB" % (extra / 1e6),
             "%.1f MB" % (EXTRA_BYTES / 1e6), extra <= EXTRA_BYTES),
            ("page read in a second of CPU, at least", "%.0f MB" % (most.bytes / most.cpu / 1e6),
             "%.0f MB" % (BYTES_A_SECOND / 1e6), most.bytes / most.cpu >= BYTES_A_SECOND),
            ("series with a million, as with ten", "%d" % most.series, "%d" % least.series,
             most.series == least.series)):
        print("  %-44s %12s  wanted: %s: %s" % (name, value, wanted, report.verdict(good)))


class Alone:
    """Where there is no bench.Report."""

    missed = 0

    def verdict(self, good):
        self.missed += not good
        return "reached" if good else "NOT REACHED"


def main():
    report = Alone()
    try:
        measure(report)
    except (rig.RigError, OSError) as error:
        print("application: %s" % error, file=sys.stderr)
        return 1
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
