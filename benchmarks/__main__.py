"""`make bench`: every figure the issues and the documentation quote, measured here and printed with its machine.

    make bench                                   load time, default run, real data (if present), 300 collections
    make bench ARGS="--scale 300 --scale 3000"   also the full size (takes about an hour)
    make bench ARGS="--only load --only run"     parts

Each part is a process of its own, as a user would start it. Ratios compare two measurements of the same session.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.capacity import Market, market_of
from benchmarks.machine import describe_machine
from benchmarks.real_data import BUNDLE
from benchmarks.runs import Run, assay_run, code_location_seconds

console = Console(width=120)


class Part(StrEnum):
    """What can be measured alone."""

    load = "load"
    run = "run"
    real = "real"
    scale = "scale"
    oracle = "oracle"
    monitoring = "monitoring"
    drift = "drift"
    serving = "serving"
    commands = "commands"


class Figures:
    """Rows of the performance table, printed as they come and kept for `--json`."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []

    def add(self, what: str, found: str, aim: str = "") -> None:
        """One figure with what it should be."""
        self.rows.append((what, found, aim))
        console.print(f"  {what:<68} {found:>18}   {aim}", highlight=False)


def measure_load(figures: Figures) -> None:
    """The code location in a fresh process, median of three."""
    seconds = sorted(code_location_seconds() for _ in range(3))[1]
    figures.add("code location loads", f"{seconds:.1f} s", "< 6 s")


def measure_default_run(figures: Figures, scratch: Path) -> None:
    """What `make run` does after installation, then once more with nothing new."""
    first = assay_run(scratch / "default")
    figures.add("make run, 60 collections, 365 days", f"{first.elapsed_s:.0f} s", "< 180 s")
    figures.add("  peak memory", f"{first.report['peak_rss_mb']:.0f} MB", "< 4096 MB")
    again = assay_run(scratch / "default")
    figures.add("  run again with nothing new", f"{again.elapsed_s:.0f} s")
    truth = first.report["truth"]
    figures.add("  median error against the hidden truth", f"{100 * truth['mdape']:.1f} %")


def measure_real_data(figures: Figures, scratch: Path) -> None:
    """The bundle of real sales, if it is there."""
    if not BUNDLE.exists():
        console.print(f"  real data skipped: expected {BUNDLE.name} under ASSAY_TEST_DATA", highlight=False)
        return
    run = assay_run(scratch / "real", "--source", "files", "--data-dir", str(BUNDLE))
    figures.add("real data, whole job", f"{run.elapsed_s:.0f} s", "< 600 s")
    figures.add("  peak memory", f"{run.report['peak_rss_mb']:.0f} MB")
    figures.add(
        "  rows unaccounted for", str(sum(r.get("difference", 0) for r in run.report["reconciliation"])), "0"
    )
    for chain, errors in run.report["errors"]["chains"].items():
        pooled = errors["pooled"]
        figures.add(
            f"  {chain}: pooled MdAPE of {errors['sales']:,} sales in {errors['collections']} collections",
            f"{100 * pooled['model']['mdape']:.1f} %",
        )
        figures.add(
            "    against the median of the last 5",
            f"{errors['mdape_ratio_to_med_5']:.3f} ×",
            "≤ 0.92 ×",
        )
        figures.add(
            "    collections where it beats the best simple baseline",
            f"{100 * errors['share_beating_best_simple']:.0f} %",
            "≥ 85 %",
        )
    measure_noise_floor(figures, scratch / "real")


def measure_oracle(figures: Figures, scratch: Path, home: Path | None) -> None:
    """Assay against an oracle that knows how the simulated market is made, on the same sales and tokens."""
    from benchmarks.oracle import compare, rows_by_size

    if home is None:
        home = scratch / "oracle"
        assay_run(home, "--collections", "20", "--days", "200")
    for row in rows_by_size(list(compare(home))):
        figures.add(
            f"{row['collections']} collections of {row['sales']} sales: MdAPE of Assay / oracle against the truth",
            f"{100 * float(row['assay']):.1f} / {100 * float(row['oracle']):.1f} %",
        )
        figures.add("    ratio", f"{float(row['ratio']):.2f} ×", "≤ 1.15 ×")


def measure_drift(figures: Figures, scratch: Path, collections: int) -> None:
    """False alarms on an undrifted market, delay after injected drifts, and what the statement costs."""
    from benchmarks.drift import measure

    for figure in measure(scratch, collections):
        figures.add(*figure)


def measure_watching(figures: Figures, scratch: Path, home: Path | None, sizes: list[int]) -> None:
    """A monitoring pass and sensor ticks, on a copy of a finished home or on new ones of these sizes."""
    from benchmarks.monitoring import measure_monitoring

    if home is not None:
        copy = scratch / "monitoring"
        shutil.copytree(home, copy)
        measure_monitoring(figures, copy)
        return
    for n in sizes:
        made = scratch / f"monitoring-{n}"
        assay_run(made, "--collections", str(n))
        measure_monitoring(figures, made)
        shutil.rmtree(made)


def measure_answers(
    figures: Figures, scratch: Path, tokens: int, store: str, rate: int, seconds: int
) -> None:
    """Publishing, and answering one token against a bare answer of the same bytes."""
    from benchmarks.serving import Load, measure_serving

    measure_serving(figures, scratch, tokens, store, Load(rate, seconds))


def measure_command_line(figures: Figures, scratch: Path, home: Path | None) -> None:
    """CPU of help, of the commands that only read, and of refusals, on a finished home or a small new one."""
    from benchmarks.commands import measure_commands

    if home is None:
        home = scratch / "commands"
        assay_run(home, "--collections", "12", "--days", "120")
    for cost in measure_commands(home):
        figures.add(f"assay {cost.words}"[:68], f"{cost.cpu_s:.2f} s CPU", f"≤ {cost.most_s:g} s")


def measure_noise_floor(figures: Figures, home: Path) -> None:
    """The error that no model can go below on a finished home of real data."""
    from benchmarks.noise_floor import measure
    from lake.config import LakeConfig
    from lake.connection import Lake

    with Lake(LakeConfig(home=home)).read() as con:
        for floor in measure(con):
            figures.add(
                f"  {floor.chain}: best possible MdAPE by {floor.pairs:,} pairs, {floor.kind}",
                f"{100 * floor.floor:.1f} %",
            )


def measure_scale(figures: Figures, scratch: Path, sizes: list[int]) -> list[Market]:
    """Cold run, training against bare work, scoring, one more day, a scattered worklist; growth between sizes."""
    from benchmarks.training import measure_training, measure_worklist

    cold: dict[int, Run] = {}
    markets: list[Market] = []
    for n in sizes:
        home = scratch / f"scale-{n}"
        market = ("--collections", str(n))
        run = cold[n] = assay_run(home, *market)
        report = run.report
        figures.add(
            f"{n} collections cold ({report['sales']:,} sales, {report['tokens']:,} tokens)",
            f"{run.elapsed_s:.0f} s",
            "< 2400 s" if n >= 3000 else "",
        )
        figures.add("  CPU", f"{run.cpu_s:.0f} s")
        figures.add("  peak memory", f"{report['peak_rss_mb']:.0f} MB", "< 8192 MB" if n >= 3000 else "")
        for stage in report["stages"]:
            figures.add(f"    {stage['name']}", f"{stage['seconds']:.1f} s")
        scoring = run.stage("token features", "estimates")
        figures.add("  scoring all tokens", f"{scoring:.0f} s", "< 180 s" if n >= 3000 else "")
        measure_training(figures, home, run)
        measure_worklist(figures, home, min(300, n // 2))
        day = assay_run(home, *market, "--days", "366")
        markets.append(market_of(n, home, run, day))
        cheap = day.stage(
            "ingest", "marts", "index", "sale features", "token features", "estimates", "checks"
        )
        figures.add(
            "  one more day, ingest to score",
            f"{cheap:.0f} s = {100 * cheap / run.elapsed_s:.0f} %",
            "< 10 % of cold",
        )
        figures.add(
            "  one more day, the whole run",
            f"{day.elapsed_s:.0f} s = {100 * day.elapsed_s / run.elapsed_s:.0f} %",
        )
        figures.add("  monitoring pass of that day", f"{day.stage('monitoring'):.0f} s")
        figures.add(
            "  one more day, CPU of the whole run", f"{day.cpu_s:.0f} s = {100 * day.cpu_s / run.cpu_s:.0f} %"
        )
        # The first training after a day also predicts the sales of that day in the whole market.
        measure_worklist(figures, home, min(300, n // 2), "after a day of new sales")
        if n >= 3000:
            shutil.rmtree(home)
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        for name, ratio in (
            ("elapsed", cold[large].elapsed_s / cold[small].elapsed_s),
            ("CPU", cold[large].cpu_s / cold[small].cpu_s),
        ):
            exponent = math.log(ratio) / math.log(large / small)
            figures.add(
                f"growth from {small} to {large} collections, {name}, exponent", f"{exponent:.2f}", "≤ 1.05"
            )
    return markets


def main(
    only: Annotated[list[Part] | None, typer.Option(help="Measure only these parts.")] = None,
    scale: Annotated[list[int] | None, typer.Option(help="Numbers of simulated collections.")] = None,
    home: Annotated[
        Path | None,
        typer.Option(
            help="A finished home for the parts `oracle`, `commands` (simulated) and `monitoring`; default: a new run."
        ),
    ] = None,
    drift_collections: Annotated[
        int,
        typer.Option(
            help="Collections of the markets of the part `drift`; its size test has ten times as many."
        ),
    ] = 40,
    serving_tokens: Annotated[int, typer.Option(help="Tokens of the store of the part `serving`.")] = 100_000,
    serving_rate: Annotated[int, typer.Option(help="Requests a second to the servers of `serving`.")] = 1_000,
    serving_seconds: Annotated[int, typer.Option(help="Seconds of that load.")] = 10,
    serving_store: Annotated[
        str, typer.Option(help="URL of an empty PostgreSQL database; `serving` compares a store in it.")
    ] = "",
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None,
) -> None:
    """Measure and print."""
    parts = set(only or Part)
    machine = describe_machine()
    table = Table(title="Machine and versions", show_header=False, title_justify="left")
    for name, value in machine.items():
        table.add_row(name, value)
    console.print(table)
    figures = Figures()
    markets: list[Market] = []
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as folder:
        scratch = Path(folder)
        if Part.load in parts:
            measure_load(figures)
        if Part.run in parts:
            measure_default_run(figures, scratch)
        if Part.real in parts:
            measure_real_data(figures, scratch)
        if Part.scale in parts:
            markets = measure_scale(figures, scratch, scale or [300])
        if Part.oracle in parts:
            measure_oracle(figures, scratch, home)
        if Part.monitoring in parts:
            measure_watching(figures, scratch, home, scale or [300])
        if Part.drift in parts:
            measure_drift(figures, scratch, drift_collections)
        if Part.serving in parts:
            measure_answers(figures, scratch, serving_tokens, serving_store, serving_rate, serving_seconds)
        if Part.commands in parts:
            measure_command_line(figures, scratch, home)
    if as_json:
        found = {
            "machine": machine,
            "figures": figures.rows,
            "markets": [asdict(market) for market in markets],
        }
        as_json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
