"""The charts of the dashboard, as Altair figures without data of their own.

Here: bars, from documents to figures. Not here: prices over time (`figures_over_time`), pages.

Names from the market are values of a chart's data, never names of fields or parts of an expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from serving.dashboard.text import plain

Figure = alt.LayerChart | alt.FacetChart

TEAL, ORANGE, RED, GREEN, GREY = "#14a394", "#e08a2e", "#d9534f", "#2e9e6b", "#8b958f"

LABEL_PIXELS = 190
"""Longest label of a bar; a phone is 390 wide."""

ROW_PIXELS = 27


def waterfall(steps: Sequence[Mapping[str, Any]], estimate: float) -> Figure:
    """How the estimate adds up: the level of the collection, what each reason adds, and the sum.

    Args:
        steps: Lines of an explanation: label and eth_effect; the first is the level.
        estimate: Their sum, ETH.
    """
    reached, lines = 0.0, list[dict[str, Any]]()
    for step in steps:
        effect = step["eth_effect"]
        first = not lines
        lines.append(
            {
                "label": plain(step["label"], 60),
                "from_eth": 0.0 if first else reached,
                "to_eth": reached + effect,
                "kind": "level" if first else "adds" if effect >= 0 else "takes away",
                "shown": f"{effect:.4g}" if first else f"{effect:+.3g}",
            }
        )
        reached += effect
    lines.append(
        {
            "label": "Estimate",
            "from_eth": 0.0,
            "to_eth": estimate,
            "kind": "estimate",
            "shown": f"{estimate:.4g}",
        }
    )
    frame = pd.DataFrame(lines)
    frame["label"] = _distinct(frame["label"])
    frame["end_eth"] = frame[["from_eth", "to_eth"]].max(axis=1)
    # Short steps beside a high level are only seen when the axis leaves out most of the level.
    low = frame.loc[1:, ["from_eth", "to_eth"]].min(axis=1)[frame["kind"][1:] != "estimate"].min()
    high = frame["end_eth"].max()
    start = 0.0 if pd.isna(low) or low <= 0 else max(0.0, low - 0.6 * (high - low) - 0.02 * high)
    frame["from_eth"] = frame["from_eth"].clip(lower=start)
    scale = alt.Scale(domain=[start, high + 0.22 * (high - start)], nice=False, zero=False)
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=LABEL_PIXELS, ticks=False))
    )
    bars = base.mark_bar(cornerRadius=3, height={"band": 0.68}).encode(
        x=alt.X("from_eth:Q", title="ETH", scale=scale, axis=alt.Axis(tickCount=5)),
        x2="to_eth:Q",
        color=alt.Color(
            "kind:N",
            scale=alt.Scale(
                domain=["level", "adds", "takes away", "estimate"], range=[GREY, GREEN, RED, TEAL]
            ),
            legend=None,
        ),
        tooltip=[alt.Tooltip("label:N", title="reason"), alt.Tooltip("shown:N", title="ETH")],
    )
    values = base.mark_text(align="left", dx=5, fontSize=11, color=GREY).encode(
        x=alt.X("end_eth:Q", scale=scale), text="shown:N"
    )
    return alt.layer(bars, values).properties(height=ROW_PIXELS * len(frame) + 20)


def premiums(traits: Mapping[str, Any], shown: int = 14) -> Figure:
    """How far the tokens of a trait are valued from the others: the most and the least."""
    frame = pd.DataFrame(traits)
    if len(frame) > shown:
        frame = pd.concat([frame.head(shown - shown // 3), frame.tail(shown // 3)])
    frame["label"] = _distinct(
        [plain(f"{trait}: {value}", 60) for trait, value in zip(frame["trait"], frame["value"], strict=True)]
    )
    frame["shown"] = [f"{100 * premium:+.0f} %" for premium in frame["premium"]]
    base = alt.Chart(frame).encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=LABEL_PIXELS, ticks=False))
    )
    x = alt.X(
        "premium:Q",
        title="median estimate against the collection's",
        axis=alt.Axis(format="+%", tickCount=5),
        scale=alt.Scale(padding=28),
    )
    return alt.layer(
        base.mark_bar(cornerRadius=3, height={"band": 0.68}).encode(
            x=x,
            color=alt.condition("datum.premium >= 0", alt.value(GREEN), alt.value(RED)),
            tooltip=[
                alt.Tooltip("label:N", title="trait"),
                alt.Tooltip("shown:N", title="premium"),
                alt.Tooltip("tokens:Q", title="tokens"),
            ],
        ),
        base.transform_filter("datum.premium >= 0")
        .mark_text(align="left", dx=4, fontSize=11, color=GREY)
        .encode(x=x, text="shown:N"),
        base.transform_filter("datum.premium < 0")
        .mark_text(align="right", dx=-4, fontSize=11, color=GREY)
        .encode(x=x, text="shown:N"),
    ).properties(height=ROW_PIXELS * len(frame) + 20)


def bars(rows: Sequence[tuple[str, float, str]], title: str, *, first: bool = True) -> Figure:
    """Named amounts beneath each other.

    Args:
        rows: Name, amount, and the amount as it is written.
        title: What the amounts are.
        first: Whether the first row is ours, and in colour.
    """
    frame = pd.DataFrame(
        [
            {"label": plain(name, 60), "amount": amount, "shown": shown, "ours": first and place == 0}
            for place, (name, amount, shown) in enumerate(rows)
        ]
    )
    frame["label"] = _distinct(frame["label"])
    most = frame["amount"].max()
    # Space for what is written behind the longest bar, also on a phone.
    widening = 1.18 if frame["shown"].str.len().max() < 10 else 1.7
    scale = alt.Scale(domain=[0, most * widening if most > 0 else 1], nice=False)
    base = alt.Chart(frame).encode(
        x=alt.X("amount:Q", title=title, axis=None, scale=scale),
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelLimit=LABEL_PIXELS, ticks=False)),
    )
    return alt.layer(
        base.mark_bar(cornerRadius=3, height={"band": 0.66}).encode(
            color=alt.condition("datum.ours", alt.value(TEAL), alt.value(GREY if first else TEAL)),
            tooltip=[alt.Tooltip("label:N", title="name"), alt.Tooltip("shown:N", title=title)],
        ),
        base.mark_text(align="left", dx=5, fontSize=12, color=GREY).encode(text="shown:N"),
    ).properties(height=ROW_PIXELS * len(frame) + 8)


def buckets(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> alt.Chart:
    """Which share of the models had an error of which size, month by month.

    Args:
        rows: {month, bucket, models}.
        order: Buckets from the smallest error to the largest.
    """
    frame = pd.DataFrame(list(rows))
    frame["place"] = frame["bucket"].map({bucket: place for place, bucket in enumerate(order)})
    shades = ["#0b7a6f", "#14a394", "#7fcbbf", "#e9c46a", "#e08a2e", "#d9534f", "#a4322e", "#6e1f1d"]
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("models:Q", stack="normalize", title="share of models", axis=alt.Axis(format="%")),
            color=alt.Color(
                "bucket:N",
                sort=list(order),
                scale=alt.Scale(domain=list(order), range=shades[: len(order)]),
                legend=alt.Legend(orient="bottom", title="mean error", columns=4),
            ),
            order=alt.Order("place:Q"),
            tooltip=["month:O", "bucket:N", "models:Q", "sales:Q"],
        )
        .properties(height=360)
    )


def _distinct(labels: Sequence[str] | pd.Series) -> list[str]:
    """The same labels, made distinct: two bars of one name would become one."""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
