"""`assay ui`: Dagster's web server, its daemon and one code server for both, on one home; all end together (ADR 52)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from lake.child_processes import start_foreign_child, stop_child
from orchestration.cli.ports import require_free
from orchestration.code_location import CODE_LOCATION
from orchestration.home import REPOSITORY, cancel_runs_of, fail_orphaned_runs, open_instance, prepare_home
from orchestration.interruptions import StopRequestedError
from orchestration.output.terminal import complain, say
from orchestration.settings import Settings

STOPPING_S = 20.0
"""How long the processes may take to end (seconds)."""

LOOKING_EVERY_S = 0.2

_WORKSPACE = """load_from:
  - grpc_server:
      socket: {socket}
      location_name: {location}
"""


def serve(settings: Settings, *, host: str, port: int, read_only: bool) -> int:
    """Run the processes until one ends or the user interrupts; returns the exit code.

    The code server is started here and not by Dagster: one serves both, it is not started anew while nothing happens,
    and it ends with this process, also when this is killed.

    Raises:
        SettingsError: The port is taken.
    """
    require_free(host, port, "--port")
    home = prepare_home(settings)
    # Makes its tables once, before processes use them; what an interface that was killed has left is failed.
    _fail_orphaned(settings)
    say(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it) · home {home}")
    children: dict[str, subprocess.Popen[bytes]] = {}
    with ExitStack() as running:
        running.callback(_fail_orphaned, settings)  # the last thing: whatever did not end in time
        folder = running.enter_context(TemporaryDirectory(prefix="assay-ui-"))

        def start(name: str, module: str, *arguments: str) -> None:
            variables = {**os.environ, **settings.as_environment(), "DAGSTER_HOME": str(home / "dagster")}
            children[name] = start_foreign_child(module, arguments, environment=variables, folder=REPOSITORY)
            running.callback(stop_child, children[name], STOPPING_S)
            if name == "code server":
                running.callback(_cancel_runs, settings, socket, children[name].pid)

        # A socket in a folder that only its owner can enter: a port would answer everybody on this machine.
        socket, workspace = Path(folder) / "code", Path(folder) / "workspace.yaml"
        workspace.write_text(_WORKSPACE.format(socket=socket, location=CODE_LOCATION))
        try:
            start(
                "code server", "dagster", "api", "grpc", "--socket", str(socket), "--log-level", "warning",
                "-m", "orchestration.definitions", "-d", str(REPOSITORY), "--location-name", CODE_LOCATION,
                "--use-python-environment-entry-point", "--inject-env-vars-from-instance",
            )  # fmt: skip
            while not socket.exists() and not _ended(children):
                time.sleep(LOOKING_EVERY_S)
            if not _ended(children):
                web = ["-w", str(workspace), "-h", host, "-p", str(port)]
                start("web server", "dagster_webserver", *web, *(["--read-only"] if read_only else []))
                start("daemon", "dagster._daemon", "run", "-w", str(workspace))
            while not (ended := _ended(children)):
                time.sleep(LOOKING_EVERY_S)
        except StopRequestedError as stopped:
            if stopped.signal == signal.SIGINT:  # how it is meant to end
                return 0
            raise
        complain(f"the {ended} ended (exit {children[ended].returncode}); stopping the others")
        return 1


def _cancel_runs(settings: Settings, socket: Path, code_server: int) -> None:
    """Interrupt the processes of runs and wait for them: each cancels its run, and its lake is as it was committed."""
    with open_instance(settings) as instance:
        cancel_runs_of(instance, socket)
    try:
        workers = psutil.Process(code_server).children()
        for worker in workers:
            worker.terminate()
        psutil.wait_procs(workers, STOPPING_S)
    except psutil.NoSuchProcess:
        return


def _fail_orphaned(settings: Settings) -> None:
    with open_instance(settings) as instance:
        if orphaned := fail_orphaned_runs(instance):
            complain(
                f"{orphaned} run(s) of a process that has ended marked as failed; the next run continues"
            )


def _ended(children: dict[str, subprocess.Popen[bytes]]) -> str:
    """The first child that has ended; nothing if all live."""
    return next((name for name, child in children.items() if child.poll() is not None), "")
