"""What the champions say about every token: the pooled pass and the local pass.

Here: predictions in log units for tokens with features, streamed in batches. Not here: which tokens deserve a
value (`speaking`), or writing estimates (`estimates`).

Concept: almost all of the work is one set-wise pass of the pooled prior over all tokens in batches; only
collections whose champion has a local booster are visited one by one, in chunks read together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from catboost import CatBoostRegressor

from ml.evaluation.metrics import premium_tier
from ml.models.calibration import Calibration
from ml.models.champion import Champion
from ml.models.collection_reader import collection_slices, trait_codes
from ml.models.frames import FeatureSet
from ml.models.local import LocalInputs, RaggedTraitsError, predict_local, trait_matrix
from ml.models.matrix import column, matrix
from ml.models.prior import predict_gap, predict_scale
from ml.registry.artifacts import ArtifactLostError, ArtifactStore

Float = npt.NDArray[np.float64]

PREDICTION_SCHEMA = pa.schema(
    [
        ("collection", pa.string()),
        ("token_id", pa.string()),
        ("feature_as_of", pa.timestamp("us")),
        ("feature_watermark", pa.timestamp("us")),
        ("prediction_log", pa.float64()),
        ("half_80", pa.float64()),
        ("half_90", pa.float64()),
        ("mean_log", pa.float64()),
    ]
)

LOCAL_SCHEMA = pa.schema(
    [("collection", pa.string()), ("token_id", pa.string()), ("residual_log", pa.float64())]
)


@dataclass(frozen=True)
class PooledModels:
    """One prior as scoring needs it.

    Attributes:
        prior: The prior, or None for the index alone.
        scale: The scale model, or None: then every scale is 1.
        calibration: Quantiles for that scale, or None: then there are no intervals.
        rarity_effect: Log effect by rarity bin, used where the index speaks alone; empty for none.
    """

    prior: CatBoostRegressor | None
    scale: CatBoostRegressor | None
    calibration: Calibration | None
    rarity_effect: tuple[float, ...] = ()


def predict_tokens(
    con: duckdb.DuckDBPyConnection,
    models: Sequence[PooledModels],
    features: FeatureSet,
    batch_rows: int,
    threads: int,
) -> Iterator[pa.RecordBatch]:
    """Predictions of the pooled part for every token of the collections in the temporary table `_assignment`.

    Args:
        con: Connection with features.token_features and `_assignment(collection, model, floor_log)`, where `model` is a
            position in `models`.
        models: Priors in use.
        features: Feature columns.
        batch_rows: Tokens per batch; bounds memory.
        threads: CatBoost threads.

    Yields:
        Batches of `PREDICTION_SCHEMA`.
    """
    quoted = "".join(f', t."{name}"' for name in features.names)
    reader = con.execute(
        f"""
        select t.collection, t.token_id, t.as_of, t.state_known_at, t.base_log, d.rarity_pct as _rarity,
            a.model, a.floor_log {quoted}
        from features.token_features as t
        inner join _assignment as a on t.collection = a.collection
        left join marts.dim_tokens as d on t.collection = d.collection and t.token_id = d.token_id
        where t.base_log is not null
        """
    ).to_arrow_reader(batch_rows)
    for batch in reader:
        yield _predict_batch(batch, models, features, threads)


def _predict_batch(
    batch: pa.RecordBatch, models: Sequence[PooledModels], features: FeatureSet, threads: int
) -> pa.RecordBatch:
    values = matrix(batch, features.names)
    prediction, floor = column(batch, "base_log").copy(), column(batch, "floor_log")
    rarity = column(batch, "_rarity")
    model = column(batch, "model").astype(np.int64)
    half_80, half_90 = np.full(len(prediction), np.nan), np.full(len(prediction), np.nan)
    mean_log = np.zeros(len(prediction))
    for number in np.unique(model):
        part = models[number]
        rows = np.flatnonzero(model == number)
        own = values if len(rows) == len(values) else values[rows]
        if part.prior is not None:
            prediction[rows] += predict_gap(part.prior, own, threads)
        elif part.rarity_effect:
            prediction[rows] += rarity_effect(rarity[rows], part.rarity_effect)
        if part.calibration is None:
            continue
        premium = prediction[rows] - floor[rows]
        scale = (
            predict_scale(part.scale, own, premium, threads) if part.scale is not None else np.ones(len(rows))
        )
        tier = premium_tier(prediction[rows], floor[rows])
        half_80[rows], half_90[rows] = part.calibration.half_widths(scale, tier)
        mean_log[rows] = np.asarray(part.calibration.mean_log)[tier]
    return pa.RecordBatch.from_arrays(
        [
            batch.column("collection").cast(pa.string()),
            batch.column("token_id").cast(pa.string()),
            batch.column("as_of").cast(pa.timestamp("us")),
            batch.column("state_known_at").cast(pa.timestamp("us")),
            pa.array(prediction),
            pa.array(half_80, mask=np.isnan(half_80)),
            pa.array(half_90, mask=np.isnan(half_90)),
            pa.array(mean_log),
        ],
        schema=PREDICTION_SCHEMA,
    )


def rarity_effect(rarity: Float, effects: Sequence[float]) -> Float:
    """Log effect of each token's rarity percentile (0 common … 1 rarest); 0 without a percentile."""
    known = np.isfinite(rarity)
    bins = np.clip(np.floor(np.where(known, rarity, 0.0) * len(effects)), 0, len(effects) - 1).astype(
        np.int64
    )
    return np.where(known, np.asarray(effects)[bins], 0.0)


def predict_residuals(
    con: duckdb.DuckDBPyConnection,
    champions: Mapping[str, Champion],
    artifacts: ArtifactStore,
    features: FeatureSet,
    collections_per_read: int,
) -> tuple[pa.Table, dict[str, str]]:
    """Weighted local residuals of all tokens of collections whose champion has a booster.

    Args:
        con: Connection with features.token_features and marts.dim_tokens.
        champions: Champions with a booster, by collection.
        artifacts: Where boosters are.
        features: `local_names` are read.
        collections_per_read: Collections read in one query.

    Returns:
        Rows of `LOCAL_SCHEMA`, and the collections whose booster does not fit their traits any more or was lost, with
        the reason.
    """
    quoted = "".join(f', t."{name}"' for name in features.local_names)
    parts: list[pa.Table] = []
    refused: dict[str, str] = {}
    keys = sorted(champions)
    for start in range(0, len(keys), collections_per_read):
        chunk = keys[start : start + collections_per_read]
        con.register("_chunk", pa.table({"collection": pa.array(chunk, pa.string())}))
        try:
            table = con.execute(
                f"""
                select t.collection, t.token_id, coalesce(d.trait_values, []) as trait_values {quoted}
                from features.token_features as t
                inner join _chunk on t.collection = _chunk.collection
                left join marts.dim_tokens as d on t.collection = d.collection and t.token_id = d.token_id
                order by t.collection, t.token_id
                """
            ).to_arrow_table()
        finally:
            con.unregister("_chunk")
        table = table.combine_chunks()
        numbers = matrix(table, features.local_names)
        codes, offsets, vocabulary = trait_codes(table["trait_values"])
        for key, first, last in collection_slices(table["collection"], chunk):
            champion = champions[key]
            try:
                booster = artifacts.get_model(str(champion.local_sha))
            except ArtifactLostError as error:
                refused[key] = f"its booster is lost: {error}"
                continue
            own = offsets[first : last + 1]
            try:
                traits = trait_matrix(codes[own[0] : own[-1]], own - own[0], key)
            except RaggedTraitsError as error:
                refused[key] = str(error)
                continue
            if booster.feature_names_ and len(booster.feature_names_) != numbers.shape[1] + traits.shape[1]:
                trained = len(booster.feature_names_) - numbers.shape[1]
                refused[key] = f"trait types changed from {trained} to {traits.shape[1]} since it was trained"
                continue
            inputs = LocalInputs(numbers[first:last], traits, vocabulary)
            rows = table.select(["collection", "token_id"]).slice(first, last - first)
            residual = champion.weight * predict_local(booster, inputs)
            parts.append(rows.append_column("residual_log", pa.array(residual)).cast(LOCAL_SCHEMA))
    return (pa.concat_tables(parts) if parts else LOCAL_SCHEMA.empty_table()), refused
