"""Checks of the index and the features: references, completeness, and the declared schema of the features."""

from __future__ import annotations

from ml.tables.registry import table as declared
from orchestration.checks.definition import Check, no_rows, refers
from orchestration.checks.schema import rows_meet
from orchestration.states import CheckSeverity


def _schema(table: str) -> Check:
    return Check(
        name=f"{table}_match_schema",
        asset=table,
        description="Every row meets the declared feature schema (Pandera). Blocks training and scoring.",
        measure=rows_meet(declared(f"features.{table}"), unique=True, sample_rows=20_000),
        severity=CheckSeverity.ERROR,
        blocking=True,
        runbook="feature-check-blocked",
    )


FEATURES = (
    refers("hedonic_index", "features.hedonic_index", "marts.fct_sales", "sale_id"),
    Check(
        name="every_sale_is_in_the_index_once",
        asset="hedonic_index",
        description="Each arm's-length sale has exactly one row in the index.",
        measure=no_rows(
            """
            select collection, count(*) as sales, count(distinct hash(i.sale_id)) as in_index, count(i.sale_id) as rows
            from (select collection, sale_id from marts.fct_sales where is_arms_length) s
            left join (select sale_id from features.hedonic_index) i using (sale_id)
            group by collection having sales <> in_index or in_index <> rows
            """
        ),
        severity=CheckSeverity.ERROR,
        blocking=True,
        runbook="rows-contradict",
    ),
    refers("sale_features", "features.sale_features", "features.hedonic_index", "sale_id"),
    refers("token_features", "features.token_features", "marts.dim_tokens", "collection, token_id"),
    _schema("sale_features"),
    _schema("token_features"),
)
