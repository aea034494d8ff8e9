"""A collection that breaks a rule is set aside by real builds, the others go on, and it comes back by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from lake.tables import Table
from ml.features.build import build_token_features, update_sale_features
from ml.features.tables import SALE_FEATURES, TOKEN_FEATURES
from ml.index.update import update_index
from ml.pricing.rescoring import collections_to_score
from ml.pricing.scoring import score
from ml.registry.artifacts import ArtifactStore
from ml.tables.ops import SET_ASIDE
from ml.tables.set_aside import SetAside, collections_aside, set_aside
from tests.unit.ml.features.market import make_listings, make_sales, write_marts

pytestmark = pytest.mark.slow

NOW = datetime(2024, 4, 10)  # noqa: DTZ001 - the lake's naive UTC
HOUR = timedelta(hours=1)
BAD = "c0"
"""Collection with a bid that nobody can pay: its feature `bid_gap` is out of its bounds, and its sales are good."""


def with_a_bad_bid(collection: str = BAD, at: datetime = NOW - HOUR) -> pd.DataFrame:
    bid = {
        "collection": collection, "token_id": None, "order_id": f"bad {collection}", "event_kind": "created",
        "side": "bid", "price_eth": 1e30, "event_time": pd.Timestamp(at), "known_at": pd.Timestamp(at),
        "valid_until": pd.NaT,
    }  # fmt: skip
    return pd.concat([make_listings(), pd.DataFrame([bid])], ignore_index=True)


class Home:
    """A small market with the stages from the index to the estimates, as the jobs run them."""

    def __init__(self, folder: Path) -> None:
        self.con, self.artifacts = duckdb.connect(), ArtifactStore.in_folder(folder / "artifacts")

    def run(
        self, as_of: datetime, listings: pd.DataFrame | None = None, sales: pd.DataFrame | None = None
    ) -> SetAside:
        """Build and score; what the token stage set aside."""
        write_marts(self.con, make_sales() if sales is None else sales, listings=listings)
        update_index(self.con)
        update_sale_features(self.con)
        set_aside(self.con, SALE_FEATURES, as_of)
        build_token_features(self.con, as_of)
        aside = set_aside(self.con, TOKEN_FEATURES, as_of)
        only = collections_to_score(self.con, as_of)
        score(self.con, self.artifacts, as_of, 1, only=only)
        return aside

    def with_features(self, table: Table = TOKEN_FEATURES) -> set[str]:
        return {
            row[0] for row in self.con.execute(f"select distinct collection from {table.name}").fetchall()
        }

    def words(self) -> dict[str, set[str]]:
        """Collection to the reasons of its tokens; `valued` for a value."""
        rows = self.con.execute(
            "select collection, list(distinct coalesce(no_value_reason, 'valued')) from predictions.token_estimates"
            " group by collection"
        ).fetchall()
        return {collection: set(words) for collection, words in rows}

    def records(self) -> list[tuple[str, str, datetime]]:
        return self.con.execute(
            f"select stage, collection, as_of from {SET_ASIDE.name} order by all"
        ).fetchall()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_collection_set_aside_has_features_and_values_again_after_its_input_was_corrected(
    home: Home, tmp_path: Path
) -> None:
    good = Home(tmp_path / "good")
    good.run(NOW)
    assert good.words()[BAD] == {"valued"}

    aside = home.run(NOW, with_a_bad_bid())
    assert (aside.collections, aside.rows > 10) == (1, True)
    assert home.with_features() == good.with_features() - {BAD}
    assert home.words() == {**good.words(), BAD: {"set_aside"}}
    assert home.records() == [(TOKEN_FEATURES.name, BAD, NOW)]

    assert home.run(NOW + HOUR, with_a_bad_bid()).collections == 1, "still broken"
    assert home.records() == [(TOKEN_FEATURES.name, BAD, NOW)], "one record, as of the first run"

    assert home.run(NOW + 2 * HOUR) == SetAside(0, 0), "the bid was taken back; no sale and no trait changed"
    assert home.with_features() == good.with_features()
    assert home.words() == good.words()
    assert home.records() == []


def test_a_valued_collection_loses_its_values_and_gets_them_back(home: Home) -> None:
    home.run(NOW)
    usual, later = home.words(), NOW + timedelta(days=8)
    assert home.run(later, with_a_bad_bid(at=later - HOUR)).collections == 1
    assert home.words() == {**usual, BAD: {"set_aside"}}
    assert home.records() == [(TOKEN_FEATURES.name, BAD, later)]
    home.run(later + HOUR)
    assert (home.words(), home.records()) == (usual, [])


def test_the_record_of_a_collection_that_left_goes_with_it(home: Home) -> None:
    home.run(NOW, with_a_bad_bid())
    assert [record[1] for record in home.records()] == [BAD]
    sales = make_sales()
    few = sales[(sales.collection != BAD) | (sales.groupby("collection").cumcount() < 2)]
    home.run(NOW + HOUR, with_a_bad_bid(), few)
    assert home.records() == []
    assert home.words()[BAD] == {"fewer_than_3_sales"}, "no reason without a record"


def test_others_are_not_built_again_because_one_is_set_aside(home: Home) -> None:
    home.run(NOW, with_a_bad_bid())
    home.run(NOW + HOUR, with_a_bad_bid())
    times = "select collection, max(as_of) from features.token_features group by 1"
    assert set(dict(home.con.execute(times).fetchall()).values()) == {NOW}
    sales = home.con.execute("select collection from features.feature_state where spine = 'sale'").fetchall()
    assert (BAD,) in sales, "the state of its sale features is not that of its token features"


def spoil(con: duckdb.DuckDBPyConnection, sale: str, change: str) -> None:
    con.execute(f"update features.sale_features set {change} where sale_id = '{sale}'")


def test_sales_set_aside_come_back_too_and_the_tokens_stay(home: Home) -> None:
    home.run(NOW)
    everyone, usual = home.with_features(SALE_FEATURES), home.words()
    spoil(home.con, "s30", "own_sales = -1")
    assert set_aside(home.con, SALE_FEATURES, NOW).collections == 1
    assert home.with_features(SALE_FEATURES) == everyone - {BAD}
    assert home.con.execute(collections_aside(SALE_FEATURES)).fetchall() == [(BAD,)]
    assert home.con.execute(collections_aside(TOKEN_FEATURES)).fetchall() == []
    home.run(NOW + HOUR)
    assert home.with_features(SALE_FEATURES) == everyone
    assert (home.records(), home.words()) == ([], usual)


def test_each_record_has_the_rule_and_the_value_of_one_row(home: Home) -> None:
    home.run(NOW)
    spoil(home.con, "s20", "med_5_gap = null")
    spoil(home.con, "s30", "own_sales = -1")
    spoil(home.con, "s65", "a_sd = 'nan'")
    spoil(home.con, "s66", "base_log = 40")
    assert set_aside(home.con, SALE_FEATURES, NOW).collections == 2
    found = home.con.execute(
        f"select collection, rows, column_name, value, expected from {SET_ASIDE.name} order by collection"
    ).fetchall()
    assert [row[:2] for row in found] == [("c0", 2), ("c1", 2)]
    pairs = {row[0]: row[2:4] for row in found}
    assert pairs["c0"] in {("med_5_gap", None), ("own_sales", "-1.0")}
    assert pairs["c1"] in {("a_sd", "nan"), ("base_log", "40.0")}
    assert all(row[4].startswith("a number from ") for row in found)


def test_a_table_without_rows_sets_nothing_aside(home: Home) -> None:
    home.run(NOW)
    home.con.execute(f"delete from {SALE_FEATURES.name}")
    assert set_aside(home.con, SALE_FEATURES, NOW) == SetAside(0, 0)


def test_names_from_outside_are_values_and_not_sql(home: Home) -> None:
    name = 'it\'s; drop table "x" --'
    sales = make_sales().replace({"collection": {BAD: name}})
    home.run(NOW, with_a_bad_bid(name), sales)
    assert [record[1] for record in home.records()] == [name]
    assert home.words()[name] == {"set_aside"}
    home.run(NOW + HOUR, None, sales)
    assert home.words()[name] == {"valued"}
