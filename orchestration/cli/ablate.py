"""`assay ablate`: what each ingredient of the model is worth. Here: options and the table. Not here: the measuring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestration.cli.opened import open_home, require_folder_for, require_markets
from orchestration.cli.options import DataDir, Home, Source
from orchestration.output.terminal import complain, say


def ablate(
    out: Annotated[Path | None, typer.Option(help="Write the rows here as JSON, for `assay report`.")] = None,
    market: Annotated[
        str | None, typer.Option(help="Chain whose sales are used; default: the largest.")
    ] = None,
    home: Home = None,
    source: Source = None,
    data_dir: DataDir = None,
) -> None:
    """Take ingredients of the pooled model away, one at a time, and measure it on sales before the test sample."""
    settings = open_home(home, source, data_dir)
    require_markets(settings, [market] if market else [])
    if out:
        require_folder_for(out, "--out")
    from ml.backtest.ablation import ablate as measure
    from ml.metrics.baselines import baseline_logs
    from ml.models.frames import FeatureSet, read_sales
    from ml.models.markets import split_markets
    from orchestration.resources import open_lake

    names = FeatureSet.declared().names
    with open_lake(settings).read() as con:
        frame = read_sales(con, names)
        baselines = baseline_logs(con, frame.sale_id)
    markets = split_markets(frame)
    chosen = market or next(iter(markets), None)
    if chosen not in markets:
        found = ", ".join(markets) or "no sales"
        complain(f"assay: expected one of the markets of this home ({found}), found {market}")
        raise typer.Exit(2)
    mask = markets[chosen]
    own = {name: values[mask] for name, values in baselines.items()}
    say(f"{chosen}: {int(mask.sum()):,} sales; errors in % on the middle of each sizeable collection")
    try:
        rows = measure(frame.rows(mask), own, names, on_row=_show)
    except ValueError as error:
        complain(f"assay: {error}")
        raise typer.Exit(1) from error
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(rows, indent=1) + "\n")
        say(f"Written: {out}")


def _show(row: dict[str, Any]) -> None:
    say(
        f"{row['name']:<46} MdAPE {100 * row['mdape_pooled']:5.2f}  median collection "
        f"{100 * row['mdape_median_collection']:5.2f}  mean {100 * row['mdape_mean_collection']:5.2f}  "
        f"log error {row['mae_log']:.4f}"
    )
