"""A load generator that records the outcome of each request.

    load = Load(address, requests, clients=16, seconds=60)
    load.every(1.0, kill_a_worker)
    outcomes = load.run()

It uses one thread and non-blocking sockets, because on a machine that it shares with the server its own cost limits
what it can measure. `python -m benchmarks.load.generator` prints how many requests per second it can make.
"""

from __future__ import annotations

import errno
import gc
import heapq
import multiprocessing
import re
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, repeat
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
# Takes status and body of a response; returns what is wrong with it, or None. Status 0 means no response.
Check: TypeAlias = Callable[[int, bytes], str | None]

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_TICK = 0.5  # seconds between checks for timeouts


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes of one HTTP/1.1 request, and the check of its response."""

    name: str  # it is counted under
    data: bytes
    check: Check
    leaves: bool = False  # closes the connection as soon as it is sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request."""

    name: str
    status: int  # 0 if there was no response
    at: float  # seconds from the start of the load to its end
    seconds: float  # from when it was due to the last byte of the response
    fault: str | None  # what was wrong


@dataclass(slots=True, eq=False)
class _Client:
    """One connection at a time, and at most one request on it."""

    source: str | None  # address it connects from
    socket: socket.socket | None = None
    request: Request | None = None
    due: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytearray = field(default_factory=bytearray)
    ends_at: int = -1  # length of the whole answer once its head has come; -1 before, or where only its end tells


class Load:
    """Requests to one server from a number of clients, each with one request at a time.

    Without `rate` this is a closed loop. With it, requests are due `rate` times per second whether the server keeps up
    or not; the time that a request waits for a free client is part of its latency.
    """

    def __init__(
        self,
        address: Address,
        requests: Iterator[Request],
        *,
        clients: int = 1,
        rate: float | None = None,
        seconds: float = float("inf"),
        timeout: float = 30.0,
        sources: Sequence[str | None] = (None,),
    ) -> None:
        self._address = address
        self._requests = requests
        self._rate = rate
        self._seconds = seconds
        self._timeout = timeout
        self._clients = [_Client(source) for _, source in zip(range(clients), cycle(sources), strict=False)]
        self._idle = list(self._clients)
        self._late: deque[tuple[float, Request]] = deque()
        self._timers: list[tuple[float, int, float, Callable[[], None]]] = []
        self._selector = selectors.DefaultSelector()
        self._outcomes: list[Outcome] = []
        self._exhausted = False
        self._started = 0.0
        self._next_due = 0.0

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` periodically while the load runs; it must return quickly."""
        heapq.heappush(self._timers, (seconds, len(self._timers), seconds, act))

    def run(self) -> list[Outcome]:
        """Make all requests; their outcomes in the order in which they ended."""
        self.every(_TICK, self._check_timeouts)
        self._started = self._next_due = time.perf_counter()
        gc.disable()
        try:
            while self._go_on():
                for key, events in self._selector.select(self._pause()):
                    self._advance(key.data, events)
        finally:
            gc.enable()
            for client in self._clients:
                self._close(client)
            self._selector.close()
        return self._outcomes

    # ---- when ----

    def _go_on(self) -> bool:
        """Start the requests that are due; whether any are left."""
        now = time.perf_counter()
        while self._timers and self._timers[0][0] <= now - self._started:
            at, order, seconds, act = heapq.heappop(self._timers)
            heapq.heappush(self._timers, (at + seconds, order, seconds, act))
            act()
        self._exhausted = self._exhausted or now - self._started >= self._seconds
        if self._rate is None:
            while self._idle and (request := self._next()) is not None:
                self._start(self._idle.pop(), request, time.perf_counter())
        else:
            while self._next_due <= now and (request := self._next()) is not None:
                self._late.append((self._next_due, request))
                self._next_due += 1 / self._rate
            while self._idle and self._late:
                due, request = self._late.popleft()
                self._start(self._idle.pop(), request, due)
        return not self._exhausted or bool(self._late) or len(self._idle) < len(self._clients)

    def _next(self) -> Request | None:
        request = None if self._exhausted else next(self._requests, None)
        self._exhausted = self._exhausted or request is None
        return request

    def _pause(self) -> float:
        now = time.perf_counter()
        due = self._started + self._timers[0][0]
        if self._rate is not None and not self._exhausted:
            due = min(due, self._next_due)
        return max(0.0, due - now)

    def _check_timeouts(self) -> None:
        oldest = time.perf_counter() - self._timeout
        for client in self._clients:
            if client.request is not None and client.due < oldest:
                self._end(client, 0, b"", f"no answer in {self._timeout:g} s")

    # ---- one client ----

    def _start(self, client: _Client, request: Request, due: float) -> None:
        client.request, client.due = request, due
        client.unsent, client.ends_at = memoryview(request.data), -1
        client.received.clear()
        if client.socket is not None and _was_closed(client.socket):
            self._close(client)
        if client.socket is None:
            self._connect(client)
        else:
            self._send(client)

    def _connect(self, client: _Client) -> None:
        client.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.socket.setblocking(False)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if client.source is not None:
            client.socket.bind((client.source, 0))
        problem = client.socket.connect_ex(self._address)
        self._selector.register(client.socket, _READ | _WRITE, client)
        if problem not in {0, errno.EINPROGRESS}:
            self._end(client, 0, b"", f"cannot connect: {errno.errorcode[problem]}")

    def _advance(self, client: _Client, events: int) -> None:
        if events & _WRITE:
            self._send(client)
        if events & _READ and client.socket is not None:
            self._receive(client)

    def _send(self, client: _Client) -> None:
        assert client.socket is not None
        assert client.request is not None
        waited = self._selector.get_key(client.socket).events & _WRITE
        try:
            while client.unsent:
                client.unsent = client.unsent[client.socket.send(client.unsent) :]
        except BlockingIOError:
            if not waited:
                self._selector.modify(client.socket, _READ | _WRITE, client)
            return
        except OSError:  # closed by the server; a response may still be readable
            client.unsent = memoryview(b"")
        if client.request.leaves:
            self._end(client, 0, b"", None)
        elif waited:
            self._selector.modify(client.socket, _READ, client)

    def _receive(self, client: _Client) -> None:
        assert client.socket is not None
        try:
            data = client.socket.recv(2**18)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(client, errno.errorcode.get(error.errno or 0, "error"))
            return
        if not data:
            self._lose(client, "closed")
            return
        if client.request is None:  # no request is pending
            self._close(client)
            return
        client.received += data
        if client.ends_at < 0:
            self._read_head(client)
        if 0 <= client.ends_at <= len(client.received):
            self._read_answer(client)

    def _read_head(self, client: _Client) -> None:
        received = client.received
        while (end := received.find(b"\r\n\r\n")) >= 0 and received[9:10] == b"1":
            del received[: end + 4]  # 1xx, such as 100 Continue
        if end < 0:
            return
        length = _LENGTH.search(received, 0, end)
        if length is not None:
            client.ends_at = end + 4 + int(length[1])
        elif bytes(received[9:12]) in {b"204", b"304"}:
            client.ends_at = end + 4

    def _read_answer(self, client: _Client) -> None:
        head, _, body = bytes(client.received).partition(b"\r\n\r\n")
        # After a response to a partly sent request, the connection cannot be reused.
        if _CLOSES.search(head) or client.unsent:
            self._close(client)
        self._end(client, int(head[9:12]), body, None)

    def _lose(self, client: _Client, how: str) -> None:
        self._close(client)
        if client.request is None:
            return
        if client.ends_at < 0 and b"\r\n\r\n" in client.received:  # a response without a length ends here
            self._read_answer(client)
        else:
            self._end(client, 0, b"", f"no answer: {how}")

    def _end(self, client: _Client, status: int, body: bytes, fault: str | None) -> None:
        request, client.request = client.request, None
        assert request is not None
        now = time.perf_counter()
        if status == 0:
            self._close(client)
        # For some requests closing the connection is a valid response: their check accepts status 0.
        found = request.check(status, body)
        fault = found if status or found is None else fault or found
        self._outcomes.append(Outcome(request.name, status, now - self._started, now - client.due, fault))
        self._idle.append(client)

    def _close(self, client: _Client) -> None:
        if client.socket is not None:
            self._selector.unregister(client.socket)
            client.socket.close()
            client.socket = None


def _was_closed(connection: socket.socket) -> bool:
    """Whether the server has closed an idle connection."""
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


# ---- how fast it is ----

_PLAIN_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def _answer_everything(listening: socket.socket) -> None:
    """A server that answers any data with the same few bytes."""
    selector = selectors.DefaultSelector()
    listening.setblocking(False)
    selector.register(listening, _READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, _READ)
            else:
                connection = key.fileobj  # type: ignore[assignment]  # only sockets are registered
                if connection.recv(2**16):
                    connection.send(_PLAIN_ANSWER)
                else:
                    selector.unregister(connection)
                    connection.close()


def measure_ceiling(clients: int = 16, seconds: float = 2.0) -> tuple[float, float]:
    """Requests per second against a trivial server, and processor seconds per request."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = multiprocessing.get_context("fork").Process(target=_answer_everything, args=(listening,), daemon=True)
    server.start()
    request = Request("plain", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", lambda status, _: None if status else "")
    try:
        before = time.process_time()
        count = len(Load(listening.getsockname(), repeat(request), clients=clients, seconds=seconds).run())
        return count / seconds, (time.process_time() - before) / count
    finally:
        server.kill()
        server.join()
        listening.close()


if __name__ == "__main__":
    rate, cost = measure_ceiling()
    print(f"{rate:,.0f} requests a second, {1e6 * cost:.0f} microseconds of processor time each")
