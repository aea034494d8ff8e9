"""A made-up market that has something to show on every page, names that hurt among it, published with its documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml.tables.dictionary import dictionary
from serving.store.documents import DICTIONARY, OPERATIONS
from serving.store.publication import publish
from tests.names import HOSTILE
from tests.unit.serving.market import NAMES, NOW, PUBLISHED, Market, insert_rows

RICH = "Apes"
TRAIT = ("[link=https://evil.example]$x$[/link]", ":smile: <img src=x onerror=alert(1)> **bold**")
ALERT = "<b>Sales</b> of $A$ [stopped](https://evil.example) :fire:"


@dataclass(frozen=True)
class Home:
    """What was published.

    Attributes:
        folder: Home.
        store: Folder of its store.
        market: The lake it was published from.
        operations: The document about operations that was handed in.
    """

    folder: Path
    store: Path
    market: Market
    operations: dict[str, Any]


def publish_full_market(folder: Path, now: float = PUBLISHED) -> Home:
    """A home whose store has every document."""
    market = Market(folder / "home")
    market.open(NAMES)
    _add_sales(market)
    _add_errors(market)
    operations = _operations()
    store = folder / "home" / "serving"
    with market.lake.read() as con:
        described = {"tables": dictionary(con)}
        publish(con, store, NOW, now=now, documents={OPERATIONS: operations, DICTIONARY: described})
    return Home(folder / "home", store, market, operations)


def _add_sales(market: Market) -> None:
    days = [NOW - timedelta(days=120 - 2 * number) for number in range(60)]
    with market.lake.write("sales") as con:
        insert_rows(
            con,
            "marts.fct_sales",
            [
                {
                    "sale_id": f"sale {number:03d}",
                    "collection": RICH,
                    "token_id": str(number % 12),
                    "event_time": at,
                    "as_of": at,
                    "known_at": at,
                    "seq": number + 1,
                    "price_eth": 1.0 + number % 7 / 5,
                }
                for number, at in enumerate(days)
            ],
        )
        insert_rows(
            con,
            "features.hedonic_index",
            [
                {
                    "sale_id": f"sale {number:03d}",
                    "collection": RICH,
                    "token_id": str(number % 12),
                    "seq": number + 1,
                    "known_at": at,
                    "as_of": at,
                    "a_level": number / 200,
                    "a_level_sd": 0.1,
                }
                for number, at in enumerate(days)
            ],
        )
        insert_rows(
            con,
            "marts.dim_trait_values",
            [
                {
                    "collection": RICH,
                    "trait_type": kind,
                    "trait_value": value,
                    "type_code": 0,
                    "trait_code": code,
                    "tokens": 6,
                    "share": 0.5,
                }
                for code, (kind, value) in enumerate([TRAIT, ("Hat", "a|b")])
            ],
        )
        insert_rows(
            con,
            "marts.dim_tokens",
            [{"collection": RICH, "token_id": str(token), "trait_codes": [token % 2]} for token in range(12)],
        )
        insert_rows(
            con,
            "ops.decision_log",
            [
                {
                    "decided_at": NOW - timedelta(days=3),
                    "run_id": "r",
                    "collection": name,
                    "action": "promoted",
                    "rule": "beats_baselines",
                    "reason": f"of {name}: $0.1$ against [0.2](x)",
                    "challenger": f"{name}@1",
                }
                for name in (RICH, *HOSTILE)
            ],
        )


def _add_errors(market: Market) -> None:
    scores = {"mdape": 0.0817, "ppe20": 0.866}
    chain = {
        "collections": 27,
        "sales": 7_483,
        "pooled": {
            "model": scores,
            "med_5": {"mdape": 0.119},
            "p20_50": {"mdape": 0.19},
        },
        "coverage": {"coverage_80": 0.8, "coverage_90": 0.9},
        "share_beating_best_simple": 1.0,
    }
    sums = {"portfolios": 62, "sales": 364, "coverage_80": 0.81, "sum_ratio": None, "mdape_of_sums": 0.06}
    document = json.dumps(
        {
            "sample": {"last_share": 0.3, "min_sales": 200},
            "chains": {"all": chain, "<ethereum>": chain, "b": chain},
            "sums": {"since": "2025-10-01T00:00:00", "markets": {"<ethereum>": {"bought": sums}}},
        }
    ).replace("'", "''")
    market.change(f"update monitoring.accuracy_report set document = '{document}'")
    weeks = [datetime(2025, 11, 3) + timedelta(days=7 * number) for number in range(9)]  # noqa: DTZ001
    with market.lake.write("errors") as con:
        insert_rows(
            con,
            "monitoring.mape_buckets",
            [
                {
                    "window_start": week,
                    "bucket": bucket,
                    "bucket_number": place,
                    "models": 5 - place,
                    "sales": 20,
                }
                for week in weeks
                for place, bucket in enumerate(["0-5 %", "5-10 %", "10-20 %"])
            ],
        )
        insert_rows(
            con,
            "monitoring.online_metrics",
            [
                {
                    "collection": "all",
                    "window_start": NOW - timedelta(days=7),
                    "window_end": NOW,
                    "state": "ok",
                    "n": 300,
                    "mdape": 0.09,
                    "mdape_low": 0.08,
                    "mdape_high": 0.1,
                    "mape": 0.12,
                    "coverage_80": 0.79,
                    "med_5_mdape": 0.12,
                }
            ],
        )


def _operations() -> dict[str, Any]:
    level = {
        "description": "Every source of sales has <delivered> $one$.",
        "severity": "page",
        "owner": "team:data-engineering",
        "objective": 0.95,
        "sli": 0.97,
        "value": 3.0,
        "bound": "≤ 26 h",
        "budget_left": 0.4,
        "runbook": "source-silent",
        "command": "assay sources",
        "note": None,
    }
    return {
        "market_time": "2026-01-10T00:00:00Z",
        "service_levels": [
            {**level, "slo": "sales_arrive", "state": "page", "alerting": True},
            {**level, "slo": "marts_fresh", "state": "ok", "alerting": False},
            {**level, "slo": "duplicate_rate", "state": "no_data", "alerting": False},
        ],
        "drift": {
            "states": {"ok": 20, "drifted": 1},
            "worst": [
                {
                    "collection": HOSTILE[0],
                    "state": "drifted",
                    "window_sales": 40,
                    "drifted": 2,
                    "worst_feature": "med_5_gap",
                    "worst_kind": "covariate",
                    "score": 3.2,
                    "evaluated_at": "2026-01-10T00:00:00Z",
                }
            ],
        },
        "queue": {
            "states": {"queued": 1},
            "first": [
                {
                    "collection": HOSTILE[2],
                    "kind": "retrain",
                    "reason": "drifted $x$",
                    "value_eth": 10.0,
                    "severity": 0.2,
                    "priority": 2.0,
                    "first_seen": "2026-01-09T00:00:00Z",
                    "cooling_until": None,
                    "state": "queued",
                }
            ],
        },
        "decisions": {
            "actions": {"promoted": 1},
            "newest": [
                {
                    "decided_at": "2026-01-07T00:00:00Z",
                    "collection": HOSTILE[1],
                    "action": "promoted",
                    "rule": "beats_baselines",
                    "reason": "better",
                    "challenger": "a@1",
                    "champion": None,
                }
            ],
        },
        "quarantine": [{"table": "sales", "source": "<files>", "reason": "price_not_positive", "rows": 3}],
        "alerts": {
            "open": [
                {
                    "severity": "page",
                    "title": ALERT,
                    "body": "<script>alert(1)</script>",
                    "runbook": "source-silent",
                    "command": "assay sources",
                    "first_seen": "2026-01-09T00:00:00Z",
                    "resolved_at": None,
                }
            ],
            "resolved": [],
        },
        "runs": [
            {
                "job": "refresh",
                "status": "success",
                "started_at": "2026-01-10T00:07:00Z",
                "ended_at": "2026-01-10T00:08:00Z",
                "seconds": 60.0,
            }
        ],
    }
