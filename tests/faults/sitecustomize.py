"""Fails the n-th file operation of a server. Python imports this module at its start, if its folder is on the path.

The file that `FAULT_FILE` names holds n and an error number. Each process counts from when that file was written.
"""

import os
import sys

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
_state = {"written": 0, "left": 0, "code": 0, "busy": False}


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _OPERATIONS or _state["busy"] or str(arguments[0]).endswith((".py", ".pyc", ".so")):
        return
    _state["busy"] = True  # reading the file below is an operation, too
    try:
        written = os.stat(_PATH).st_mtime_ns
        if written != _state["written"]:
            with open(_PATH) as file:
                left, code = map(int, file.read().split())
            _state.update(written=written, left=left, code=code)
    finally:
        _state["busy"] = False
    _state["left"] -= 1
    if _state["left"] == 0:
        raise OSError(_state["code"], os.strerror(_state["code"]), str(arguments[0]))


sys.addaudithook(_hook)
