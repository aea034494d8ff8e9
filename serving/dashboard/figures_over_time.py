"""The charts of the dashboard that show prices over time, as Altair figures without data of their own.

Here: from documents to figures. Not here: bars (`figures`), pages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from serving.dashboard.figures import GREY, ORANGE, TEAL, Figure
from serving.dashboard.text import plain

HEIGHT = 290


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
