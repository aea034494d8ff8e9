"""What wallets hold at which cost, and what they have gained: read from the marts, one document per wallet.

Here: SQL over the marts of lots. Not here: values (`serving.views.gains` takes them from the store's own estimates, so
that an answer has one version of both), wallets that belong together (`ml.portfolio.ledger`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from serving.store.lake_reader import ROWS_AT_ONCE, iso_utc, keys_in_parts, number, read_digests

MAX_POSITIONS = 5_000
"""Positions of a wallet that are published: the interval of a sum costs the square of their number."""

MAX_DISPOSALS = 500
"""Disposals of a wallet that are published, the newest; the sums have all of them."""

_POSITION_COLUMNS = """wallet, collection, token_id, quantity, cost_wei, cost_usd, last_acquired_at, basis_status,
    unknown_basis_reason, last_tx_hash"""
_GAIN_COLUMNS = """disposal_id, acquisition_id, collection, token_id, quantity, acquired_at, disposed_at, cost_wei,
    proceeds_wei, fees_wei, cost_usd, proceeds_usd, basis_status, no_gain_reason, disposal_kind"""


def gains_digests(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the document of each wallet is made from."""
    return read_digests(
        con,
        f"""
        with hashes as (
            select wallet, hash({_POSITION_COLUMNS}) as digest from marts.fct_wallet_positions
            union all
            select wallet, hash({_GAIN_COLUMNS}) from marts.fct_realized_gains
        )
        select wallet, count(*) || ':' || sum(digest::hugeint) from hashes group by wallet
        """,
    )


def gains_rows(con: duckdb.DuckDBPyConnection, wallets: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """(wallet, document) of these wallets, in the order of their addresses, in batches.

    A document has `positions`, `realized` (sums, also by year) and `disposals`; amounts in wei are text, and an amount
    that is not known is null beside its reason.
    """
    for part in keys_in_parts(con, _ROWS, "wallet", sorted(wallets)):
        con.register("_wallets_wanted", pa.table({"wallet": pa.array(part, pa.string())}))
        try:
            for batch in con.execute(_SQL).to_arrow_reader(ROWS_AT_ONCE):
                yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        finally:
            con.unregister("_wallets_wanted")


_ROWS = """(
    select wallet from marts.fct_wallet_positions union all select wallet from marts.fct_realized_gains
)"""
_POSITION = f"""{{
    'collection': collection, 'token_id': token_id, 'quantity': quantity, 'acquired_at': {iso_utc("last_acquired_at")},
    'acquisition_tx_hash': last_tx_hash, 'basis_status': basis_status, 'unknown_basis_reason': unknown_basis_reason,
    'cost_wei': cost_wei::varchar, 'cost_usd': {number("cost_usd")}
}}"""
_DISPOSAL = f"""{{
    'collection': collection, 'token_id': token_id, 'quantity': quantity, 'kind': disposal_kind,
    'acquired_at': {iso_utc("acquired_at")}, 'disposed_at': {iso_utc("disposed_at")}, 'holding_days': holding_days,
    'cost_wei': cost_wei::varchar, 'proceeds_wei': case when disposal_kind = 'sold' then proceeds_wei::varchar end,
    'fees_wei': fees_wei::varchar, 'gain_wei': case when no_gain_reason is null then gain_wei::varchar end,
    'gain_usd': case when no_gain_reason is null then {number("gain_usd")} end, 'basis_status': basis_status,
    'no_gain_reason': no_gain_reason, 'acquisition_tx_hash': acquisition_tx_hash, 'disposal_tx_hash': disposal_tx_hash
}}"""
_SUMS = f"""
    count(*) filter (disposal_kind = 'sold') as sales,
    count(*) filter (disposal_kind = 'sold' and no_gain_reason is not null) as sales_without_gain,
    (sum(gain_wei) filter (no_gain_reason is null))::varchar as gain_wei,
    case when count(*) filter (no_gain_reason is null and gain_usd is null) = 0
        then round(sum({number("gain_usd")}) filter (no_gain_reason is null), 6) end as gain_usd
"""
_SQL = f"""
    with held as (
        select *, row_number() over (partition by wallet order by collection, token_id) as place
        from marts.fct_wallet_positions semi join _wallets_wanted using (wallet)
    ),
    positions as (
        select wallet, count(*) as tokens,
            list({_POSITION} order by place) filter (place <= {MAX_POSITIONS}) as listed
        from held group by wallet
    ),
    gone as (
        select *, row_number() over (
            partition by wallet order by disposed_at desc, disposal_id, acquisition_id
        ) as place
        from marts.fct_realized_gains semi join _wallets_wanted using (wallet)
    ),
    sums as (select wallet, count(*) as disposals, {_SUMS} from gone group by wallet),
    years as (select wallet, year(disposed_at) as year, {_SUMS} from gone group by wallet, year(disposed_at)),
    by_year as (
        select wallet, list({{
            'year': year, 'sales': sales, 'sales_without_gain': sales_without_gain, 'gain_wei': gain_wei,
            'gain_usd': gain_usd
        }} order by year) as listed
        from years group by wallet
    ),
    disposals as (
        select wallet, list({_DISPOSAL} order by place) as listed
        from gone where place <= {MAX_DISPOSALS} group by wallet
    )
    select w.wallet, encode(to_json({{
        'tokens': coalesce(p.tokens, 0), 'positions': coalesce(p.listed, []),
        'realized': {{
            'disposals': coalesce(s.disposals, 0), 'sales': coalesce(s.sales, 0),
            'sales_without_gain': coalesce(s.sales_without_gain, 0), 'gain_wei': s.gain_wei, 'gain_usd': s.gain_usd,
            'by_year': coalesce(y.listed, [])
        }},
        'disposals': coalesce(d.listed, [])
    }})::varchar)
    from _wallets_wanted as w
    left join positions as p on w.wallet = p.wallet
    left join sums as s on w.wallet = s.wallet
    left join by_year as y on w.wallet = y.wallet
    left join disposals as d on w.wallet = d.wallet
    where p.wallet is not null or s.wallet is not null
    order by w.wallet
"""
