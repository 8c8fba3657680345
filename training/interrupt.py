"""Ctrl-C and SIGTERM as a wish to stop after the batch at hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """Somebody asked the training to stop; what it had learned is saved."""


class StopSignal:
    """True in `requested` once one of the signals came; a second one ends an impatient process in the usual way."""

    def __init__(self, *, impatient: bool = True) -> None:
        self.requested = False
        self._impatient = impatient

    def receive(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        self.requested = True
        if self._impatient:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def listening(*, impatient: bool = True) -> Iterator[StopSignal]:
    """Receive SIGINT and SIGTERM; afterwards they do what they did before."""
    stop = StopSignal(impatient=impatient)
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread alone
        yield stop
        return
    previous = {number: signal.signal(number, stop.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
