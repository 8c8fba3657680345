"""Measure how 300 clients that send requests very slowly affect others. Each has its own address.

python -m benchmarks.load.slow_clients              # through nginx, for 60 s
python -m benchmarks.load.slow_clients --clients 30 --seconds 5
"""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from benchmarks.load.generator import Address, Load, Outcome
from benchmarks.load.traffic import PREDICT, http_request, strokes
from benchmarks.report import Report, faults, options, percentile
from testing.nginx import TRUST, start_nginx
from testing.servers import start_gunicorn

# Requests per second of the other clients: a share of the capacity, which is measured first.
SHARE, MOST = 0.2, 20.0
MAX_RATIO = 2.0
STEP_SECONDS = 1.0

_HEAD = http_request("POST", PREDICT, headers={"Content-Type": "application/json", "Content-Length": "200000"})
# A third stop within the head, a third continue a header byte by byte, a third a body.
_BEGINNINGS = ((_HEAD[:60], b""), (_HEAD[:-2] + b"X-Slow: ", b"x"), (_HEAD, b"x"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof and write its report; the exit status."""
    parser = options(__doc__, "slow_clients")
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            start_gunicorn(folder / "log", environment=TRUST) as server,
            start_nginx(folder / "front", server.address) as front,
        ):
            rate = easy_rate(front.address, chosen.seconds / 10)
            before = ask(front.address, rate, chosen.seconds / 2, [])
            slow = [SlowClient(front.address, number) for number in range(chosen.clients)]
            during = ask(front.address, rate, chosen.seconds, slow)
            for client in slow:
                client.close()
            after = ask(front.address, rate, chosen.seconds / 2, [])
    return to_report([*before, *after], during, slow, rate).publish(chosen.output)


def easy_rate(address: Address, seconds: float) -> float:
    """Requests per second that the server answers easily."""
    outcomes = Load(address, cycle(strokes()), clients=4, seconds=seconds).run()
    return min(MOST, SHARE * len(outcomes) / outcomes[-1].at)


def ask(address: Address, rate: float, seconds: float, slow: Sequence[SlowClient]) -> list[Outcome]:
    """Drawings at a fixed rate, while the clients in `slow` send."""
    load = Load(address, cycle(strokes()), clients=16, rate=rate, seconds=seconds)
    for client in slow:
        load.every(STEP_SECONDS, client.send_more)
    return load.run()


class SlowClient:
    """A connection with a request that never ends; reconnects if the server closes it."""

    def __init__(self, address: Address, number: int) -> None:
        self.connections = 0
        self._address = address
        self._source = f"127.2.{number // 250}.{1 + number % 250}"
        self._beginning, self._drip = _BEGINNINGS[number % len(_BEGINNINGS)]
        self._next = b""
        self._connect()

    def send_more(self) -> None:
        """Send another byte, or reconnect."""
        try:
            self._socket.send(self._next)
            self._next = self._drip
            gone = self._socket.recv(2**12) == b""
        except BlockingIOError:  # not connected yet, or no response, as expected
            return
        except OSError:
            gone = True
        if gone:
            self.close()
            self._connect()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _connect(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.bind((self._source, 0))
        self._socket.connect_ex(self._address)
        self._next = self._beginning
        self.connections += 1


def to_report(alone: Sequence[Outcome], during: Sequence[Outcome], slow: Sequence[SlowClient], rate: float) -> Report:
    """Figures and bounds."""
    report = Report("Slow clients")
    connections = sum(client.connections for client in slow)
    report.say(
        f"`python -m benchmarks.load.slow_clients`: drawings, {rate:.1f} a second, through `deploy/nginx.conf` "
        f"but for TLS, while {len(slow)} clients with addresses of their own hold half-sent requests: a third stop, "
        "a third add a byte a second to a header, a third to a body. They reconnected when closed: "
        f"{connections:,} connections in all."
    )
    failed = [outcome for outcome in [*alone, *during] if outcome.fault is not None]
    report.require(not failed, "Every other request is answered correctly", faults(failed) if failed else "all are")
    ratio = _p99(during) / _p99(alone)
    report.aim(ratio <= MAX_RATIO, f"p99 is at most {MAX_RATIO:g} times what it is without them", f"{ratio:.2f} times")
    report.table(
        ("drawings", "number", "p50 ms", "p99 ms", "slowest ms"),
        [_row("before and after", alone), _row(f"beside {len(slow)} slow clients", during)],
    )
    return report


def _p99(outcomes: Sequence[Outcome]) -> float:
    return percentile([outcome.seconds for outcome in outcomes], 99)


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[object, ...]:
    seconds = [outcome.seconds for outcome in outcomes]
    return name, f"{len(outcomes):,}", *(f"{percentile(seconds, share):.1f}" for share in (50, 99, 100))


if __name__ == "__main__":
    sys.exit(main())
