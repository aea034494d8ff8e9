"""Schema `marts`: made from dbt's contract of the marts, which declares their columns.

Here: the marts as tables that exist, empty, before dbt has built them for the first time. Not here: what they mean
(`dbt_project`). A first build replaces every row whatever exists (dbt_project/macros/incremental.sql). With other
columns than declared they are made empty, and the next build is a full one, because its position in raw is emptied too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lake.tables import Column, Table

_MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
MARTS_YAMLS = (_MARTS / "_marts.yml", _MARTS / "_lots.yml")

_KEYS: dict[str, tuple[tuple[str, ...], str]] = {
    "fct_sales": (("sale_id",), "per collection, from its first changed `known_at` on"),
    "fct_collection_state": (("collection", "seq"), "per collection, from its first changed `known_at` on"),
    "fct_collection_daily": (("collection", "day"), "per collection"),
    "fct_listings": (("listing_event_id",), "per collection, from its first changed `known_at` on"),
    "fct_holdings": (("collection", "token_id"), "per token"),
    "dim_collections": (("collection",), "as a whole"),
    "dim_tokens": (("collection", "token_id"), "per collection or token"),
    "dim_trait_values": (("collection", "trait_code"), "per collection"),
    "fct_acquisitions": (("acquisition_id",), "per token"),
    "fct_disposals": (("disposal_id",), "per token"),
    "fct_lots": (("acquisition_id",), "per token"),
    "fct_realized_gains": (("disposal_id", "acquisition_id"), "per token"),
    "fct_wallet_positions": (("wallet", "collection", "token_id"), "per token"),
    "moves_reconciliation": (("chain",), "as a whole"),
    "sales_reconciliation": (("delivered_by", "source"), "as a whole"),
    "sales_reported_twice": (("other_delivered_by", "other_source", "other_source_row"), "as a whole"),
}
"""Key, and the scope in which dbt replaces rows."""


def _column(declared: dict[str, Any]) -> Column:
    required = any(c["type"] == "not_null" for c in declared.get("constraints", ()))
    return Column(declared["name"], declared["data_type"], declared["description"], required)


def _tables() -> tuple[Table, ...]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    models = [
        model
        for path in MARTS_YAMLS
        for model in yaml.load(path.read_text(encoding="utf-8"), Loader=loader)["models"]
    ]
    return tuple(
        Table(
            f"marts.{model['name']}",
            model["description"],
            *_KEYS[model["name"]],
            tuple(_column(column) for column in model["columns"]),
            derived=True,
            state=("ops.mart_watermark",),
        )
        for model in models
    )


TABLES = _tables()
