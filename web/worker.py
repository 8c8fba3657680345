"""gunicorn's threaded worker, with a bound on what waits in it.

gunicorn's own queues every connection that it accepts, up to a thousand, and answers all of them too late. This one
takes on what its threads and `DIGITS_QUEUE` have room for, and answers the rest 503 at once, on the thread that
accepts: a refusal costs a fiftieth of an answer, so that ten times the load leaves the answers their time. Health and
metrics have a thread of their own. A new connection is left to the worker that has the fewest.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import TConn, ThreadWorker
from werkzeug import exceptions

from web.balance import Held
from web.request_body import CheckedBody, MalformedBody

_EXEMPT = tuple(f"{method} {path}".encode() for method in ("GET", "HEAD") for path in ("/api/v1/health/", "/metrics "))
_ANNOUNCES_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding)", re.IGNORECASE)
_GLANCE, _CHUNK = 2**12, 2**16  # bytes
# For the first request on a connection, and for a client to notice that it was refused.
_PATIENCE = 5.0  # seconds
# For the next bytes of a request that a thread reads, and for room to write its answer: a timeval of C.
_STALL = struct.pack("ll", 10, 0)
_WARNING_INTERVAL = 10.0  # seconds without a cause to warn before the next warning
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_IDLE_CLOSED = 10  # idle connections closed when the system has no room for a new one
_ACCEPT_BACKOFF = 0.05  # seconds before the next attempt where none is idle
# For each connection that this worker has more than another: time for that one to wake and take the next.
_COURTESY, _MOST_COURTESY = 0.0005, 0.002  # seconds
_STATUS: dict[type[Exception], type[exceptions.HTTPException]] = {
    LimitRequestLine: exceptions.RequestURITooLarge,
    LimitRequestHeaders: exceptions.RequestHeaderFieldsTooLarge,
    ExpectationFailed: exceptions.ExpectationFailed,
    UnsupportedTransferCoding: exceptions.NotImplemented,
}


class BoundedWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that refuses what would wait too long."""

    # Given by whoever forks it.
    slot: int  # from 1, no two live workers have the same
    held: Held

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._admitted = 0
        self._next_warning = 0.0

    def init_process(self) -> None:
        """Called in the worker, once; serves until it ends."""
        self._aside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        super().init_process()

    def load_wsgi(self) -> None:
        """Get the app."""
        super().load_wsgi()
        # gunicorn imports this module before it applies raw_env, which torch and Prometheus's client are to see.
        from web.metrics import count_overload, show_admitted
        from web.refusals import Refusals

        self._show_admitted = show_admitted
        self._count_overload = count_overload
        self._refusals = Refusals(self.wsgi)
        self._most = self.cfg.threads + self.wsgi.extensions["settings"].queue

    # ---- all on the main thread ----

    def accept(self, listener: socket.socket) -> None:
        """Wait for the request here: a client that says nothing must not hold a thread."""
        if self._admitted < self._most and (more := self.nr_conns - self.held.fewest()) > 0:
            time.sleep(min(more * _COURTESY, _MOST_COURTESY))
        if self.nr_conns >= self.worker_connections - 1:
            self._close_idle(1)
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker was faster, or the client is gone
            return
        except OSError as error:
            if error.errno not in _OUT_OF_RESOURCES:
                raise
            self._warn(f"cannot accept a connection: {error.strerror}")
            if not self._close_idle(_IDLE_CLOSED):
                time.sleep(_ACCEPT_BACKOFF)
            return
        # The system's own timeouts hold whatever gunicorn makes of Python's.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _STALL)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _STALL)
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        if _peek(conn) is None:
            self._wait(conn, self.on_pending_socket_readable)
        else:
            conn.data_ready = True
            self.enqueue_req(conn)

    def notify(self) -> None:
        """Called in every round of the loop."""
        super().notify()
        if self._accepting:
            self.held.tell(self.slot, self.nr_conns)
        else:
            self.held.forget(self.slot)

    def enqueue_req(self, conn: TConn) -> None:
        """Take on a request of which something has come, or refuse it."""
        if self._admitted < self.cfg.threads or _has_read_ahead(conn):
            self._admit(conn)
            return
        start = _peek(conn) or b""
        if not start:
            self._hang_up(conn)
        elif _is_exempt(start):
            self._hand_over(self._aside, conn, self._finish)
        elif self._admitted < self._most:
            self._admit(conn)
        else:
            self._refuse(conn)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Take on or refuse the next request of a client that was answered before."""
        if self._admitted < self._most or not self.alive or not self._refuse_in_place(conn):
            super().on_client_socket_readable(conn, client)

    def finish_request(self, conn: TConn, done: Future[object]) -> None:
        """Called when a thread is done with a request."""
        self._count(-1)
        self._finish(conn, done)

    def _finish(self, conn: TConn, done: Future[object]) -> None:
        """Keep the connection, or part with it."""
        if done.exception() is None and done.result():
            super().finish_request(conn, done)
        else:
            self._part(conn)

    def _part(self, conn: TConn) -> None:
        """Hang up once the client has. gunicorn would wait for that here, for up to 2 s, and do nothing else."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client is gone
            self._hang_up(conn)
        else:
            self._wait(conn, self._discard)

    def _admit(self, conn: TConn) -> None:
        self._count(+1)
        self._hand_over(self.tpool, conn, self.finish_request)

    def _hand_over(self, threads: ThreadPoolExecutor, conn: TConn, finish: Callable[..., None]) -> None:
        done = threads.submit(self.handle, conn)
        done.add_done_callback(lambda done: self.method_queue.defer(finish, conn, done))

    def _count(self, change: int) -> None:
        self._admitted += change
        self._show_admitted(self._admitted)

    def _refuse_in_place(self, conn: TConn) -> bool:
        """Refuse a request and watch the connection on, for half of what `_refuse` costs; False where that is due."""
        start = _peek(conn)
        if not start or _is_exempt(start):
            return False
        refusal = self._refusals.overloaded(start)
        if not refusal.keeps_open:
            return False
        self._note_refusal()
        self.keepalived_conns.remove(conn)
        try:
            conn.sock.recv(len(start))
            conn.sock.send(refusal.data)
        except OSError:  # the client is gone
            self.poller.unregister(conn.sock)
            self._hang_up(conn)
        else:
            conn.set_timeout()
            self.keepalived_conns.append(conn)  # at the end: they are kept in the order of timeouts
        return True

    def _refuse(self, conn: TConn) -> None:
        self._note_refusal()
        try:
            refusal = self._refusals.overloaded(conn.sock.recv(_CHUNK), may_stay=self.alive)
            conn.sock.send(refusal.data)  # a fresh or answered connection has room for all of it
        except OSError:  # the client is gone
            self._hang_up(conn)
            return
        if not refusal.is_whole:
            # Closed at once, what is still coming would make the client's machine drop the answer.
            self._part(conn)
        elif refusal.keeps_open:
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))
        else:
            self._hang_up(conn)

    def _hang_up(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def _close_idle(self, count: int) -> int:
        """Close the connections that have been idle longest, silent ones first; how many were closed."""
        for closed in range(count):
            idle = self.pending_conns or self.keepalived_conns
            if not idle:
                return closed
            conn = idle.popleft()
            self.poller.unregister(conn.sock)
            self._hang_up(conn)
        return count

    def _wait(self, conn: TConn, proceed: Callable[[TConn, socket.socket], None]) -> None:
        """Call `proceed` when there is something to read; hang up when nothing comes."""
        conn.timeout = time.monotonic() + _PATIENCE
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(proceed, conn))

    def _discard(self, conn: TConn, client: socket.socket) -> None:
        """Read what a client still sends that is parted with, until it hangs up or `_PATIENCE` is over."""
        try:
            if client.recv(_CHUNK):
                return
        except OSError:
            pass
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self._hang_up(conn)

    def _note_refusal(self) -> None:
        self._count_overload()
        self._warn("too many requests are waiting: answering 503")

    def _warn(self, message: str) -> None:
        """Log a warning, unless one was logged a moment ago."""
        if time.monotonic() >= self._next_warning:
            self.log.warning(message)
        self._next_warning = time.monotonic() + _WARNING_INTERVAL

    # ---- on any thread ----

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a request whose body is checked as it is read."""
        req.body = CheckedBody(req)
        return bool(super().handle_request(req, conn))

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether the connection can be reused: not where a body that the app left unread is malformed."""
        try:
            return bool(super()._keepalive_after(conn, keepalive))
        except MalformedBody:
            return False

    def handle_error(self, req: object, client: socket.socket, addr: object, exc: Exception) -> None:  # noqa: ARG002
        """Answer what gunicorn itself cannot: no request that makes sense, or a fault outside the app."""
        if isinstance(exc, ParseException):
            error = next((_STATUS[kind] for kind in type(exc).__mro__ if kind in _STATUS), exceptions.BadRequest)
            self.log.info("refused what is no request: %s", type(exc).__name__)
        else:
            error = exceptions.InternalServerError
            self.log.error("a request failed outside the app", exc_info=exc)
        with suppress(OSError):
            util.write_nonblock(client, self._refusals.no_request(error))


def _has_read_ahead(conn: TConn) -> bool:
    """Whether a part of the next request has been read with the last one."""
    return conn.initialized and bool(conn.parser.unreader.buf.getvalue())


def _is_exempt(start: bytes) -> bool:
    """Whether this is one request, and all of it, that is answered also when no other is."""
    is_one_head = start.find(b"\r\n\r\n") == len(start) - 4
    return start.startswith(_EXEMPT) and is_one_head and not _ANNOUNCES_BODY.search(start)


def _peek(conn: TConn) -> bytes | None:
    """What has come without taking it; nothing where the client is gone, None where it has not spoken yet."""
    try:
        return bytes(conn.sock.recv(_GLANCE, socket.MSG_PEEK))
    except BlockingIOError:
        return None
    except OSError:
        return b""
