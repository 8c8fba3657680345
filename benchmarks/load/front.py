"""nginx in front of a server, with deploy/nginx.conf as it stands but for names, ports and TLS."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

from benchmarks.load.generator import Address
from benchmarks.load.server import Server
from config import ROOT

# nginx limits the connections of each address, so every client has one of its own.
SOURCES = [f"127.0.{number // 250}.{1 + number % 250}" for number in range(250, 1000)]
# What the server behind it has to be told, as deploy/compose.yaml does.
TRUST = {"DIGITS_TRUSTED_PROXIES": "127.0.0.0/8"}


def start_nginx(folder: Path, app: Address) -> Server:
    """nginx, ready to answer for `app`; `folder` is made for its files. Raises `FileNotFoundError` without nginx."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    folder.mkdir()
    address = "127.0.0.1", free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(adapt((ROOT / "deploy" / "nginx.conf").read_text(), folder, address[1], app))
    log = folder / "log"
    command = [program, "-e", "stderr", "-g", "daemon off;", "-c", str(configuration), "-p", str(folder)]
    server = Server(command, log, address=address)
    try:
        server.wait_until_ready()
    except BaseException:
        server.stop()
        raise
    return server


def adapt(configuration: str, folder: Path, port: int, app: Address) -> str:
    """The configuration for one process on this machine: plain HTTP on `port`, files in `folder`, `app` behind it."""
    changes = {
        r"\n *listen 8443 ssl default_server;": f"\n listen 127.0.0.1:{port} default_server;",
        r"\n *listen 8080 default_server;": f"\n listen 127.0.0.1:{free_port()} default_server;",
        r"\n *ssl_[a-z_]+ [^;]+;": "",
        r"\bapp:5000\b": f"{app[0]}:{app[1]}",
        r" /tmp/": f" {folder}/",
        # On some systems a process may not open again what it was given as its output.
        r" /dev/std(?:out|err)\b": f" {folder}/requests.log",
    }
    for pattern, replacement in changes.items():
        configuration, count = re.subn(pattern, replacement, configuration)
        if count == 0:
            raise ValueError(f"deploy/nginx.conf has nothing like {pattern!r}, which is to be adapted")
    return configuration


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
