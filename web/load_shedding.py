"""gunicorn's threaded worker, with load shedding.

gunicorn's own gthread worker queues up to a thousand connections, and under overload answers all of them too late. This
one admits as many requests as it has threads and places in its queue (`DIGITS_QUEUE`), and answers the others with 503
at once, on the accepting thread. A refusal costs a small part of an answer, so that most of the capacity is left at
ten times the load behind nginx. Health and metrics have a separate thread. New connections go to the worker with the
fewest.

It overrides methods that gunicorn does not document, hence the bounds on gunicorn's version in pyproject.toml;
docs/architecture.md says what was measured with gunicorn's own.
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

from web.connection_counts import ConnectionCounts
from web.malformed_body import CheckedBody, MalformedBody

_EXEMPT = tuple(f"{method} {path}".encode() for method in ("GET", "HEAD") for path in ("/api/v1/health/", "/metrics "))
_HAS_BODY = re.compile(rb"\r\n(?:content-length|transfer-encoding)", re.IGNORECASE)
_PEEK_BYTES, _RECEIVE_BYTES = 2**12, 2**16
# For the first bytes on a connection, and for a client to close it after the last answer.
_IDLE_TIMEOUT = 5.0  # seconds
# For each read of a request and each write of its answer: a C timeval.
_SOCKET_TIMEOUT = struct.pack("ll", 10, 0)
_WARNING_INTERVAL = 10.0  # seconds without a cause for a warning before the next is logged
_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_IDLE_CLOSED = 10  # idle connections closed when the system is out of resources for a new one
_CREATE_ATTEMPTS = 20  # one a second
_ACCEPT_BACKOFF = 0.05  # seconds until the next attempt if none is idle
# Delay before accepting per connection that this worker has more than another, so that the other can accept first.
_ACCEPT_DELAY, _MAX_ACCEPT_DELAY = 0.0005, 0.002  # seconds
_STATUS: dict[type[Exception], type[exceptions.HTTPException]] = {
    LimitRequestLine: exceptions.RequestURITooLarge,
    LimitRequestHeaders: exceptions.RequestHeaderFieldsTooLarge,
    ExpectationFailed: exceptions.ExpectationFailed,
    UnsupportedTransferCoding: exceptions.NotImplemented,
}


class LoadSheddingWorker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker that refuses requests that would wait too long."""

    # Set by `pre_fork` in gunicorn.conf.py.
    slot: int  # from 1, unique among live workers
    connection_counts: ConnectionCounts

    def __init__(self, *args: Any) -> None:
        # This runs in the master, which an exception would stop.
        for attempts_left in reversed(range(_CREATE_ATTEMPTS)):
            try:
                super().__init__(*args)
                break
            except OSError:  # no descriptor, or no space for the worker's heartbeat file
                if not attempts_left:
                    raise
                time.sleep(1)
        self._admitted = 0
        self._next_warning = 0.0

    def init_process(self) -> None:
        """Serve until the worker ends."""
        self._exempt_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        super().init_process()

    def load_wsgi(self) -> None:
        """Load the app."""
        super().load_wsgi()
        # gunicorn imports this module before it applies raw_env, which torch and prometheus_client read.
        from web.metrics import count_overload, set_admitted
        from web.prebuilt_responses import Refusals

        self._set_admitted = set_admitted
        self._count_overload = count_overload
        self._refusals = Refusals(self.wsgi)
        self._capacity = self.cfg.threads + self.wsgi.extensions["settings"].queue

    # ---- on the main thread ----

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; this thread waits for its request, so that a silent client does not occupy another."""
        if self._admitted < self._capacity and (surplus := self.nr_conns - self.connection_counts.minimum()) > 0:
            time.sleep(min(surplus * _ACCEPT_DELAY, _MAX_ACCEPT_DELAY))
        if self.nr_conns >= self.worker_connections - 1:
            self._close_idle(1)
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another worker accepted it, or the client left
            return
        except OSError as error:
            if error.errno not in _OUT_OF_RESOURCES:
                raise
            self._warn(f"cannot accept a connection: {error.strerror}")
            if not self._close_idle(_IDLE_CLOSED):
                time.sleep(_ACCEPT_BACKOFF)
            return
        # Unlike Python's timeouts, these remain when gunicorn makes the socket blocking.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SOCKET_TIMEOUT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SOCKET_TIMEOUT)
        self.nr_conns += 1
        conn = TConn(self.cfg, client, address, listener.getsockname())
        if _peek(conn) is None:
            self._wait(conn, self.on_pending_socket_readable)
        else:
            conn.data_ready = True
            self.enqueue_req(conn)

    def notify(self) -> None:
        """Called by the event loop, at least once a second."""
        super().notify()
        if self._accepting:
            self.connection_counts.set(self.slot, self.nr_conns)
        else:
            self.connection_counts.clear(self.slot)

    def enqueue_req(self, conn: TConn) -> None:
        """Admit or refuse a request whose first bytes have arrived."""
        if _has_buffered_request(conn):
            self._admit(conn)
            return
        start = _peek(conn) or b""
        if not start:
            self._close(conn)
        elif _is_exempt(start):
            self._submit(self._exempt_pool, conn, self._finish)
        elif self._admitted < self._capacity:
            self._admit(conn)
        else:
            self._refuse(conn)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Admit or refuse the next request on a kept-alive connection."""
        if self._admitted < self._capacity or not self.alive or not self._refuse_in_place(conn):
            super().on_client_socket_readable(conn, client)

    def finish_request(self, conn: TConn, done: Future[object]) -> None:
        """Called when a thread has handled an admitted request."""
        self._count(-1)
        self._finish(conn, done)

    def _finish(self, conn: TConn, done: Future[object]) -> None:
        """Keep the connection alive or close it."""
        if done.exception() is None and done.result():
            super().finish_request(conn, done)
        else:
            self._close_gracefully(conn)

    def _close_gracefully(self, conn: TConn) -> None:
        """Close after the client has closed. gunicorn would block this thread for up to 2 s."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the client left
            self._close(conn)
        else:
            self._wait(conn, self._discard)

    def _admit(self, conn: TConn) -> None:
        self._count(+1)
        self._submit(self.tpool, conn, self.finish_request)

    def _submit(self, pool: ThreadPoolExecutor, conn: TConn, finish: Callable[..., None]) -> None:
        done = pool.submit(self.handle, conn)
        done.add_done_callback(lambda done: self.method_queue.defer(finish, conn, done))

    def _count(self, change: int) -> None:
        self._admitted += change
        self._set_admitted(self._admitted)

    def _refuse_in_place(self, conn: TConn) -> bool:
        """Refuse a request without unregistering its connection, at half the cost of `_refuse`; False if it cannot."""
        start = _peek(conn)
        if not start or _is_exempt(start):
            return False
        refusal = self._refusals.overloaded(start)
        if not refusal.keep_alive:
            return False
        self._count_refusal()
        self.keepalived_conns.remove(conn)
        try:
            conn.sock.recv(len(start))
            conn.sock.send(refusal.data)
        except OSError:  # the client left
            self.poller.unregister(conn.sock)
            self._close(conn)
        else:
            conn.set_timeout()
            self.keepalived_conns.append(conn)  # ordered by timeout
        return True

    def _refuse(self, conn: TConn) -> None:
        self._count_refusal()
        try:
            refusal = self._refusals.overloaded(conn.sock.recv(_RECEIVE_BYTES), keep_alive=self.alive)
            conn.sock.send(refusal.data)  # the send buffer has room for all of it
        except OSError:  # the client left
            self._close(conn)
            return
        if not refusal.is_complete:
            # Data that arrives after a close causes a reset, and the client might lose the response.
            self._close_gracefully(conn)
        elif refusal.keep_alive:
            conn.set_timeout()
            self.keepalived_conns.append(conn)
            self.poller.register(conn.sock, EVENT_READ, partial(self.on_client_socket_readable, conn))
        else:
            self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def _close_idle(self, count: int) -> int:
        """Close the connections that have been idle longest, silent ones first; returns how many were closed."""
        for closed in range(count):
            idle = self.pending_conns or self.keepalived_conns
            if not idle:
                return closed
            conn = idle.popleft()
            self.poller.unregister(conn.sock)
            self._close(conn)
        return count

    def _wait(self, conn: TConn, proceed: Callable[[TConn, socket.socket], None]) -> None:
        """Call `proceed` when data arrives; close the connection if none does in time."""
        conn.timeout = time.monotonic() + _IDLE_TIMEOUT
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(proceed, conn))

    def _discard(self, conn: TConn, client: socket.socket) -> None:
        """Discard what the client still sends, until it closes the connection."""
        try:
            if client.recv(_RECEIVE_BYTES):
                return
        except OSError:
            pass
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self._close(conn)

    def _count_refusal(self) -> None:
        self._count_overload()
        self._warn("too many requests are waiting: answering 503")

    def _warn(self, message: str) -> None:
        """Log a warning unless this was called in the last `_WARNING_INTERVAL` seconds."""
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
        """Answer an invalid request, or an error outside the app, as the app would."""
        if isinstance(exc, ParseException):
            error = next((_STATUS[kind] for kind in type(exc).__mro__ if kind in _STATUS), exceptions.BadRequest)
            self.log.info("invalid request: %s", type(exc).__name__)
        else:
            error = exceptions.InternalServerError
            self.log.error("error outside the app", exc_info=exc)
        with suppress(OSError):
            util.write_nonblock(client, self._refusals.invalid_request(error))


def _has_buffered_request(conn: TConn) -> bool:
    """Whether part of the next request was read together with the last one."""
    return conn.initialized and bool(conn.parser.unreader.buf.getvalue())


def _is_exempt(start: bytes) -> bool:
    """Whether this is exactly one request, for health or metrics and without a body."""
    is_one_request = start.find(b"\r\n\r\n") == len(start) - 4
    return start.startswith(_EXEMPT) and is_one_request and not _HAS_BODY.search(start)


def _peek(conn: TConn) -> bytes | None:
    """The received data, without consuming it; empty if the client left, None if there is none yet."""
    try:
        return bytes(conn.sock.recv(_PEEK_BYTES, socket.MSG_PEEK))
    except BlockingIOError:
        return None
    except OSError:
        return b""
