"""What the simulated market is set to: size, calibration and faults.

Here: the numbers, with their units and where they come from. Not here: how a day is drawn. The calibrated
numbers were chosen so that `benchmarks.simulator_calibration` agrees with the real bundle (80 Ethereum
collections with 200 or more clean sales, 2017-2022).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time
from typing import Any

import numpy as np

from sources.protocol import SourceError

DAY_US = 86_400_000_000
"""Microseconds of a day: the simulation's times are microseconds since its start."""

_STREAM_DAY, _STREAM_FAULT = 3, 4
COURSE_VERSION = 3
"""Raise it with every change to what a config yields: checkpoints of another course must not be continued."""

FAULTS: dict[str, tuple[float, str]] = {
    "late_data": (2.0, "60 % of the day's rows arrive this many days late"),
    "duplicates": (0.3, "this share of the day's sales arrives twice, same key"),
    "schema_break": (1.0, "the day's sales come with price_native called amount: all go to quarantine"),
    "outage": (1.0, "nothing arrives for this many days; the rows come right after, known late"),
    "crash": (0.7, "every collection's log level falls by this much over the day"),
    "trait_mania": (
        0.8,
        "from this day one trait value in a third of the collections is worth this much more (log)",
    ),
    "wash_storm": (3.0, "wash trades in a tenth of the collections, this many per ordinary sale"),
    "wrong_currency": (0.3, "this share of the day's ETH prices: half in wei, half labelled USDC"),
    "reorg": (0.1, "the day's last sales (this share) are superseded by another block; most come again"),
}
"""Fault → (default magnitude, what it does)."""


class SimulatorConfigError(SourceError):
    """A setting of the simulator is impossible."""


@dataclass(frozen=True)
class Fault:
    """One injected fault.

    Attributes:
        name: One of `FAULTS`.
        day: Day of the simulation, counted from 0, on which it starts.
        magnitude: How strong, in the unit `FAULTS` gives.
    """

    name: str
    day: int
    magnitude: float

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `name@day` or `name@day:magnitude`, e.g. `outage@200:3`.

        Raises:
            SimulatorConfigError: If the text is not of that form or names no fault.
        """
        name, at, rest = text.strip().partition("@")
        day, colon, magnitude = rest.partition(":")
        if name not in FAULTS:
            raise SimulatorConfigError(f"expected a fault ({', '.join(FAULTS)}), found {name!r} in {text!r}")
        try:
            # Without "@" the day is empty text, which is no whole number.
            fault = cls(name, int(day if at else ""), float(magnitude) if colon else FAULTS[name][0])
        except ValueError:
            raise SimulatorConfigError(f"expected name@day or name@day:magnitude, found {text!r}") from None
        if fault.day < 0 or fault.magnitude <= 0:
            raise SimulatorConfigError(f"expected a day >= 0 and a magnitude > 0, found {text!r}")
        return fault


@dataclass(frozen=True)
class Calibration:
    """Behaviour of the market; shares are of secondary sales unless stated otherwise.

    Attributes:
        sales_spread: Log sd of sales per collection.
        existing_share: Share of collections launched before the first day.
        launch_span_days: The others launch evenly over this many days.
        market_daily_sd: Log sd per day of the market factor.
        own_daily_sd: Log sd per day of a collection's own level.
        trade_step_sd: Log sd of the level's step per sale (it moves in trade time too, docs/domain.md, section 5).
        trade_half_life: Sales after which half of such a step is gone.
        price_noise: Scale of the log price around the true value (Student t, 3 degrees of freedom).
        floor_pull: How strongly buyers prefer the cheaper tokens (per unit of log effect).
        flip_share: Sales of a token that was sold a short while ago.
        no_trait_share: Collections without traits.
        bid_share, auction_share, private_share: Ways a sale comes about; the rest fills a listing.
        bundle_share: Sale events that are bundles of two or more.
        wash_share: Sale events that are a wash round trip (concentrated in few collections).
        self_trade_share, zero_share, missing_share, fat_finger_share, usdc_share: Odd rows.
        duplicate_share: Rows reported twice, half of them by a second source.
        late_share: Rows known about a day late.
        gift_share: Transfers without a sale, per sale.
        standing_asks, standing_bids: Orders that are not filled, per sale.
        primary_share: Mints of collections launched during the simulation that are reported as primary sales.
    """

    sales_spread: float = 1.5
    existing_share: float = 0.6
    launch_span_days: int = 300
    market_daily_sd: float = 0.025
    own_daily_sd: float = 0.035
    trade_step_sd: float = 0.048
    trade_half_life: float = 40.0
    price_noise: float = 0.05
    floor_pull: float = 1.2
    flip_share: float = 0.075
    no_trait_share: float = 0.08
    bid_share: float = 0.15
    auction_share: float = 0.02
    private_share: float = 0.01
    bundle_share: float = 0.0035
    wash_share: float = 0.006
    self_trade_share: float = 0.00005
    zero_share: float = 0.0018
    missing_share: float = 0.0003
    fat_finger_share: float = 0.006
    usdc_share: float = 0.002
    duplicate_share: float = 0.0017
    late_share: float = 0.005
    gift_share: float = 0.05
    standing_asks: float = 0.35
    standing_bids: float = 0.15
    primary_share: float = 0.05


@dataclass(frozen=True)
class SimulatorConfig:
    """A simulated market. The same config gives the same bytes.

    Attributes:
        seed: Any whole number.
        collections: How many, 1 to 20,000.
        start: First day (UTC).
        days: Days that have passed: the watermark. More days change nothing in the earlier ones.
        faults: What goes wrong.
        mean_sales: Secondary sales per collection over 365 days, on average.
        mean_tokens: Tokens per collection, on average (100 to 10,000 each).
        calibration: Behaviour of the market.
    """

    seed: int = 7
    collections: int = 60
    start: date = date(2025, 1, 1)
    days: int = 365
    faults: tuple[Fault, ...] = ()
    mean_sales: float = 500.0
    mean_tokens: float = 1000.0
    calibration: Calibration = field(default_factory=Calibration)

    def __post_init__(self) -> None:
        """Refuse impossible markets."""
        limits = {"collections": (1, 20_000), "days": (1, 20_000), "seed": (0, 2**63)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise SimulatorConfigError(
                    f"{name}: expected a whole number {low} to {high}, found {value!r}"
                )
        if not 1.0 <= self.mean_sales <= 1e5:
            raise SimulatorConfigError(f"mean_sales: expected 1 to 100000, found {self.mean_sales!r}")
        if not 200.0 <= self.mean_tokens <= 5000.0:
            raise SimulatorConfigError(f"mean_tokens: expected 200 to 5000, found {self.mean_tokens!r}")

    @property
    def start_time(self) -> datetime:
        """Start of the first day."""
        return datetime.combine(self.start, time())

    def fingerprint(self, day: int) -> str:
        """Identifies everything that determines the market before this day: `days` and later faults do not."""
        past = replace(self, days=1, faults=tuple(f for f in self.faults if f.day < day))
        return hashlib.sha256(f"{COURSE_VERSION} {past!r}".encode()).hexdigest()[:16]

    def active(self, name: str, day: int) -> tuple[Fault, ...]:
        """Faults of this name that start on this day."""
        return tuple(f for f in self.faults if f.name == name and f.day == day)


def day_generator(config: SimulatorConfig, day: int, purpose: int) -> np.random.Generator:
    """The random numbers of one day and purpose, whatever was drawn before."""
    return np.random.default_rng([config.seed, _STREAM_DAY, day, purpose])


def fault_generator(config: SimulatorConfig, fault: Fault, purpose: int) -> np.random.Generator:
    """The random numbers of a fault: its own, so that it changes nothing else."""
    return np.random.default_rng(
        [config.seed, _STREAM_FAULT, fault.day, list(FAULTS).index(fault.name), purpose]
    )


def config_from(**options: Any) -> SimulatorConfig:
    """A config from loose options (text for dates and faults is read).

    Raises:
        SimulatorConfigError: If an option is unknown or impossible.
    """
    known = {f.name for f in fields(SimulatorConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise SimulatorConfigError(f"expected options {', '.join(sorted(known))}, found {', '.join(unknown)}")
    if isinstance(options.get("start"), str):
        try:
            options["start"] = date.fromisoformat(options["start"])
        except ValueError:
            raise SimulatorConfigError(f"start: expected YYYY-MM-DD, found {options['start']!r}") from None
    faults = options.get("faults", ())
    faults = [faults] if isinstance(faults, str) else faults
    options["faults"] = tuple(f if isinstance(f, Fault) else Fault.parse(f) for f in faults)
    return SimulatorConfig(**options)
