"""The `assay` command.

Here: options of no command, and turning known errors into one message and an exit code. Not here: the commands
(`orchestration.cli.catalogue`).

Exit codes: 0 done · 1 a stage failed, or something was found, such as a service level that pages · 2 asked wrongly:
settings, home, names or input · 130 stopped by Ctrl-C · 143 stopped by SIGTERM.
"""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.catalogue import CatalogueGroup, is_light
from orchestration.cli.light_process import end_at_once
from orchestration.interruptions import stopping_on_signals
from orchestration.output.terminal import complain, print_traceback, say, tidy_logging

app = typer.Typer(
    name="assay",
    cls=CatalogueGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done · 1 a stage failed, or something was found · 2 asked wrongly · "
    "130 stopped by Ctrl-C · 143 by SIGTERM."
    "\n\nSettings: assay settings. Every command: docs/reference/cli.md",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"assay {version('assay')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Automated valuation of every NFT in thousands of collections."""


def main() -> None:
    """Entry point of the process, which ends with the command."""
    import sys

    try:
        run_command_line()
    except SystemExit as ended:
        if not is_light(sys.argv[1:]) or not isinstance(ended.code, int | None):
            raise
        end_at_once(ended.code or 0)


def run_command_line() -> None:
    """Run the command that was typed: known errors become one message on standard error, others a traceback.

    Raises:
        SystemExit: The command has ended, with its exit code. A traceback shows no secret.
    """
    import gc

    tidy_logging()
    # Dagster and dbt are a heap that only grows: at its default, Python's collector takes a twentieth of a run.
    gc.set_threshold(50_000, 20, 50)
    try:
        with stopping_on_signals():
            app(prog_name="assay")
    except Exception as error:
        code = _known(error)
        # An error that a damaged file or a full disk explains is reported as that.
        fault = _fault_of_home(error) if code in (None, 1) else None
        if code is None and fault is None:
            print_traceback(error)
            raise SystemExit(1) from None
        complain(f"assay: {fault or error}")
        raise SystemExit(2 if code is None else code) from error


def _known(error: Exception) -> int | None:
    """The exit code of an error that is one message; None for any other. Imported when there is an error."""
    from lake.errors import LakeError
    from ml.compute.ray_backend import ClusterError
    from ml.registry.errors import NothingToRollBackError, RegistryError
    from orchestration.alerts.errors import AlertingError
    from orchestration.errors import HomeError, StageFailedError
    from orchestration.settings import SettingsError
    from orchestration.slo.definitions import SloDefinitionError
    from sources.protocol import SourceError

    if isinstance(error, SourceError):
        return error.exit_code
    if isinstance(error, SettingsError | HomeError | AlertingError | LakeError | SloDefinitionError):
        return 2
    failed = StageFailedError | NothingToRollBackError | RegistryError | ClusterError
    return 1 if isinstance(error, failed) else None


def _fault_of_home(error: Exception) -> str | None:
    """What is wrong with the home in use that explains an error, in sentences."""
    from orchestration.home import home_in_use
    from orchestration.home_faults import fault_of

    home = home_in_use()
    try:
        fault = None if home is None else fault_of(error, home)
    except OSError:
        return None  # a disk that cannot be examined explains nothing: the error itself is shown
    return None if fault is None else str(fault)
