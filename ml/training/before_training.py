"""What the lake knows about collections before they are trained, and whether there is anything new to learn.

Here: one reading for all keys of a run. Not here: training them (`ml.training`), or which collections are asked for
(`ml.training.due`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa

from ml.models.frames import FeatureSet
from ml.models.markets import LivePriors
from ml.models.tuned_settings import COLLECTION, Adopted, read_adopted
from ml.registry.champion import Champion
from ml.registry.mirror import read_champions
from ml.tables.writing import EPOCH


@dataclass(frozen=True)
class BeforeTraining:
    """What the lake knows about the keys before the run.

    Attributes:
        champions: Current champions, of the keys that have one.
        sales: Past sales with an out-of-fold prediction, of the keys that have any.
        newest: When the newest of them became known.
        new_sales: How many of them became known after the champion had been trained; all without one.
        live_priors: Version of the prior in force, None where there is none.
        adopted: Settings that studies adopted.
        watermark: When the newest sale of all became known: the time of this run's decisions.
        features: Features of the run.
        index_fingerprint: Parameters of the index behind them.
        snapshot_id: Snapshot that was read.
        run_id: The run.
    """

    champions: dict[str, Champion]
    sales: dict[str, int]
    newest: dict[str, datetime]
    live_priors: dict[str, str | None]
    watermark: datetime
    features: FeatureSet
    index_fingerprint: str
    snapshot_id: int
    run_id: str
    new_sales: dict[str, int]
    adopted: dict[str, tuple[Adopted, ...]]

    @classmethod
    def read(
        cls,
        con: duckdb.DuckDBPyConnection,
        keys: Sequence[str],
        features: FeatureSet,
        index_fingerprint: str,
        snapshot_id: int,
        run_id: str,
        recipe: str,
    ) -> BeforeTraining:
        """Read it once for all keys; `recipe` names the settings that adopted ones are laid over."""
        champions = read_champions(con, keys)
        seen = pa.table(
            {
                "collection": pa.array(list(keys), pa.string()),
                "until": pa.array(
                    [champions[key].trained_until if key in champions else None for key in keys],
                    pa.timestamp("us"),
                ),
            }
        )
        con.register("_seen", seen)
        try:
            rows = con.execute(
                """
                select w.collection, count(*), max(w.known_at),
                    count(*) filter (_seen.until is null or w.known_at > _seen.until)
                from predictions.prior_walk_forward as w
                inner join _seen on w.collection = _seen.collection
                group by w.collection
                """
            ).fetchall()
        finally:
            con.unregister("_seen")
        watermark = con.execute("select max(known_at) from predictions.prior_walk_forward").fetchone()
        return cls(
            champions=champions,
            sales={row[0]: row[1] for row in rows},
            newest={row[0]: row[2] for row in rows},
            live_priors=LivePriors.read(con).of_collections(con),
            watermark=watermark[0] if watermark and watermark[0] else EPOCH,
            features=features,
            index_fingerprint=index_fingerprint,
            snapshot_id=snapshot_id,
            run_id=run_id,
            new_sales={row[0]: row[3] for row in rows},
            adopted=read_adopted(con, COLLECTION, recipe),
        )

    def ordered(self, keys: Sequence[str]) -> list[str]:
        """Keys by number of sales, largest first: the last fits to end are then the shortest."""
        return sorted(set(keys), key=lambda key: (-self.sales.get(key, 0), key))

    def nothing_to_learn(self, key: str, new_sales: int) -> str | None:
        """Why a key needs no fit, or None when it does: too few new sales under an unchanged champion's prior."""
        if not self.sales.get(key):
            return "no sale with an index yet"
        if (champion := self.champions.get(key)) is None:
            return None
        same = (
            champion.prior_version in (self.live_priors.get(key), None)
            and champion.feature_fingerprint == self.features.fingerprint
            and champion.index_fingerprint == self.index_fingerprint
        )
        new = self.new_sales[key]
        if same and new < new_sales:
            return f"{new} sales since its champion was trained; a challenger needs {new_sales}"
        return None
