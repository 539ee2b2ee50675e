"""Measures the exporter side by side with the exporters that Debian ships, in
one run and against the same servers, and says what of the aims was reached.

    bench.py [--rounds N]

A round is one scrape of each in turn, so that what else the machine does hits
both alike.  Servers are quiet; scrapes are asked for as Prometheus does.
"""
import argparse
import os
import shutil
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "live"))
sys.path.insert(0, HERE)

import application			# noqa: E402
import backend			# noqa: E402
import prefixes			# noqa: E402
import rig			# noqa: E402
import scratch			# noqa: E402
from measure import Scraper, cpu_seconds, median, memory, p95		# noqa: E402

WARM_UP = 20
COUNTED = 20		# scrapes through a counting proxy
PAUSE = 0.005		# between two scrapes
DELAY_MS = 20		# of a round trip, where it is injected
LOAD_SECONDS = 10	# so that there is something to measure

TARGET = 'targets = ( %s );\n'
REDIS = '{ collector = "redis"; name = "redis"; uri = "redis://127.0.0.1:%d"; }'
# With its timed connection at every scrape, as in life, though they are close here.
POSTGRES = '{ collector = "postgresql"; name = "postgresql"; uri = "%s"; acquire_every = "0s"; }'
POOL = '{ collector = "postgresql"; name = "pgbouncer"; uri = "%s"; }'
KAFKA = '{ collector = "kafka"; name = "kafka"; brokers = "%s"; groups = "^chat-"; }'


class Peer(scratch.Server):
    """One of Debian's exporters."""

    name = "peer"

    def __init__(self, program, args, env):
        binary = shutil.which(program)
        if not binary:
            raise unittest.SkipTest("%s is not installed" % program)
        super().__init__()
        self.port = scratch.free_port()
        self.words = [binary, "--web.listen-address=127.0.0.1:%d" % self.port] + args
        self.env = env
        self.start()

    def command(self):
        return self.words

    def environment(self):
        return dict(super().environment(), **self.env)

    def ready(self):
        try:
            return rig.fetch(self.port, "/").status == 200
        except OSError:
            return False

    def processes(self):
        return [self.pid]


class Report:
    def __init__(self):
        self.reached = self.missed = 0

    def head(self, title, *columns):
        print("\n%-46s %s" % (title, "".join("%12s" % c for c in columns)))

    def verdict(self, good):
        self.reached += good
        self.missed += not good
        return "reached" if good else "NOT REACHED"

    def row(self, name, ours, peer, form, wanted=None):
        """wanted: the largest ratio aimed at."""
        ratio = ours / peer
        end = "" if wanted is None else "  wanted <= %.2f: %s" % (wanted, self.verdict(ratio <= wanted))
        print("  %-44s %12s%12s%12.3f%s" % (name, form(ours), form(peer), ratio, end))

    def limit(self, name, value, form, wanted=None):
        end = "" if wanted is None else "  wanted <= %s: %s" % (form(wanted), self.verdict(value <= wanted))
        print("  %-44s %12s%24s%s" % (name, form(value), "", end))


def ms(seconds):
    return "%.2f ms" % (seconds * 1000)


def mb(size):
    return "%.1f MB" % (size / 1e6)


def count(number):
    return "%.1f" % number


def side_by_side(programs, rounds):
    """{name: (times, processor seconds a scrape)}; programs: {name: server}."""
    scrapers = {name: Scraper(server.port) for name, server in programs.items()}
    for _ in range(WARM_UP):
        for scraper in scrapers.values():
            scraper.scrape()
    before = {name: cpu_seconds(server.processes()) for name, server in programs.items()}
    times = {name: [] for name in programs}
    for number in range(rounds):
        # A B, then B A: whoever comes second finds the server's caches warm.
        for name in sorted(programs, reverse=bool(number % 2)):
            times[name].append(scrapers[name].scrape())
            time.sleep(PAUSE)
    cpu = {name: (cpu_seconds(server.processes()) - before[name]) / rounds
           for name, server in programs.items()}
    for scraper in scrapers.values():
        scraper.close()
    return {name: (times[name], cpu[name]) for name in programs}


def counted(make, port):
    """(connections, round trips) a scrape of a program that make starts with
    the port of a proxy in front of the server."""
    with rig.DelayProxy(port) as proxy, make(proxy.port) as program:
        scraper = Scraper(program.port)
        for _ in range(3):
            scraper.scrape()
        proxy.reset()
        for _ in range(COUNTED):
            scraper.scrape()
            time.sleep(0.05)	# what runs beside a scrape ends, too
        scraper.close()
        return proxy.connections / COUNTED, proxy.round_trips / COUNTED


def compare(report, title, ours, peer, port, rounds, wanted):
    """ours and peer start a program that asks the server at a port."""
    with ours(port) as mine, peer(port) as other:
        result = side_by_side({"ours": mine, "peer": other}, rounds)
        sizes = [memory(server.processes(), "Rss") for server in (mine, other)]
    (times, cpu), (peer_times, peer_cpu) = result["ours"], result["peer"]
    report.head(title, "ours", "peer", "ratio")
    report.row("time of a scrape, median of %d" % rounds, median(times), median(peer_times), ms, wanted)
    report.row("time of a scrape, 95th percentile", p95(times), p95(peer_times), ms)
    report.row("processor time a scrape, all processes", cpu, peer_cpu, ms, wanted)
    report.row("resident memory, all processes", sizes[0], sizes[1], mb)
    mine, other = counted(ours, port), counted(peer, port)
    for i, name in enumerate(("connections a scrape", "round trips a scrape")):
        print("  %-44s %12s%12s" % (name, count(mine[i]), count(other[i])))


def compare_redis(report, redis, rounds):
    compare(report, "Redis and prometheus-redis-exporter",
            lambda port: rig.Exporter(TARGET % REDIS % port),
            lambda port: Peer("prometheus-redis-exporter", ["--redis.addr=redis://127.0.0.1:%d" % port], {}),
            redis.port, rounds, 0.20)


def at_port(uri, old, new):
    return uri.replace(":%d/" % old, ":%d/" % new)


def compare_postgres(report, pg, rounds):
    uri = pg.uri("monitor", "chat")
    compare(report, "PostgreSQL and prometheus-postgres-exporter",
            lambda port: rig.Exporter(TARGET % POSTGRES % at_port(uri, pg.port, port)),
            lambda port: Peer("prometheus-postgres-exporter", [], {
                "DATA_SOURCE_NAME": at_port(uri, pg.port, port) + "?sslmode=disable"}),
            pg.port, rounds, 1 / 3)


def at_rest(report, watched):
    """All four kinds of target, after some scrapes."""
    with rig.Exporter(env=watched.environment()) as exporter:
        for _ in range(WARM_UP):
            page = exporter.scrape()
            time.sleep(0.1)
        down = [labels["target"] for labels, up in page.select("datatier_target_up") if up != 1]
        if down:
            raise rig.RigError("down: %s\n%s" % (down, exporter.tail()))
        time.sleep(2)
        pids = exporter.processes()
        report.head("All four kinds of target, at rest", "ours")
        report.limit("proportional set size, %d processes" % len(pids), memory(pids, "Pss"), mb, 20e6)
        report.limit("resident memory", memory(pids, "Rss"), mb)
        before, began = cpu_seconds(pids), time.monotonic()
        time.sleep(5)
        idle = (cpu_seconds(pids) - before) / (time.monotonic() - began)
        report.limit("processor time a second", idle, ms)


def delayed(report, watched, proxies):
    """Every target behind a proxy that adds DELAY_MS to a round trip."""
    pg, pool = watched.pg, watched.pool

    def behind(port):
        proxies.append(rig.DelayProxy(port))
        return proxies[-1].port
    brokers = watched.kafka.bootstrap_of("SLOW") if watched.real_kafka else None
    targets = [POSTGRES % at_port(pg.uri("monitor", "chat"), pg.port, behind(pg.port)),
               POOL % at_port(pool.uri("monitor", "pgbouncer"), pool.port, behind(pool.port)),
               REDIS % behind(watched.redis.port)] + ([KAFKA % brokers] if brokers else [])
    with rig.Exporter(TARGET % ", ".join(targets)) as exporter:
        for _ in range(5):
            exporter.scrape()
        for proxy in proxies:
            proxy.ms = DELAY_MS / 2
        for _ in range(3):
            exporter.scrape()
        report.head("A warm scrape with %d ms of round trip, median of %d" % (DELAY_MS, COUNTED), "ours")
        for path, trips in (("postgresql", 1.5), ("pgbouncer", 1.5), ("redis", 1.5),
                            ("kafka", 3), (None, 3)):
            if path == "kafka" and not brokers:
                print("  kafka: not measured, no real one is to be had")
                continue
            scraper = Scraper(exporter.port, "/metrics" + ("?target=" + path if path else ""))
            took = median([scraper.scrape() for _ in range(COUNTED)])
            scraper.close()
            report.limit(path or "all at once", took, ms, trips * DELAY_MS / 1000)


def run(rounds):
    report, proxies = Report(), []

    def slow(port, broker):
        proxies.append(rig.DelayProxy(port))
        return proxies[-1].port
    print("load for %d s ..." % LOAD_SECONDS, flush=True)
    with backend.Backend(through={"SLOW": slow}) as watched:
        time.sleep(LOAD_SECONDS)
        at_rest(report, watched)
        watched.load.signal(signal.SIGSTOP)	# from here on the servers are quiet
        time.sleep(2)
        for part in (lambda: compare_redis(report, watched.redis, rounds),
                     lambda: compare_postgres(report, watched.pg, rounds),
                     lambda: delayed(report, watched, proxies),
                     lambda: application.measure(report),
                     lambda: prefixes.cost(report)):
            try:
                part()
            except unittest.SkipTest as why:
                print("\nnot measured: %s" % why)
            sys.stdout.flush()
    for proxy in proxies:
        proxy.stop()
    print("\n%d of %d aims reached" % (report.reached, report.reached + report.missed))


def end(number, frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400)
    args = parser.parse_args()
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, end)
    try:
        run(args.rounds)
    except (rig.RigError, OSError) as error:
        print("bench: %s" % error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
