"""Who speaks for each collection at an instant, or why nobody does.

Here: the tier of every collection, left as the temporary tables `_facts` and `_assignment`. Not here: what is said
(`token_predictions`), or the order of a scoring (`inference`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.index.params import DEFAULT_PARAMS
from ml.models.champion import TIER_INDEX, TIER_OWN, TIER_POOLED, Champion
from ml.models.frames import FeatureSet
from ml.models.gate import GateConfig
from ml.models.priors_in_use import PriorsInUse
from ml.registry.artifacts import ArtifactStore
from ml.registry.mirror import read_champions

REASON_FEW_SALES = "fewer_than_3_sales"
REASON_SILENT = "silent_over_90_days"
REASON_NO_FEATURES = "no_features"


def usable_champions(
    con: duckdb.DuckDBPyConnection,
    only: Sequence[str] | None,
    pooled: PriorsInUse,
    features: FeatureSet,
    artifacts: ArtifactStore,
) -> tuple[dict[str, Champion], dict[str, str]]:
    """Champions that can speak about these features, and why the others cannot."""
    champions = read_champions(con, only)
    replaced = {}
    for key, champion in champions.items():
        if champion.feature_fingerprint != features.fingerprint:
            replaced[key] = f"fitted on features {champion.feature_fingerprint}"
        elif champion.tier != TIER_INDEX and champion.prior_version not in pooled.versions:
            version = str(champion.prior_version)
            replaced[key] = pooled.lost.get(version, f"its prior {version} is not kept any more")
        elif champion.local_sha and (problem := artifacts.problem(champion.local_sha)):
            replaced[key] = f"its booster is lost: {problem}"
    return {key: champion for key, champion in champions.items() if key not in replaced}, replaced


def collection_facts(
    con: duckdb.DuckDBPyConnection,
    as_of: datetime,
    only: Sequence[str] | None,
    *,
    min_sales: int,
    silent_days: int,
) -> None:
    """Temporary table `_facts`: each collection in scope at the instant, and why it has no value."""
    chosen = "" if only is None else "where d.collection in (select unnest($only))"
    con.execute(
        f"""
        create or replace temp table _facts as
        with states as (
            select collection, max(seq) as sales, max(event_time) as last_sale_at, arg_max(p20_50, seq) as
            floor_eth from marts.fct_collection_state where known_at < $as_of group by collection
        ),

        featured as (select distinct collection from features.token_features where base_log is not null)

        select
            d.collection,
            coalesce(states.sales, 0) as sales,
            states.floor_eth,
            least($as_of::timestamp, coalesce(d.told_until + interval 1 microsecond, $as_of::timestamp)) as as_of,
            case
                when coalesce(states.sales, 0) < $min_sales then '{REASON_FEW_SALES}'
                when states.last_sale_at < least($as_of::timestamp, d.told_until) - to_days($silent_days)
                    then '{REASON_SILENT}'
                when featured.collection is null then '{REASON_NO_FEATURES}'
            end as no_value_reason
        from marts.dim_collections as d
        left join states on d.collection = states.collection
        left join featured on d.collection = featured.collection
        {chosen}
        """,
        {
            "as_of": as_of,
            "min_sales": min_sales,
            "silent_days": silent_days,
            **({} if only is None else {"only": list(only)}),
        },
    )


def assign(con: duckdb.DuckDBPyConnection, champions: dict[str, Champion], pooled: PriorsInUse) -> None:
    """Temporary table `_assignment`: who speaks for each collection that gets a value.

    A collection without a champion (new since the last training) is priced by the live prior, or by the index
    alone when there is no prior yet or fewer sales had an index than the gate wants for the prior.
    """
    rows = []
    enough = DEFAULT_PARAMS.min_sales + GateConfig().pooled_min_sales
    for key, sales in con.execute(
        "select collection, sales from _facts where no_value_reason is null order by collection"
    ).fetchall():
        champion = champions.get(key)
        if champion is not None and champion.tier != TIER_INDEX:
            version, tier = str(champion.prior_version), champion.tier
        elif champion is not None or pooled.live.get(key) is None or sales < enough:
            version, tier = pooled.index[key], TIER_INDEX
        else:
            version, tier = str(pooled.live[key]), TIER_POOLED
        name = champion.model_version if champion else f"{key}@0"
        rows.append((key, pooled.versions[version], tier, name, None if tier == TIER_INDEX else version))
    columns = ("collection", "model", "tier", "model_version", "prior_version")
    kinds = (pa.string(), pa.int64(), pa.string(), pa.string(), pa.string())
    table = pa.table({name: pa.array([row[i] for row in rows], kinds[i]) for i, name in enumerate(columns)})
    con.register("_rows", table)
    try:
        con.execute(
            """
            create or replace temp table _assignment as
            select _rows.*, ln(_facts.floor_eth) as floor_log
            from _rows inner join _facts on _rows.collection = _facts.collection
            """
        )
    finally:
        con.unregister("_rows")


def own_models(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Collections whose own model speaks."""
    rows = con.execute("select collection from _assignment where tier = $1 order by collection", [TIER_OWN])
    return [row[0] for row in rows.fetchall()]


def demote(con: duckdb.DuckDBPyConnection, refused: dict[str, str]) -> None:
    """Let the pooled prior speak where a booster could not."""
    if refused:
        con.execute(
            "update _assignment set tier = $1 where collection in (select unnest($2))",
            [TIER_POOLED, list(refused)],
        )
