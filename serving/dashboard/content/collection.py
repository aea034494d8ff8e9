"""Collection: its price level, what its traits are worth, how right its estimates have been, and its tokens."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard import figures, figures_over_time
from serving.dashboard.choosing import OPENED, choose_collection, remember
from serving.dashboard.data import Published
from serving.dashboard.layout import chip, facts, heading, notice, section
from serving.dashboard.text import NONE, day, eth, floor_of, literal, minute, number, percent, plain, words
from serving.store.protocol import TokenQuery
from serving.views.errors import NotPublishedError

BASELINES = {
    "index": "hedonic index alone",
    "p20_50": "floor proxy",
    "med_30": "median of 30 sales",
    "med_5": "median of 5 sales",
    "last_index": "last sale × index",
}
SHOWN_TOKENS = 200
ORDERS = {
    "most valuable first": ("value", True),
    "least valuable first": ("value", False),
    "by id": ("token", False),
}
_DRIFT_TONES = {"ok": "good", "suspect": "warn", "drifted": "bad"}


def show(published: Published) -> None:
    """The page."""
    chosen = choose_collection(published)
    if chosen is None:
        notice("quiet", "Choose a collection", "Type a part of its name above.")
        return
    found = published.collection(chosen)
    remember(collection=chosen)
    if "token" in st.query_params:
        del st.query_params["token"]
    heading(found["name"] or chosen, _about(found))
    _facts(found)
    try:
        _market(published.market(chosen))
    except NotPublishedError as error:
        notice("quiet", "Charts are not published yet", str(error))
    _record(found)
    _tokens(published, chosen)


def _about(found: dict[str, Any]) -> str:
    parts = [found["chain"], found["contract"], f"as of {minute(found['as_of'])}"]
    return " · ".join(part for part in parts if part)


def _facts(found: dict[str, Any]) -> None:
    level, liquidity = found["level"], found["liquidity"]
    drift = found["drift"]["state"] if found["drift"] else None
    without = "" if found["no_value_reason"] is None else literal(words(found["no_value_reason"]))
    floor = floor_of(level)
    chips = [chip(f"mostly grade {found['grade'] or NONE}"), chip(words(found["tier"]))]
    if drift is not None:
        chips.append(chip(f"drift: {words(drift)}", _DRIFT_TONES.get(drift, "quiet")))
    st.html(
        facts(
            [
                (
                    "Value of all tokens",
                    f'<span data-figure="value">{number(found["value_eth"])}</span> ETH',
                    without,
                ),
                ("Tokens valued", f"{found['tokens_valued']:,} of {found['tokens']:,}", ""),
                (floor.name, eth(floor.eth), floor.note),
                ("Median of 30 sales", eth(level["median_30_eth"]), ""),
                ("Sales in 30 days", f"{liquidity['sales_30d']:,}", f"{liquidity['sales_7d']:,} in 7 days"),
                (
                    "Volume in 30 days",
                    eth(liquidity["volume_30d_eth"]),
                    f"last sale {day(liquidity['last_sale_at'])}",
                ),
            ]
        )
        + f'<div style="margin-top:.5rem">{"".join(chips)}</div>'
    )


def _market(market: dict[str, Any]) -> None:
    section(
        "Price level and sales", "The hedonic index with its 80 % band, and arm's-length sales; both in ETH"
    )
    if market["index"] or market["sales"]:
        st.altair_chart(
            figures_over_time.index(market), alt="Price index of the collection with its band, and its sales"
        )
    else:
        notice("quiet", "There is no price level yet", "It takes three arm's-length sales.")
    section(
        "What traits are worth",
        "Median estimate of the tokens that have it, against all tokens of the collection",
    )
    if market["traits"]:
        st.altair_chart(figures.premiums(market["traits"]), alt="Premium of each trait value")
    else:
        notice(
            "quiet", "No trait can be compared", "Either no source gives traits, or too few tokens share one."
        )
    section("Models of this collection", "Every decision about them, newest first")
    if market["models"]:
        _decisions(market["models"])
    else:
        notice(
            "quiet", "Nothing was decided yet", "The first training decides; `assay run` trains what is due."
        )


def _decisions(models: dict[str, list[Any]]) -> None:
    frame = pd.DataFrame(
        {
            "decided": [day(at) for at in models["decided_at"]],
            "action": [words(action) for action in models["action"]],
            "model": [plain(model or NONE) for model in models["challenger"]],
            "before": [plain(model or NONE) for model in models["champion"]],
            "reason": [plain(reason or "", 300) for reason in models["reason"]],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        placeholder=NONE,
        column_config={
            "decided": "Decided",
            "action": "Action",
            "model": "Model",
            "before": "Champion before",
            "reason": st.column_config.TextColumn("Reason", width="large"),
        },
    )


def _record(found: dict[str, Any]) -> None:
    record = found["track_record"]
    section("Track record", "Median error on its newest sales, each predicted from what was known before it")
    if record is None:
        notice(
            "quiet",
            "No sale has been predicted yet",
            "Walk-forward predictions begin with the first training.",
        )
        return
    rows = [("Assay", record["mdape"])]
    rows += [(BASELINES.get(name, words(name)), error) for name, error in record["baselines"].items()]
    st.altair_chart(
        figures.bars([(name, error, percent(error)) for name, error in rows if error is not None], "MdAPE"),
        alt="Median error of Assay and of each baseline",
    )
    if not record["enough"]:
        notice("warn", f"Only {record['n']} sales were measured: these errors say little")
    recent = found["recent_error"]
    st.html(
        facts(
            [
                ("Sales measured", f"{record['n']:,}", f"since {day(record['since'])}"),
                ("Inside the 80 % interval", percent(record["coverage_80"], 0), "of the prices"),
                ("Estimate / price", number(record["level"]), "median"),
                (
                    "Error of published estimates",
                    NONE if recent is None else percent(recent["mdape"]),
                    ""
                    if recent is None
                    else f"newest {recent['sales']:,} sales, {literal(words(recent['state']))}",
                ),
            ]
        )
    )


def _tokens(published: Published, chosen: str) -> None:
    section("Tokens", "Select a row to open the token")
    left, right = st.columns([1, 1])
    order = left.selectbox("Order", list(ORDERS))
    grades = right.multiselect("Grades", ["A", "B", "C", "D"], placeholder="all")
    by, descending = ORDERS[order]
    rows = published.tokens(
        chosen, TokenQuery(by=by, descending=descending, limit=SHOWN_TOKENS, grades=tuple(sorted(grades)))
    )
    if not rows:
        notice("quiet", "No token has such a grade", "Leave out the grades to see all tokens.")
        return
    frame = pd.DataFrame(
        {
            "token": [plain(row["token_id"], 60) for row in rows],
            "estimate": [row["estimate_eth"] for row in rows],
            "low": [(row["interval_80_eth"] or [None, None])[0] for row in rows],
            "high": [(row["interval_80_eth"] or [None, None])[1] for row in rows],
            "grade": [row["grade"] or NONE for row in rows],
            "last": [row["last_sale_eth"] for row in rows],
        }
    )
    priced = {
        name: st.column_config.NumberColumn(title, format="%.4g")
        for name, title in (
            ("estimate", "Estimate, ETH"),
            ("low", "80 % from"),
            ("high", "to"),
            ("last", "Last sale, ETH"),
        )
    }
    selected = st.dataframe(
        frame,
        hide_index=True,
        placeholder=NONE,
        height=360,
        on_select="rerun",
        selection_mode="single-row",
        key=f"tokens of {chosen} {order} {grades}",
        column_config={"token": "Token", "grade": "Grade", **priced},
    )
    picked = selected["selection"]["rows"]
    if picked:
        st.session_state[OPENED] = (chosen, rows[picked[0]]["token_id"])
        st.rerun()
    if len(rows) == SHOWN_TOKENS:
        st.html(
            f'<div class="a-foot">The first {SHOWN_TOKENS} of {published.collection(chosen)["tokens"]:,}.</div>'
        )
