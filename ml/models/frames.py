"""Feature tables as arrays: what models read, in one big read.

Here: the set of feature names a model uses, and `sale_features` as arrays in known order. Not here: how
features are computed (`ml.features`), or anything fitted on them.

Concept: the order of rows is part of a fit. Rows are always sorted by (known_at, sale_id), so that an
incremental lake and a freshly built one train the same model, byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.matrix import FeatureMismatchError, Matrix, column, group_codes

Float = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Microseconds = npt.NDArray[np.int64]

LOCAL_GROUPS = ("index", "token", "rarity")
"""Groups of the feature schema that a local model sees in addition to the raw traits (docs/domain.md, section 5.3)."""


@dataclass(frozen=True)
class FeatureSet:
    """Names of the features that models use, and the fingerprint without which a model refuses to score.

    Attributes:
        names: Columns of the pooled models, in order.
        local_names: Numeric columns of the local models, in order; a subset of `names`.
        fingerprint: Fingerprint of the feature schema.
    """

    names: tuple[str, ...]
    local_names: tuple[str, ...]
    fingerprint: str

    @classmethod
    def declared(cls) -> FeatureSet:
        """The features that `ml.features.schema` declares now."""
        from ml.features import schema

        return cls(
            names=tuple(feature.name for feature in schema.FEATURES),
            local_names=tuple(feature.name for feature in schema.FEATURES if feature.group in LOCAL_GROUPS),
            fingerprint=schema.fingerprint(),
        )

    def require(self, fingerprint: str, what: str) -> None:
        """Refuse a model fitted on other features.

        Raises:
            FeatureMismatchError: When the fingerprints differ.
        """
        if fingerprint != self.fingerprint:
            raise FeatureMismatchError(
                f"{what} was fitted on features {fingerprint}, the lake holds features {self.fingerprint}; "
                "retrain, or score with the code that built these features"
            )


@dataclass(frozen=True)
class SaleFrame:
    """Past sales with features, as arrays sorted by (known_at, sale_id); all of length n.

    Attributes:
        sale_id: Arrow strings.
        collection: Dense collection codes.
        collections: The collection of each code.
        chains: The chain of each code's collection.
        seq: Position in the collection's known order, 1-based.
        known_at: Microseconds since the epoch, UTC.
        as_of: Microseconds since the epoch; what the features could see ends strictly before it.
        target_log: ln price in ETH.
        base_log: The index: the value every price feature is a gap to.
        floor_log: ln of the trailing 20th percentile of 50 sales as of the row; NaN if there was none.
        features: Shape (n, features), float32.
    """

    sale_id: pa.ChunkedArray
    collection: Codes
    collections: list[str]
    chains: list[str]
    seq: npt.NDArray[np.int64]
    known_at: Microseconds
    as_of: Microseconds
    target_log: Float
    base_log: Float
    floor_log: Float
    features: Matrix

    def __len__(self) -> int:
        return len(self.collection)

    def rows(self, chosen: npt.NDArray[np.bool_]) -> SaleFrame:
        """The same for a part of the rows; collection codes keep their meaning."""
        if chosen.all():
            return self
        return SaleFrame(
            sale_id=self.sale_id.filter(pa.array(chosen)),
            collection=self.collection[chosen],
            collections=self.collections,
            chains=self.chains,
            seq=self.seq[chosen],
            known_at=self.known_at[chosen],
            as_of=self.as_of[chosen],
            target_log=self.target_log[chosen],
            base_log=self.base_log[chosen],
            floor_log=self.floor_log[chosen],
            features=self.features[chosen],
        )

    @property
    def gap_log(self) -> Float:
        """What the prior learns: ln price − index, shape (n,)."""
        return self.target_log - self.base_log


def read_sales(
    con: duckdb.DuckDBPyConnection,
    names: Sequence[str],
    collections: Sequence[str] | None = None,
    batch_rows: int = 100_000,
) -> SaleFrame:
    """Read `features.sale_features` with the floor proxy each row could see.

    Args:
        con: Connection on which `features` and `marts` can be addressed.
        names: Feature columns to read.
        collections: Only these; all when None.
        batch_rows: Rows per Arrow batch; bounds the memory in addition to the result.

    Returns:
        All rows in known order.

    Raises:
        FeatureMismatchError: When a feature column is missing.
    """
    have = {row[0] for row in con.execute("describe features.sale_features").fetchall()}
    missing = [name for name in names if name not in have]
    if missing:
        raise FeatureMismatchError(
            f"features.sale_features lacks {', '.join(missing)}; rebuild the features with this code"
        )
    chosen = "" if collections is None else "where s.collection in (select unnest($collections))"
    parameters = {} if collections is None else {"collections": list(collections)}
    quoted = ", ".join(f's."{name}"' for name in names)
    rows = con.execute(f"select count(*) from features.sale_features as s {chosen}", parameters).fetchone()
    features = np.empty((rows[0] if rows else 0, len(names)), np.float32)
    reader = con.execute(
        f"""
        select
            s.sale_id, s.collection, s.seq, epoch_us(s.known_at) as known_us, epoch_us(s.as_of) as as_of_us,
            s.target_log, s.base_log, ln(state.p20_50) as floor_log{"," if names else ""} {quoted}
        from features.sale_features as s
        asof left join (
            select collection, known_at, p20_50 from marts.fct_collection_state
            qualify row_number() over (partition by collection, known_at order by seq desc) = 1
        ) as state
            on s.collection = state.collection and s.as_of > state.known_at
        {chosen}
        order by s.known_at, s.sale_id
        """,
        parameters,
    ).to_arrow_reader(batch_rows)
    keys: list[pa.RecordBatch] = []
    filled = 0
    for batch in reader:
        for position, name in enumerate(names):
            features[filled : filled + batch.num_rows, position] = column(batch, name)
        filled += batch.num_rows
        keys.append(batch.select(["sale_id", "collection", "seq", "known_us", "as_of_us", *_LOGS]))
    table = (
        pa.Table.from_batches(keys) if keys else pa.table({name: pa.array([], kind) for name, kind in _KEYS})
    )
    codes, values = group_codes(table["collection"])
    chain_of = dict(con.execute('select collection, "chain" from marts.dim_collections').fetchall())
    return SaleFrame(
        sale_id=table["sale_id"],
        collection=codes,
        collections=values,
        chains=[chain_of.get(name) or "unknown" for name in values],
        seq=_integers(table, "seq"),
        known_at=_integers(table, "known_us"),
        as_of=_integers(table, "as_of_us"),
        target_log=column(table, "target_log"),
        base_log=column(table, "base_log"),
        floor_log=column(table, "floor_log"),
        features=features,
    )


_LOGS = ("target_log", "base_log", "floor_log")
_KEYS = [
    ("sale_id", pa.string()),
    ("collection", pa.string()),
    ("seq", pa.int64()),
    ("known_us", pa.int64()),
    ("as_of_us", pa.int64()),
    *((name, pa.float64()) for name in _LOGS),
]


def _integers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(table[name].to_numpy(), dtype=np.int64)
