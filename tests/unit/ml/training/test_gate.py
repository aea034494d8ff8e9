import numpy as np
import pytest

from ml.states import Tier
from ml.training.gate import GateConfig, Verdict, choose_weight, judge

RNG = np.random.default_rng(5)
CONFIG = GateConfig()


def verdict(
    candidate: float,
    baseline: float,
    champion: float | None = None,
    n: int = 60,
    has_champion: bool = False,
    sales: int = 400,
) -> Verdict:
    """The verdict on errors scattered around the given means, the same scatter for all: a paired sample."""
    scatter = np.abs(RNG.normal(scale=0.02, size=n))
    theirs = None if champion is None else champion + scatter
    baselines = {"med_5": baseline + scatter + RNG.normal(scale=0.01, size=n), "index": 9 + scatter}
    own = candidate + scatter
    return judge(sales, True, own, own + 0.01, baselines, theirs, has_champion, CONFIG)


def test_a_challenger_that_beats_the_baselines_is_promoted_with_its_numbers() -> None:
    found = verdict(0.10, 0.15)
    assert (found.action, found.rule, found.tier) == ("promoted", "beats_baselines", Tier.OWN)
    assert found.numbers["strongest_baseline"] == "med_5"
    assert found.numbers["n"] == 60


def test_a_challenger_worse_than_the_champion_on_new_sales_is_rejected() -> None:
    assert verdict(0.10, 0.15, champion=0.09, has_champion=True).rule == "champion_better"
    assert verdict(0.10, 0.15, champion=0.11, has_champion=True).action == "promoted"


def test_a_champion_is_not_compared_on_too_few_unseen_sales() -> None:
    errors = np.full(60, np.nan)
    errors[:5] = 0.0
    own = np.full(60, 0.1)
    found = judge(400, False, own, own, {"med_5": own + 0.1}, errors, True, CONFIG)
    assert found.action == "promoted"
    assert "champion" not in found.numbers


def test_clear_contradiction_by_a_baseline_falls_back_or_keeps_the_champion() -> None:
    first = verdict(0.20, 0.10)
    assert (first.action, first.tier) == ("fell_back", Tier.INDEX)
    assert verdict(0.20, 0.10, has_champion=True).action == "rejected"


def test_twenty_noisy_sales_do_not_displace_the_prior() -> None:
    noise = RNG.normal(scale=0.3, size=20)
    own = np.abs(noise)
    found = judge(200, False, own + 0.01, own + 0.01, {"med_5": np.abs(noise[::-1])}, None, False, CONFIG)
    assert (found.action, found.rule, found.tier) == ("promoted", "not_contradicted", Tier.POOLED)


@pytest.mark.parametrize(
    ("sales", "n", "rule", "tier"),
    [(4, 0, "too_few_sales", Tier.INDEX), (40, 0, "shared_evidence", Tier.POOLED)],
)
def test_small_collections_get_the_tier_their_data_supports(sales: int, n: int, rule: str, tier: str) -> None:
    found = verdict(0.1, 0.2, n=n, sales=sales)
    assert (found.action, found.rule, found.tier) == ("promoted", rule, tier)


def test_weight_is_zero_unless_an_earlier_window_supports_it() -> None:
    residual = RNG.normal(size=5000)
    weight, gain = choose_weight(residual, residual, 0.5, CONFIG)
    assert weight == 0.5
    assert gain == pytest.approx(0.5)
    assert choose_weight(residual, RNG.normal(size=5000), 0.5, CONFIG)[0] == 0.0
    assert choose_weight(residual[:5], residual[:5], 0.5, CONFIG)[0] == 0.0
