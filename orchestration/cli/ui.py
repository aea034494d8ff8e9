"""`assay ui`: Dagster's web server, its daemon and one code server for both, on one home; all end together (ADR 52).

Or one of them alone, for containers: they find each other by the code server's socket, in a folder that they share.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Collection
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from lake.child_processes import start_foreign_child, stop_child
from orchestration.cli.ports import require_free
from orchestration.code_location import CODE_LOCATION
from orchestration.home import REPOSITORY, open_instance, prepare_home
from orchestration.interruptions import StopRequestedError
from orchestration.orphaned_runs import answers, cancel_runs_of, fail_orphaned_runs
from orchestration.output.terminal import complain, say
from orchestration.settings import Settings, SettingsError

STOPPING_S = 20.0
"""How long the processes may take to end (seconds)."""

LOOKING_EVERY_S = 0.2

_WORKSPACE = """load_from:
  - grpc_server:
      socket: {socket}
      location_name: {location}
"""


class Part(StrEnum):
    """A process of the interface."""

    CODE_SERVER = "code-server"
    WEB_SERVER = "web-server"
    DAEMON = "daemon"


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    read_only: bool,
    parts: Collection[Part] = tuple(Part),
    socket: Path | None = None,
) -> int:
    """Run the processes until one ends or the user interrupts; returns the exit code.

    The code server is started here and not by Dagster: one serves both, it is not started anew while nothing happens,
    and it ends with this process, also when this is killed.

    Args:
        settings: The home.
        host: Where the web server listens.
        port: Its port.
        read_only: Whether it only shows.
        parts: Which processes; the others are started elsewhere, with the same socket.
        socket: The code server's; None: one that only this process knows.

    Raises:
        SettingsError: The port is taken, or another code server has the socket.
    """
    if Part.WEB_SERVER in parts:
        require_free(host, port, "--port")
    if Part.CODE_SERVER in parts and socket is not None:
        _free_socket(socket)
    home = prepare_home(settings)
    # Makes its tables once, before processes use them; what an interface that was killed has left is failed. Runs are
    # processes of the code server's: the other parts leave them alone, as it may be starting one just now.
    if Part.CODE_SERVER in parts:
        _fail_orphaned(settings)
    else:
        with open_instance(settings):
            pass
    if Part.WEB_SERVER in parts:
        say(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it) · home {home}")
    else:
        say(f"{' and '.join(parts)} (Ctrl-C stops it) · home {home}")
    children: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as running:
        if Part.CODE_SERVER in parts:
            running.callback(_fail_orphaned, settings)  # the last thing: whatever did not end in time
        folder = running.enter_context(TemporaryDirectory(prefix="assay-ui-"))
        # In a folder that only its owner can enter: a port would answer everybody on this machine.
        code = Path(folder) / "code" if socket is None else socket

        def start(name: str, module: str, *arguments: str) -> None:
            variables = {**os.environ, **settings.as_environment(), "DAGSTER_HOME": str(home / "dagster")}
            children[name] = start_foreign_child(module, arguments, environment=variables, folder=REPOSITORY)
            running.callback(stop_child, children[name], STOPPING_S)
            if name == "code server":
                running.callback(_cancel_runs, settings, code, children[name].pid)

        workspace = Path(folder) / "workspace.yaml"
        workspace.write_text(_WORKSPACE.format(socket=json.dumps(str(code)), location=CODE_LOCATION))
        try:
            if Part.CODE_SERVER in parts:
                start(
                    "code server", "dagster", "api", "grpc", "--socket", str(code), "--log-level", "warning",
                    "-m", "orchestration.definitions", "-d", str(REPOSITORY), "--location-name", CODE_LOCATION,
                    "--use-python-environment-entry-point", "--inject-env-vars-from-instance",
                )  # fmt: skip
            while not answers(str(code)) and not _ended(children):
                time.sleep(LOOKING_EVERY_S)
            if not _ended(children):
                web = ["-w", str(workspace), "-h", host, "-p", str(port)]
                shown_only = ["--read-only"] if read_only else []
                if Part.WEB_SERVER in parts:
                    start("web server", "dagster_webserver", *web, *shown_only)
                if Part.DAEMON in parts:
                    start("daemon", "dagster._daemon", "run", "-w", str(workspace))
            while not (ended := _ended(children)):
                time.sleep(LOOKING_EVERY_S)
        except StopRequestedError as stopped:
            if stopped.signal == signal.SIGINT:  # how it is meant to end
                return 0
            raise
        complain(f"the {ended} ended (exit {children[ended].returncode}); stopping the others")
        return 1


def _free_socket(path: Path) -> None:
    """Remove the socket that a killed code server has left.

    Raises:
        SettingsError: One answers there, or its folder does not exist.
    """
    if not path.parent.is_dir():
        raise SettingsError(f"--socket: expected an existing folder {path.parent}, found none; make it")
    if path.is_socket() and not answers(str(path)):
        path.unlink(missing_ok=True)
    elif path.exists():
        raise SettingsError(
            f"--socket: expected no other code server at {path}, found one; stop it or name another"
        )


def _cancel_runs(settings: Settings, socket: Path, code_server: int) -> None:
    """Interrupt the processes of runs and wait for them: each cancels its run, and its lake is as it was committed."""
    with open_instance(settings) as instance:
        cancel_runs_of(instance, socket)
    try:
        workers = [child for child in psutil.Process(code_server).children() if not _is_tracker(child)]
        for worker in workers:
            worker.terminate()
        psutil.wait_procs(workers, STOPPING_S)
    except psutil.NoSuchProcess:
        return


def _is_tracker(process: psutil.Process) -> bool:
    """Whether it is Python's own beside those that multiprocessing starts: it ignores SIGTERM and ends after them."""
    try:
        return any("multiprocessing.resource_tracker" in argument for argument in process.cmdline())
    except psutil.NoSuchProcess:
        return True


def _fail_orphaned(settings: Settings) -> None:
    with open_instance(settings) as instance:
        if orphaned := fail_orphaned_runs(instance):
            complain(
                f"{orphaned} run(s) of a process that has ended marked as failed; the next run continues"
            )


def _ended(children: dict[str, subprocess.Popen[bytes]]) -> str:
    """The first child that has ended; nothing if all live."""
    return next((name for name, child in children.items() if child.poll() is not None), "")
