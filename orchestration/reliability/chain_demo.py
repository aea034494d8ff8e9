"""A month of a small market on a node of this machine, through the main job: `assay demo chain`.

Here: the order of trades and runs, and what is found in the home afterwards. Not here: the trades
(`sources.local_chain`), layout (`orchestration.cli.render.chain_demo`). What runs is the main job on a home whose only
source is the chain, as `assay run` calls it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ml.portfolio.ledger import read_ledger
from ml.portfolio.statement import make_statement
from orchestration.clock import SetClock
from orchestration.errors import HomeError
from orchestration.home import open_instance, prepare_home
from orchestration.marts.dbt_runner import environment
from orchestration.reliability.scratch import scratch_settings
from orchestration.resources import Assay, open_lake, open_sources
from orchestration.settings import SOURCES_FILE, Settings
from sources.protocol import SourceError

if TYPE_CHECKING:
    import duckdb

    from ml.portfolio.statement import Statement
    from orchestration.runs.summary import RunSummary
    from sources.local_chain.month import Month
    from sources.local_chain.node import Packages

CHAIN = "chain"
"""Name of the source of the home."""

SALES = 700
"""Sales of the month, unless a user says otherwise: enough for a trained pooled model, which values all four."""

REORGANISED, WENT_AWAY = 14, 16
"""Days, counted from 0, on which blocks are replaced, and on which the node is away."""

REFITS = 2


@dataclass(frozen=True)
class Step:
    """A line of what happened: days since the beginning, and what."""

    day: int
    what: str


@dataclass
class ChainDemo:
    """What happened, and what the home holds at the end.

    Attributes:
        home: The home.
        wallet: The account with the most tokens.
        steps: What happened, in order.
        blocks: Blocks of the chain.
        traded: Marketplace → priced sales on the chain.
        read: Marketplace → priced sales in the home that stand.
        bundled: Tokens that were sold in bundles, on the chain and in the home.
        differing: Sales that are on one side only, by contract, token, price, currency, seller and buyer.
        superseded: Sales in the home that a reorganisation took back.
        incidents: (kind, what) of what the source noticed.
        with_traits: Tokens whose traits were read from their contracts.
        collections: By collection: name, sales, tokens, valued, tier, median_eth, error (median, against the prices
            that the market was made with, as a fraction).
        statement: The account's portfolio.
        seconds: Wall-clock time.
    """

    home: str
    wallet: str = ""
    steps: list[Step] = field(default_factory=list)
    blocks: int = 0
    traded: dict[str, int] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    bundled: tuple[int, int] = (0, 0)
    differing: list[tuple[Any, ...]] = field(default_factory=list)
    superseded: int = 0
    incidents: list[tuple[str, str]] = field(default_factory=list)
    with_traits: int = 0
    collections: list[dict[str, Any]] = field(default_factory=list)
    statement: Statement | None = None
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the home has each sale of the chain once, as it was traded, and values tokens by it."""
        whole = not self.differing and self.traded == self.read and self.bundled[0] == self.bundled[1]
        return whole and any(row["valued"] for row in self.collections)


def run_chain_demo(
    home: Path, packages: Packages, *, sales: int = SALES, say: Callable[[str], None] = lambda _: None
) -> ChainDemo:
    """Trade for a month and run the main job three times.

    Args:
        home: A folder that does not exist yet, or is empty; it stays.
        packages: The node.
        sales: Sales of the month, about.
        say: Called with what happens.

    Raises:
        HomeError: The folder holds something.
        StageFailedError: A step of a run failed.
    """
    from sources.local_chain.month import ACCOUNTS, DAY_S, DAYS, EPOCH, Month
    from sources.local_chain.node import local_node

    if home.exists() and any(home.iterdir()):
        raise HomeError(
            f"expected a new folder for the demonstration, found files in {home}: remove it, or name another"
        )
    began = time.monotonic()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    first_day = int(midnight.timestamp()) - DAYS * DAY_S
    demo = ChainDemo(str(home))
    with (
        TemporaryDirectory(prefix="assay-chain-") as scratch,
        local_node(
            packages,
            "--accounts",
            str(ACCOUNTS),
            "--slots-in-an-epoch",
            str(EPOCH),
            "--state",
            f"{scratch}/state.json",
            genesis=first_day - 2 * DAY_S,
        ) as node,
        environment({"ASSAY_RPC_URLS": node.url}),
    ):
        month = Month(node, sales, first_day)
        month.trade(0, REORGANISED)
        runs = _Runs(_new_home(home, month), demo, say)
        reorganise = month.trade_what_is_replaced(REORGANISED)
        runs.one(REORGANISED, "the history is read up to the newest block")
        reorganise()
        month.trade(REORGANISED, WENT_AWAY)
        node.stop()
        runs.one(WENT_AWAY, "blocks were replaced, then the node went away")
        node.start()
        month.trade(WENT_AWAY, DAYS)
        runs.one(DAYS, "the node is back")
        demo.blocks = node.height
    _find(demo, runs.settings, month)
    demo.seconds = time.monotonic() - began
    return demo


@dataclass
class _Runs:
    """Runs of the main job on the home, each as a new process would do it."""

    settings: Settings
    demo: ChainDemo
    say: Callable[[str], None]

    def one(self, day: int, what: str) -> None:
        from orchestration.definitions import open_location
        from orchestration.runs.main_job import run_everything

        self.say(f"day {day}: {what}; assay run …")
        # Each run of `assay run` asks the node again.
        open_sources.cache_clear()
        prepare_home(self.settings)
        try:
            clock = SetClock(Assay(self.settings).as_of)
            with open_instance(self.settings) as instance:
                found = self._found(run_everything(open_location(self.settings, clock), instance))
        except SourceError as error:
            found = f"assay run ends with exit code {error.exit_code} and changes nothing: {error}"
        self.demo.steps.append(Step(day, f"{what}: {found}"))
        self.say(f"day {day}: {self.demo.steps[-1].what}")

    def _found(self, summary: RunSummary) -> str:
        with open_lake(self.settings).read() as con:
            (sales,) = con.execute(
                "select count(*) from raw.sales where delivered_by = ? and superseded_by is null", [CHAIN]
            ).fetchone() or (0,)
        return f"{sales} sales known, {summary.tokens_estimated} tokens valued"


def _new_home(home: Path, month: Month) -> Settings:
    """A home with the chain as its source, read up to the newest block."""
    from sources.configuration import parse_sources, sources_as_yaml

    contracts = ",".join(month.contracts.values())
    chain = {"name": CHAIN, "kind": "ethereum", "contracts": contracts, "start": "0", "head": "latest"}
    home.mkdir(parents=True, exist_ok=True)
    (home / SOURCES_FILE).write_text(sources_as_yaml(parse_sources([chain], "the demonstration")))
    return scratch_settings(home, sources=home / SOURCES_FILE, refits=REFITS)


def _find(demo: ChainDemo, settings: Settings, month: Month) -> None:
    """What the home holds, next to what was traded."""
    market = month.market
    demo.wallet = month.richest
    demo.traded = {venue: count for venue, count in sorted(market.by_venue.items()) if count}
    with open_lake(settings).read() as con:
        stands = f"from raw.sales where delivered_by = '{CHAIN}' and superseded_by is null"
        rows = con.execute(
            f"select contract, token_id, price_raw, currency, seller, buyer, marketplace {stands}"
            " and price_raw is not null"
        ).fetchall()
        demo.read = dict(sorted(Counter(row[-1] for row in rows).items()))
        found = Counter((contract, token, int(price), *rest) for contract, token, price, *rest, _ in rows)
        traded = Counter(
            (contract, token, price, currency, seller, buyer)
            for contract, token, _, price, currency, _, seller, buyer in market.sold
        )
        demo.differing = [*(found - traded).elements(), *(traded - found).elements()]
        demo.bundled = (month.bundled, _count(con, f"select count(*) {stands} and price_raw is null"))
        demo.superseded = _count(con, "select count(*) from raw.sales where superseded_by is not null")
        demo.with_traits = _count(con, "select count(*) from marts.dim_tokens where trait_count > 0")
        demo.incidents = con.execute(
            "select kind, what from ops.source_incidents order by opened_at"
        ).fetchall()
        demo.collections = [_collection(con, month, name, key) for name, key in month.contracts.items()]
        demo.statement = make_statement(con, [], read_ledger(con, [demo.wallet]))


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    (found,) = con.execute(query).fetchone() or (0,)
    return int(found)


def _collection(con: duckdb.DuckDBPyConnection, month: Month, name: str, contract: str) -> dict[str, Any]:
    """What is known of a collection, and how far its estimates are from the prices that the market was made with."""
    rows = con.execute(
        "select token_id, estimate_eth, tier from predictions.token_estimates where collection = ?",
        [contract],
    ).fetchall()
    valued = [(int(token), estimate, tier) for token, estimate, tier in rows if estimate is not None]
    errors = [abs(estimate / month.value(name, token) - 1) for token, estimate, _ in valued]
    return {
        "name": name,
        "sales": _count(con, f"select count(*) from marts.fct_sales where collection = '{contract}'"),
        "tokens": len(rows),
        "valued": len(valued),
        "tier": ", ".join(sorted({tier for *_, tier in valued})),
        "median_eth": median(estimate for _, estimate, _ in valued) if valued else None,
        "error": median(errors) if errors else None,
    }
