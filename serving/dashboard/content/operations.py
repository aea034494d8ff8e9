"""Operations: whether promises are kept, how fresh the data are, and what the pipeline has decided and done."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard.data import Published
from serving.dashboard.layout import bar, chip, facts, heading, notice, rows, section
from serving.dashboard.text import (
    NONE,
    age,
    count,
    day,
    literal,
    minute,
    number,
    percent,
    plain,
    time_of,
    words,
)

TONES = {
    "ok": "good",
    "burning": "warn",
    "ticket": "warn",
    "page": "bad",
    "exhausted": "bad",
    "no_data": "quiet",
    "success": "good",
    "failure": "bad",
    "canceled": "warn",
    "drifted": "bad",
    "suspect": "warn",
}


def show(published: Published) -> None:
    """The page."""
    found, status = published.operations(), published.status()
    heading(
        "Operations",
        f"Market as of {minute(found['market_time'])}; the state when this version was published",
    )
    _summary(published, found, status)
    _alerts(found["alerts"])
    _service_levels(found["service_levels"])
    _sources(status["sources"])
    left, right = st.columns(2)
    with left:
        _drift(found["drift"])
    with right:
        _queue(found["queue"])
    _decisions(found["decisions"])
    _runs(found["runs"])
    _quarantine(found["quarantine"])


def _summary(published: Published, found: dict[str, Any], status: dict[str, Any]) -> None:
    levels = [one for one in found["service_levels"] if one["state"] != "no_data"]
    kept = sum(one["state"] == "ok" for one in levels)
    opened = None if found["alerts"] is None else len(found["alerts"]["open"])
    estimates = status["estimates"]
    tone = (
        "bad" if any(one["state"] == "page" for one in levels) else "good" if kept == len(levels) else "warn"
    )
    st.html(
        f'<div class="a-card"><div class="a-value" data-figure="kept">{kept} of {len(levels)}</div>'
        f'<div class="a-sub" style="margin-bottom:.9rem">service levels are kept '
        f"{chip('all is well' if tone == 'good' else 'see below', tone)}</div>"
        + facts(
            [
                ("Open alerts", NONE if opened is None else f"{opened:,}", ""),
                ("Tokens valued", f"{estimates['tokens_valued']:,}", f"of {estimates['tokens']:,}"),
                ("Age of the data", age(published.age_s), "old" if published.is_stale else "as promised"),
                (
                    "Published",
                    minute(time_of(published.edition.pointer.published_at)),
                    literal(f"version {published.version}"),
                ),
            ],
            card=False,
        )
        + "</div>"
    )


def _alerts(alerts: dict[str, Any] | None) -> None:
    section("Alerts")
    if alerts is None:
        notice("quiet", "No alert was ever raised in this home")
        return
    if not alerts["open"]:
        last = alerts["resolved"][0] if alerts["resolved"] else None
        notice(
            "good",
            "No alert is open",
            f"The last one: {last['title']}, resolved {day(last['resolved_at'])}" if last else "",
        )
        return
    rows(
        [
            (
                one["title"],
                chip(one["severity"], "bad" if one["severity"] == "page" else "warn"),
                f"since {minute(one['first_seen'])} · {literal(one['command'], 200)} · docs/runbook/"
                f"{literal(one['runbook'])}.md<br>{literal(one['body'], 400)}",
            )
            for one in alerts["open"]
        ]
    )


def _service_levels(levels: list[dict[str, Any]]) -> None:
    section("Service levels", "What is promised, and how much of the error budget is left")
    if not levels:
        notice("quiet", "Nothing was measured yet", "A monitoring pass measures it: `assay run`.")
        return
    measured = [one for one in levels if one["state"] != "no_data"]
    rows([_level(one) for one in measured])
    unmeasured = [one["slo"] for one in levels if one["state"] == "no_data"]
    if unmeasured:
        st.html(f'<div class="a-foot">Without data: {literal(", ".join(map(words, unmeasured)), 600)}.</div>')


def _level(one: dict[str, Any]) -> tuple[str, str, str]:
    tone = TONES.get(one["state"], "quiet")
    left = one["budget_left"]
    parts = [literal(one["description"], 300)]
    promised = f"good {percent(one['sli'])}, promised {percent(one['objective'])}"
    if one["value"] is not None and one["bound"]:
        promised += f"; now {number(one['value'])}, must be {literal(one['bound'])}"
    parts.append(promised)
    if one["state"] not in ("ok", "no_data"):
        parts.append(f"{literal(one['command'], 200)} · docs/runbook/{literal(one['runbook'])}.md")
    budget = "" if left is None else f"budget left {percent(left, 0)}"
    return (
        one["slo"].replace("_", " "),
        f"{budget} {chip(words(one['state']), tone)}",
        "<br>".join(parts) + bar(left, tone),
    )


def _sources(sources: list[dict[str, Any]]) -> None:
    section("Freshness by source", "The newest day that each source has delivered")
    if not sources:
        notice("quiet", "Nothing was ingested yet", "`assay run` does.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "source": [plain(one["source"]) for one in sources],
                "table": [words(one["table"]) for one in sources],
                "newest": [day(one["newest_day"]) for one in sources],
                "rows": [one["rows"] for one in sources],
                "quarantined": [one["quarantined"] for one in sources],
            }
        ),
        hide_index=True,
        placeholder=NONE,
        column_config={
            "source": "Source",
            "table": "Table",
            "newest": "Newest day",
            "rows": st.column_config.NumberColumn("Rows", format="localized"),
            "quarantined": st.column_config.NumberColumn("In quarantine", format="localized"),
        },
    )


def _states(states: dict[str, int]) -> None:
    st.html(
        "".join(
            chip(f"{number_of:,} {words(state)}", TONES.get(state, "quiet"))
            for state, number_of in states.items()
        )
    )


def _drift(drift: dict[str, Any]) -> None:
    section("Drift", "Collections by the state of their newest window of sales")
    if not drift["states"]:
        notice("quiet", "Nothing was scored yet")
        return
    _states(drift["states"])
    if drift["worst"]:
        rows(
            [
                (
                    plain(one["collection"]),
                    chip(words(one["state"]), TONES.get(one["state"], "quiet")),
                    f"{literal(one['worst_feature'] or NONE)} ({literal(one['worst_kind'] or NONE)}), "
                    f"{number(one['score'])} × its ordinary distance",
                )
                for one in drift["worst"][:8]
            ]
        )


def _queue(queue: dict[str, Any]) -> None:
    section("Training queue", "What is trained next, by the value at stake")
    if not queue["first"]:
        notice("good", "Nothing waits")
        return
    _states(queue["states"])
    rows(
        [
            (
                plain(one["collection"]),
                chip(words(one["state"])),
                f"{literal(one['reason'], 200)}; {number(one['priority'])} ETH",
            )
            for one in queue["first"][:8]
        ]
    )


def _decisions(decisions: dict[str, Any]) -> None:
    section("Decisions", "About models, newest first; the counts are of 30 days")
    if not decisions["newest"]:
        notice("quiet", "Nothing was decided yet")
        return
    _states(decisions["actions"])
    newest = decisions["newest"]
    st.dataframe(
        pd.DataFrame(
            {
                "decided": [minute(one["decided_at"]) for one in newest],
                "collection": [plain(one["collection"]) for one in newest],
                "action": [words(one["action"]) for one in newest],
                "reason": [plain(one["reason"] or "", 300) for one in newest],
            }
        ),
        hide_index=True,
        placeholder=NONE,
        height=280,
        column_config={
            "decided": "Decided",
            "collection": "Collection",
            "action": "Action",
            "reason": st.column_config.TextColumn("Reason", width="large"),
        },
    )


def _runs(runs: list[dict[str, Any]]) -> None:
    section("Last runs", "Before this version was published, by the machine's clock")
    if not runs:
        notice("quiet", "No run has ended yet")
        return
    rows(
        [
            (
                one["job"],
                chip(one["status"], TONES.get(one["status"], "quiet")),
                f"{minute(one['started_at'])}, {NONE if one['seconds'] is None else age(one['seconds'])}",
            )
            for one in runs[:10]
        ]
    )


def _quarantine(found: list[dict[str, Any]]) -> None:
    section("Quarantine", "Rows that broke a rule; they are kept with their payload")
    if not found:
        notice("good", "No row waits in quarantine")
        return
    rows(
        [
            (
                words(one["reason"]),
                count(one["rows"], "row"),
                f"{literal(one['table'])} of {literal(one['source'])}",
            )
            for one in found
        ]
    )
