"""What a backtest reads: the past as it is learnt from, and the sales of the window as they are to be priced.

Here: reading both, once, as arrays. Not here: fitting or pricing.

Concept: two views of sales. What can be learnt from is every arm's-length sale with an index, in known order, of
which a refit takes the first so many. What is to be priced is every sale of the window, clean or not, with what was
visible at its own as-of time; rows that the index has no answer for are kept, with the reason why they have no value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.storage import sql_list
from ml.compute.asof_join import sorted_asof_joins
from ml.compute.backend import Backend
from ml.compute.matrix import Matrix, column, matrix
from ml.features.audit import audit_features
from ml.index.queries import sale_queries
from ml.metrics.baselines import BASELINES, baseline_logs
from ml.models.frames import FeatureSet, SaleFrame, read_sales
from ml.models.markets import split_markets
from ml.tables.writing import EPOCH

Float = npt.NDArray[np.float64]
Objects = npt.NDArray[np.object_]
Microseconds = npt.NDArray[np.int64]

ALL_SALES = "all"
"""Market of every sale where nothing was known yet to split them by."""


@dataclass(frozen=True)
class Window:
    """The sales a backtest prices.

    Attributes:
        start: First as-of time, UTC.
        end: Sales from this as-of time on, and those not known before it, are not priced.
        collections: Only these; all when None.
    """

    start: datetime
    end: datetime
    collections: tuple[str, ...] | None = None

    def condition(self) -> str:
        """The window as a condition on the columns of marts.fct_sales."""
        chosen = ""
        if self.collections is not None:
            chosen = f" and collection in {sql_list(self.collections)}"
        return (
            f"as_of >= timestamp '{self.start}' and as_of < timestamp '{self.end}' "
            f"and known_at < timestamp '{self.end}'{chosen}"
        )


@dataclass(frozen=True)
class History:
    """Arm's-length sales with an index, known before the window's end, in known order; arrays of length n.

    Attributes:
        frame: Their features and prices.
        baselines: Baseline name to ln ETH.
        market: Market of each sale, as markets stood when the window began.
        market_of: Market of each chain.
    """

    frame: SaleFrame
    baselines: dict[str, Float]
    market: Objects
    market_of: dict[str, str]

    @property
    def markets(self) -> list[str]:
        """Markets with sales, in a fixed order."""
        return sorted(set(self.market.tolist()))

    def known_before(self, time: int) -> int:
        """How many of the sales were known before a time, microseconds."""
        return int(np.searchsorted(self.frame.known_at, time))


@dataclass(frozen=True)
class WindowSales:
    """Sales of the window, in order of (as_of, sale_id); arrays of length n.

    Attributes:
        sale_id: Which.
        collection: Whose.
        token_id: Of which token.
        market: Market whose prior prices it.
        as_of: Microseconds since the epoch.
        sales_seen: Arm's-length sales of the collection that it can see.
        days_since_sale: Days from the newest of them; NaN without one.
        base_log: The index; NaN where it has none.
        floor_log: ln of the trailing 20th percentile; NaN where there is none.
        rarity: Rarity percentile of the token; NaN where unknown.
        features: Shape (n, features); rows of NaN without an index.
    """

    sale_id: Objects
    collection: Objects
    token_id: Objects
    market: Objects
    as_of: Microseconds
    sales_seen: npt.NDArray[np.int64]
    days_since_sale: Float
    base_log: Float
    floor_log: Float
    rarity: Float
    features: Matrix

    def __len__(self) -> int:
        return len(self.as_of)

    def between(self, start: int, end: int) -> WindowSales:
        """Rows with start <= as_of < end."""
        cut = slice(int(np.searchsorted(self.as_of, start)), int(np.searchsorted(self.as_of, end)))
        return WindowSales(**{name: values[cut] for name, values in self.__dict__.items()})


def microseconds(time: datetime) -> int:
    """A naive UTC time as microseconds since the epoch."""
    return round((time - EPOCH) / timedelta(microseconds=1))


def first_rows(frame: SaleFrame, rows: int) -> SaleFrame:
    """The first rows of a frame, as views: what was known earlier."""
    names = (
        "sale_id",
        "collection",
        "seq",
        "known_at",
        "as_of",
        "target_log",
        "base_log",
        "floor_log",
        "features",
    )
    return replace(frame, **{name: getattr(frame, name)[:rows] for name in names})


def read_history(
    con: duckdb.DuckDBPyConnection, features: FeatureSet, start: int, end: int, min_market_sales: int
) -> History:
    """Everything that can be learnt from before `end` (microseconds), split into the markets of `start`."""
    everything = read_sales(con, features.names)
    logs = baseline_logs(con, everything.sale_id)
    rows = int(np.searchsorted(everything.known_at, end))
    frame = first_rows(everything, rows)
    before = first_rows(frame, int(np.searchsorted(frame.known_at, start)))
    names = list(split_markets(before, min_market_sales))
    default = names[0] if names else ALL_SALES
    market_of = {chain: chain if chain in names else default for chain in frame.chains}
    by_collection = np.array([market_of[chain] for chain in frame.chains], dtype=object)
    market = by_collection[frame.collection] if len(frame) else np.empty(0, object)
    market_of[""] = default
    return History(frame, {name: logs[name][:rows] for name in BASELINES}, market, market_of)


def read_window_sales(
    con: duckdb.DuckDBPyConnection, features: FeatureSet, window: Window, history: History, backend: Backend
) -> WindowSales:
    """Every positive-price sale of the window.

    Raises:
        IndexInputError: the stored index is behind the marts.
    """
    condition = f"({window.condition()}) and price_eth > 0"
    audit_features(con, "backtest_audit", f"{condition} and not is_arms_length", backend)
    sale_queries(con, "backtest_queries", condition)
    names = ", ".join(f'"{name}"' for name in features.names)
    con.execute(
        f"""
        create or replace temp table backtest_features as
        select sale_id, base_log, {names} from features.sale_features
        where sale_id in (select sale_id from backtest_queries)
        union all
        select sale_id, base_log, {names} from backtest_audit
        """
    )
    quoted = "".join(f', f."{name}"' for name in features.names)
    with sorted_asof_joins(con):
        table = con.execute(_PRICING_SQL.format(quoted=quoted)).to_arrow_table()
    default = history.market_of[""]
    markets = [history.market_of.get(chain, default) for chain in table["chain"].to_pylist()]
    return WindowSales(
        sale_id=_objects(table["sale_id"]),
        collection=_objects(table["collection"]),
        token_id=_objects(table["token_id"]),
        market=np.array(markets, dtype=object),
        as_of=np.asarray(table["as_of_us"].to_numpy(), np.int64),
        sales_seen=np.asarray(table["prefix"].to_numpy(), np.int64),
        days_since_sale=column(table, "days_since_sale"),
        base_log=column(table, "base_log"),
        floor_log=column(table, "floor_log"),
        rarity=column(table, "_rarity"),
        features=matrix(table, features.names),
    )


_PRICING_SQL = """
with states as (
    select collection, seq, max(event_time) over (partition by collection order by seq) as last_sale_at
    from marts.fct_collection_state
    where collection in (select collection from backtest_queries)
),

floors as (
    select collection, known_at, p20_50 from marts.fct_collection_state
    where collection in (select collection from backtest_queries)
    qualify row_number() over (partition by collection, known_at order by seq desc) = 1
)

select
    q.sale_id, q.collection, q.token_id, coalesce(d."chain", 'unknown') as "chain",
    epoch_us(q.as_of) as as_of_us, q.prefix,
    (epoch_us(q.as_of) - epoch_us(states.last_sale_at)) / 86400e6 as days_since_sale,
    ln(floors.p20_50) as floor_log, t.rarity_pct as _rarity, f.base_log {quoted}
from backtest_queries as q
left join states on q.collection = states.collection and q.prefix = states.seq
left join marts.dim_collections as d on q.collection = d.collection
left join marts.dim_tokens as t on q.collection = t.collection and q.token_id = t.token_id
left join backtest_features as f on q.sale_id = f.sale_id
asof left join floors on q.collection = floors.collection and q.as_of > floors.known_at
order by q.as_of, q.sale_id
"""


def _objects(values: pa.ChunkedArray) -> Objects:
    return np.array(values.to_pylist(), dtype=object)
