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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from benchmarks.machine import describe_machine
from benchmarks.runs import ASSAY
from benchmarks.steps import Market, start, to_its_end
from lake.config import LakeConfig
from lake.connection import Lake
from lake.content import DATA, Content, content, differences
from lake.digests import review
from orchestration.reliability.measured import Figure, write_measurement

MARKET = Market(60, ("--collections", "10", "--seed", "3"), {"ASSAY_REFITS": "2"})


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


def _overwritten(file: Path) -> None:
    """What a bad disk makes of it: the right length, other bytes."""
    whole = bytearray(file.read_bytes())
    middle = len(whole) // 2
    whole[100 : min(4000, middle)] = b"x" * (min(4000, middle) - 100)
    file.write_bytes(whole)
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _with_a_flipped_bit(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 3] ^= 4
    file.write_bytes(whole)


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
    HomeFault(
        "a bit of a table's file flipped", _harm(_with_a_flipped_bit, _table_file), way_back=_RESTORE_FILES
    ),
    HomeFault("a table's file cut in half", _harm(_cut, _table_file), way_back=_RESTORE_FILES),
    HomeFault("a table's file deleted", _harm(Path.unlink, _table_file), way_back=_RESTORE_FILES),
    HomeFault(
        "the lake's catalog damaged",
        _harm(_overwritten, _at("lake/catalog.sqlite")),
        ("status",),
        _RESTORE_HOME,
    ),
    HomeFault(
        "the lake's catalog deleted",
        _harm(Path.unlink, _at("lake/catalog.sqlite")),
        ("status",),
        _RESTORE_HOME,
    ),
    HomeFault("the model registry damaged", _harm(_overwritten, _at("mlflow.sqlite"))),
    HomeFault(
        "the model registry deleted",
        _harm(Path.unlink, _at("mlflow.sqlite")),
        named="a champion in the lake, and none in the registry",
    ),
    HomeFault("a model's file altered", _harm(_with_a_flipped_bit, _model_file), way_back=_RESTORE_FILES),
    HomeFault(
        "a model's file deleted, without a backup",
        _harm(Path.unlink, _model_file),
        same=("raw", "marts", "features"),
    ),
    HomeFault(
        "market.json cut in half", _harm(_cut, _at("market.json")), ("status",), ("rm {home}/market.json",)
    ),
    HomeFault(
        "Dagster's history damaged",
        _harm(_overwritten, _at("dagster/history/runs.db")),
        way_back=("mv {home}/dagster {home}/dagster.damaged",),
    ),
    HomeFault(
        "alerts and incidents damaged",
        _harm(_overwritten, _at("alerts.db")),
        way_back=("mv {home}/alerts.db {home}/alerts.db.damaged",),
    ),
    HomeFault(
        "the published store cut in half",
        _harm(_cut, lambda home: _newest(home / "serving", "*.sqlite")),
        named="the copy is incomplete or damaged",
    ),
    HomeFault(
        "a checkpoint of the simulator damaged",
        _harm(_overwritten, lambda home: _newest(home / "simulator", "*")),
        (),
    ),
)


@dataclass(frozen=True)
class Recovery:
    """How a fault ended.

    Attributes:
        what: The fault.
        found: Whether the command that should has found it and named it; True where nobody has to.
        seconds_found: How long that command took.
        seconds: The way back and the next day's run.
        error: What failed on the way back; empty: nothing.
        differing: What differs from the home that was not harmed, a line each.
    """

    what: str
    found: bool
    seconds_found: float
    seconds: float
    error: str
    differing: tuple[str, ...]


def recover(fault: HomeFault, home: Path, backup: Path, market: Market, expected: Content) -> Recovery:
    """Harm a home, find the fault, go the way back and run the next day.

    Args:
        fault: The fault.
        home: The home; it is used up.
        backup: The folder of its backups.
        market: The market of the home, one day old.
        expected: The tables of a home that was not harmed, after that day.
    """
    file = fault.harm(home)
    began = time.monotonic()
    found = True
    if fault.found_by:
        done = subprocess.run(
            [ASSAY, *fault.found_by, "--home", str(home)], capture_output=True, text=True, check=False
        )
        text = "".join((done.stdout + done.stderr).split())
        named = "".join((fault.named or Path(file).name).split())
        found = done.returncode in (1, 2) and named in text and "Traceback" not in text
    seconds_found = time.monotonic() - began
    began, error = time.monotonic(), ""
    for line in fault.way_back:
        command = [word.format(home=home, backup=backup) for word in line.split()]
        done = subprocess.run(
            [ASSAY, *command[1:]] if command[0] == "assay" else command,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            error += f"{line}: {done.stderr[-1000:]}"
    error += to_its_end([start("run", market, home, 1)])[1]
    seconds = time.monotonic() - began
    wanted = {table: held for table, held in expected.items() if table.split(".")[0] in fault.same}
    differing = differences(wanted, content(Lake(LakeConfig(home)), fault.same)) if not error else []
    return Recovery(fault.what, found, seconds_found, seconds, error, tuple(differing))


def prepared(folder: Path, market: Market, home: Path | None = None) -> Content:
    """A home with a backup in `folder`, and the tables of its next day undisturbed.

    Args:
        folder: Gets `home`, `home-backup` and `undisturbed`.
        market: The market.
        home: A home of this market after its first run, to be copied; None: it is made.
    """
    if home is not None:
        shutil.copytree(home, folder / "home")
    for step, where, day in (("run", "home", 0), ("backup", "home", 0), ("run", "undisturbed", 1)):
        if where == "undisturbed":
            shutil.copytree(folder / "home", folder / where)
        error = to_its_end([start(step, market, folder / where, day)])[1]
        if error:
            raise RuntimeError(f"{step} failed on a home that nobody harmed: {error}")
    return content(Lake(LakeConfig(folder / "undisturbed")))


def recover_all(
    folder: Path,
    market: Market,
    expected: Content,
    faults: Sequence[HomeFault] = FAULTS,
    say: Callable[[str], None] = lambda _: None,
) -> list[Recovery]:
    """Each fault on a copy of the home that `prepared` has left in this folder."""
    recoveries = []
    for fault in faults:
        harmed = folder / "harmed"
        shutil.copytree(folder / "home", harmed)
        done = recover(fault, harmed, folder / "home-backup", market, expected)
        recoveries.append(done)
        say(f"{done.what}: found in {done.seconds_found:.1f} s, recovered in {done.seconds:.1f} s")
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
        place = rng.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
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
        expected = prepared(folder, MARKET)
        recoveries = recover_all(folder, MARKET, expected, say=typer.echo)
        read, seen, seconds = flip_bits(folder / "home", bits, random.Random(seed))
    wrong = [one for one in recoveries if one.error or one.differing or not one.found]
    for one in wrong:
        typer.echo(f"{one.what}: found: {one.found}; {one.error or '; '.join(one.differing)}")
    figures = [
        *(
            Figure(
                f"{one.what}: found, recovered with the next day's run",
                f"{one.seconds_found:.1f} s, {one.seconds / 60:.1f} min",
                "the same tables" if fault.same == DATA else "the same data, fitted again",
                one not in wrong,
            )
            for fault, one in zip(FAULTS, recoveries, strict=True)
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
        f"A simulated market, {' '.join(MARKET.options)}, {MARKET.days} days and one more.",
        "Digests of all files are compared by the daily maintenance and by `assay doctor`.",
    ]
    typer.echo(write_measurement("faults", "python -m benchmarks.faults", figures, notes))
    raise typer.Exit(bool(wrong or seen != bits))


if __name__ == "__main__":
    typer.run(main)
