"""The `assay` command.

Here: options, and turning known errors into one message and an exit code. Not here: any work.
Heavy imports stay inside the commands so that `assay --help` is fast.

Exit codes: 0 done · 1 a stage failed, or a service level pages · 2 wrong settings, home or input.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from ml.text.visible import visible
from orchestration.cli.ablate import ablate
from orchestration.cli.alerts import alerts
from orchestration.cli.backtest import backtest
from orchestration.cli.demo import demo
from orchestration.cli.doctor import doctor
from orchestration.cli.drill import drill
from orchestration.cli.explain import explain
from orchestration.cli.files import files
from orchestration.cli.gains import gains
from orchestration.cli.mcp import mcp
from orchestration.cli.metrics import metrics
from orchestration.cli.options import AsJson, DataDir, Home, Source
from orchestration.cli.portfolio import portfolio
from orchestration.cli.report import report
from orchestration.cli.serve import api, serve
from orchestration.cli.sources import sources
from orchestration.cli.status import status
from orchestration.cli.tune import tune
from orchestration.cli.watch import watch
from orchestration.cli.watchdog import watchdog
from orchestration.cli.why import why
from orchestration.output.terminal import complain, print_json, print_traceback, say, styled, tidy_logging
from orchestration.settings import Settings, SettingsError, describe_settings, load_settings

app = typer.Typer(
    name="assay",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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


@app.command()
def run(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    collections: Annotated[
        int | None, typer.Option(help="Simulator: collections [ASSAY_COLLECTIONS].")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Simulator: days of history [ASSAY_DAYS].")] = None,
    seed: Annotated[int | None, typer.Option(help="Simulator: seed [ASSAY_SEED].")] = None,
    faults: Annotated[
        str | None, typer.Option(help="Simulator: faults, e.g. crash@300 [ASSAY_FAULTS].")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Value as of this UTC time; ignore what became known later [ASSAY_AS_OF]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do the main job: ingest, build, train what is due, value every token. Running it again continues."""
    settings = load_settings(
        home=home,
        source=source,
        data_dir=data_dir,
        collections=collections,
        days=days,
        seed=seed,
        faults=faults,
        as_of=as_of,
    )
    from orchestration.cli.render.run_report import print_summary
    from orchestration.definitions import open_location
    from orchestration.home import open_instance, prepare_home
    from orchestration.output.progress import ProgressPrinter
    from orchestration.runs.main_job import run_everything

    prepare_home(settings)
    with ProgressPrinter() as printer, open_instance(settings) as instance:
        printer.say(styled(("assay", "bold"), f" · {settings.described_sources} · home {settings.home_path}"))
        summary = run_everything(open_location(settings), instance, say=printer.say)
    if as_json:
        print_json(summary.to_json())
    else:
        print_summary(summary)


@app.command()
def ui(
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the web server.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to bind; the server has no authentication.")
    ] = "127.0.0.1",
    read_only: Annotated[bool, typer.Option(help="Show only; request no run.")] = False,
) -> None:
    """Start the Dagster UI and its daemon on the same state."""
    settings = load_settings(home=home, source=source, data_dir=data_dir)
    from orchestration.cli.ui import serve

    raise typer.Exit(serve(settings, host=host, port=port, read_only=read_only))


@app.command()
def prepare() -> None:
    """Prepare what every later start would otherwise do again: parse dbt, compile the index kernel."""
    from orchestration.marts.manifest import prepare_manifest

    say(f"dbt manifest: {prepare_manifest()}")
    from ml.index.kernel import warm_up

    warm_up()
    say("index kernel: compiled")


@app.command()
def settings() -> None:
    """Print every setting, its default and what it does."""
    for name, default, description in describe_settings():
        say(f"{name:<26} {default or '—':<16} {description}")


@app.command()
def replay(
    rename: Annotated[
        list[str] | None,
        typer.Option(help="old=new: the column `old` of the refused rows is the contract's `new`."),
    ] = None,
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Validate quarantined rows again with today's rules and let the good ones in."""
    opened = _open(home, source, data_dir)
    renames = dict(_pair(text) for text in rename or [])
    from orchestration.reliability.replay import replay_quarantine
    from orchestration.resources import open_lake

    report = replay_quarantine(open_lake(opened), renames)
    say(f"replayed {report.replayed} rows; {report.still_open} stay in quarantine")


@app.command()
def retrain(
    collections: Annotated[list[str], typer.Argument(help="Collections to train, in any order.")],
    reason: Annotated[str, typer.Option(help="Why; shown with the run.")],
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Train the listed collections in one run (the job retrain_worklist)."""
    opened = _open(home, source, data_dir)
    from orchestration.definitions import open_location
    from orchestration.home import open_instance
    from orchestration.output.progress import ProgressPrinter
    from orchestration.runs.main_job import retrain_collections

    with ProgressPrinter() as printer, open_instance(opened) as instance:
        counts, seconds = retrain_collections(
            open_location(opened), instance, collections, reason, say=printer.say
        )
    shown = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
    say(f"{len(collections)} collections: {shown or 'nothing to do'}")
    say(f"training took {seconds:.2f} s")


@app.command()
def rollback(
    collection: Annotated[str, typer.Argument(help="Collection whose previous model to restore.")],
    reason: Annotated[str, typer.Option(help="Why; kept in ops.decision_log.")],
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Make the previous model of a collection its champion again."""
    opened = _open(home, source, data_dir)
    from ml.registry.mirror import rollback as roll_back
    from orchestration.collection_names import resolve_collection
    from orchestration.resources import open_lake, open_registry

    lake = open_lake(opened)
    with lake.read() as con:
        collection = resolve_collection(con, collection)
    with lake.write(f"roll back {collection}") as con:
        champion = roll_back(con, open_registry(opened), collection, run_id="command line", reason=reason)
    say(
        f"{visible(collection)}: champion is now {champion.model_version}; `assay run` values its tokens again"
    )


app.command("status")(status)
app.command("explain")(explain)
app.command("backtest")(backtest)
app.command("report")(report)
app.command("portfolio")(portfolio)
app.command("gains")(gains)
app.command("alerts")(alerts)
app.command("watchdog")(watchdog)
app.command("doctor")(doctor)
app.command("tune")(tune)
app.command("why")(why)
app.command("drill")(drill)
app.command("ablate")(ablate)
app.command("watch")(watch)
app.command("serve")(serve)
app.command("mcp")(mcp)
app.command("metrics")(metrics)
app.add_typer(api, name="api")
app.add_typer(demo, name="demo")
app.add_typer(files, name="files")
app.add_typer(sources, name="sources")


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise SettingsError(f"--rename expects old=new, found {text!r}")
    return old, new


def _open(home: Path | None, source: str | None, data_dir: Path | None) -> Settings:
    from orchestration.home import existing_home

    opened = load_settings(home=home, source=source, data_dir=data_dir)
    existing_home(opened)
    return opened


def main() -> None:
    """Entry point: known errors become one message on standard error, others a traceback without secrets."""
    import gc

    from lake.errors import LakeError
    from ml.registry.errors import NothingToRollBackError, RegistryError
    from orchestration.alerts.errors import AlertingError
    from orchestration.errors import HomeError, StageFailedError
    from orchestration.slo.definitions import SloDefinitionError
    from sources.protocol import SourceError

    tidy_logging()
    # Dagster and dbt are a heap that only grows: at its default, Python's collector takes a twentieth of a run.
    gc.set_threshold(50_000, 20, 50)
    try:
        app()
    except SourceError as error:
        complain(f"assay: {error}")
        raise SystemExit(error.exit_code) from error
    except (SettingsError, HomeError, AlertingError, LakeError, SloDefinitionError) as error:
        complain(f"assay: {error}")
        raise SystemExit(2) from error
    except (StageFailedError, NothingToRollBackError, RegistryError) as error:
        complain(f"assay: {error}")
        raise SystemExit(1) from error
    except Exception as error:  # noqa: BLE001 - a traceback is printed, by us
        print_traceback(error)
        raise SystemExit(1) from None
