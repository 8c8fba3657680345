"""A load generator that records the outcome of each request.

load = Load(address, requests, clients=16, seconds=60)
load.every(1.0, kill_a_worker)
outcomes = load.run()

Requests are bytes, so that they can be malformed, and every response is checked.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TypeAlias

import uvloop

Address: TypeAlias = tuple[str, int]
# Takes status and body of a response; returns what is wrong with it, or None. Status 0 means no response.
Check: TypeAlias = Callable[[int, bytes], str | None]

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """The bytes of one HTTP/1.1 request, and the check of its response."""

    name: str  # in reports
    data: bytes
    check: Check
    leaves: bool = False  # closes the connection as soon as it is sent


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a request."""

    name: str
    status: int  # 0 if there was no response
    at: float  # seconds from the start of the load to the end of the request
    seconds: float  # from when it was due to the last byte of the response
    fault: str | None  # what was wrong


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
        sources: Sequence[str | None] = (None,),  # addresses that the clients connect from, in turn
    ) -> None:
        self._address = address
        self._requests = requests
        self._rate = rate
        self._seconds = seconds
        self._timeout = timeout
        self._clients = [_Client(address, source) for source in islice(cycle(sources), clients)]
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._outcomes: list[Outcome] = []
        self._started = 0.0
        self._next_due = 0.0

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` periodically while the load runs; it must return quickly."""
        self._timers.append((seconds, act))

    def run(self) -> list[Outcome]:
        """Make all requests; returns their outcomes in the order in which they ended."""
        # A thread of its own, because Playwright keeps an event loop running in the one that it was started in.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(self._run_event_loop).result()
        return self._outcomes

    def _run_event_loop(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run())

    async def _run(self) -> None:
        self._started = time.perf_counter()
        timers = [asyncio.create_task(_call_every(seconds, act)) for seconds, act in self._timers]
        try:
            await asyncio.gather(*map(self._make_requests, self._clients))
        finally:
            for timer in timers:
                timer.cancel()

    async def _make_requests(self, client: _Client) -> None:
        """Make requests with one client until there are no more."""
        try:
            while (due := self._take_slot()) < self._seconds and (request := next(self._requests, None)):
                if (early := due - self._now()) > 0:
                    await asyncio.sleep(early)
                status, body, fault = await self._make_request(client, request)
                # For some requests closing the connection is a valid response: their check accepts status 0.
                found = request.check(status, body)
                fault = found if status or found is None else fault or found
                now = self._now()
                self._outcomes.append(Outcome(request.name, status, now, now - due, fault))
        finally:
            client.close()

    def _take_slot(self) -> float:
        """When the next request is due, in seconds from the start."""
        if self._rate is None:
            return self._now()
        due = self._next_due
        self._next_due += 1 / self._rate
        return due

    def _now(self) -> float:
        return time.perf_counter() - self._started

    async def _make_request(self, client: _Client, request: Request) -> tuple[int, bytes, str | None]:
        """Status and body of the response, or 0 and the reason why there is none."""
        try:
            async with asyncio.timeout(self._timeout):
                return *await client.send(request), None
        except TimeoutError:
            fault = f"no response in {self._timeout:g} s"
        except (OSError, EOFError) as error:
            fault = f"no response: {type(error).__name__}"
        client.close()
        return 0, b"", fault


class _Client:
    """One connection at a time, and at most one request on it."""

    def __init__(self, address: Address, source: str | None) -> None:
        self._address = address
        self._source = None if source is None else (source, 0)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> tuple[int, bytes]:
        """Status and body of the response. Raises `OSError` or `EOFError` if there is none."""
        await asyncio.sleep(0)  # lets the event loop notice that the server has closed an idle connection
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, local_addr=self._source)
        reader, writer = self._streams
        writer.write(request.data)
        if request.leaves:
            await writer.drain()
            self.close()
            return 0, b""
        status, body, is_reusable = await _read_response(reader)
        # After a response to a partly sent request, the connection cannot be reused.
        if not is_reusable or writer.transport.get_write_buffer_size():
            self.close()
        return status, body

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection stays open."""
    status = 100
    while status < 200:  # 1xx, such as 100 Continue, come before the response
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
    if length := _LENGTH.search(head):
        return status, await reader.readexactly(int(length[1])), _CLOSES.search(head) is None
    if status in {204, 304}:
        return status, b"", _CLOSES.search(head) is None
    return status, await reader.read(), False  # a response without a length ends with the connection


async def _call_every(seconds: float, act: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        act()
