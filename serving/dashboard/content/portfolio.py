"""Portfolio: what the tokens of one address, or of several, are worth together."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard import figures
from serving.dashboard.choosing import asked, begin, remember
from serving.dashboard.data import Published
from serving.dashboard.layout import facts, heading, notice, section
from serving.dashboard.text import NONE, count, eth, literal, number, percent, plain, words
from serving.store.protocol import TokenQuery
from serving.views.errors import UnknownWalletError

MOST_ADDRESSES = 50
SHOWN_SHARES = 10
SHOWN_POSITIONS = 500


def show(published: Published) -> None:
    """The page."""
    heading(
        "Portfolio", "The value of what addresses hold, with an interval that knows that errors move together"
    )
    linked = asked("address")
    begin("addresses", "address", linked.replace(",", "\n") if linked else None, "")
    given = st.text_area(
        "Addresses, one on each line",
        key="addresses",
        placeholder="0x…",
        height=90,
    )
    addresses = list(dict.fromkeys(given.replace(",", " ").split()))
    if not addresses:
        _invite(published)
        return
    if len(addresses) > MOST_ADDRESSES:
        notice(
            "warn",
            f"Expected at most {MOST_ADDRESSES} addresses, found {len(addresses)}",
            "Ask in several parts.",
        )
        return
    try:
        found = published.addresses(addresses)
    except UnknownWalletError as error:
        notice("warn", "Nothing is held there", str(error))
        return
    remember(address=",".join(addresses))
    _value(found)
    _gains(published, [one["address"] for one in found["addresses"]])
    _shares(found)
    _positions(found)
    _without_value(found)


def _invite(published: Published) -> None:
    notice("quiet", "Paste an address", "Every token of a followed collection that it holds is valued.")
    known = published.collections()
    held = (
        published.tokens(known[0]["collection"], TokenQuery(by="value", descending=True, limit=20))
        if known
        else []
    )
    owners = [token["owner"] for token in held if token["owner"]]
    if owners:
        owner = Counter(owners).most_common(1)[0][0]
        st.html(
            f'<div class="a-sub">For example <a href="/portfolio?address={literal(owner)}" target="_self">'
            f"{literal(owner)}</a></div>"
        )


def _value(found: dict[str, Any]) -> None:
    interval = found["interval_80_eth"]
    shown = NONE if interval is None else f"{number(interval[0])} – {number(interval[1])}"
    without = len(found["without_value"])
    st.html(
        f'<div class="a-card"><div class="a-value" data-figure="value">{number(found["value_eth"])} <small>ETH</small>'
        f'</div><div class="a-sub" style="margin-bottom:.9rem">80 % interval {shown}</div>'
        + facts(
            [
                ("Tokens valued", f"{found['tokens_valued']:,} of {found['tokens']:,}", ""),
                ("Collections", f"{len({one['collection'] for one in found['positions']}):,}", ""),
                ("Without a value", f"{without:,}", "listed below" if without else ""),
            ],
            card=False,
        )
        + "</div>"
    )
    if not found["complete"]:
        notice(
            "warn",
            "Only the most valuable positions are counted",
            f"There are more than {len(found['positions']):,}.",
        )
    for one in found["addresses"]:
        if one["tokens"] == 0:
            notice("quiet", f"{one['address']} holds nothing that is followed")


def _gains(published: Published, addresses: list[str]) -> None:
    section("Gains", "Value against what was paid, first in, first out; only of tokens whose cost is known")
    for address in addresses:
        try:
            found = published.gains(address)
        except UnknownWalletError:
            notice(
                "quiet",
                "No purchase is known",
                f"Of {address}; costs are known of what was bought for a price.",
            )
            continue
        held, sold = found["unrealized"], found["realized"]
        interval = held["interval_80_eth"]
        note = "" if interval is None else f"80 % interval {number(interval[0])} – {number(interval[1])}"
        if len(addresses) > 1:
            st.html(f'<div class="a-sub">{literal(address)}</div>')
        st.html(
            facts(
                [
                    ("Gain of what is held", eth(held["gain_eth"]), note),
                    ("Paid for it", eth(held["cost_eth"]), f"of {count(held['tokens'], 'token')}"),
                    ("Without a known cost", f"{held['tokens_without_cost']:,}", "not counted"),
                    ("Gain by selling", eth(sold["gain_eth"]), count(sold["disposals"], "sale")),
                ]
            )
        )


def _shares(found: dict[str, Any]) -> None:
    worth: defaultdict[str, float] = defaultdict(float)
    for one in found["positions"]:
        worth[one["collection"]] += one["expected_eth"] or 0.0
    total = sum(worth.values())
    if not total:
        return
    section("Shares", "Of the value, by collection")
    first = sorted(worth.items(), key=lambda item: -item[1])[:SHOWN_SHARES]
    rest = total - sum(value for _, value in first)
    rows = [(name, value / total, f"{percent(value / total)} · {eth(value)}") for name, value in first]
    if len(worth) > SHOWN_SHARES:
        rows.append(
            (f"{len(worth) - SHOWN_SHARES} more", rest / total, f"{percent(rest / total)} · {eth(rest)}")
        )
    st.altair_chart(figures.bars(rows, "share", first=False), alt="Share of each collection in the value")


def _positions(found: dict[str, Any]) -> None:
    rows = [one for one in found["positions"] if one["estimate_eth"] is not None]
    if not rows:
        return
    section("Positions", f"{count(len(rows), 'token')} with a value, the most valuable first")
    frame = pd.DataFrame(
        {
            "collection": [plain(one["collection"]) for one in rows[:SHOWN_POSITIONS]],
            "token": [plain(one["token_id"], 60) for one in rows[:SHOWN_POSITIONS]],
            "estimate": [one["estimate_eth"] for one in rows[:SHOWN_POSITIONS]],
            "low": [(one["interval_80_eth"] or [None, None])[0] for one in rows[:SHOWN_POSITIONS]],
            "high": [(one["interval_80_eth"] or [None, None])[1] for one in rows[:SHOWN_POSITIONS]],
            "grade": [one["grade"] or NONE for one in rows[:SHOWN_POSITIONS]],
        }
    )
    titles = (("estimate", "Estimate, ETH"), ("low", "80 % from"), ("high", "to"))
    st.dataframe(
        frame,
        hide_index=True,
        placeholder=NONE,
        column_config={
            "collection": "Collection",
            "token": "Token",
            "grade": "Grade",
            **{name: st.column_config.NumberColumn(title, format="%.4g") for name, title in titles},
        },
    )
    if len(rows) > SHOWN_POSITIONS:
        st.html(f'<div class="a-foot">The first {SHOWN_POSITIONS}; all are in the sum.</div>')


def _without_value(found: dict[str, Any]) -> None:
    rows = found["without_value"]
    if not rows:
        return
    section("What could not be valued", "Not in the sum")
    frame = pd.DataFrame(
        {
            "collection": [plain(one["collection"]) for one in rows[:SHOWN_POSITIONS]],
            "token": [plain(one["token_id"], 60) for one in rows[:SHOWN_POSITIONS]],
            "reason": [words(one["reason"] or "not valued") for one in rows[:SHOWN_POSITIONS]],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        placeholder=NONE,
        column_config={"collection": "Collection", "token": "Token", "reason": "Reason"},
    )
