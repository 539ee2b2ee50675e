"""The few requests of Kafka's protocol that tests need to arrange things: made by hand, because
a Java tool takes a second to start and the client under test must not check itself."""
import socket
import struct


class KafkaError(Exception):
    def __init__(self, what, code):
        super().__init__(f"{what}: Kafka error {code}")
        self.code = code


def _string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def string(self):
        size = self.take("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def array(self, read):
        return [read() for _ in range(max(0, self.take("i")))]


def ask(address, key, version, body, timeout=10):
    """One request, one answer, one connection."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as conn:
        head = struct.pack(">hhi", key, version, 1) + _string("tests")
        conn.sendall(struct.pack(">i", len(head + body)) + head + body)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            part = conn.recv(65536)
            if not part:
                raise ConnectionError("the broker closed the connection")
            data += part
    return _Reader(data[8:])


def metadata(address, timeout=10):
    """({broker id: address}, controller id, {topic: {partition: leader}})"""
    reply = ask(address, 3, 4, struct.pack(">i?", -1, False), timeout)
    reply.take("i")

    def broker():
        number, host, port, _ = reply.take("i"), reply.string(), reply.take("i"), reply.string()
        return number, f"{host}:{port}"

    def partition():
        _, number, leader = reply.take("hii")
        reply.array(lambda: reply.take("i"))
        reply.array(lambda: reply.take("i"))
        return number, leader

    def topic():
        reply.take("h")
        name = reply.string()
        reply.take("?")
        return name, dict(reply.array(partition))

    brokers = dict(reply.array(broker))
    reply.string()
    controller = reply.take("i")
    return brokers, controller, dict(reply.array(topic))


def create_topic(address, name, partitions=1, replicas=1, conf=None):
    settings = [_string(key) + _string(str(value)) for key, value in (conf or {}).items()]
    body = _array([_string(name) + struct.pack(">ih", partitions, replicas) + _array([])
                   + _array(settings)]) + struct.pack(">i?", 10000, False)
    reply = ask(address, 19, 2, body, 15)
    reply.take("i")
    for _, code, words in reply.array(lambda: (reply.string(), reply.take("h"), reply.string())):
        if code:
            raise KafkaError(f"create {name}: {words}", code)


def delete_topic(address, name):
    reply = ask(address, 20, 1, _array([_string(name)]) + struct.pack(">i", 10000), 15)
    reply.take("i")
    for _, code in reply.array(lambda: (reply.string(), reply.take("h"))):
        if code:
            raise KafkaError(f"delete {name}", code)


def coordinator(address, group):
    """Address of the broker that holds the group's offsets."""
    reply = ask(address, 10, 1, _string(group) + struct.pack(">b", 0))
    reply.take("i")
    code, _, _, host, port = (reply.take("h"), reply.string(), reply.take("i"), reply.string(),
                              reply.take("i"))
    if code:
        raise KafkaError(f"coordinator of {group}", code)
    return f"{host}:{port}"


def delete_group(address, group):
    reply = ask(coordinator(address, group), 42, 0, _array([_string(group)]))
    reply.take("i")
    for _, code in reply.array(lambda: (reply.string(), reply.take("h"))):
        if code:
            raise KafkaError(f"delete group {group}", code)


def delete_records(address, topic, partition, offset):
    """Makes offset the log's start, as retention would."""
    brokers, _, topics = metadata(address)
    body = _array([_string(topic) + _array([struct.pack(">iq", partition, offset)])])
    reply = ask(brokers[topics[topic][partition]], 21, 0, body + struct.pack(">i", 10000), 15)
    reply.take("i")
    answers = reply.array(lambda: (reply.string(), reply.array(lambda: reply.take("iqh"))))
    for _, _, code in answers[0][1]:
        if code:
            raise KafkaError(f"delete records of {topic}", code)


def commit(address, group, topic, offsets):
    """Sets a group's offsets ({partition: offset}) as a simple consumer does."""
    parts = [struct.pack(">iq", number, offset) + _string("") for number, offset in offsets.items()]
    body = (_string(group) + struct.pack(">i", -1) + _string("") + struct.pack(">q", -1)
            + _array([_string(topic) + _array(parts)]))
    reply = ask(coordinator(address, group), 8, 2, body)
    for _, results in reply.array(lambda: (reply.string(),
                                           reply.array(lambda: reply.take("ih")))):
        for _, code in results:
            if code:
                raise KafkaError(f"commit of {group}", code)


def offsets(address, topic, when=-1):
    """{partition: offset}: log end (-1), log start (-2) or first at a time in milliseconds."""
    brokers, _, topics = metadata(address)
    found = {}
    for number, leader in topics[topic].items():
        body = struct.pack(">i", -1) + _array([_string(topic)
                                               + _array([struct.pack(">iq", number, when)])])
        reply = ask(brokers[leader], 2, 1, body)
        _, parts = reply.array(lambda: (reply.string(),
                                        reply.array(lambda: reply.take("ihqq"))))[0]
        if parts[0][1]:
            raise KafkaError(f"offsets of {topic}", parts[0][1])
        found[number] = parts[0][3]
    return found
