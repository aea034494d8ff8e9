"""The marts of the real bundle: nothing lost, and an outside opinion on what is an arm's-length sale."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.connection import Lake
from tests.homes import real_bundle, real_marts
from tests.integration.marts_market import new_lake

pytestmark = [pytest.mark.golden, pytest.mark.slow]


@pytest.fixture(scope="module")
def bundle() -> Path:
    return real_bundle()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return new_lake(real_marts(tmp_path_factory))


def test_no_row_is_lost(lake: Lake, bundle: Path) -> None:
    with lake.read() as con:
        in_files = sum(
            con.execute(f"select count(*) from '{bundle / name}.parquet'").fetchone()[0]
            for name in ("sales", "sales_wax")
        )
        counted = con.execute(
            "select sum(raw_rows), sum(abs(difference)) from marts.sales_reconciliation"
        ).fetchone()
    assert counted == (in_files, 0)


def test_arms_length_sales_agree_with_the_outside_opinion(lake: Lake, bundle: Path) -> None:
    """Measured on 102,042 secondary sales: 99.1 % get the same verdict, 99.3 % of the opinion's clean sales are
    ours, 99.8 % of ours are the opinion's.

    The opinion knows flags we do not compute (multi-hop transactions, totals of possible bundles) and covers
    later trades; we count siblings it does not and drop prices far below the floor. Either side differs on about
    one row in a hundred, so 98 % leaves room for a better rule on one side but not for a broken one.
    """
    with lake.read() as con:
        row = con.execute(
            f"""
            with opinion as (
                select 'sales.parquet:' || file_row_number as source_row, clean
                from read_parquet('{bundle / "sales.parquet"}', file_row_number => true)
                where sale_type = 'secondary'
            ),

            verdict as (
                select source_row, exclusion_reason is null and sale_id in (
                    select sale_id from marts.fct_sales where is_arms_length
                ) as is_arms_length
                from intermediate.int_sales_classified
                where source_row like 'sales.parquet:%'
            )

            select
                count(*),
                avg((clean = is_arms_length)::integer),
                avg(is_arms_length::integer) filter (where clean),
                avg(clean::integer) filter (where is_arms_length)
            from opinion
            inner join verdict using (source_row)
            """
        ).fetchone()
    assert row is not None
    sales, agreement, recall, precision = row
    print(f"{sales} sales: agreement {agreement:.4f}, recall {recall:.4f}, precision {precision:.4f}")
    assert sales > 100_000
    assert agreement > 0.98
    assert recall > 0.98
    assert precision > 0.99


def test_punks_have_traits_and_their_rarest_are_known(lake: Lake) -> None:
    """The one punk with seven accessories is the rarest by every published ranking."""
    with lake.read() as con:
        rarest = con.execute(
            "select token_id, rarity_rank from marts.dim_tokens "
            "where collection = 'cryptopunks' and rarity_rank is not null order by rarity_rank limit 1"
        ).fetchone()
    assert rarest == ("8348", 1)
