"""How gunicorn serves the app; it finds this file by its name.

    gunicorn        # in the project's folder: DIGITS_HOST, DIGITS_PORT, DIGITS_WORKERS and DIGITS_THREADS apply

Exit status 2, with one sentence on standard error, where a setting or the checkpoint file does not allow a start.
HUP replaces the workers, and so the model by what the checkpoint file then holds, or by what it held before where it
is damaged; settings need a restart.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from config import Settings, SettingsError
from web import logs, processes
from web.balance import Held

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker


def _usable_cores(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: those it is bound to, cut to the CPU quota of its container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, quota_file.read_text().split())
    except (OSError, ValueError):  # no control groups, or a quota of "max"
        return bound
    return max(1, min(bound, quota // period))


def _stop(reason: str) -> NoReturn:
    print(f"gunicorn.conf.py: {reason}", file=sys.stderr)
    sys.exit(2)


try:
    # HUP runs this file again; the app, which is loaded once, keeps its settings.
    _settings = processes.settings or Settings.load()
except SettingsError as error:
    _stop(str(error))

wsgi_app = "flask_app:create_app(load_model=False)"
_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = [f"{_host}:{_settings.port}"]
if _settings.metrics_port:
    bind.append(f"{_host}:{_settings.metrics_port}")
loglevel = _settings.log_level.value
logconfig_dict = logs.configuration(_settings)
forwarded_allow_ips = ""  # web/security.py reads what proxies say, and it alone

# gthread that refuses what it cannot answer soon.
worker_class = "web.worker.BoundedWorker"
workers = _settings.workers or _usable_cores()
threads = _settings.threads
# The master imports everything and forks workers that only have to load the model: a killed one is soon replaced.
preload_app = True
# One core per worker is all there is, and a library that has started threads of its own does not survive the fork.
# Read by OpenMP, with it by torch and MKL, by OpenBLAS and by Prometheus's client, when they are imported: after this,
# before the fork.
raw_env = [
    *("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OPENCV_FOR_THREADS_NUM=1"),
    f"PROMETHEUS_MULTIPROC_DIR={processes.shared_folder()}",
]

timeout = 30
keepalive = 75  # longer than proxies keep connections: who hangs up first must be the one that would ask next
graceful_timeout = 8  # under the 10 s that Docker waits between TERM and KILL
# Bounds what a leak in a native library can cost; the jitter keeps workers from leaving together.
max_requests = 20_000
max_requests_jitter = 5_000
# Open at a time in each worker; 100 descriptors are left for everything else.
worker_connections = max(10, min(500, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100))
backlog = 256  # a burst waits here until it is taken on or refused; more would only wait too long
# Workers show that they live by touching a file, which blocks on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes the file safely
control_socket_disable = True  # it would be written to $HOME, and nothing here uses it

_held = Held()


def on_starting(server: Arbiter) -> None:
    """Verify the checkpoint once, in the master: gunicorn would end with a trace and status 3 if workers found it."""
    from model import CheckpointError

    processes.settings = _settings
    try:
        _read_model(server)
    except CheckpointError as error:
        _stop(f"{error}; train a new one with: python train_model.py")


def on_reload(server: Arbiter) -> None:
    """Read the checkpoint anew; a server that works goes on with the old model rather than with none."""
    from model import CheckpointError

    try:
        _read_model(server)
    except CheckpointError as error:
        server.log.error("%s; the model stays as it was", error)


def _read_model(server: Arbiter) -> None:
    """Give the verified content of the checkpoint file to the workers to come. Raises `model.CheckpointError`."""
    from model import parse_checkpoint, read_checkpoint  # imported after raw_env has been applied

    content = read_checkpoint(_settings.model_path)
    parse_checkpoint(content, _settings.model_path)
    server.app.wsgi().extensions["checkpoint"] = content


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Give the worker the first slot that no other one has, and leave what is in memory so far to all of them."""
    # The collector writes into all that it looks at: the first full collection in a worker would make 25 MB its own.
    gc.freeze()
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in count(1) if slot not in taken)
    worker.held = _held


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Let the worker log through a queue, and count in the files of its slot."""
    from web import metrics

    logs.start_queue()
    metrics.use_slot(worker.slot)


def post_worker_init(worker: Worker) -> None:
    """Load the model after the fork."""
    from web.operations import load_model

    load_model(worker.wsgi)


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Forget what was true only while the worker lived."""
    from web import metrics

    metrics.free_slot(worker.slot)
    _held.forget(worker.slot)
