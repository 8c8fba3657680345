"""Faults in a server. Python imports this module at its start if its folder is on the path.

The file that `FAULT_FILE` names holds n, an error number and seconds. In each process, the n-th file operation after
the file was written fails, and `time.time` is off by these seconds.
"""

import os
import sys
import time

_OPERATIONS = {
    "open",
    "mmap.__new__",
    "os.truncate",
    "os.listdir",
    "os.scandir",
    "tempfile.mkdtemp",
    "tempfile.mkstemp",
}
_PATH = os.environ["FAULT_FILE"]
_state = {"written": 0, "left": 0, "code": 0, "seconds": 0, "busy": False}
_now = time.time


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _OPERATIONS or _state["busy"] or str(arguments[0]).endswith((".py", ".pyc", ".so")):
        return
    _read()
    _state["left"] -= 1
    if _state["left"] == 0:
        raise OSError(_state["code"], os.strerror(_state["code"]), str(arguments[0]))


def _time() -> float:
    _read()
    return _now() + _state["seconds"]


def _read() -> None:
    if _state["busy"]:
        return
    _state["busy"] = True  # this is a file operation, too
    try:
        written = os.stat(_PATH).st_mtime_ns
        if written != _state["written"]:
            with open(_PATH) as file:
                left, code, seconds = map(int, file.read().split())
            _state.update(written=written, left=left, code=code, seconds=seconds)
    finally:
        _state["busy"] = False


sys.addaudithook(_hook)
time.time = _time
