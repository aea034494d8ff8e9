"""What tuning bought, for machines and for the accuracy report.

Here: the newest verdict of every scope as plain data. Not here: the verdicts (`ml.tuning.scope`).
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from ml.models.tuned_settings import MARKET


def tuning_results(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The newest verdict of every market, collection and class.

    Returns:
        One dict per scope: `name`, `kind`, `adopted`, `rule`, `reason`, `sales`, `metric`, `before`, `after` and `gain`
        (relative) with `interval` on the later window (None where nothing was compared), `mdape_before`, `mdape_after`,
        `later_from`, `decided_at`, `expires`, `trials`, `seconds`, `params`.
    """
    rows = con.execute(
        f"""
        select scope_kind, scope, adopted, rule, reason, params, numbers, later_from, decided_at, expires, trials,
            seconds
        from ops.tuned_settings
        qualify row_number() over (partition by scope_kind, scope order by decided_at desc, study desc) = 1
        order by scope_kind <> '{MARKET}', scope_kind, scope
        """
    ).fetchall()
    return [_result(*row) for row in rows]


def _result(
    kind: str, scope: str, adopted: bool, rule: str, reason: str, params: str, numbers: str, *rest: Any
) -> dict[str, Any]:
    found = json.loads(numbers)
    later_from, decided_at, expires, trials, seconds = rest
    return {
        "name": scope,
        "kind": kind,
        "adopted": adopted,
        "rule": rule,
        "reason": reason,
        "metric": "mean |log error|",
        "sales": found.get("n"),
        "before": found.get("before"),
        "after": found.get("after"),
        "gain": found.get("gain"),
        "interval": [found["low"], found["high"]] if found else None,
        "mdape_before": found.get("mdape_before"),
        "mdape_after": found.get("mdape_after"),
        "later_from": later_from.isoformat(),
        "decided_at": decided_at.isoformat(),
        "expires": expires.isoformat(),
        "trials": trials,
        "seconds": round(seconds, 1),
        "params": json.loads(params),
    }
