"""A TCP proxy on loopback that adds a delay each way and counts."""
import asyncio
import threading

import scratch


class DelayProxy:
    """ms each way, so a round trip takes 2 * ms longer.  connections: made so
    far.  round_trips: times a client spoke first or after an answer.  With
    stall() it passes nothing on until resume(); cut() closes what is open."""

    def __init__(self, upstream_port, ms=0, port=None):
        self.upstream_port, self.ms = upstream_port, ms
        self.port = port or scratch.free_port()
        self.connections = self.round_trips = 0
        self.bytes_up = self.bytes_down = 0
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = None
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise scratch.RigError("the delay proxy did not start")

    def reset(self):
        self.connections = self.round_trips = self.bytes_up = self.bytes_down = 0

    def stall(self):
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self):
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self):
        def close_all():
            for writer in list(self._writers):
                writer.transport.abort()
        self._loop.call_soon_threadsafe(close_all)

    def _run(self, started):
        asyncio.set_event_loop(self._loop)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._accept, "127.0.0.1", self.port))
        started.set()
        self._loop.run_forever()

    async def _accept(self, client_reader, client_writer):
        self.connections += 1
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        except OSError:
            client_writer.transport.abort()
            return
        self._writers |= {client_writer, writer}
        turn = {"client": False}
        try:
            await asyncio.gather(self._pump(client_reader, writer, turn, True),
                                 self._pump(reader, client_writer, turn, False))
        except asyncio.CancelledError:		# stop(); asyncio would complain
            pass
        self._writers -= {client_writer, writer}

    async def _pump(self, reader, writer, turn, from_client):
        """Bytes are read at once and written when they are due, so the delay
        does not bound the throughput."""
        due = asyncio.Queue()
        sender = asyncio.ensure_future(self._send(due, writer))
        try:
            while True:
                data = await reader.read(65536)
                if data:
                    self._count(len(data), turn, from_client)
                await due.put((self._loop.time() + self.ms / 1000, data))
                if not data:
                    break
        except OSError:
            await due.put((0, b""))
        await sender

    def _count(self, size, turn, from_client):
        if from_client:
            self.bytes_up += size
            self.round_trips += not turn["client"]
        else:
            self.bytes_down += size
        turn["client"] = from_client

    async def _send(self, due, writer):
        try:
            while True:
                when, data = await due.get()
                await asyncio.sleep(when - self._loop.time())
                await self._flowing.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def stop(self):
        if self._thread is None:
            return

        def end():
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.call_later(0.05, self._loop.stop)
        self._loop.call_soon_threadsafe(end)
        self._thread.join(5)
        self._loop.close()
        self._thread = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()
