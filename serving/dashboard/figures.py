"""The charts of the dashboard, as Altair figures without data of their own.

Here: from documents to figures. Not here: pages.

Names from the market are values of a chart's data, never names of fields or parts of an expression.
"""

from __future__ import annotations

import math
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
HEIGHT = 290


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


def history(
    estimates: Sequence[Mapping[str, Any]],
    sales: Sequence[Mapping[str, Any]],
    level: Mapping[str, Any] | None = None,
) -> Figure:
    """Past estimates with their 80 % intervals, the token's own sales, and the level of its collection in grey."""
    rows = [
        {
            "time": row["as_of"],
            "eth": row["estimate_eth"],
            "low": (row["interval_80_eth"] or [None, None])[0],
            "high": (row["interval_80_eth"] or [None, None])[1],
        }
        for row in estimates
        if row["estimate_eth"] is not None
    ]
    frame = _timed(rows, ["time", "eth", "low", "high"])
    sold = _timed(list(sales), ["time", "eth"])
    x, y = alt.X("time:T", title=None, scale=alt.Scale(domain=_span(frame, sold))), _price_axis("ETH")
    tips = [
        alt.Tooltip("time:T", title="as of"),
        alt.Tooltip("eth:Q", title="estimate, ETH", format=".4g"),
        alt.Tooltip("low:Q", title="low", format=".4g"),
        alt.Tooltip("high:Q", title="high", format=".4g"),
    ]
    base = alt.Chart(frame)
    layers = [
        base.mark_area(opacity=0.22, color=TEAL).encode(x=x, y=alt.Y("low:Q", title="ETH"), y2="high:Q"),
        base.mark_rule(opacity=0.7, color=TEAL, strokeWidth=2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(color=TEAL, strokeWidth=2).encode(x=x, y=y),
        base.mark_point(color=TEAL, filled=True, size=60, opacity=1).encode(x=x, y=y, tooltip=tips),
        _sale_points(sold, size=75, opacity=0.95),
    ]
    if level and level["day"]:
        context = pd.DataFrame({"time": pd.to_datetime(level["day"]), "eth": level["level_eth"]})
        line = alt.Chart(context).mark_line(color=GREY, opacity=0.55, strokeWidth=1.5, clip=True)
        layers.append(line.encode(x=x, y=y))
    # Bars for a few estimates, a band for many.
    return alt.layer(*(layers[1:] if len(frame) <= 4 else [layers[0], *layers[2:]])).properties(height=HEIGHT)


def index(market: Mapping[str, Any], points: int = 1_500) -> Figure:
    """The price level of a collection with its 80 % band, and its newest sales."""
    level = pd.DataFrame(
        market["index"] or {"day": [], "level_eth": [], "low_eth": [], "high_eth": []}
    ).assign(time=lambda f: pd.to_datetime(f["day"]))
    sales = market["sales"] or {"at": [], "token_id": [], "price_eth": []}
    sold = pd.DataFrame(
        {
            "time": sales["at"][-points:],
            "eth": sales["price_eth"][-points:],
            "token": [plain(token, 40) for token in sales["token_id"][-points:]],
        }
    )
    sold["time"] = pd.to_datetime(sold["time"]).dt.tz_localize(None)
    if len(level):
        sold = sold[sold["time"] >= level["time"].min()]
    x = alt.X("time:T", title=None)
    base = alt.Chart(level)
    logarithmic = alt.Scale(type="log", nice=False)
    axis = alt.Axis(values=_round_values(level, sold), format="~g")
    return alt.layer(
        _sale_points(sold, size=24, opacity=0.6, scale=logarithmic, axis=axis, token=True),
        base.mark_area(opacity=0.25, color=TEAL).encode(
            x=x, y=alt.Y("low_eth:Q", title="ETH", scale=logarithmic, axis=axis), y2="high_eth:Q"
        ),
        base.mark_line(color=TEAL, strokeWidth=2.2).encode(
            x=x,
            y=alt.Y("level_eth:Q", title="ETH", scale=logarithmic, axis=axis),
            tooltip=[
                alt.Tooltip("time:T", title="day"),
                alt.Tooltip("level_eth:Q", title="ETH", format=".4g"),
            ],
        ),
    ).properties(height=320)


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


def _sale_points(
    sold: pd.DataFrame,
    *,
    size: int,
    opacity: float,
    scale: alt.Scale | None = None,
    axis: alt.Axis | None = None,
    token: bool = False,
) -> alt.Chart:
    tips = [alt.Tooltip("time:T", title="sold"), alt.Tooltip("eth:Q", title="price, ETH", format=".4g")]
    if token:
        tips.append(alt.Tooltip("token:N", title="token"))
    price = _price_axis("ETH") if scale is None else alt.Y("eth:Q", title="ETH", scale=scale, axis=axis)
    return (
        alt.Chart(sold)
        .mark_point(shape="circle", filled=True, color=ORANGE, size=size, opacity=opacity)
        .encode(x=alt.X("time:T", title=None), y=price, tooltip=tips)
    )


def _span(*frames: pd.DataFrame) -> list[str]:
    """The time that a chart shows: what there is, and at least the last three months of it."""
    times = pd.concat([frame["time"] for frame in frames])
    last = times.max() + pd.Timedelta(days=4)
    first = min(times.min() - pd.Timedelta(days=4), last - pd.Timedelta(days=90))
    return [first.isoformat(), last.isoformat()]


def _round_values(level: pd.DataFrame, sold: pd.DataFrame) -> list[float]:
    """Round prices between the lowest and the highest: a logarithmic axis alone names only few."""
    prices = pd.concat([level["low_eth"], level["high_eth"], sold["eth"]]).dropna()
    prices = prices[prices > 0]
    if prices.empty:
        return []
    low, high = float(prices.min()), float(prices.max())
    steps = (1, 2, 5) if high / low > 8 else (1, 1.5, 2, 3, 4, 5, 7)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]


def _price_axis(title: str) -> alt.Y:
    return alt.Y("eth:Q", title=title, scale=alt.Scale(zero=False))


def _timed(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(names))
    frame["time"] = pd.to_datetime(frame["time"]).dt.tz_localize(None)
    return frame


def _distinct(labels: Sequence[str] | pd.Series) -> list[str]:
    """The same labels, made distinct: two bars of one name would become one."""
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        found.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return found
