"""A home, harmed in every way that its runbook knows: who finds it, what gets it back, how long that takes.

    python -m benchmarks.faults [--bits 180]        # writes docs/measured/faults.json

Here: the faults with their ways back as docs/runbook/home-damaged.md has them, and bits that are flipped in files of
the lake. Not here: what a full disk does (`benchmarks.full_disk`), and kills (`benchmarks.killed_steps`).

Concept: a home with a backup is copied for each fault and harmed; a command of the user finds it, the way back is
gone, and the next day is run. Then its tables are those of a home that was not harmed.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from benchmarks.damage import cut, flip_bit, overwrite
from benchmarks.machine import describe_machine
from benchmarks.runs import ASSAY
from benchmarks.steps import SMALL, start, to_its_end
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import DATA, Content, content, differences
from lake.digests import review
from orchestration.reliability.measured import Figure, write_measurement


@dataclass(frozen=True)
class HomeFault:
    """A fault of a home.

    Attributes:
        what: What was harmed.
        harm: Harms a home; returns the file, relative to the home.
        found_by: The command that finds it; none: nobody has to.
        named: What that command prints about it; empty: the name of the file.
        way_back: Commands, and files to move aside, after which the home can be run again; `{home}` and `{backup}`
            stand for the folders.
        same: Schemas whose tables are the same afterwards. A model that is fitted again has its intervals from newer
            sales.
    """

    what: str
    harm: Callable[[Path], str]
    found_by: tuple[str, ...] = ("doctor",)
    way_back: tuple[str, ...] = ()
    named: str = ""
    same: tuple[str, ...] = DATA


def _table_file(home: Path) -> Path:
    return max((home / "lake" / "data" / "raw").rglob("*.parquet"), key=lambda path: path.stat().st_size)


def _newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda path: path.stat().st_mtime)


def _model_file(home: Path) -> Path:
    return _newest(home / "artifacts", "**/*.cbm*")


def _flip_a_bit(file: Path) -> None:
    flip_bit(file, random.Random(file.stat().st_size))


def _harm(how: Callable[[Path], None], which: Callable[[Path], Path]) -> Callable[[Path], str]:
    def harm(home: Path) -> str:
        file = which(home)
        how(file)
        return file.relative_to(home).as_posix()

    return harm


def _at(path: str) -> Callable[[Path], Path]:
    return lambda home: home / path


_RESTORE_FILES = ("assay restore {backup} --damaged --home {home}",)
_RESTORE_HOME = ("mv {home} {home}.damaged", "assay restore {backup} --to {home}")

FAULTS = (
    HomeFault("a bit of a table's file flipped", _harm(_flip_a_bit, _table_file), way_back=_RESTORE_FILES),
    HomeFault("a table's file cut in half", _harm(cut, _table_file), way_back=_RESTORE_FILES),
    HomeFault("a table's file deleted", _harm(Path.unlink, _table_file), way_back=_RESTORE_FILES),
    HomeFault(
        "the lake's catalog damaged",
        _harm(overwrite, _at("lake/catalog.sqlite")),
        ("status",),
        _RESTORE_HOME,
    ),
    HomeFault(
        "the lake's catalog deleted",
        _harm(Path.unlink, _at("lake/catalog.sqlite")),
        ("status",),
        _RESTORE_HOME,
    ),
    HomeFault("the model registry damaged", _harm(overwrite, _at("mlflow.sqlite"))),
    HomeFault(
        "the model registry deleted",
        _harm(Path.unlink, _at("mlflow.sqlite")),
        named="a champion in the lake, and none in the registry",
    ),
    HomeFault("a model's file altered", _harm(_flip_a_bit, _model_file), way_back=_RESTORE_FILES),
    HomeFault(
        "a model's file deleted, without a backup",
        _harm(Path.unlink, _model_file),
        same=("raw", "marts", "features"),
    ),
    HomeFault(
        "market.json cut in half", _harm(cut, _at("market.json")), ("status",), ("rm {home}/market.json",)
    ),
    HomeFault(
        "Dagster's history damaged",
        _harm(overwrite, _at("dagster/history/runs.db")),
        way_back=("mv {home}/dagster {home}/dagster.damaged",),
    ),
    HomeFault(
        "alerts and incidents damaged",
        _harm(overwrite, _at("alerts.db")),
        way_back=("mv {home}/alerts.db {home}/alerts.db.damaged",),
    ),
    HomeFault(
        "the published store cut in half",
        _harm(cut, lambda home: _newest(home / "serving", "*.sqlite")),
        named="the copy is incomplete or damaged",
    ),
    HomeFault(
        "a checkpoint of the simulator damaged",
        _harm(overwrite, lambda home: _newest(home / "simulator", "*")),
        (),
    ),
)


@dataclass(frozen=True)
class Recovery:
    """How a fault ended.

    Attributes:
        fault: The fault.
        found: Whether the command that should has found it and named it; True where nobody has to.
        seconds_found: How long that command took.
        seconds: The way back and the next day's run.
        error: What failed on the way back; empty: nothing.
        differing: What differs from the home that was not harmed, a line each.
    """

    fault: HomeFault
    found: bool
    seconds_found: float
    seconds: float
    error: str
    differing: tuple[str, ...]


def is_found(fault: HomeFault, file: str, code: int, printed: str) -> bool:
    """Whether the command that should has found a fault, with clear words.

    Args:
        fault: The fault.
        file: What was harmed.
        code: The command's exit code.
        printed: All that it has printed; names may be folded.
    """
    named = "".join((fault.named or Path(file).name).split())
    return code in (1, 2) and named in "".join(printed.split()) and "Traceback" not in printed


def recover(fault: HomeFault, home: Path, backup: Path, expected: Content) -> Recovery:
    """Harm a home, find the fault, go the way back and run the next day.

    Args:
        fault: The fault.
        home: A home of `SMALL`, one run old; it is used up.
        backup: The folder of its backups.
        expected: The tables of a home that was not harmed, after that day.
    """
    file, found = fault.harm(home), True
    began = time.monotonic()
    if fault.found_by:
        done = _run([ASSAY, *fault.found_by, "--home", str(home)])
        found = is_found(fault, file, done.returncode, done.stdout + done.stderr)
    seconds_found = time.monotonic() - began
    began, error = time.monotonic(), ""
    for line in fault.way_back:
        command = [word.format(home=home, backup=backup) for word in line.split()]
        done = _run([ASSAY, *command[1:]] if command[0] == "assay" else command)
        if done.returncode:
            error += f"{line}: {done.stderr[-1000:]}"
    error += to_its_end([start("run", SMALL, home, 1)])[1]
    seconds = time.monotonic() - began
    wanted = {table: held for table, held in expected.items() if table.split(".")[0] in fault.same}
    differing = differences(wanted, content(Lake(LakeConfig(home)), fault.same)) if not error else []
    return Recovery(fault, found, seconds_found, seconds, error, tuple(differing))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _prepare(folder: Path) -> Content:
    """Make `home` with `home-backup`, and `undisturbed`, its next day; returns the tables of that."""
    for step, where, day in (("run", "home", 0), ("backup", "home", 0), ("run", "undisturbed", 1)):
        if where == "undisturbed":
            shutil.copytree(folder / "home", folder / where)
        error = to_its_end([start(step, SMALL, folder / where, day)])[1]
        if error:
            raise RuntimeError(f"{step} failed on a home that nobody harmed: {error}")
    return content(Lake(LakeConfig(folder / "undisturbed")))


def _recover_all(folder: Path, expected: Content) -> list[Recovery]:
    recoveries = []
    for fault in FAULTS:
        harmed = folder / "harmed"
        shutil.copytree(folder / "home", harmed)
        done = recover(fault, harmed, folder / "home-backup", expected)
        recoveries.append(done)
        typer.echo(f"{fault.what}: found in {done.seconds_found:.1f} s, recovered in {done.seconds:.1f} s")
        for used in (harmed, Path(f"{harmed}.damaged")):
            shutil.rmtree(used, ignore_errors=True)
    return recoveries


def flip_bits(home: Path, trials: int, rng: random.Random) -> tuple[Counter[str], int, float]:
    """Flip a bit of a file of the lake, read all rows, and compare the files with their digests; again and again.

    Returns:
        Trials by what reading alone came to (`an error`, `other rows`, `the same rows`), how many of all trials the
        digests found, and the median seconds of comparing.
    """
    lake = Lake(LakeConfig(home))
    folder = Path(lake.data_folder)
    files = sorted(folder.rglob("*.parquet"))
    read, found, seconds = Counter[str](), 0, []
    for _ in range(trials):
        file = rng.choice(files)
        table = ".".join(file.relative_to(folder).parts[:2])
        before, whole = _rows_of(home, table), file.read_bytes()
        flip_bit(file, rng)
        try:
            read["the same rows" if _rows_of(home, table) == before else "other rows"] += 1
        except duckdb.Error:
            read["an error"] += 1
        began = time.monotonic()
        with lake.read() as con:
            damaged = review(con, lake.data_folder).damaged
        seconds.append(time.monotonic() - began)
        found += [folder / one.path for one in damaged] == [file]
        file.write_bytes(whole)
    return read, found, sorted(seconds)[len(seconds) // 2]


def _rows_of(home: Path, table: str) -> tuple[object, ...]:
    """How many rows a table has, and the sum of their hashes."""
    with Lake(LakeConfig(home)).read() as con:
        row = con.execute(f"select count(*), sum(hash(t)::hugeint) from {table} as t").fetchone()
    assert row is not None
    return row


def main(
    bits: Annotated[int, typer.Option(help="Bits that are flipped, one at a time.", min=1)] = 180,
    seed: Annotated[int, typer.Option(help="Of the bits.")] = 1,
) -> None:
    """Harm, recover, print and keep; exit with 1 when something was not found or did not come back."""
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="assay-faults-") as scratch:
        folder = Path(scratch)
        recoveries = _recover_all(folder, _prepare(folder))
        read, seen, seconds = flip_bits(folder / "home", bits, random.Random(seed))
    wrong = [one for one in recoveries if one.error or one.differing or not one.found]
    for one in wrong:
        typer.echo(f"{one.fault.what}: found: {one.found}; {one.error or '; '.join(one.differing)}")
    figures = [
        *(
            Figure(
                f"{one.fault.what}: found, recovered with the next day's run",
                f"{one.seconds_found:.1f} s, {one.seconds / 60:.1f} min",
                "the same tables" if one.fault.same == DATA else "the same data, fitted again",
                one not in wrong,
            )
            for one in recoveries
        ),
        Figure("bits flipped in files of the lake", str(bits)),
        Figure(
            "of these, when all rows were read", ", ".join(f"{n} {what}" for what, n in sorted(read.items()))
        ),
        Figure("of these, found by the digests", str(seen), str(bits), seen == bits),
        Figure("time in which the digests of all files are compared", f"{seconds:.2f} s"),
    ]
    notes = [
        f"{machine['cores']} cores of {machine['processor']}, DuckDB {machine['duckdb']}.",
        f"A simulated market, {' '.join(SMALL.options)}, {SMALL.days} days and one more.",
        "Digests of all files are compared by the daily maintenance and by `assay doctor`.",
    ]
    typer.echo(write_measurement("faults", "python -m benchmarks.faults", figures, notes))
    raise typer.Exit(bool(wrong or seen != bits))


if __name__ == "__main__":
    typer.run(main)
