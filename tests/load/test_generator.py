"""The load generator records the outcome of every request, also if the server misbehaves."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice, repeat, takewhile
from typing import Any

import pytest

from benchmarks.load.generator import Address, Load, Outcome, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSING = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def is_hello(status: int, body: bytes) -> str | None:
    return None if (status, body) == (200, b"hello") else f"{status} {body!r}"


@contextmanager
def server(behave: Callable[[socket.socket], object]) -> Iterator[Address]:
    """A server that calls `behave` with each connection, in its own thread."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            behave(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def ask(behave: Callable[[socket.socket], object], count: int = 6, data: bytes = ASK, **options: Any) -> list[Outcome]:
    with server(behave) as address:
        return Load(address, islice(repeat(Request("one", data, is_hello)), count), clients=2, **options).run()


def answer(*pieces: bytes, each: int = len(ASK)) -> Callable[[socket.socket], None]:
    """Answer every request of `each` bytes with `pieces`, sent one by one."""

    def behave(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(each, socket.MSG_WAITALL):
            for piece in pieces:
                connection.sendall(piece)

    return behave


@pytest.mark.parametrize(
    "pieces",
    [
        (OK,),
        tuple(OK[i : i + 1] for i in range(len(OK))),
        (b"HTTP/1.1 100 Continue\r\n\r\n", OK),
        (OK.replace(b"Content-Length", b"cONTENT-lENGTH"),),
    ],
    ids=["whole", "byte by byte", "after an interim response", "other letter case"],
)
def test_answers_are_read(pieces: tuple[bytes, ...]) -> None:
    outcomes = ask(answer(*pieces))
    assert [(outcome.status, outcome.fault) for outcome in outcomes] == [(200, None)] * 6


def test_wrong_answer_is_a_fault() -> None:
    outcomes = ask(answer(OK.replace(b"hello", b"world")))
    assert {outcome.fault for outcome in outcomes} == {"200 b'world'"}


def answer_once(data: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.recv(len(ASK), socket.MSG_WAITALL)
        connection.sendall(data)

    return behave


def test_answer_without_a_length_ends_with_the_connection() -> None:
    outcomes = ask(answer_once(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    assert {outcome.fault for outcome in outcomes} == {None}


def test_connection_is_not_reused_after_connection_close() -> None:
    outcomes = ask(answer_once(CLOSING))
    assert {outcome.fault for outcome in outcomes} == {None}


@pytest.mark.parametrize("data", [b"", OK[:20], OK[:-1]], ids=["nothing", "half a head", "half a body"])
def test_answer_cut_short_is_a_fault(data: bytes) -> None:
    outcomes = ask(answer_once(data))
    assert len(outcomes) == 6
    assert all(outcome.status == 0 and outcome.fault for outcome in outcomes)


def test_refused_connection_is_a_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    (outcome,) = Load(address, iter([Request("one", ASK, is_hello)])).run()
    assert outcome.status == 0
    assert outcome.fault


def test_timeout_is_a_fault() -> None:
    outcomes = ask(lambda connection: connection.recv(10**6) and connection.recv(1), count=2, timeout=0.1)
    assert [outcome.status for outcome in outcomes] == [0, 0]


def test_answer_before_the_end_of_a_long_request_counts() -> None:
    long = ASK.replace(b"\r\n\r\n", b"\r\nContent-Length: 9999999\r\n\r\n") + bytes(9_999_999)

    def refuse(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(CLOSING)
        while connection.recv(2**16):
            pass

    outcomes = ask(refuse, count=3, data=long)
    assert {outcome.fault for outcome in outcomes} == {None}


def test_request_that_leaves_waits_for_no_response() -> None:
    with server(lambda _: None) as address:
        gone = Request("gone", ASK[:10], lambda *_: None, leaves=True)
        outcomes = Load(address, iter([gone] * 3)).run()
    assert [(outcome.status, outcome.fault) for outcome in outcomes] == [(0, None)] * 3


def test_latency_at_a_fixed_rate_includes_waiting_for_a_client() -> None:
    release = threading.Event()

    def hold(connection: socket.socket) -> None:
        while connection.recv(len(ASK), socket.MSG_WAITALL):
            release.wait(10)
            connection.sendall(OK)

    with server(hold) as address:
        load = Load(address, islice(repeat(Request("one", ASK, is_hello)), 20), clients=1, rate=1000)
        load.every(0.2, release.set)
        outcomes = load.run()
    assert {outcome.fault for outcome in outcomes} == {None}
    # The last was due after 20 ms, and could be sent only after the first was answered.
    assert len(outcomes) == 20
    assert min(outcome.seconds for outcome in outcomes) > 0.1


def test_every_calls_periodically() -> None:
    calls: list[int] = []
    with server(answer(OK)) as address:
        load = Load(address, takewhile(lambda _: len(calls) < 3, repeat(Request("one", ASK, is_hello))))
        load.every(0.02, lambda: calls.append(1))
        load.run()
    assert len(calls) >= 3
