"""Configuration of gunicorn, which finds this file by its name.

    gunicorn        # in this folder; reads DIGITS_HOST, DIGITS_PORT, DIGITS_WORKERS, DIGITS_THREADS and so on

Exits with status 2 and one sentence on standard error if a setting or a checkpoint file prevents startup.
HUP replaces the workers and loads the checkpoint files again, or keeps the current models if one is damaged;
settings need a restart.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from config import Settings, SettingsError
from web import logs, processes
from web.connection_counts import connection_counts

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker


def _usable_cores(quota_file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: its CPU affinity, limited by the CPU quota of its container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, quota_file.read_text().split())
    except (OSError, ValueError):  # no control group, or a quota of "max"
        return bound
    return max(1, min(bound, quota // period))


def _max_connections() -> int:
    """Connections that a worker may have open; 100 file descriptors are left for everything else."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 500 if descriptors == resource.RLIM_INFINITY else max(10, min(500, descriptors - 100))


def _stop(reason: str) -> NoReturn:
    print(f"gunicorn.conf.py: {reason}", file=sys.stderr)
    sys.exit(2)


try:
    # HUP runs this file again, but the app is loaded once and keeps its settings.
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
forwarded_allow_ips = ""  # only web/security.py evaluates proxy headers

worker_class = "web.load_shedding.LoadSheddingWorker"  # gthread with load shedding
workers = _settings.workers or _usable_cores()
threads = _settings.threads
# The master imports everything, so that workers start quickly.
preload_app = True
# Each worker has one core, and libraries that have started threads cannot be used after a fork. The variables are read
# when the libraries are imported, which is after this file and before the fork.
raw_env = [
    *("OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OPENCV_FOR_THREADS_NUM=1"),
    f"PROMETHEUS_MULTIPROC_DIR={processes.shared_folder()}",
]

timeout = 30
keepalive = 75  # seconds; longer than proxies keep connections, so that none is closed as a proxy reuses it
graceful_timeout = 8  # under the 10 s that Docker waits between TERM and KILL
# Bounds the cost of a memory leak in a native library; with jitter, workers are not replaced all at once.
max_requests = 20_000
max_requests_jitter = 5_000
worker_connections = _max_connections()
backlog = 256  # connections of a burst that wait to be accepted
# Workers signal that they are alive by touching a file, which blocks on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes the file safely
control_socket_disable = True  # unused, and would be created in $HOME


def on_starting(server: Arbiter) -> None:
    """Verify the checkpoints in the master: after an error in a worker, gunicorn would exit with status 3."""
    from model_file import CheckpointError

    processes.settings = _settings
    try:
        _read_models(server)
    except CheckpointError as error:
        _stop(str(error))


def on_reload(server: Arbiter) -> None:
    """Read the checkpoints again; keep the current models if that fails."""
    from model_file import CheckpointError

    try:
        _read_models(server)
    except CheckpointError as error:
        server.log.error("%s; keeping the current models", error)


def _read_models(server: Arbiter) -> None:
    """Verify the model files and pass their contents to future workers. Raises `CheckpointError`."""
    from recognition.engine import read_models  # imported after raw_env has been applied

    server.app.wsgi().extensions["models"] = read_models(_settings)


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Assign the first free slot to the worker, and exclude existing objects from garbage collection."""
    # A full garbage collection writes to every object, which would copy 25 MB in each worker.
    gc.freeze()
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in count(1) if slot not in taken)
    worker.connection_counts = connection_counts


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Make the worker log through a queue and write its metrics to the files of its slot."""
    from web import metrics

    logs.start_queue()
    metrics.use_slot(worker.slot)


def post_worker_init(worker: Worker) -> None:
    """Load the model after the fork."""
    from web.state import load_model

    try:
        load_model(worker.wsgi)
    except OSError:
        worker.log.exception("cannot load the model; trying again in a new worker")
        time.sleep(1)
        sys.exit(1)  # with any other exception, gunicorn would stop the server


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Remove the gauges of the worker and its connection count."""
    from web import metrics

    metrics.free_slot(worker.slot)
    connection_counts.clear(worker.slot)
