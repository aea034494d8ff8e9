"""The frontier of the rule against new wallets as JSON and as a picture. Here: both files. Not here: measuring."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from lake.storage import write_whole

DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True)
class Outcome:
    """One setting, measured.

    Attributes:
        setting: Its variables.
        errors: By part of the sales: how many, MdAPE without the rule and with it, share that does not count.
        moves: Attack → attacked collection → how far its level moved, as a fraction.
    """

    setting: dict[str, float]
    errors: dict[str, dict[str, float]]
    moves: dict[str, dict[str, float]]

    def label(self) -> str:
        """Short, for the picture."""
        values = self.setting
        if not values["known_wallet_contacts"]:
            return "off"
        return (
            f"{values['known_wallet_price_ratio']:g}×, {values['known_wallet_spreads']:g} spreads, "
            f"{values['known_wallet_contacts']:g} in {values['known_wallet_days']:g} d"
        )


def write_result(outcomes: list[Outcome], attacks: list[str]) -> None:
    """docs/measured/poisoning.json and docs/poisoning.svg."""
    write_whole(
        DOCS / "measured" / "poisoning.json",
        json.dumps([asdict(outcome) for outcome in outcomes], indent=1, ensure_ascii=False) + "\n",
    )
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for outcome in outcomes:
        rises = outcome.errors["training, rises"]
        cost = 100 * (rises["mdape"] / rises["mdape_off"] - 1)
        for attack, marker in zip((attacks[0], attacks[2], attacks[4]), "os^", strict=True):
            axes.plot(cost, 100 * median(outcome.moves[attack].values()), marker, color="C0", alpha=0.7)
        axes.annotate(
            outcome.label(),
            (cost, 100 * median(outcome.moves[attacks[2]].values())),
            fontsize=7,
            xytext=(4, 5),
            rotation=40,
            textcoords="offset points",
        )
    axes.set_ylim(0, 320)
    axes.margins(x=0.12)
    axes.axhline(25, linestyle=":", color="grey")
    axes.axvline(10, linestyle=":", color="grey")
    axes.set_xlabel("error in the first three days of real rises, % more than without the rule")
    axes.set_ylabel("an attack moves the level by %")
    axes.set_title(
        "○ 40 new wallets at 3×   □ the same at 1.5×   △ new buyers of known sellers at 3×", fontsize=9
    )
    figure.savefig(DOCS / "poisoning.svg", metadata={"Date": None})
