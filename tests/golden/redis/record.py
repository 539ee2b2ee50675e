"""Records what a Redis server answers to the collector's questions, byte by
byte, for tests/test_redis_golden.c:

    python3 record.py PORT [USER PASSWORD] > NAME.resp
"""
import socket
import sys
import time

QUESTIONS = b"INFO all\r\nLATENCY HISTOGRAM get set\r\nSLOWLOG LEN\r\n"

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
    if len(sys.argv) > 2:
        server.sendall(("AUTH %s %s\r\n" % tuple(sys.argv[2:])).encode())
        assert server.recv(100) == b"+OK\r\n"
    server.sendall(QUESTIONS)
    time.sleep(0.5)
    sys.stdout.buffer.write(server.recv(1 << 20))
