"""A private Apache Kafka on loopback ports: KRaft, one process a broker, started from the jars that
Maven gets once into a cache directory.  Usable as a context manager; stopped by pid at exit."""
import atexit
import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref

if __package__:
    from . import kafka_wire as wire
else:
    import kafka_wire as wire

VERSION = "3.9.1"
HERE = pathlib.Path(__file__).resolve().parent
CLUSTER = "datatierDatatierTestsA"  # any 22 characters of base64
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss512k",
        "-Djava.awt.headless=true"]
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>datatier</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>{version}</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
<version>{version}</version>
<exclusions>
<exclusion><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId></exclusion>
</exclusions></dependency>
</dependencies></project>
"""
LOG4J = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.network.threads": 2, "num.io.threads": 4, "background.threads": 2,
    "log.cleaner.threads": 1, "num.recovery.threads.per.data.dir": 1,
    "log.cleaner.dedupe.buffer.size": 4194304,
    "offsets.topic.num.partitions": 4, "offsets.topic.segment.bytes": 4194304,
    "transaction.state.log.num.partitions": 2, "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0, "auto.create.topics.enable": "false",
    "log.segment.bytes": 16777216, "controlled.shutdown.enable": "true",
    "controller.quorum.election.timeout.ms": 500, "controller.quorum.fetch.timeout.ms": 1000,
    "broker.session.timeout.ms": 3000, "broker.heartbeat.interval.ms": 500,
    "initial.broker.registration.timeout.ms": 30000,
}

# The brokers that run, so that an exit by any exception leaves none behind.
_running = weakref.WeakSet()


class Unavailable(Exception):
    """No Kafka can be started here; the text is the reason, one sentence."""


def free_ports(count):
    socks = [socket.socket() for _ in range(count)]
    try:
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]
    finally:
        for sock in socks:
            sock.close()


def cache_dir(version=VERSION):
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "datatier" / f"kafka-{version}"


def _pinned(version):
    """{file name: sha256} from kafka.sha256, whose lines are `hash  version/name`."""
    found = {}
    for line in (HERE / "kafka.sha256").read_text().splitlines():
        digest, _, name = line.partition("  ")
        if name.startswith(version + "/"):
            found[name.partition("/")[2]] = digest
    return found


def verify(libs, version):
    """Every jar there is a pinned one, and none is missing."""
    pinned = _pinned(version)
    if not pinned:
        raise Unavailable(f"Kafka {version} is not pinned in {HERE / 'kafka.sha256'}")
    have = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in libs.glob("*.jar")}
    for name in sorted(set(have) | set(pinned)):
        if have.get(name) != pinned.get(name):
            raise Unavailable(f"{libs / name} is not the file pinned for Kafka {version}")


def _maven(directory, version, timeout):
    (directory / "pom.xml").write_text(POM.format(version=version))
    command = ["mvn", "-q", "-B", "-f", str(directory / "pom.xml"), "dependency:copy-dependencies",
               "-DincludeScope=runtime", f"-DoutputDirectory={directory / 'libs'}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        raise Unavailable(f"Maven did not get Kafka {version} within {timeout} s") from late
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["no reason"]
        raise Unavailable(f"Maven could not get Kafka {version}: {errors[0][:300]}")


_verified = set()


def jars(version=VERSION, timeout=300):
    """The directory of the verified jars, got through Maven where the cache has none."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")
    cache = cache_dir(version)
    libs = cache / "libs"
    if version in _verified and libs.is_dir():
        return libs
    if not libs.is_dir():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kafka-get-", dir=cache.parent) as scratch:
            scratch = pathlib.Path(scratch)
            _maven(scratch, version, timeout)
            verify(scratch / "libs", version)
            cache.mkdir(exist_ok=True)
            try:
                (scratch / "libs").rename(libs)
            except OSError:  # somebody else was quicker
                if not libs.is_dir():
                    raise
    verify(libs, version)
    _verified.add(version)
    return libs


def available(version=VERSION):
    """None, or why no Kafka can be started here."""
    try:
        jars(version)
    except Unavailable as why:
        return str(why)
    return None


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Kafka:
    """brokers: how many; conf: broker settings; sasl: {user: password} opens a listener SASL.

    Every broker listens on PLAINTEXT; more plain listeners, whose clients are told another port
    (a delaying proxy), by `listeners=("SLOW",)` and `.advertise["SLOW", broker] = port` before the
    start.  Brokers are numbered from 0; broker i has the node id i + 1."""

    def __init__(self, brokers=1, version=None, conf=None, sasl=None, listeners=()):
        self.version = version or VERSION
        self.count = brokers
        self.conf = dict(conf or {})
        self.sasl = sasl
        self.names = ["PLAINTEXT"] + (["SASL"] if sasl else []) + list(listeners)
        ports = iter(free_ports(brokers * (len(self.names) + 1)))
        self._ports = {(name, i): next(ports)
                       for name in self.names + ["CONTROLLER"] for i in range(brokers)}
        self.advertise = {}
        self.processes = [None] * brokers
        self.libs = None
        self._scratch = None

    # ---- where it is ----

    def port(self, broker=0, listener="PLAINTEXT"):
        return self._ports[listener, broker]

    def address(self, broker=0, listener="PLAINTEXT"):
        return f"127.0.0.1:{self.port(broker, listener)}"

    def bootstrap_of(self, listener):
        """What clients of that listener are told, for all brokers."""
        return ",".join(f"127.0.0.1:{self.advertise.get((listener, i), self.port(i, listener))}"
                        for i in range(self.count))

    @property
    def bootstrap(self):
        return self.bootstrap_of("PLAINTEXT")

    @property
    def directory(self):
        return pathlib.Path(self._scratch.name)

    def _any(self):
        """The address of a broker that was not stopped."""
        for i, process in enumerate(self.processes):
            if process and process.poll() is None and process.running:
                return self.address(i)
        raise RuntimeError("no broker runs")

    # ---- life ----

    def __enter__(self):
        self.libs = jars(self.version)
        self._scratch = tempfile.TemporaryDirectory(prefix="kafka-")
        (self.directory / "log4j.properties").write_text(LOG4J)
        _running.add(self)
        try:
            for i in range(self.count):
                self._format(i)
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for i, process in enumerate(self.processes):
            if process and process.poll() is None:
                process.kill()
                process.wait()
            self.processes[i] = None
        _running.discard(self)
        if self._scratch:
            self._scratch.cleanup()
            self._scratch = None

    def _properties(self, i):
        listeners = self.names + ["CONTROLLER"]
        protocol = {"SASL": "SASL_PLAINTEXT"}
        told = [f"{name}://127.0.0.1:{self.advertise.get((name, i), self.port(i, name))}"
                for name in self.names]
        replicas = min(3, self.count)
        lines = dict(SETTINGS)
        lines.update({
            "node.id": i + 1,
            "controller.quorum.voters": ",".join(
                f"{n + 1}@{self.address(n, 'CONTROLLER')}" for n in range(self.count)),
            "listeners": ",".join(f"{name}://{self.address(i, name)}" for name in listeners),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol.get(name, 'PLAINTEXT')}" for name in listeners),
            "log.dirs": self.directory / f"data-{i}",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.replication.factor": replicas,
        })
        if self.sasl:
            users = " ".join(f'user_{user}="{word}"' for user, word in self.sasl.items())
            lines["sasl.enabled.mechanisms"] = "PLAIN"
            lines["listener.name.sasl.plain.sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};")
        lines.update(self.conf)
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _java(self, *args, heap="256m"):
        return ["java", f"-Xmx{heap}", *JAVA,
                f"-Dlog4j.configuration=file:{self.directory / 'log4j.properties'}",
                "-cp", f"{self.libs}/*", *args]

    def _format(self, i):
        path = self.directory / f"server-{i}.properties"
        path.write_text(self._properties(i))
        subprocess.run(self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(path)),
                       check=True, stdout=subprocess.DEVNULL)

    def _launch(self, i):
        # A signal for the death of a parent goes off at the end of the thread that forked.
        main = threading.current_thread() is threading.main_thread()
        with open(self.directory / f"broker-{i}.log", "ab") as log:
            process = subprocess.Popen(
                self._java("kafka.Kafka", str(self.directory / f"server-{i}.properties")),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=self.directory, start_new_session=True,
                preexec_fn=_die_with_parent if main else None)
        process.running = True
        self.processes[i] = process

    def _which(self, broker):
        return range(self.count) if broker is None else [broker]

    def start(self, broker=None, timeout=60):
        """Starts one or all, and waits until all that run know each other."""
        for i in self._which(broker):
            self._launch(i)
        self.wait_ready(timeout)

    def stop(self, broker=None, sig=signal.SIGKILL, timeout=30):
        for i in self._which(broker):
            self.processes[i].send_signal(sig)
            if not self.processes[i].running:
                self.processes[i].send_signal(signal.SIGCONT)
        for i in self._which(broker):
            self.processes[i].wait(timeout)
            self.processes[i] = None

    def restart(self, broker=None):
        self.stop(broker)
        self.start(broker)

    def signal(self, sig, broker=None):
        """SIGSTOP and SIGCONT mostly; of one broker, or of all."""
        for i in self._which(broker):
            self.processes[i].send_signal(sig)
            self.processes[i].running = sig != signal.SIGSTOP

    def pids(self):
        return [process.pid for process in self.processes if process]

    def wait_ready(self, timeout=60):
        up = [i for i, process in enumerate(self.processes) if process and process.running]
        end = time.monotonic() + timeout
        want = {i + 1 for i in up}
        while True:
            try:
                if all(want <= set(wire.metadata(self.address(i), 2)[0]) for i in up):
                    return
            except (OSError, EOFError):
                pass
            for i in up:
                if self.processes[i].poll() is not None:
                    raise RuntimeError(f"broker {i} ended:\n{self.log(i)[-2000:]}")
            if time.monotonic() > end:
                raise RuntimeError(f"no Kafka after {timeout} s:\n{self.log(up[0])[-2000:]}")
            time.sleep(0.05)

    def log(self, broker=0):
        return (self.directory / f"broker-{broker}.log").read_text(errors="replace")

    # ---- what tests do to it ----

    def run_tool(self, name, *args, timeout=60):
        """A Java command line tool; `kafka.admin.ConsumerGroupCommand` and the others under
        their old names too.  Returns its standard output."""
        moved = {
            "kafka.admin.ConsumerGroupCommand":
                "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            "kafka.admin.TopicCommand": "org.apache.kafka.tools.TopicCommand",
            "kafka.admin.DeleteRecordsCommand": "org.apache.kafka.tools.DeleteRecordsCommand",
        }
        done = subprocess.run(
            self._java(moved.get(name, name), "--bootstrap-server", self._any(), *map(str, args)),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} {' '.join(map(str, args))}: status {done.returncode}\n"
                               f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def create_topic(self, name, partitions=1, replicas=None, conf=None, timeout=20):
        """Creates it and waits for a leader of every partition."""
        wire.create_topic(self._any(), name, partitions, replicas or min(3, self.count), conf)
        end = time.monotonic() + timeout
        while True:
            leaders = wire.metadata(self._any())[2].get(name, {})
            if len(leaders) == partitions and min(leaders.values()) > 0:
                return
            if time.monotonic() > end:
                raise RuntimeError(f"topic {name}: no leaders after {timeout} s")
            time.sleep(0.02)

    def delete_topic(self, name):
        wire.delete_topic(self._any(), name)
        while name in wire.metadata(self._any())[2]:
            time.sleep(0.02)

    def delete_group(self, group):
        wire.delete_group(self._any(), group)

    def delete_records(self, topic, partition, offset):
        wire.delete_records(self._any(), topic, partition, offset)

    def commit(self, group, topic, offsets):
        """Sets {partition: offset} of a group without members; creates the group."""
        end = time.monotonic() + 15
        while True:
            try:
                return wire.commit(self._any(), group, topic, offsets)
            except wire.KafkaError as error:
                # No coordinator yet, or it is loading its offsets.
                if error.code not in (14, 15, 16) or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def offsets(self, topic, when=-1):
        return wire.offsets(self._any(), topic, when)

    def leaders(self, topic):
        """{partition: broker}, numbered as here."""
        return {part: node - 1 for part, node in wire.metadata(self._any())[2][topic].items()}


@atexit.register
def _stop_all():
    for kafka in list(_running):
        kafka.close()
