"""Every command of `assay`: its name, where it is, its group and line in `assay --help`, and examples of it.

Here: data, and the click group that imports a command's module when it is called and not before. Not here: any command.
A new command is a module with a function, and an entry here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from orchestration.cli.light_process import light_process
from orchestration.cli.stopping import StoppableGroup

VALUES = "Values"
ACCURACY = "Accuracy and models"
OPERATION = "Operation"
SERVING = "Serving"
PREPARATION = "Preparation"


@dataclass(frozen=True)
class Entry:
    """A command, or a group of commands.

    Attributes:
        name: What is typed.
        group: Heading in `assay --help`.
        about: Its line there.
        examples: Complete command lines, the commonest first.
        attribute: Function, or `typer.Typer` of a group of commands, in the module; the name unless given.
        module: Where it is, below `orchestration.cli`; the name unless given.
        light: Whether its process does without what costs more than its answer.
        with_pandas: Whether such a command needs pandas nevertheless.
    """

    name: str
    group: str
    about: str
    examples: tuple[str, ...]
    attribute: str = ""
    module: str = ""
    light: bool = False
    with_pandas: bool = False

    def load(self) -> Any:
        """Import the command.

        Returns:
            The click command of typer.
        """
        module = import_module(f"orchestration.cli.{self.module or self.name}")
        found = getattr(module, self.attribute or self.name)
        epilog = "\n\n".join(("Examples:", *self.examples))
        if isinstance(found, typer.Typer):
            found.info.epilog = epilog
            command = typer.main.get_command(found)
        else:
            alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
            alone.command(self.name, epilog=epilog)(found)
            command = typer.main.get_command(alone)
        command.name = self.name
        return command


CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "run",
        VALUES,
        "Ingest, build, train what is due, value every token.",
        (
            "assay run",
            "assay run --collections 20 --days 120",
            "assay run --source files --data-dir sales/",
        ),
    ),
    Entry(
        "value",
        VALUES,
        "One token's estimate in one line.",
        ("assay value sim-00033 36", "assay value sim-00033 36 --json"),
        light=True,
    ),
    Entry(
        "explain",
        VALUES,
        "Why a token has its price, and how far to trust it.",
        ("assay explain sim-00033 36", "assay explain sim-00033 --all --json"),
        light=True,
        with_pandas=True,
    ),
    Entry(
        "portfolio",
        VALUES,
        "Value the tokens of an owner together.",
        ("assay portfolio --owner 0x235240ab2edb75094ec0b22ca60090b82c4aca70",),
        light=True,
    ),
    Entry(
        "gains",
        VALUES,
        "What an owner gained with each token that was sold.",
        ("assay gains --owner 0x235240ab2edb75094ec0b22ca60090b82c4aca70 --year 2025 --csv",),
        light=True,
    ),
    Entry(
        "list",
        VALUES,
        "List collections, tokens or models, filtered and sorted.",
        (
            "assay list collections --sort -sales",
            "assay list tokens --filter collection=sim-00033 --filter grade=A",
        ),
        attribute="list_",
        module="listing",
        light=True,
    ),
    Entry(
        "sql",
        VALUES,
        "Ask the lake in SQL; nothing can be changed.",
        ('assay sql "from predictions.token_estimates limit 5"', 'assay sql "from ops.champions" --csv'),
        light=True,
    ),
    Entry(
        "export",
        VALUES,
        "Write a table to a Parquet or CSV file.",
        ("assay export predictions.token_estimates --to estimates.parquet",),
    ),
    Entry(
        "backtest",
        ACCURACY,
        "Measure the estimates on the past.",
        ("assay backtest --from 2025-10-01 --to 2025-12-31 --out ledger.parquet",),
    ),
    Entry(
        "report",
        ACCURACY,
        "The accuracy report of a backtest.",
        ("assay report ledger.parquet",),
        light=True,
    ),
    Entry("tune", ACCURACY, "Search better model settings under a budget.", ("assay tune --budget 10m",)),
    Entry(
        "ablate",
        ACCURACY,
        "What each ingredient of the model is worth.",
        ("assay ablate --out ablation.json",),
    ),
    Entry(
        "why",
        ACCURACY,
        "What was decided about a collection's models, and why.",
        ("assay why sim-00033",),
        light=True,
    ),
    Entry(
        "retrain",
        ACCURACY,
        "Train the listed collections now.",
        ('assay retrain sim-00033 sim-00034 --reason "new traits"',),
    ),
    Entry(
        "rollback",
        ACCURACY,
        "Restore the previous model of a collection.",
        ('assay rollback sim-00033 --reason "doubtful estimates"',),
    ),
    Entry(
        "status",
        OPERATION,
        "Service levels, error budgets, the last run, open alerts.",
        ("assay status", "assay status --json"),
        light=True,
    ),
    Entry(
        "alerts",
        OPERATION,
        "What is wrong now; deliver or try alerts.",
        ("assay alerts", "assay alerts test"),
    ),
    Entry("doctor", OPERATION, "Examine every part of a home.", ("assay doctor",)),
    Entry(
        "reconcile",
        OPERATION,
        "Compare every row with what it was made from.",
        ("assay reconcile", "assay reconcile --table raw.sales --days 7 --repair"),
    ),
    Entry(
        "backup",
        OPERATION,
        "Back a home up, also while it is in use.",
        ("assay backup /mnt/backups/assay",),
    ),
    Entry(
        "restore",
        OPERATION,
        "Make a home from a backup, or put damaged files back.",
        (
            "assay restore /mnt/backups/assay --to .assay-restored",
            "assay restore /mnt/backups/assay --damaged",
        ),
        module="backup",
    ),
    Entry("watchdog", OPERATION, "Check from outside whether all works, for cron.", ("assay watchdog",)),
    Entry(
        "drill",
        OPERATION,
        "Rehearse an incident on a scratch home.",
        ("assay drill --list", "assay drill duplicates"),
    ),
    Entry(
        "replay",
        OPERATION,
        "Validate quarantined rows again with today's rules.",
        ("assay replay", "assay replay --rename cost=price_native"),
    ),
    Entry(
        "ui",
        SERVING,
        "The Dagster UI and its daemon.",
        ("assay ui", "assay ui --port 3001 --read-only"),
        module="open_ui",
    ),
    Entry(
        "serve",
        SERVING,
        "The API and the dashboard.",
        ("assay serve", "assay serve --port 8080 --no-dashboard"),
    ),
    Entry("api", SERVING, "Who may ask the API.", ("assay api keys create partner",), module="serve"),
    Entry("mcp", SERVING, "Answer an assistant over standard input and output.", ("assay mcp",)),
    Entry("metrics", SERVING, "Show the pipeline to Prometheus.", ("assay metrics --port 9464",)),
    Entry(
        "init",
        PREPARATION,
        "Write a file with every setting, commented out.",
        ("assay init", "assay init /etc/assay/assay.env"),
    ),
    Entry(
        "settings",
        PREPARATION,
        "Every setting, its value here and where that comes from.",
        ("assay settings", "assay settings --json"),
    ),
    Entry(
        "sources",
        PREPARATION,
        "The sources of a home: list, add, remove.",
        ("assay sources", "assay sources add dune --data-dir exports/"),
    ),
    Entry(
        "watch",
        PREPARATION,
        "Read these contracts from a chain.",
        ("assay watch 0xbc4ca0eda7647a8ab7c2061c2e118a18a936f13d",),
    ),
    Entry(
        "files",
        PREPARATION,
        "Look at a folder of files; writes nothing.",
        ("assay files check sales/",),
        light=True,
    ),
    Entry("demo", PREPARATION, "Show a path from its beginning to its end.", ("assay demo chain",)),
    Entry(
        "prepare",
        PREPARATION,
        "Parse dbt and compile kernels once, before the first run.",
        ("assay prepare",),
    ),
)
"""In the order of `assay --help`."""

_BY_NAME = {entry.name: entry for entry in CATALOGUE}


class CatalogueGroup(StoppableGroup):
    """The commands of the catalogue: listed without importing one, imported when called."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the help."""
        return [*_BY_NAME, *(name for name in super().list_commands(ctx) if name not in _BY_NAME)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list shows of a command: its line and its group."""
        entry = _BY_NAME.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        return TyperCommand(entry.name, help=entry.about, rich_help_panel=entry.group)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called or completed."""
        # The suggestions for a mistyped name come from here.
        self.commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        name, command, rest = super().resolve_command(ctx, args)
        entry = _BY_NAME.get(name or "")
        if entry and entry.light:
            ctx.with_resource(light_process(entry.with_pandas))
        return name, entry.load() if entry else command, rest


def every_command() -> dict[str, Any]:
    """Every command with its words, as in `api keys create`, imported; groups that do something alone are in it too."""

    def found(words: str, command: Any) -> dict[str, Any]:
        commands: dict[str, Any] = {}
        inner = getattr(command, "commands", None)
        if inner is None or command.invoke_without_command:
            commands[words] = command
        for name, each in (inner or {}).items():
            commands |= found(f"{words} {name}", each)
        return commands

    return {name: command for entry in CATALOGUE for name, command in found(entry.name, entry.load()).items()}


def is_light(arguments: Sequence[str]) -> bool:
    """Whether a command line is of a command with a light process."""
    entry = _BY_NAME.get(arguments[0]) if arguments else None
    return entry is not None and entry.light
