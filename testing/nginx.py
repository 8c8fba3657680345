"""nginx with deploy/nginx.conf, adapted to ports and folders of this machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from config import ROOT
from testing.servers import Address, Server, free_port

CONFIGURATION = ROOT / "deploy" / "nginx.conf"
MISSING = "nginx is not installed (on Debian: apt install nginx)"
# nginx limits the connections of each address; clients that count separately connect from these.
SOURCES = [f"127.0.{number // 250}.{1 + number % 250}" for number in range(250, 1000)]
# What the app behind nginx needs to be told, as deploy/compose.yaml does.
TRUST = {"DIGITS_TRUSTED_PROXIES": "127.0.0.0/8"}


class Nginx(Server):
    """A running nginx: `address` is where it serves, `redirect` the plain HTTP port that only redirects."""

    def __init__(self, program: str, folder: Path, address: Address, redirect: Address) -> None:
        self.redirect = redirect
        self.access_log = folder / "access.log"
        command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
        super().__init__(command, folder / "log", address=address)


def find_nginx() -> str | None:
    """Path of nginx, if it is installed; /usr/sbin is not on every user's PATH."""
    return shutil.which("nginx", path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin"]))


def start_nginx(
    folder: Path, app: Address, *, certificate: Path | None = None, changes: Mapping[str, str] | None = None
) -> Nginx:
    """nginx in front of `app`, listening; `folder` is made for its files.

    With TLS where `certificate` names a folder with fullchain.pem and privkey.pem. `changes` replaces further text of
    the configuration. Raises `FileNotFoundError` without nginx, `ValueError` if the text to be replaced is not there.
    """
    program = find_nginx()
    if program is None:
        raise FileNotFoundError(MISSING)
    folder.mkdir()
    address, redirect = ("127.0.0.1", free_port()), ("127.0.0.1", free_port())
    text = adapt(CONFIGURATION.read_text(), folder, app, address[1], redirect[1], certificate)
    for old, new in (changes or {}).items():
        if old not in text:
            raise ValueError(f"deploy/nginx.conf does not contain {old!r}")
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(text)
    server = Nginx(program, folder, address, redirect)
    try:
        server.wait_until_listening()
    except BaseException:
        server.stop(signal.SIGKILL)
        raise
    return server


def adapt(text: str, folder: Path, app: Address, port: int, redirect: int, certificate: Path | None) -> str:
    """The configuration for one machine: files in `folder`, `app` as the upstream, these ports, TLS or not."""
    tls = " ssl" if certificate else ""
    changes = {
        r"\blisten 8443 ssl\b": f"listen 127.0.0.1:{port}{tls}",
        r"\blisten 8080\b": f"listen 127.0.0.1:{redirect}",
        r"\bapp:5000\b": f"{app[0]}:{app[1]}",
        r" /tmp/": f" {folder}/",
        # On some systems a process may not reopen what it was given as its output.
        r" /dev/stdout\b": f" {folder}/access.log",
        r" /dev/stderr\b": f" {folder}/error.log",
    }
    text = re.sub(r"\n *listen \[::\][^;]+;", "", text)
    changes |= {r"/etc/nginx/tls\b": str(certificate)} if certificate else {r"\n *ssl_[a-z_]+ [^;]+;": ""}
    for pattern, replacement in changes.items():
        text, count = re.subn(pattern, replacement, text)
        if count == 0:
            raise ValueError(f"deploy/nginx.conf contains nothing like {pattern!r}")
    # As root, nginx would change to a user who may not enter the folder.
    return f"user root;\n{text}" if os.geteuid() == 0 else text
