"""A private Apache Kafka on loopback ports: KRaft, one process a broker, started
from the jars that Maven gets once into a cache directory."""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import kafka_wire as wire
import scratch

VERSION = "3.9.1"
HERE = pathlib.Path(__file__).resolve().parent
CLUSTER = "datatierDatatierTestsA"  # any 22 characters of base64
JAVA = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Xss512k",
        "-Djava.awt.headless=true",
        "-XX:-UsePerfData"]  # which would stay in /tmp/hsperfdata_USER
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
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
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
# Old name of a tool: where it is now.
MOVED = {
    "kafka.admin.ConsumerGroupCommand":
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka.admin.TopicCommand": "org.apache.kafka.tools.TopicCommand",
    "kafka.admin.DeleteRecordsCommand": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka.tools.ConsoleConsumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}


class Unavailable(Exception):
    """No Kafka can be started here; the text is the reason, one sentence."""


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
    command = ["mvn", "-q", "-B", "-Dstyle.color=never", "-f", str(directory / "pom.xml"), PLUGIN,
               "-DincludeScope=runtime", f"-DoutputDirectory={directory / 'libs'}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False, env=scratch.maven_environment())
    except subprocess.TimeoutExpired as late:
        raise Unavailable(f"Maven did not get Kafka {version} within {timeout} s") from late
    if done.returncode:
        errors = re.findall(r"\[ERROR\] (.*)", done.stdout) or ["no reason"]
        cause = errors[0].partition(" -> ")[0].rpartition(": ")[2]	# the innermost
        raise Unavailable(f"Maven could not get Kafka {version}: {cause[:200]}")


_verified = set()


def jars(version=VERSION, timeout=300):
    """The directory of the verified jars, got through Maven where the cache has none."""
    if not shutil.which("java"):
        raise Unavailable("java is not installed")
    cache = cache_dir(version)
    libs = cache / "libs"
    if version in _verified and libs.is_dir():
        return libs
    if not libs.is_dir() and not shutil.which("mvn"):
        raise Unavailable("mvn is not installed")
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


class Broker(scratch.Server):
    """One process.  Which settings it has, the cluster knows."""

    name = "kafka"

    def __init__(self, cluster, number):
        super().__init__()
        self.cluster, self.number = cluster, number
        self.stopped = False
        self.properties = self.dir + "/server.properties"
        with open(self.properties, "w") as out:
            out.write(cluster.settings(number, self.dir + "/data"))
        with open(self.dir + "/log4j.properties", "w") as out:
            out.write(LOG4J)
        done = subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", self.properties),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise scratch.RigError("format: " + done.stdout[-2000:])

    def java(self, *args):
        # The broker unpacks libraries into its temporary directory and is killed.
        return ["java", "-Xmx256m", *JAVA, "-Dlog4j.configuration=file:log4j.properties",
                f"-Djava.io.tmpdir={self.dir}",
                "-cp", f"{self.cluster.libs}/*", *args]

    def command(self):
        return self.java("kafka.Kafka", self.properties)

    def ready(self):
        """It knows all brokers that run."""
        try:
            known = wire.metadata(self.cluster.address(self.number), 2)[0]
        except OSError:
            return False
        return {broker.number + 1 for broker in self.cluster.running()} <= set(known)

    def signal(self, sig):
        super().signal(sig)
        if sig in (signal.SIGSTOP, signal.SIGCONT):
            self.stopped = sig == signal.SIGSTOP


class Kafka:
    """brokers: how many; conf: settings of every broker; sasl: {user: password}
    opens a listener named SASL.  through: {listener name: f} opens one more plain
    listener, whose clients are sent to the port f(its port, broker) instead: a
    delaying proxy.  Brokers count from 0; broker i has the node id i + 1."""

    def __init__(self, brokers=1, version=None, conf=None, sasl=None, through=None):
        self.version = version or VERSION
        self.libs = jars(self.version)
        self.conf = dict(conf or {})
        self.sasl = sasl
        self.count = brokers
        self.names = ["PLAINTEXT"] + (["SASL"] if sasl else []) + list(through or {})
        self._ports = {(name, i): scratch.free_port()
                       for name in self.names + ["CONTROLLER"] for i in range(brokers)}
        self._told = {(name, i): through[name](self._ports[name, i], i)
                      for name in through or {} for i in range(brokers)}
        self.brokers = []
        try:
            for i in range(brokers):
                self.brokers.append(Broker(self, i))
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    # ---- where it is ----

    def port(self, broker=0, listener="PLAINTEXT"):
        return self._ports[listener, broker]

    def address(self, broker=0, listener="PLAINTEXT"):
        return f"127.0.0.1:{self.port(broker, listener)}"

    def told(self, broker=0, listener="PLAINTEXT"):
        """Where clients of that listener go."""
        return f"127.0.0.1:{self._told.get((listener, broker), self.port(broker, listener))}"

    def bootstrap_of(self, listener):
        return ",".join(self.told(i, listener) for i in range(self.count))

    @property
    def bootstrap(self):
        return self.bootstrap_of("PLAINTEXT")

    def running(self):
        return [broker for broker in self.brokers if broker.alive() and not broker.stopped]

    def _any(self):
        for broker in self.running():
            return self.address(broker.number)
        raise scratch.RigError("no broker runs")

    # ---- life ----

    def settings(self, i, data):
        listeners = self.names + ["CONTROLLER"]
        replicas = min(3, self.count)
        lines = dict(SETTINGS)
        lines.update({
            "node.id": i + 1,
            "controller.quorum.voters": ",".join(
                f"{n + 1}@{self.address(n, 'CONTROLLER')}" for n in range(self.count)),
            "listeners": ",".join(f"{name}://{self.address(i, name)}" for name in listeners),
            "advertised.listeners": ",".join(f"{name}://{self.told(i, name)}"
                                             for name in self.names),
            "listener.security.protocol.map": ",".join(
                f"{name}:{'SASL_PLAINTEXT' if name == 'SASL' else 'PLAINTEXT'}"
                for name in listeners),
            "log.dirs": data,
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

    def _which(self, broker):
        return self.brokers if broker is None else [self.brokers[broker]]

    def start(self, broker=None):
        """One or all; until all that run know each other."""
        for one in self._which(broker):
            one.launch()
            one.stopped = False
        for one in self.running():
            one.wait_ready()

    def stop(self, broker=None, sig=signal.SIGKILL):
        """SIGTERM: a controlled shutdown, which moves the leaders away first."""
        for one in self._which(broker):
            if one.process is not None:
                one.process.send_signal(sig)
        for one in self._which(broker):
            one.stop()

    def restart(self, broker=None):
        self.stop(broker)
        self.start(broker)

    def signal(self, sig, broker=None):
        for one in self._which(broker):
            one.signal(sig)

    def log(self, broker=0):
        return self.brokers[broker].log()

    # ---- what tests do to it ----

    def run_tool(self, name, *args, timeout=60):
        """The standard output of a Java command line tool; those that moved are
        found under their old names too."""
        done = subprocess.run(
            self.brokers[0].java(MOVED.get(name, name), "--bootstrap-server", self._any(),
                                 *map(str, args)),
            cwd=self.brokers[0].dir, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=timeout)
        if done.returncode:
            raise scratch.RigError(f"{name} {' '.join(map(str, args))}: status {done.returncode}\n"
                                   f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def create_topic(self, name, partitions=1, replicas=None, conf=None):
        """Creates it and waits for a leader of every partition."""
        wire.create_topic(self._any(), name, partitions, replicas or min(3, self.count), conf)

        def led():
            leaders = wire.metadata(self._any())[2].get(name, {})
            return len(leaders) == partitions and min(leaders.values()) > 0
        scratch.wait_for(led, f"topic {name} has its leaders", 20, 0.02)

    def delete_topic(self, name):
        wire.delete_topic(self._any(), name)
        scratch.wait_for(lambda: name not in wire.metadata(self._any())[2],
                         f"topic {name} is deleted", 20, 0.02)

    def delete_group(self, group):
        wire.delete_group(self._any(), group)

    def delete_records(self, topic, partition, offset):
        wire.delete_records(self._any(), topic, partition, offset)

    def commit(self, group, topic, offsets):
        """Sets {partition: offset} of a group without members, or creates it."""
        end = time.monotonic() + 15
        while True:
            try:
                return wire.commit(self._any(), group, topic, offsets)
            except wire.KafkaError as error:
                # No coordinator yet, or it still loads its offsets.
                if error.code not in (14, 15, 16) or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def offsets(self, topic, when=-1):
        return wire.offsets(self._any(), topic, when)

    def leaders(self, topic):
        """{partition: broker}, counted as here."""
        return {part: node - 1 for part, node in wire.metadata(self._any())[2][topic].items()}
