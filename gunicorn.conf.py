"""How gunicorn serves the app; it finds this file by its name.

    gunicorn        # in the project's folder: DIGITS_HOST, DIGITS_PORT, DIGITS_WORKERS and DIGITS_THREADS apply

Exit status 2, with one sentence on standard error, where a setting or the checkpoint file does not allow a start.
HUP replaces the workers, and so the model by what the checkpoint file then holds; other settings need a restart.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from config import Settings, SettingsError

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
    _settings = Settings.load()
except SettingsError as error:
    _stop(str(error))

wsgi_app = "flask_app:create_app(load_model=False)"
bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
loglevel = _settings.log_level.value

worker_class = "gthread"
workers = _settings.workers or _usable_cores()
threads = _settings.threads
# The master imports everything and forks workers that only have to load the model: a killed one is soon replaced.
preload_app = True
# One core per worker is all there is, and a library that has started threads of its own does not survive the fork.
# Read by OpenMP, with it by torch and MKL, and by OpenBLAS, when they are imported: after this, before the fork.
raw_env = ["OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OPENCV_FOR_THREADS_NUM=1"]

timeout = 30
graceful_timeout = 8  # under the 10 s that Docker waits between TERM and KILL
# Bounds what a leak in a native library can cost; the jitter keeps workers from leaving together.
max_requests = 20_000
max_requests_jitter = 5_000
backlog = 64  # beyond it the kernel turns clients away at once, which is better than an answer nobody waits for
# Workers show that they live by touching a file, which blocks on a busy disk.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn makes the file safely
control_socket_disable = True  # it would be written to $HOME, and nothing here uses it


def on_starting(_server: Arbiter) -> None:
    """Verify the checkpoint once, in the master: gunicorn would end with a trace and status 3 if workers found it."""
    from model import CheckpointError, load_checkpoint  # imported after raw_env has been applied

    try:
        load_checkpoint(_settings.model_path)
    except CheckpointError as error:
        _stop(f"{error}; train a new one with: python train_model.py")


def post_worker_init(worker: Worker) -> None:
    """Load the model after the fork."""
    from web.operations import load_model

    load_model(worker.wsgi)
