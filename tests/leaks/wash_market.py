"""A simulated market of collections that trade enough to have a price, and wash traders who print sales into them.

Here: the attacks as raw rows, and how far they move the estimates on the production path with fixed models. Not here:
what is allowed (`test_poisoning`). Every attack prints its sales in the last two days before the scoring time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from ml.compute.backend import ThreadBackend
from ml.features.build import build_token_features, update_sale_features
from ml.index.update import update_index
from ml.pricing.scoring import score
from ml.training.pooled import train_pooled
from ml.training.pooled_tables import record_pooled
from orchestration.ingestion.days import insert_rows
from sources.contract import RAW_TABLES
from sources.simulator.source import open_simulator
from tests.integration.marts_market import sale, write_rows
from tests.leaks.market import TRAINING, Home

MARKET: dict[str, Any] = {"collections": 9, "days": 60, "mean_sales": 2500.0, "mean_tokens": 300.0, "seed": 3}
FAKES = 20
MIN_SALES = 200


@dataclass(frozen=True)
class Target:
    """A collection under attack: its tokens, its usual price and when the attack begins."""

    collection: str
    chain: str
    contract: str
    tokens: list[str]
    price: float
    start: datetime


Attack = Callable[[Target], list[tuple[str, str, str, float]]]
"""Yields (token, buyer, seller, price) of each printed sale in order."""


def back_and_forth(target: Target) -> list[tuple[str, str, str, float]]:
    """One token between two wallets, each time dearer."""
    pair = ("0xwash1", "0xwash2")
    return [
        (target.tokens[0], pair[i % 2], pair[1 - i % 2], target.price * (2 + 0.1 * i)) for i in range(FAKES)
    ]


def pair_with_many_tokens(target: Target) -> list[tuple[str, str, str, float]]:
    """One wallet sells another a new token each time: no token trades twice."""
    return [(token, "0xwash3", "0xwash4", 3 * target.price) for token in target.tokens[:FAKES]]


def ring_of_three(target: Target) -> list[tuple[str, str, str, float]]:
    """Three tokens go round between three wallets."""
    ring = ("0xring1", "0xring2", "0xring3")
    return [
        (target.tokens[i % 3], ring[(i // 3 + 1) % 3], ring[i // 3 % 3], 3 * target.price)
        for i in range(FAKES)
    ]


def ring_with_many_tokens(target: Target) -> list[tuple[str, str, str, float]]:
    """Three wallets sell one another a new token each time."""
    ring = ("0xring4", "0xring5", "0xring6")
    return [(target.tokens[i], ring[(i + 1) % 3], ring[i % 3], 3 * target.price) for i in range(FAKES)]


def fresh_wallets(multiple: float) -> Attack:
    """Forty wallets never seen before, each used once: nothing in the rows connects them."""

    def attack(target: Target) -> list[tuple[str, str, str, float]]:
        return [
            (
                target.tokens[i],
                f"0xnew{i}{target.collection}",
                f"0xold{i}{target.collection}",
                multiple * target.price,
            )
            for i in range(FAKES)
        ]

    return attack


def dust(target: Target) -> list[tuple[str, str, str, float]]:
    """Sales for next to nothing from fresh wallets."""
    return [(t, f"0xnew-d{i}", f"0xold-d{i}", 1e-4) for i, t in enumerate(target.tokens[:FAKES])]


class WashMarket:
    """The market, valued before and after attacks by the same models."""

    def __init__(self, home: Home) -> None:
        self.home = home
        source = open_simulator(**MARKET)
        self.end = source.watermark()
        with home.lake.write("market") as con:
            for name in RAW_TABLES:
                for batch in source.read(name, source.first_known(), self.end):
                    con.register("incoming", batch.rows)
                    insert_rows(con, source.name, name, "select * from incoming", {})
        # A bystander trades to the end, so that the market is covered until the same time before and after.
        last = self.end - timedelta(microseconds=1)
        bystander = sale(1, collection="bystander", at=last, source="simulator", chain="simulated")
        write_rows(home.lake, {"sales": [bystander]})
        home.marts.dbt("run")
        with home.lake.write("features") as con:
            update_index(con, ThreadBackend(1))
            update_sale_features(con)
        with home.lake.read() as con:
            outcome = train_pooled(con, home.artifacts, run_id="test", config=TRAINING)
        with home.lake.write("prior") as con:
            record_pooled(con, outcome)
        self.before = self.value()

    def targets(self) -> list[Target]:
        """Collections with enough sales, largest first."""
        rows = self.home.query(
            """
            select d.collection, d.chain, d.contract, any_value(s.med_30) as price,
                list(t.token_id order by hash(t.token_id)) as tokens
            from marts.dim_collections as d
            inner join (
                select collection, arg_max(med_30, seq) as med_30 from marts.fct_collection_state group by 1
            ) as s using (collection)
            inner join marts.dim_tokens as t using (collection)
            where d.n_arms_length >= $1
            group by all order by any_value(d.n_arms_length) desc
            """,
            MIN_SALES,
        )
        start = self.end - timedelta(days=2)
        return [
            Target(r["collection"], r["chain"], r["contract"], r["tokens"], r["price"], start) for r in rows
        ]

    def print_sales(self, attacks: dict[str, tuple[Target, Attack]]) -> None:
        """Plant the attacks, each in its collection, and take them through marts, index and features."""
        rows = []
        for number, (name, (target, attack)) in enumerate(attacks.items()):
            for i, (token, buyer, seller, price) in enumerate(attack(target)):
                rows.append(
                    sale(
                        500_000 + number * 1000 + i,
                        at=target.start + timedelta(hours=2 * i, minutes=number),
                        chain=target.chain,
                        collection=target.collection,
                        contract=target.contract,
                        token_id=token,
                        buyer=buyer,
                        seller=seller,
                        price_native=price,
                        source="simulator",
                        source_row=f"{name}:{i}",
                    )
                )
        write_rows(self.home.lake, {"sales": rows})
        self.home.marts.dbt("run")
        with self.home.lake.write("features") as con:
            update_index(con, ThreadBackend(1))

    def value(self) -> dict[tuple[str, str], float]:
        """ln estimate of every token at the end, by the models fitted before any attack."""
        with self.home.lake.write("score") as con:
            build_token_features(con, self.end, only_changed=False)
            score(con, self.home.artifacts, self.end, 1)
        rows = self.home.query(
            "select collection, token_id, ln(estimate_eth) as v from predictions.token_estimates"
        )
        return {(r["collection"], r["token_id"]): r["v"] for r in rows if r["v"] is not None}

    def moved(self, after: dict[tuple[str, str], float], collection: str) -> float:
        """Median over the collection's tokens of |change of the estimate|, as a fraction."""
        changes = [after[key] - value for key, value in self.before.items() if key[0] == collection]
        return float(np.median(np.abs(np.expm1(changes))))
