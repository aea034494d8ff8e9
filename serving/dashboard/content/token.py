"""Token: what is it worth, how sure, and why."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard import figures, figures_over_time
from serving.dashboard.choosing import asked, begin, choose_collection, remember
from serving.dashboard.data import Published
from serving.dashboard.layout import chip, facts, heading, notice, section
from serving.dashboard.text import NONE, eth, floor_of, literal, minute, number, percent, plain, words
from serving.explainer.client import ExplainerError
from serving.store.protocol import TokenQuery
from serving.views.errors import ExplanationBehindError, NotExplainedError, NotPublishedError

NO_SALES: dict[str, list[Any]] = {"at": [], "token_id": [], "price_eth": []}
GRADES = {
    "A": ("good", "narrow interval"),
    "B": ("good", "usual interval"),
    "C": ("warn", "wide interval"),
    "D": ("bad", "very wide interval"),
}


def show(published: Published) -> None:
    """The page."""
    left, right = st.columns([2, 1])
    collection = choose_collection(published, left)
    if collection is None:
        notice("quiet", "Choose a collection", "Type a part of its name above.")
        return
    named = asked("token") if asked("collection") in (None, collection) else None
    box = f"token of {collection}"
    begin(box, "token", named, None if named else _example(published, collection))
    token = right.text_input("Token id", key=box)
    if not token:
        notice("quiet", "Choose a token", "Type its id above; the page Collection lists all of them.")
        return
    found = published.token(collection, token)
    remember(collection=collection, token=token)
    known = published.collection(collection)
    heading(f"{known['name'] or collection} · {token}", _about(found))
    if found["estimate_eth"] is None:
        reason = found["no_value_reason"] or "not valued"
        notice(
            "quiet",
            "This token has no value",
            f"The reason: {words(reason)}.",
        )
        _facts(found)
    else:
        _headline(found)
    section("Estimates and sales of this token", _sales_note(published, collection))
    _history(published, collection, token, found)
    section(
        "Why",
        "What each reason adds to a typical token, or takes away, in ETH; the axis need not begin at zero",
    )
    with st.spinner("The reasons are being computed; the first time takes some seconds"):
        _reasons(published, collection, token)


def _about(found: dict[str, Any]) -> str:
    parts = [found["chain"], found["contract"], f"as of {minute(found['as_of'])}"]
    return " · ".join(part for part in parts if part)


def _headline(found: dict[str, Any]) -> None:
    tone, meaning = GRADES.get(found["grade"], ("quiet", "no interval"))
    chips = [chip(f"grade {found['grade'] or NONE}: {meaning}", tone), chip(words(found["tier"]))]
    st.html(
        f'<div class="a-card"><div class="a-value" data-figure="estimate">{number(found["estimate_eth"])}'
        f" <small>ETH</small></div>{_range(found)}<div>{''.join(chips)}</div></div>"
    )
    _facts(found)


def _facts(found: dict[str, Any]) -> None:
    owner = found["owner"]
    link = (
        f'<a href="/portfolio?address={literal(owner)}" target="_self">{literal(owner[:10])}…</a>'
        if owner
        else NONE
    )
    floor = floor_of(found)
    st.html(
        facts(
            [
                ("80 % interval", _pair(found["interval_80_eth"]), "ETH"),
                ("90 % interval", _pair(found["interval_90_eth"]), "ETH"),
                ("Last sale", eth(found["last_sale_eth"]), "of this token"),
                (floor.name, eth(floor.eth), floor.note),
                ("Held by", link, ""),
                ("Model", literal(found["model_version"] or NONE, 40), ""),
            ]
        )
    )


def _pair(pair: list[float] | None) -> str:
    return NONE if pair is None else f"{number(pair[0])} – {number(pair[1])}"


def _range(found: dict[str, Any]) -> str:
    """The estimate in its intervals, with the floor and the last sale, on a line."""
    wide, band = found["interval_90_eth"], found["interval_80_eth"]
    if wide is None or band is None:
        return ""
    marks = [("floor", floor_of(found).eth), ("last sale", found["last_sale_eth"])]
    inside = [(name, value) for name, value in marks if value and wide[0] / 2 <= value <= wide[1] * 2]
    low = min([wide[0], *(value for _, value in inside)])
    high = max([wide[1], *(value for _, value in inside)])
    margin = 0.06 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    def span(name: str, pair: list[float]) -> str:
        return (
            f'<i class="{name}" style="left:{at(pair[0]):.2f}%;width:{at(pair[1]) - at(pair[0]):.2f}%"></i>'
        )

    ticks = "".join(
        f'<i class="tick" style="left:{at(value):.2f}%"></i>'
        f'<u class="up{_edge(at(value))}" style="left:{at(value):.2f}%">{name} {number(value)}</u>'
        for name, value in _apart(inside, at)
    )
    return (
        f'<div class="a-range"><i class="rail"></i>{span("wide", wide)}{span("band", band)}'
        f'<i class="dot" style="left:{at(found["estimate_eth"]):.2f}%"></i>{ticks}'
        f'<u class="down{_edge(at(band[0]))}" style="left:{at(band[0]):.2f}%">{number(band[0])}</u>'
        f'<u class="down{_edge(at(band[1]))}" style="left:{at(band[1]):.2f}%">{number(band[1])}</u></div>'
    )


def _edge(place: float) -> str:
    return " first" if place < 12 else " last" if place > 88 else ""


def _apart(marks: list[tuple[str, float]], at: Any) -> list[tuple[str, float]]:
    """Marks whose words would not cover each other; the facts below have all of them."""
    kept: list[tuple[str, float]] = []
    for name, value in reversed(marks):
        if all(abs(at(value) - at(other)) > 30 for _, other in kept):
            kept.append((name, value))
    return kept


def _example(published: Published, collection: str) -> str | None:
    """A token to begin with: the one that was sold most often, or else the most valuable."""
    try:
        sales = published.market(collection)["sales"]
    except NotPublishedError:
        sales = None
    if sales:
        return str(Counter(sales["token_id"]).most_common(1)[0][0])
    rows = published.tokens(collection, TokenQuery(by="value", descending=True, limit=1))
    return rows[0]["token_id"] if rows else None


def _sales_note(published: Published, collection: str) -> str:
    try:
        market = published.market(collection)
    except NotPublishedError:
        return ""
    since = f" since {market['sales']['at'][0][:10]}" if market["sales_are_cut"] else ""
    return f"Estimates with their 80 % interval, sales at arm's length{since}, the level of the collection in grey"


def _history(published: Published, collection: str, token: str, found: dict[str, Any]) -> None:
    estimates = published.history(collection, token)
    try:
        market = published.market(collection)
        sales, level = market["sales"] or NO_SALES, market["index"]
    except NotPublishedError as error:
        notice("quiet", "Sales are not published yet", str(error))
        sales, level = NO_SALES, None
    sold = [
        {"time": at, "eth": price}
        for at, one, price in zip(sales["at"], sales["token_id"], sales["price_eth"], strict=True)
        if one == token
    ]
    if not estimates and found["estimate_eth"] is None and not sold:
        notice("quiet", "Neither an estimate nor a sale of this token is known")
        return
    st.altair_chart(
        figures_over_time.history(estimates, sold, level),
        alt=f"{len(estimates)} estimates with intervals and {len(sold)} sales of the token over time",
    )


def _reasons(published: Published, collection: str, token: str) -> None:
    try:
        document = published.explanation(collection, token)
    except (NotExplainedError, ExplanationBehindError, ExplainerError) as error:
        notice("quiet", "The reasons cannot be shown now", str(error))
        return
    if not document["steps"] or document["estimate_eth"] is None:
        because = document["no_value_because"] or "there is nothing to explain"
        notice("quiet", "There are no reasons without a value", because)
    else:
        st.altair_chart(
            figures.waterfall(document["steps"], document["estimate_eth"]),
            alt="How the estimate adds up from the level of the collection and its reasons",
        )
    for note in document["notes"]:
        notice("quiet", str(note))
    _comparables(document["comparables"])
    _record(document["track_record"])


def _comparables(rows: list[dict[str, Any]]) -> None:
    section(
        "Comparable sales",
        "The most similar tokens that were sold, adjusted to this token and today",
    )
    if not rows:
        notice("quiet", "No sale is comparable", "The collection has had none that the index can adjust.")
        return
    frame = pd.DataFrame(
        [
            {
                "token": plain(row["sold_token_id"]),
                "sold": row["sold_at"][:10],
                "price": row["price_eth"],
                "adjusted": row["adjusted_eth"],
                "similarity": row.get("similarity"),
            }
            for row in rows
        ]
    )
    st.dataframe(
        frame,
        hide_index=True,
        placeholder=NONE,
        column_config={
            "token": "Token",
            "sold": "Sold",
            "price": st.column_config.NumberColumn("Price, ETH", format="%.4g"),
            "adjusted": st.column_config.NumberColumn("Adjusted, ETH", format="%.4g"),
            "similarity": st.column_config.NumberColumn("Similarity", format="%.2f"),
        },
    )


def _record(record: dict[str, Any] | None) -> None:
    if record is None:
        return
    st.html(
        facts(
            [
                ("Error of this collection", percent(record["mdape"]), "median, walk-forward"),
                ("Prices inside the 80 % interval", percent(record["coverage_80"], 0), ""),
                ("Measured on", f"{record['n']:,} sales", f"since {literal(record['since'][:10])}"),
            ]
        )
    )
