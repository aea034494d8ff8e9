"""What `assay status` shows: the SLOs of a home, its last run, its watermark and its open alerts.

Here: collecting and laying out. Not here: options and exit codes (`orchestration.cli.status`), evaluating.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ml.text.times import utc_minute
from orchestration.home import api_watch
from orchestration.last_run import last_run
from orchestration.output.tables import TerminalTable
from orchestration.output.terminal import TerminalConsole, as_plain, styled
from orchestration.slo.tables import STATUS, status_table
from orchestration.states import ALERTING, URGENT_FIRST, SloState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestration.resources import Assay
    from orchestration.settings import Settings
    from orchestration.slo.definitions import Slo

STYLES = {
    SloState.OK: "green",
    SloState.BURNING: "yellow",
    SloState.TICKET: "bold yellow",
    SloState.PAGE: "bold red",
    SloState.EXHAUSTED: "magenta",
    SloState.NO_DATA: "dim",
}
WIDE = 110
"""Columns of a terminal that shows all of the table."""


@dataclass(frozen=True)
class HomeStatus:
    """The state of a home.

    Attributes:
        home: Its folder.
        watermark: Time up to which its source can be read.
        evaluated_at: `as_of` of the SLOs' evaluation.
        stored: Whether that evaluation is kept; otherwise it was made just now, to be shown only.
        slos: Rows of `monitoring.slo_status`, most urgent first.
        last_run: The newest run (id, job, status, end); None when there was none.
        open_alerts: Open incidents by severity; None without an outbox.
    """

    home: str
    watermark: datetime
    evaluated_at: datetime | None
    stored: bool
    slos: list[dict[str, Any]]
    last_run: dict[str, Any] | None
    open_alerts: dict[str, int] | None

    @property
    def pages(self) -> list[str]:
        """SLOs that page now."""
        return [row["slo"] for row in self.slos if row["state"] == SloState.PAGE]

    def to_json(self) -> dict[str, Any]:
        """Plain types; times as ISO text."""
        return {**as_plain(self), "pages": self.pages}


def read_status(assay: Assay) -> HomeStatus:
    """The last stored evaluation, or, before there is any, one made now without storing it.

    Dagster is only imported for the second: it costs two seconds.
    """
    from orchestration.slo.definitions import load_slos

    slos, watermark = load_slos(), assay.as_of
    with assay.lake.read() as con:
        held = con.execute(f"select * from {STATUS}").to_arrow_table().to_pylist()
    rows = held or _measured_now(assay, slos, watermark)
    rows.sort(key=lambda row: (URGENT_FIRST.index(row["state"]), row["slo"]))
    return HomeStatus(
        home=str(assay.settings.home_path),
        watermark=watermark,
        evaluated_at=max((row["evaluated_at"] for row in rows), default=None),
        stored=bool(held),
        slos=rows,
        last_run=_last_run(assay.settings),
        open_alerts=_open_alerts(assay),
    )


def _last_run(settings: Settings) -> dict[str, Any] | None:
    database = None if settings.dagster_url is None else settings.dagster_url.get_secret_value()
    return last_run(settings.home_path, database)


def print_status(status: HomeStatus, console: Console | None = None) -> None:
    """Print it as a table, in color on a terminal."""
    console = console or TerminalConsole(width_of_files=130)
    console.print(_slo_table(status, narrow=console.width < WIDE))
    if not status.stored:
        console.print(
            "Evaluated now and not kept: no monitoring pass (job monitor) has run on this home yet."
        )
    elif status.evaluated_at and status.evaluated_at < status.watermark:
        late = f"The last evaluation is of {utc_minute(status.evaluated_at)}, before the watermark."
        console.print(styled((late, "yellow")))
    run = status.last_run
    last_run = f"{run['job']} {run['status']}, ended {run['ended_at'] or '–'}" if run else "none"
    console.print(f"Watermark {utc_minute(status.watermark)} · last run {last_run}")
    console.print(f"Open alerts: {_alerts(status.open_alerts)} · home {status.home}")
    for row in status.slos:
        if row["state"] in ALERTING:
            what_to_do = f": docs/runbook/{row['runbook']}.md · {row['command']}"
            console.print(styled((row["slo"], STYLES[row["state"]]), what_to_do))


def _slo_table(status: HomeStatus, *, narrow: bool) -> TerminalTable:
    """One row per SLO; a narrow terminal gets the columns that say what is wrong, with whole names."""
    at = utc_minute(status.evaluated_at)
    table = TerminalTable(title=f"Service levels as of {at}", title_justify="left")
    wide_only = {"objective", "burn 1 h / 6 h / 3 d", "lasts"} if narrow else set()
    rows = [_cells(row) for row in status.slos]
    for column in (name for name in _COLUMNS if name not in wide_only):
        is_name = column in ("SLO", "state")
        table.add_column(column, no_wrap=is_name, justify="left" if is_name else "right")
    for row in rows:
        table.add_row(*(cell for name, cell in zip(_COLUMNS, row, strict=True) if name not in wide_only))
    return table


_COLUMNS = ("SLO", "state", "good", "objective", "measured", "budget left", "burn 1 h / 6 h / 3 d", "lasts")


def _cells(row: dict[str, Any]) -> tuple[str | Text, ...]:
    state = SloState(row["state"])
    return (
        row["slo"],
        Text(state.replace("_", " "), style=STYLES[state]),
        _share(row["sli"]),
        _share(row["objective"]),
        row["note"] if state == SloState.NO_DATA and row["note"] else _measured(row),
        _share(row["budget_left"]),
        " / ".join(_number(row[name]) for name in ("burn_1h", "burn_6h", "burn_3d")),
        _lasting(row["hours_to_exhaustion"]),
    )


def _measured(row: dict[str, Any]) -> str:
    return "" if row["value"] is None or not row["bound"] else f"{row['value']:.3g} ({row['bound']})"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _number(number: float | None) -> str:
    return "–" if number is None else f"{number:.1f}"


def _lasting(hours: float | None) -> str:
    if hours is None:
        return ""
    return "spent" if hours <= 0 else f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} d"


def _alerts(counts: dict[str, int] | None) -> str:
    return ", ".join(f"{n} {severity}" for severity, n in sorted((counts or {}).items())) or "none"


def _measured_now(assay: Assay, slos: Sequence[Slo], watermark: datetime) -> list[dict[str, Any]]:
    from orchestration.home import open_instance
    from orchestration.slo.watch import measure

    api = api_watch(assay.settings, assay.clock.now())
    with open_instance(assay.settings) as instance:
        return status_table(measure(assay.lake, slos, watermark, instance, api)).to_pylist()


def _open_alerts(assay: Assay) -> dict[str, int] | None:
    from orchestration.alerts.store import OPEN_BY_SEVERITY, OUTBOX_FILE, Outbox

    if not (assay.settings.home_path / OUTBOX_FILE).exists():
        return None
    return dict(map(tuple, Outbox.of(assay.settings.home_path).rows(OPEN_BY_SEVERITY)))
