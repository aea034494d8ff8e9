"""The simple valuations a model must beat, as they were known before each sale.

Here: floor proxy, trailing medians, and the token's last sale moved by the market. Not here: metrics or
comparisons.

Concept: a baseline is only fair if it sees exactly what the model saw: collection states and token sales with
`known_at` strictly before the sale's as-of time (docs/domain.md, section 3). A token that never sold is valued by
"last sale × index" at the trailing median of 30, which is what that baseline would do in practice.
"""

from __future__ import annotations

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ml.compute.matrix import column

Float = npt.NDArray[np.float64]

BASELINES = ("p20_50", "med_30", "med_5", "last_index")
"""Names of the baselines: trailing 20th percentile of 50, medians of 30 and 5, token's last sale × index."""

SIMPLE_BASELINES = ("p20_50", "med_30", "last_index")
"""The three that the headline takes the best of; `med_5` is the strong one, compared on its own."""

_SQL = """
with spine as (
    select sale_id, collection, token_id, as_of, known_at from {spine}
),

states as (select collection, seq, known_at, p20_50, med_30, med_5 from marts.fct_collection_state),

-- Sales known at one time tie in an asof join: the state after the last of them is the one that was seen.
last_states as (
    select * from states qualify row_number() over (partition by collection, known_at order by seq desc) = 1
),

token_sales as (
    select collection, token_id, known_at, seq, price_eth
    from marts.fct_sales
    where is_arms_length
    qualify row_number() over (partition by collection, token_id, known_at order by seq desc) = 1
),

with_state as (
    select spine.*, last_states.p20_50, last_states.med_30, last_states.med_5
    from spine
    asof left join last_states
        on spine.collection = last_states.collection and spine.as_of > last_states.known_at
),

with_last as (
    select with_state.*, token_sales.price_eth as last_price_eth, token_sales.seq as last_seq
    from with_state
    asof left join token_sales
        on with_state.collection = token_sales.collection
        and with_state.token_id = token_sales.token_id
        and with_state.as_of > token_sales.known_at
),

final as (
    select
        with_last.sale_id,
        ln(with_last.p20_50) as p20_50,
        ln(with_last.med_30) as med_30,
        ln(with_last.med_5) as med_5,
        coalesce(
            ln(with_last.last_price_eth) + ln(with_last.med_30) - ln(state_then.med_30), ln(with_last.med_30)
        ) as last_index
    from with_last
    left join states as state_then
        on with_last.collection = state_then.collection and with_last.last_seq = state_then.seq
    order by with_last.known_at, with_last.sale_id
)

select * from final
"""


def baseline_query(spine: str) -> str:
    """SQL: sale_id and ln ETH of every baseline (null where it had nothing to go by), by known_at and sale_id.

    Args:
        spine: Table with sale_id, collection, token_id, as_of, known_at; one row per sale to value.
    """
    return _SQL.format(spine=spine)


class MisalignedRowsError(ValueError):
    """Two tables that should describe the same sales do not."""


def baseline_logs(con: duckdb.DuckDBPyConnection, sale_id: pa.ChunkedArray | pa.Array) -> dict[str, Float]:
    """Log of every baseline for each row of `features.sale_features`, in the order of `read_sales`.

    Args:
        con: Connection on which `features` and `marts` can be addressed.
        sale_id: The sales expected, in order; guards against a table that changed in between.

    Returns:
        Baseline name to ln ETH, shape (n,); NaN where the baseline had nothing to go by.

    Raises:
        MisalignedRowsError: When the rows are not those expected.
    """
    table = con.execute(baseline_query("features.sale_features")).to_arrow_table()
    if not table["sale_id"].cast(pa.string()).equals(_chunked(sale_id)):
        raise MisalignedRowsError(
            f"expected {len(sale_id)} sales in known order, found {table.num_rows} other ones; "
            "read features and baselines from one snapshot"
        )
    return {name: column(table, name) for name in BASELINES}


def _chunked(values: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return chunked.cast(pa.string())
