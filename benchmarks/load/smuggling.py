"""Do nginx and gunicorn agree where an odd request ends? If they did not, requests could be smuggled past nginx.

    python -m benchmarks.load.smuggling

The same bytes go through nginx and directly to gunicorn, on a connection that has already answered a request, with
another request right behind them. Bodies contain a whole request, so that a wrong length shows. PortSwigger, "HTTP
Desync Attacks", 2019.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httptools

from benchmarks.report import Report, options
from testing.nginx import TRUST, start_nginx
from testing.servers import Address, start_gunicorn

PATH = b"/api/v1/model"
# Transfer coding or version are unknown: the client's fault in spite of the class. RFC 9110, 15.6.2 and 15.6.6.
UNKNOWN = {501, 505}
SILENCE = 30.0  # seconds; above every timeout of nginx and the app


def request(name: str, *headers: bytes, line: bytes = b"GET %s HTTP/1.1" % PATH, body: bytes = b"") -> bytes:
    """A request whose X-Request-ID is `name`, and which asks for a response that repeats it."""
    head = [line, b"Host: localhost", b"X-Request-ID: " + name.encode(), *headers]
    return b"\r\n".join([*head, b"", body])


# A whole request, inside the body of another.
SMUGGLED = request("smuggled")
LENGTH = b"Content-Length: %d" % len(SMUGGLED)
CHUNKED = b"Transfer-Encoding: chunked"
CHUNK = b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED)
POST = b"POST /api/v1/predict HTTP/1.1"


def odd_requests() -> Iterator[tuple[str, bytes]]:
    """A description of each, and its bytes."""
    yield from _odd_heads()
    yield from _odd_lengths()
    yield from _odd_chunks()


def _odd_heads() -> Iterator[tuple[str, bytes]]:
    lines = {
        "lower-case method": b"get %s HTTP/1.1",
        "unknown method": b"SPAM %s HTTP/1.1",
        "absolute form": b"GET http://other.example%s HTTP/1.1",
        "absolute form, unknown scheme": b"GET gopher://other.example%s HTTP/1.1",
        "two spaces": b"GET  %s  HTTP/1.1",
        "tabs": b"GET\t%s\tHTTP/1.1",
        "lower-case version": b"GET %s http/1.1",
        "version 1.0": b"GET %s HTTP/1.0",
        "version 1.10": b"GET %s HTTP/1.10",
        "version 2.0": b"GET %s HTTP/2.0",
        "empty line first": b"\r\nGET %s HTTP/1.1",
        "no path": b"GET HTTP/1.1 %s",
    }
    for name, line in lines.items():
        yield name, request("odd", line=line % PATH)
    yield "asterisk form", request("odd", line=b"OPTIONS * HTTP/1.1")
    yield "authority form", request("odd", line=b"CONNECT localhost:443 HTTP/1.1")
    yield "HTTP/0.9", b"GET %s\r\n" % PATH
    yield "bare LF", request("odd").replace(b"\r\n", b"\n")
    yield "bare CR", request("odd").replace(b"\r\n", b"\r")
    headers = {
        "folded header": b"X-A: b\r\n c",
        "folded length": b"Content-Length:\r\n 0",
        "space before colon": b"X-A : b",
        "length with space before colon": b"Content-Length : %d" % len(SMUGGLED),
        "space first": b" X-A: b",
        "no colon": b"X-A",
        "no name": b": b",
        "NUL in value": b"X-A: b\0c",
        "CR in value": b"X-A: b\rX-B: c",
        "second Host": b"Host: other.example",
        "underscores": LENGTH.replace(b"-", b"_"),
        "upgrade": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
        "length named in Connection": b"Connection: Content-Length\r\nContent-Length: 0",
    }
    for name, header in headers.items():
        yield name, request("odd", header)


def _odd_lengths() -> Iterator[tuple[str, bytes]]:
    lengths = {
        "length twice": LENGTH + b"\r\n" + LENGTH,
        "two lengths": b"Content-Length: 0\r\n" + LENGTH,
        "two lengths, longer first": LENGTH + b"\r\nContent-Length: 0",
        "list of lengths": LENGTH + b", %d" % len(SMUGGLED),
        "length with sign": LENGTH.replace(b": ", b": +"),
        "length in hexadecimal": b"Content-Length: 0x%x" % len(SMUGGLED),
        "length with underscore": b"Content-Length: 1_0",
        "negative length": b"Content-Length: -1",
        "empty length": b"Content-Length: ",
        "length beyond 64 bits": b"Content-Length: 1" + b"0" * 20,
        "length and expectation": LENGTH + b"\r\nExpect: 100-continue",
        "length and unknown expectation": LENGTH + b"\r\nExpect: spam",
    }
    for name, header in lengths.items():
        yield name, request("odd", header, line=POST, body=SMUGGLED)
    yield "GET with body", request("odd", LENGTH, body=SMUGGLED)


def _odd_chunks() -> Iterator[tuple[str, bytes]]:
    end = b"0\r\n\r\n"
    encodings = {
        "chunked and length": CHUNKED + b"\r\n" + LENGTH,
        "chunked and length 0": CHUNKED + b"\r\nContent-Length: 0",
        "chunked twice": CHUNKED + b"\r\n" + CHUNKED,
        "chunked, upper case": CHUNKED.upper(),
        "chunked after tab": b"Transfer-Encoding:\tchunked",
        "chunked with space before colon": b"Transfer-Encoding : chunked",
        "chunked, folded": b"Transfer-Encoding:\r\n chunked",
        "chunked in quotes": b'Transfer-Encoding: "chunked"',
        "xchunked": b"Transfer-Encoding: xchunked",
        "gzip, chunked": b"Transfer-Encoding: gzip, chunked",
        "chunked, identity": b"Transfer-Encoding: chunked, identity",
        "identity": b"Transfer-Encoding: identity\r\n" + LENGTH,
        "underscores and length": b"Transfer_Encoding: chunked\r\nContent-Length: %d" % len(CHUNK + end),
    }
    for name, header in encodings.items():
        yield f"coding: {name}", request("odd", header, line=POST, body=CHUNK + end)
    yield "chunked in HTTP/1.0", request("odd", CHUNKED, line=POST[:-1] + b"0", body=CHUNK + end)
    size = b"%x" % len(SMUGGLED)
    chunks = {
        "none": end,
        "extension": CHUNK.replace(size, size + b";a=b", 1) + end,
        "extension without name": CHUNK.replace(size, size + b";", 1) + end,
        "extension with bare LF": CHUNK.replace(size, size + b";a\n" + size, 1) + end,
        "long extension": CHUNK.replace(size, size + b";a=" + 5000 * b"b", 1) + end,
        "size with prefix": CHUNK.replace(size, b"0x" + size, 1) + end,
        "size with sign": CHUNK.replace(size, b"+" + size, 1) + end,
        "size after space": b" " + CHUNK + end,
        "size before space": CHUNK.replace(size, size + b"  ", 1) + end,
        "size with zeros": b"000000" + CHUNK + end,
        "size beyond 64 bits": b"1" + 16 * b"0" + CHUNK + end,
        "bare LF": CHUNK.replace(size + b"\r\n", size + b"\n", 1) + end,
        "wrong terminator": CHUNK[:-2] + b"XX" + end,
        "no terminator": CHUNK[:-2] + end,
        "trailer": CHUNK + b"0\r\nX-A: b\r\n\r\n",
        "length in trailer": CHUNK + b"0\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED),
        "end with bare LF": CHUNK + b"0\n\n",
    }
    for name, body in chunks.items():
        yield f"chunks: {name}", request("odd", CHUNKED, line=POST, body=body)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The responses to an odd request and to the one behind it."""

    statuses: tuple[int, ...]
    names: tuple[str, ...]  # X-Request-ID of each, which is random where the request could not be parsed


class _Responses:
    """Callbacks of httptools: collects statuses and request ids."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.names: list[str] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self) -> None:
        self.names.append("")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-request-id":
            self.names[-1] = value.decode()

    def on_message_complete(self) -> None:
        self.statuses.append(self.parser.get_status_code())


def exchange(address: Address, data: bytes) -> Exchange:
    """Send a plain request, wait for its response, and send `data` and another request in one piece."""
    with socket.create_connection(address, timeout=SILENCE) as connection:
        connection.sendall(request("before"))
        first = _Responses()
        while not first.statuses:
            first.parser.feed_data(connection.recv(2**16))
        connection.sendall(data + request("after", b"Connection: close"))
        received = b"".join(iter(lambda: _receive(connection), b""))
    responses = _Responses()
    if received.startswith(b"HTTP/"):
        responses.parser.feed_data(received)
    elif received:  # HTTP/0.9 has bodies only
        return Exchange((200,), ("",))
    finals = [pair for pair in zip(responses.statuses, responses.names, strict=False) if pair[0] >= 200]
    return Exchange(tuple(status for status, _ in finals), tuple(name for _, name in finals))


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(2**16)
    except ConnectionResetError:
        return b""


def faults(name: str, server: str, responses: Exchange) -> list[str]:
    """What is wrong with the responses of `server`."""
    found = []
    if any(status >= 500 and status not in UNKNOWN for status in responses.statuses):
        found.append("server error")
    # The first response is to the odd request; then comes the one to the request behind it, or the end.
    if {"after", "smuggled"} & set(responses.names[:1]) or responses.names[1:] not in ((), ("after",)):
        found.append("wrong end of the request")
    return [f"{name}, {server}: {fault} {responses.statuses} {responses.names}" for fault in found]


def main(arguments: Sequence[str] | None = None) -> int:
    """Send all, report; the exit status."""
    chosen = options(__doc__, "smuggling").parse_args(arguments)
    rows, found = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        start_gunicorn(Path(folder, "server.log"), environment=TRUST, workers=1) as server,
        start_nginx(Path(folder, "front"), server.address) as front,
    ):
        for name, data in odd_requests():
            proxied, direct = exchange(front.address, data), exchange(server.address, data)
            found += [*faults(name, "nginx", proxied), *faults(name, "gunicorn", direct)]
            rows.append((name, *(", ".join(map(str, each.statuses)) or "closed" for each in (proxied, direct))))
        smuggled = server.log().count('"smuggled"')
    report = Report("Request smuggling")
    report.say(
        "`python -m benchmarks.load.smuggling`: statuses of the responses to an odd request, and to a plain one "
        "sent right behind it. A second status means that the end of the first request was found."
    )
    bound = f"Of {len(rows)} odd requests none is a server error, ends in the wrong place or is answered twice"
    report.require(not found, bound, "; ".join(found) or "none")
    report.require(smuggled == 0, "No body is taken for a request", f"{smuggled} in the app's log")
    report.table(("request", "through nginx", "gunicorn"), rows)
    return report.publish(chosen.output)


if __name__ == "__main__":
    sys.exit(main())
