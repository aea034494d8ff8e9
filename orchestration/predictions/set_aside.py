"""Collections that are set aside, and implausible values, as incidents: what is lost, which value, what goes on.

Here: reading the records. Not here: who is set aside (`ml.tables.set_aside`), or which value is implausible
(`ml.pricing.price`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.features.tables import SALE_FEATURES, TOKEN_FEATURES
from ml.states import NoValue
from ml.tables.ops import SET_ASIDE
from ml.tables.set_aside import collections_aside
from orchestration.alerts.keys import incident_key
from orchestration.alerts.outbox import Alert, keep_incidents
from orchestration.states import Severity

if TYPE_CHECKING:
    import duckdb

    from orchestration.alerts.outbox import Synchronised
    from orchestration.resources import Assay

SCOPE = "set_aside"
"""The scope to synchronise these alerts under."""

MANY = "(many collections)"
"""Stands for a collection in the key of the incident about many at once."""

MANY_SHARE, MANY_FLOOR = 0.05, 3
"""More collections without values than this share of those with an index, and than this number, are no matter of
single collections."""

LOST = {
    TOKEN_FEATURES.name: "Its tokens have no value until this is corrected.",
    SALE_FEATURES.name: "No model learns from its sales, and walk-forward errors leave them out, until this is "
    "corrected.",
}
"""Stage to what a collection loses that is set aside there."""

LOST_BY_IMPLAUSIBLE = "Only these tokens have no value."


def report_set_aside(assay: Assay) -> Synchronised:
    """Open an incident per collection that is set aside, and end those of collections that are not any more."""
    with assay.lake.read() as con:
        alerts = set_aside_alerts(con)
    return keep_incidents(assay, SCOPE, alerts)


def set_aside_alerts(con: duckdb.DuckDBPyConnection) -> list[Alert]:
    """One alert per collection, grouped, and one more that pages when many have lost their values at once."""
    lost = ", ".join(f"('{stage}', '{sentence}')" for stage, sentence in LOST.items())
    rows = con.execute(
        f"""
        with found as (
            select
                collection, true as is_aside, stage as place,
                rows || ' rows of ' || stage || ' break a rule: ' || column_name || ' is ' || coalesce(value, 'null')
                    || ', expected ' || expected || '. ' || lost as sentence
            from {SET_ASIDE.name} inner join (values {lost}) as l (stage, lost) using (stage)
            union all
            select
                collection, false as is_aside, 'predictions' as place,
                count(*) || ' tokens have a price or an interval that no token can be worth. {LOST_BY_IMPLAUSIBLE}'
                    as sentence
            from predictions.token_estimates where no_value_reason = '{NoValue.IMPLAUSIBLE}' group by collection
        )
        select collection, bool_or(is_aside), string_agg(sentence, ' ' order by place)
        from found group by collection order by collection
        """
    ).fetchall()
    return [*_many(con), *(_alert(*row) for row in rows)]


def _alert(collection: str, is_aside: bool, sentences: str) -> Alert:
    what = "was set aside" if is_aside else "has implausible values"
    return Alert.of_collection(
        incident_key(SCOPE, collection),
        collection,
        what,
        f"{sentences} All other collections go on.",
        runbook="collection-set-aside",
        group="collections were set aside" if is_aside else "collections have implausible values",
    )


def _many(con: duckdb.DuckDBPyConnection) -> list[Alert]:
    """The alert that many collections have no value: a fault of a feature, a model or a source, not of theirs.

    Service levels leave out what has an incident of its own, so nothing else would page.
    """
    row = con.execute(
        f"""
        with lost as (
            {collections_aside(TOKEN_FEATURES)}
            union
            select collection from predictions.token_estimates group by collection
            having count(estimate_eth) = 0 and bool_or(no_value_reason = '{NoValue.IMPLAUSIBLE}')
        )
        select (select count(*) from lost), (select count(*) from features.index_state)
        """
    ).fetchone()
    lost, indexed = row or (0, 0)
    if lost <= max(MANY_FLOOR, MANY_SHARE * indexed):
        return []
    return [
        Alert(
            key=incident_key(SCOPE, MANY),
            severity=Severity.PAGE,
            title=f"{lost} of {indexed} collections with an index were set aside or have implausible values only",
            body=f"Their tokens have no value. At most {MANY_SHARE:.0%} of the collections, or {MANY_FLOOR}, are "
            "expected: so many at once point to a feature, a model or a source, not to single collections.",
            runbook="collection-set-aside",
            command="assay alerts",
        )
    ]
