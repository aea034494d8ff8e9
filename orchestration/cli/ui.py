"""`assay ui`: Dagster's web server and daemon on one home, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from orchestration.cli.ports import require_free
from orchestration.home import REPOSITORY, open_instance, prepare_home
from orchestration.output.terminal import complain, say
from orchestration.settings import Settings

STOPPING_S = 20.0
"""How long the processes may take to end (seconds)."""


def serve(settings: Settings, *, host: str, port: int, read_only: bool) -> int:
    """Run both processes until one ends or the user interrupts; returns the exit code.

    Raises:
        SettingsError: The port is taken.
    """
    require_free(host, port, "--port")
    home = prepare_home(settings)
    open_instance(settings).dispose()  # makes its tables once, before two processes use them
    environment = {**os.environ, **settings.as_environment(), "DAGSTER_HOME": str(home / "dagster")}
    bin_dir = Path(sys.executable).parent
    workspace = ["-w", str(REPOSITORY / "workspace.yaml")]
    web = [str(bin_dir / "dagster-webserver"), *workspace, "-h", host, "-p", str(port)]
    if read_only:
        web.append("--read-only")
    daemon = [str(bin_dir / "dagster-daemon"), "run", *workspace]
    say(f"Dagster UI: http://{host}:{port} (Ctrl-C stops it) · home {home}")
    processes = [subprocess.Popen(command, env=environment, cwd=REPOSITORY) for command in (web, daemon)]
    # A terminating service manager must not leave the daemon behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        os.waitpid(-1, 0)
    except KeyboardInterrupt:
        return 0
    else:
        complain("one of the two processes ended; stopping the other")
        return 1
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Until it has ended. Dagster's processes do not end by themselves where Ctrl-C is ignored: started with `&`."""
    try:
        process.wait(STOPPING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
