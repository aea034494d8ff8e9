"""The backtest: walking forward through time with the production code, one refit after the other.

Here: the periods, the order of work within one, and continuing after a kill. Not here: any model, feature or rule;
they are those of the main job, applied as of past times.

Concept: at each refit everything that is fitted (prior, scale, boosters, weights, gates) is made from sales known
before it, and then prices the sales until the next refit; everything that is live (index, features, intervals)
is taken at each sale's own as-of time. So a row of the ledger depends on nothing that became known after its sale.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from ml.backtest.data import (
    History,
    Window,
    WindowSales,
    first_rows,
    microseconds,
    read_history,
    read_window_sales,
)
from ml.backtest.local import JudgeRules, LocalSales, judge_due_collections, read_local_sales
from ml.backtest.parts import BacktestParts, WalkState
from ml.backtest.pricing import InForce, price_period
from ml.backtest.prior import mean_correction, predict_history, refit
from ml.compute.backend import Backend, ThreadBackend
from ml.index.params import DEFAULT_PARAMS
from ml.ledger.ledger import ledger_rows
from ml.models.frames import FeatureSet
from ml.models.index_fallback import IndexFallback, learn_index_fallback
from ml.pricing.scoring import ScoringConfig
from ml.tables.writing import timestamp
from ml.text.times import utc_minute
from ml.training.candidate import CandidateConfig
from ml.training.pooled import PooledConfig
from ml.training.walk_forward import prior_version

LEDGER_TABLE = "backtest_ledger"


@dataclass(frozen=True)
class BacktestConfig:
    """Settings of a backtest.

    Attributes:
        refit_days: Days between refits.
        pooled: The pooled stage; its folds (`ml.training.walk_forward.WalkForwardConfig.refits`)
            are laid over the past before the window.
        candidate: How a challenger is made.
        scoring: When there is no value; threads. The gate of the tiers is that of `candidate`.
        new_sales: Sales since it was last judged below which a champion is carried forward.
    """

    refit_days: float = 30.0
    pooled: PooledConfig = field(default_factory=PooledConfig)
    candidate: CandidateConfig = field(default_factory=CandidateConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    new_sales: int = 20


class EmptyWindowError(ValueError):
    """No sale lies in the window."""


@dataclass(frozen=True)
class _Period:
    number: int
    start: int
    end: int

    @property
    def name(self) -> str:
        return timestamp(self.start).date().isoformat()


def periods(window: Window, refit_days: float) -> list[_Period]:
    """The refit periods of a window, the last one as long as what is left."""
    found: list[_Period] = []
    start = window.start
    while start < window.end:
        end = min(start + timedelta(days=refit_days), window.end)
        found.append(_Period(len(found), microseconds(start), microseconds(end)))
        start = end
    return found


def backtest(
    con: duckdb.DuckDBPyConnection,
    root: Path,
    window: Window,
    config: BacktestConfig | None = None,
    features: FeatureSet | None = None,
    say: Callable[[str], None] = lambda _: None,
    backend: Backend | None = None,
) -> str:
    """Price every sale of the window as it would have been, and leave the ledger.

    Args:
        con: A read connection of one snapshot, with features.sale_features up to date.
        root: Folder for the parts of backtests; finished periods found there are not computed again.
        window: Which sales.
        config: Settings.
        features: Features to use; those declared now when None.
        say: Called with a line about each refit, for people.
        backend: Where work on collections runs; threads, as many as `config.scoring` has, when None.

    Returns:
        Name of a temporary table with the columns of `LEDGER_SCHEMA`, ordered by known_at and sale_id.

    Raises:
        EmptyWindowError: when no sale lies in the window.
        IndexInputError: when the stored index is behind the marts.
    """
    config, features = config or BacktestConfig(), features or FeatureSet.declared()
    count = con.execute(
        f"select count(*) from marts.fct_sales where price_eth > 0 and {window.condition()}"
    ).fetchone()
    if not count or not count[0]:
        raise EmptyWindowError(
            f"expected sales between {utc_minute(window.start)} and {utc_minute(window.end)}, found none; choose a "
            "window inside the data"
        )
    parts = BacktestParts(root, _question(con, window, config, features))
    plan = periods(window, config.refit_days)
    done = sum(1 for period in plan if parts.finished(period.number))
    if done < len(plan) and (lost := parts.lost(len(plan))):
        say(f"beginning again: {lost}")
        parts.forget_periods()
        done = 0
    if done:
        say(f"{done} of {len(plan)} refit periods are finished already")
    if done < len(plan):
        backend = backend or ThreadBackend(config.scoring.threads)
        _Walk(con, parts, window, config, features, say, backend).run(plan)
        parts.forget_models()
    con.register("_estimates", parts.estimates(len(plan)))
    try:
        ledger_rows(con, window.condition(), "_estimates", LEDGER_TABLE)
    finally:
        con.unregister("_estimates")
    return LEDGER_TABLE


class _Walk:
    """One process's work on a backtest."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        parts: BacktestParts,
        window: Window,
        config: BacktestConfig,
        features: FeatureSet,
        say: Callable[[str], None],
        backend: Backend,
    ) -> None:
        self.con, self.parts, self.config, self.features, self.say = con, parts, config, features, say
        self.backend = backend
        start, end = microseconds(window.start), microseconds(window.end)
        began = time.monotonic()
        self.history: History = read_history(con, features, start, end, config.pooled.min_market_sales)
        self.rows: WindowSales = read_window_sales(con, features, window, self.history, backend)
        keys = sorted(set(self.rows.collection.tolist()))
        self.local: dict[str, LocalSales] = read_local_sales(con, self.history, features, keys)
        say(
            f"{len(self.rows)} sales of {len(keys)} collections to price, {len(self.history.frame)} to learn from "
            f"({time.monotonic() - began:.0f} s)"
        )

    def run(self, plan: list[_Period]) -> None:
        """Compute the periods that are missing, in order."""
        state = WalkState()
        for period in plan:
            if self.parts.finished(period.number):
                state = self.parts.state(period.number)
                continue
            began = time.monotonic()
            rows = self.rows.between(period.start, period.end)
            state = self._period(period, rows, state)
            boosters = sum(1 for held in state.champions.values() if held.champion.local_sha)
            self.say(
                f"{period.name}: {len(rows)} sales, {boosters} local models ({time.monotonic() - began:.0f} s)"
            )

    def _period(self, period: _Period, rows: WindowSales, before: WalkState) -> WalkState:
        """Refit, judge, price and keep one period."""
        con, config, artifacts = self.con, self.config, self.parts.artifacts
        folds, notes = refit(self.history, before.folds, period.start, config.pooled, artifacts)
        walked = predict_history(self.history, folds, config.pooled, artifacts)
        rules = JudgeRules(
            period.start,
            f"bt{period.name}",
            config.candidate,
            config.new_sales,
            self.features.fingerprint,
            artifacts,
            self.backend,
        )
        market_of = dict(zip(rows.collection.tolist(), rows.market.tolist(), strict=True))
        live = {key: _live(folds.get(market)) for key, market in market_of.items()}
        champions = judge_due_collections(
            self.local, sorted(market_of), before.champions, walked, live, rules
        )
        corrections = {
            market: mean_correction(self.history, walked, market, period.start, config.pooled)
            for market in self.history.markets
        }
        force = InForce(
            folds,
            champions,
            {market: values for market, values in corrections.items() if values is not None},
            self._index_fallback(period.start),
        )
        estimates = price_period(
            con,
            rows,
            self.history,
            walked,
            force,
            self.features,
            config.pooled,
            replace(config.scoring.tiers, gate=config.candidate.gate),
            artifacts,
            config.scoring.threads,
        )
        state = WalkState(folds, champions, [*before.log, *(f"{period.name} {line}" for line in notes)])
        self.parts.finish(period.number, estimates, state)
        return state

    def _index_fallback(self, start: int) -> dict[str, IndexFallback]:
        """What each market's young sales had shown before a time."""
        known = self.history.known_before(start)
        learnt, market = first_rows(self.history.frame, known), self.history.market[:known]
        settings, until = self.config.pooled.index_fallback, timestamp(start)
        return {
            name: learn_index_fallback(self.con, learnt.rows(market == name), settings, until)
            for name in self.history.markets
        }


def _live(folds: Any) -> str | None:
    return prior_version(folds[-1].prior_sha) if folds else None


def _question(
    con: duckdb.DuckDBPyConnection, window: Window, config: BacktestConfig, features: FeatureSet
) -> dict[str, Any]:
    """Everything that decides the result. Data are named by content: a home rebuilt to the same rows is the same."""
    settings = asdict(config)
    settings["scoring"].pop("threads")
    for model in ("prior", "scale"):
        settings["pooled"]["walk_forward"][model].pop("threads")
    data = con.execute(
        """
        select
            (select bit_xor(hash(sale_id, collection, token_id, seq, price_eth, known_at, as_of, is_wash))
                from marts.fct_sales),
            (select bit_xor(hash(collection, state_seq, sales_hash, traits_hash)) from features.index_state),
            (select bit_xor(hash(order_id, event_kind, token_id, side, known_at, price_eth)) from marts.fct_listings)
        """
    ).fetchone()
    return {
        "revision": 2,
        "from": window.start,
        "to": window.end,
        "collections": sorted(window.collections) if window.collections is not None else None,
        "settings": settings,
        "features": features.fingerprint,
        "index": DEFAULT_PARAMS.fingerprint(),
        "data": [str(value) for value in data or ()],
    }
