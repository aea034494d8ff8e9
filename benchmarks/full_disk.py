"""A disk that is full from the moment at which a stage begins: clear words, and then the same tables as without.

    python -m benchmarks.full_disk        # writes docs/measured/full_disk.json; as root: it mounts a small disk

Here: the small disk, filling it in the middle of a step, what counts as clear words. Not here: the steps
(`benchmarks.steps`), and what the watchdog sends meanwhile (`orchestration.alerts.health`).

Concept: one home on a small disk. For each stage in turn the first run is started, and its own process fills the disk
when the stage begins. Then there is room again, and the next try goes on from what the ones before have kept.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.machine import describe_machine
from benchmarks.steps import SMALL, Market, start, to_its_end
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import content, differences
from orchestration.reliability.measured import Figure, write_measurement
from orchestration.states import StepState

MEGABYTES = 400
"""Of the small disk: a home of this market with its backups, and room to merge files."""

STAGES = (
    "raw_facts",
    "marts",
    "hedonic_index",
    "sale_features",
    "pooled_prior",
    "train_worklist",
    "token_features",
    "token_estimates",
    "wallet_positions",
    "estimate_ledger",
    "drift_scores",
    "slo_status",
    "published_estimates",
)
"""Steps of a run in the order in which they begin, one or more of each stage."""

OTHER_STEPS = ("maintain", "backup")
_until_the_process_ends = ExitStack()
LINES = 12
"""Most lines that a command prints about a full disk."""


@dataclass(frozen=True)
class Try:
    """A step whose disk was full.

    Attributes:
        what: The stage at whose beginning the disk was full, or the step.
        room: Bytes that were left.
        reached: Whether the stage began, and the disk was filled.
        code: The exit code; 0: what was left was enough.
        text: What was printed.
    """

    what: str
    room: int
    reached: bool
    code: int
    text: str

    @property
    def is_clear(self) -> bool:
        """Whether it ended well, or says in few lines what was expected, found and is to do."""
        lines = [line for line in self.text.splitlines() if line.strip() and line[0] not in "✓✗"]
        is_plain = all(words in " ".join(self.text.split()) for words in ("Expected", "found", "Make room"))
        return self.code == 0 or (
            self.code in (1, 2) and is_plain and "Traceback" not in self.text and len(lines) <= LINES
        )


@contextmanager
def small_disk(folder: Path, megabytes: int = MEGABYTES) -> Iterator[Path]:
    """A disk of its own at this folder, in memory.

    Raises:
        PermissionError: This user may not mount one.
    """
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        raise PermissionError("expected a user who may mount a small disk (root), found another")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, room: int) -> None:
    """Write until the disk takes nothing more, then leave so many bytes."""
    with _filler(disk).open("wb", buffering=0) as file, suppress(OSError):
        for block in (1 << 20, 1 << 12):
            with suppress(OSError):
                while file.write(bytes(block)) == block:
                    pass
        file.truncate(max(0, file.tell() - room))


def empty(disk: Path) -> None:
    """Make room again."""
    _filler(disk).unlink(missing_ok=True)


def fill_each_stage(
    market: Market,
    disk: Path,
    texts: Path,
    rng: random.Random,
    stages: Sequence[str] = STAGES,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Try], list[str]]:
    """The first run of a market with a full disk in each stage, then to its end; the maintenance and a backup likewise.

    Args:
        market: The market.
        disk: A small disk; the home is made on it.
        texts: The folder of what the steps print: elsewhere.
        rng: Draws how much is left.
        stages: Steps of the run, in their order.
        say: Called with progress messages.

    Returns:
        What happened at each, and the ends of steps that failed with an empty disk.
    """
    home, tries, failed = disk / "home", [], []

    def attempt(step: str, what: str) -> None:
        room = rng.choice((0, rng.randrange(300_000), rng.randrange(3_000_000))) if step == "run" else 0
        first = partial(_fill_at, what if step == "run" else None, disk, room)
        started = start(step, market, home, texts=texts, first=first)
        code = started.wait()
        reached = _filler(disk).exists()
        tries.append(Try(what, room, reached, code, started.printed.read_text()))
        empty(disk)
        say(f"{what}: {room:,} bytes left, exit code {code}")

    def with_room(step: str) -> None:
        if error := to_its_end([start(step, market, home, texts=texts)])[1]:
            failed.append(f"{step}: {error}")

    for stage in stages:
        attempt("run", stage)
    with_room("run")
    for step in OTHER_STEPS:
        attempt(step, step)
        with_room(step)
    return tries, failed


def _filler(disk: Path) -> Path:
    return disk / "filler"


def _fill_at(stage: str | None, disk: Path, room: int) -> None:
    """In the process of a step: fill the disk when the stage begins; None: now."""
    from orchestration.output import progress

    def observe(state: StepState, step: str, _: float) -> None:
        if state == StepState.STARTED and step == stage and not _filler(disk).exists():
            fill(disk, room)

    if stage is None:
        fill(disk, room)
    else:
        _until_the_process_ends.enter_context(progress.observing(observe))


def main(seed: Annotated[int, typer.Option(help="Of what is left on the disk.")] = 1) -> None:
    """Fill, compare, print and keep; exit with 1 when a step failed afterwards or a table differs."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="assay-full-disk-") as scratch, ExitStack() as disks:
        folder = Path(scratch)
        try:
            disk = disks.enter_context(small_disk(folder / "disk"))
        except PermissionError as error:
            typer.echo(f"full_disk: {error}; run it as root.", err=True)
            raise typer.Exit(2) from None
        if reason := to_its_end([start("run", SMALL, folder / "undisturbed")])[1]:
            raise RuntimeError(f"run failed on a home that nobody disturbed: {reason}")
        tries, failed = fill_each_stage(SMALL, disk, folder, random.Random(seed), say=typer.echo)
        kept, undisturbed = (
            content(Lake(LakeConfig(home))) for home in (disk / "home", folder / "undisturbed")
        )
    differing = differences(undisturbed, kept)
    # The maintenance is no command: Dagster shows its errors.
    unclear = [one for one in tries if one.what != "maintain" and not one.is_clear]
    for line in (*failed, *differing, *(f"{one.what}:\n{one.text[-3000:]}" for one in unclear)):
        typer.echo(line)
    full = [one for one in tries if one.reached]
    figures = [
        Figure("steps in which the disk was full", ", ".join(one.what for one in full)),
        Figure("of these, ended with an error", str(sum(one.code != 0 for one in full))),
        Figure("errors without clear words", str(len(unclear)), "0", not unclear),
        Figure("steps that did not end well with room again", str(len(failed)), "0", not failed),
        Figure("differences in tables", str(len(differing)), "0", not differing),
    ]
    notes = [
        f"{machine['cores']} cores of {machine['processor']}, DuckDB {machine['duckdb']}.",
        f"A simulated market, {' '.join(SMALL.options)}, on a disk of {MEGABYTES} MB with 0 to 3 MB left.",
    ]
    typer.echo(write_measurement("full_disk", "python -m benchmarks.full_disk", figures, notes))
    raise typer.Exit(bool(failed or differing or unclear))


if __name__ == "__main__":
    typer.run(main)
