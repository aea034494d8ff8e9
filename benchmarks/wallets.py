"""Every wallet of a large market: valued in one pass, published with its costs and gains, and answered.

    python -m benchmarks.wallets [--wallets 100000] [--positions 1000000]

Made-up rows of the marts, so that lots and dbt are not measured here; these are in `make bench`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime
from pathlib import Path

import duckdb
import psutil

from benchmarks.serving import COLLECTIONS, made_up_lake
from ml.portfolio.wallets import record_wallet_valuations
from serving.store.gains_reader import gains_digests
from serving.store.publication import publish
from serving.store.sqlite.store import SqliteStore
from serving.views.gains import gains_answer

NOW = datetime(2026, 1, 10)  # noqa: DTZ001 - the lake's naive UTC


def fill(con: duckdb.DuckDBPyConnection, wallets: int, positions: int) -> None:
    """Positions and as many realised gains, most wallets with few and some with thousands."""
    con.execute(
        f"""
        insert into marts.fct_wallet_positions by name
        select printf('0x%040x', ({wallets} * pow(hash(i) % 1000003 / 1000003.0, 3))::bigint) as wallet,
            'ethereum' as "chain", collection, token_id, 1 as quantity, 1 as lots,
            case when i % 3 > 0 then 1000000000000000000 end::decimal(38, 0) as cost_wei,
            case when i % 3 > 0 then 'known' else 'unknown' end as basis_status,
            case when i % 3 = 0 then 'received_without_price' end as unknown_basis_reason,
            as_of - interval 90 day as last_acquired_at, md5(token_id) as last_tx_hash
        from (select *, row_number() over () as i from predictions.token_estimates)
        where i <= {positions};
        insert into marts.fct_wallet_positions by name
        select printf('0x%040x', i) as wallet, 'ethereum' as "chain", 'Collection 0' as collection,
            'x' || i as token_id, 1 as quantity, 1 as lots, 'unknown' as basis_status,
            'zero_price' as unknown_basis_reason
        from range({wallets}) as r (i)
        where printf('0x%040x', i) not in (select wallet from marts.fct_wallet_positions);
        insert into marts.fct_realized_gains by name
        select wallet, "chain", collection, token_id, quantity, md5(wallet || token_id) as disposal_id,
            'a' as acquisition_id, 'sold' as disposal_kind, 'bought' as acquisition_kind,
            last_acquired_at as acquired_at,
            last_acquired_at + interval 9 day as disposed_at, 9 as holding_days, cost_wei, cost_wei as proceeds_wei,
            cost_wei - cost_wei as gain_wei, basis_status, unknown_basis_reason as no_gain_reason
        from marts.fct_wallet_positions;
        """
    )


def main() -> None:
    """Print one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wallets", type=int, default=100_000)
    parser.add_argument("--positions", type=int, default=1_000_000)
    asked = parser.parse_args()
    con = made_up_lake(max(asked.positions, COLLECTIONS))
    fill(con, asked.wallets, asked.positions)
    for attempt in ("with compiling", "again"):
        began = time.perf_counter()
        found = record_wallet_valuations(con, NOW)
        print(f"valuing {found['wallets']:,} wallets, {found['positions']:,} positions, {attempt}:", end=" ")
        print(f"{time.perf_counter() - began:.1f} s, {found['rows_written']:,} rows")
    began = time.perf_counter()
    digests = gains_digests(con)
    print(f"digests of {len(digests):,} wallets: {time.perf_counter() - began:.1f} s")
    with tempfile.TemporaryDirectory() as scratch:
        for what in ("everything", "nothing new", "the gains of one wallet in a hundred"):
            if what.startswith("the gains"):
                con.execute("update marts.fct_wallet_positions set cost_usd = 1 where hash(wallet) % 100 = 0")
            report = publish(con, Path(scratch), NOW)
            took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
            print(
                f"publishing {what}: {took}; {report.rows.get('gains', 0):,} wallets, {report.bytes / 2**20:.0f} MiB"
            )
        edition = SqliteStore(Path(scratch)).current()
        largest = con.execute(
            "select wallet, count(*) from marts.fct_wallet_positions group by 1 order by 2 desc limit 1"
        ).fetchone()
        for wallet in (largest[0] if largest else "", sorted(digests)[len(digests) // 2]):
            gains_answer(edition, wallet, time.time())
            began = time.perf_counter()
            body = gains_answer(edition, wallet, time.time())
            print(f"answer of {len(body):,} bytes: {1e3 * (time.perf_counter() - began):.1f} ms")
    print(f"peak memory {psutil.Process().memory_info().rss / 2**20:.0f} MiB at the end")


if __name__ == "__main__":
    main()
