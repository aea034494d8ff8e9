"""An HTML report of the worst collections, for people: the distributions of what moved, before and now.

Here: which collections, their sales, the page (Evidently) and its retention. Not here: the verdict. A page costs
seconds and megabytes, so only the worst few get one, and a window gets it once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lake.storage import write_whole
from ml.drift.config import DEFAULT_DRIFT, DriftConfig
from ml.drift.statement import MARKET_PREFIX
from ml.drift.subjects import SUBJECTS, UNKNOWN, subject_rows
from ml.drift.tables import SCORES, STATUS
from ml.states import DriftState
from ml.text.file_name import safe_file_name
from ml.text.visible import visible

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

logger = logging.getLogger(__name__)

#: Distributions on a page, worst first; each adds some 100 KB.
MAX_COLUMNS = 12
_STAMP = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True)
class DriftReport:
    """A page about one collection's newest window; `problem` gives the reason if there is none."""

    collection: str
    window_end: datetime
    path: Path
    problem: str | None = None


def write_reports(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    as_of: datetime,
    worst: int = 5,
    config: DriftConfig = DEFAULT_DRIFT,
) -> list[DriftReport]:
    """The reports of the `worst` drifted collections; pages that exist are left, those past retention removed.

    A page that fails does not stop the others: the log has its traceback, and its report the error.

    Args:
        con: a read connection, after the scores were kept.
        folder: pages go to `<folder>/<collection's file name>/<window_end>.html`.
        as_of: as-of time, for the retention.
        worst: how many collections.
        config: windows and retention.
    """
    forget_reports(folder, as_of - timedelta(days=config.keep_days))
    found = con.execute(
        f"select collection, window_end, window_sales, number from {STATUS} where state = '{DriftState.DRIFTED}'"
        " order by drifted desc, score desc, collection limit $1",
        [worst],
    ).fetchall()
    reports = []
    for collection, window_end, window_sales, number in found:
        path, problem = report_path(folder, collection, window_end), None
        if not path.exists():
            try:
                columns = _worst_columns(con, collection, window_sales, number)
                reference, current = _frames(con, collection, window_sales, number, columns, config)
                _write(path, collection, reference, current)
            except Exception as error:
                logger.warning("The drift page of %s could not be made.", visible(collection), exc_info=True)
                problem = f"{type(error).__name__}: {error}"
        reports.append(DriftReport(collection, window_end, path, problem))
    return reports


def report_path(folder: Path, collection: str, window_end: datetime) -> Path:
    """Where the page of a window is. Any name of a collection is one safe folder."""
    return folder / safe_file_name(collection) / f"{window_end.strftime(_STAMP)}.html"


def forget_reports(folder: Path, before: datetime) -> int:
    """Remove pages of windows that ended before a time, and folders left empty; returns how many pages."""
    old = [page for page in folder.glob("*/*.html") if page.stem < before.strftime(_STAMP)]
    for page in old:
        page.unlink()
        if not any(page.parent.iterdir()):
            page.parent.rmdir()
    return len(old)


def _worst_columns(
    con: duckdb.DuckDBPyConnection, collection: str, window_sales: int, number: int
) -> list[str]:
    rows = con.execute(
        f"select feature from {SCORES} where collection = $1 and window_sales = $2 and number = $3 and ks is not null"
        f" order by case state when '{DriftState.DRIFTED}' then 0 when '{DriftState.SUSPECT}' then 1 else 2 end,"
        " ks / ordinary_ks desc limit $4",
        [collection, window_sales, number, MAX_COLUMNS],
    ).fetchall()
    return [name for (name,) in rows]


def _frames(
    con: duckdb.DuckDBPyConnection,
    collection: str,
    window_sales: int,
    number: int,
    columns: list[str],
    config: DriftConfig,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reference and newest window of one collection: the sales that were scored."""
    places = {subject.name: i for i, subject in enumerate(SUBJECTS, start=1)}
    picked = ", ".join(f'nullif(readings[{places[c]}], {UNKNOWN}::float) as "{c}"' for c in columns)
    # A market's windows are days (and `number` the day), a collection's are blocks of its known order.
    age, whose, name = (
        ("$number - epoch_us(known_at) // 86400000000", "market", collection.removeprefix(MARKET_PREFIX))
        if collection.startswith(MARKET_PREFIX)
        else ("$number - 1 - (seq - 1) // $window_sales", "collection", collection)
    )
    oldest = config.judged_windows + config.reference_windows
    frame = con.execute(
        f"""
        select {age} as age, {picked}
        from ({subject_rows()})
        where {whose} = $name and age >= 0 and age < {oldest} and $window_sales >= 0
        order by known_at
        """,
        {"name": name, "number": number, "window_sales": window_sales},
    ).df()
    reference = frame[frame.age >= config.judged_windows].drop(columns="age")
    current = frame[frame.age == 0].drop(columns="age")
    # Evidently refuses a column that is unknown on one side; the scores include it.
    known = [c for c in columns if reference[c].notna().any() and current[c].notna().any()]
    return reference[known], current[known]


def _write(path: Path, collection: str, reference: pd.DataFrame, current: pd.DataFrame) -> None:
    from evidently import Report
    from evidently.presets import DataDriftPreset

    if reference.columns.empty:
        page = f"<p>{escape(visible(collection))}: every value that moved is unknown on one side; see {SCORES}.</p>"
    else:
        report = Report([DataDriftPreset(num_method="ks", num_threshold=0.01)])
        page = report.run(current, reference, name=escape(visible(collection))).get_html_str(as_iframe=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A page that exists is never written again.
    write_whole(path, page)
