"""A real PostgreSQL for tests, started and stopped here; skips where its programs are not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def binary(name: str) -> str | None:
    candidates = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(candidates[0]) if candidates else shutil.which(name)


def _as_postgres_user(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


@contextmanager
def server(password: str | None = None) -> Iterator[int]:
    """The port of a server on this machine with the user `assay`, who needs the password if there is one."""
    with stoppable_server(password) as started:
        yield started.port


@contextmanager
def stoppable_server(password: str | None = None) -> Iterator[Server]:
    """The same, with the means to stop and start it."""
    initdb, pg_ctl = binary("initdb"), binary("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed: PostgreSQL is not exercised.")
    if os.geteuid() == 0 and (shutil.which("runuser") is None or not _user_exists("postgres")):
        pytest.skip("Running as root without a postgres user: PostgreSQL is not exercised.")
    folder = Path(tempfile.mkdtemp(prefix="assay-pg-"))
    data, secret = folder / "data", folder / "password"
    secret.write_text(password or "")
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(secret, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    how = ["-A", "trust"] if password is None else ["-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run(
        _as_postgres_user([initdb, "-D", str(data), *how, "-U", "assay"]),
        check=True,
        capture_output=True,
        cwd="/",
    )
    started = Server(pg_ctl, folder, port)
    started.start()
    try:
        yield started
    finally:
        started.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Server:
    """A server that a test may stop and start again.

    Attributes:
        pg_ctl: The program that does it.
        folder: Its data, socket and log.
        port: Where it listens.
    """

    pg_ctl: str
    folder: Path
    port: int

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        # Its output goes to a file: an inherited pipe would stay open as long as the server runs.
        self._control("-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop", check=False)

    def _control(self, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            _as_postgres_user([self.pg_ctl, "-D", str(self.folder / "data"), *arguments]),
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )


def _user_exists(name: str) -> bool:
    import pwd

    return any(entry.pw_name == name for entry in pwd.getpwall())
