"""Accuracy: how far estimates were from the prices that were then paid, beside simple baselines."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pandas as pd
import streamlit as st

from serving.dashboard import figures
from serving.dashboard.content.collection import BASELINES
from serving.dashboard.data import Published
from serving.dashboard.layout import facts, heading, notice, section
from serving.dashboard.text import NONE, day, minute, percent, plain

ALL = "all"
METHODS = {"model": "Assay", "prior": "pooled prior alone", **BASELINES}


def show(published: Published) -> None:
    """The page."""
    found = published.accuracy()
    heading(
        "Accuracy", "Every sale was predicted from what was known before it, by models that had not seen it"
    )
    report = found["walk_forward"]
    chains = (report or {}).get("chains") or {}
    whole = chains.get(ALL)
    if not whole or not whole.get("pooled"):
        notice(
            "quiet",
            "No error has been measured yet",
            "`assay run` measures it once collections have 200 sales.",
        )
    else:
        _walk_forward(found, report, whole)
        if len(chains) > 2:
            _chains(chains)
    _sums((report or {}).get("sums"))
    _recent(found["recent"])
    _buckets(found["error_buckets"])


def _walk_forward(found: dict[str, Any], report: dict[str, Any], whole: dict[str, Any]) -> None:
    pooled, model = whole["pooled"], whole["pooled"]["model"]
    coverage = whole.get("coverage") or {}
    sample = report.get("sample") or {}
    st.html(
        f'<div class="a-card"><div class="a-value" data-figure="mdape">{percent(model["mdape"])}</div>'
        f'<div class="a-sub" style="margin-bottom:.9rem">median absolute percentage error on {whole["sales"]:,} sales '
        f"of {whole['collections']:,} collections</div>"
        + facts(
            [
                ("Within 20 % of the price", percent(model.get("ppe20")), ""),
                ("Inside the 80 % interval", percent(coverage.get("coverage_80")), "of the prices"),
                ("Inside the 90 % interval", percent(coverage.get("coverage_90")), "of the prices"),
                (
                    "Beats the best baseline",
                    percent(whole.get("share_beating_best_simple"), 0),
                    "of the collections",
                ),
            ],
            card=False,
        )
        + "</div>"
    )
    section("Beside the baselines", "Median absolute percentage error; shorter is better")
    rows = [
        (METHODS.get(name, plain(name)), scores["mdape"], percent(scores["mdape"]))
        for name, scores in pooled.items()
        if name in METHODS and scores.get("mdape") is not None
    ]
    st.altair_chart(figures.bars(rows, "MdAPE"), alt="Median error of Assay and of each baseline")
    share, least = sample.get("last_share"), sample.get("min_sales")
    if share and least:
        st.html(
            f'<div class="a-foot">The newest {100 * share:.0f} % of the sales of each collection with at least {least} '
            f"sales, as of {minute(found['as_of'])}.</div>"
        )


def _chains(chains: dict[str, Any]) -> None:
    section("By chain")
    rows = [
        {
            "chain": plain(name),
            "sales": chain["sales"],
            "assay": 100 * chain["pooled"]["model"]["mdape"],
            "median_5": 100 * (chain["pooled"].get("med_5") or {}).get("mdape", float("nan")),
            "coverage": 100 * ((chain.get("coverage") or {}).get("coverage_80") or float("nan")),
        }
        for name, chain in chains.items()
        if name != ALL and chain.get("pooled")
    ]
    titles = (
        ("assay", "Assay, MdAPE %"),
        ("median_5", "Median of 5, MdAPE %"),
        ("coverage", "In 80 % interval, %"),
    )
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder=NONE,
        column_config={
            "chain": "Chain",
            "sales": st.column_config.NumberColumn("Sales", format="localized"),
            **{name: st.column_config.NumberColumn(title, format="%.1f") for name, title in titles},
        },
    )


def _recent(recent: dict[str, Any] | None) -> None:
    section("Published estimates, on the newest sales", "Each estimate was published before its sale")
    if recent is None:
        notice(
            "quiet", "No sale came after an estimate yet", "The next monitoring pass measures those that do."
        )
        return
    st.html(
        facts(
            [
                (
                    "Median error",
                    percent(recent["mdape"]),
                    f"{percent(recent['mdape_low'])} to {percent(recent['mdape_high'])}",
                ),
                ("Median of 5 sales", percent(recent["median_5_mdape"]), "on the same sales"),
                ("Inside the 80 % interval", percent(recent["coverage_80"]), "of the prices"),
                (
                    "Sales",
                    f"{recent['sales']:,}",
                    f"{day(recent['window_start'])} to {day(recent['window_end'])}",
                ),
            ]
        )
    )


def _sums(sums: dict[str, Any] | None) -> None:
    if sums is None or not sums["markets"]:
        return
    section(
        "Sums of wallets",
        f"What one wallet bought, or sold, in a month since {day(sums['since'])}, five tokens or more; "
        "the 80 % interval of the sum was learnt before that day",
    )
    rows = [
        {
            "Market": market,
            "Tokens": side,
            "Wallets and months": figures_of["portfolios"],
            "Interval holds the sum": percent(figures_of["coverage_80"]),
            "Estimates ÷ prices": NONE
            if figures_of["sum_ratio"] is None
            else f"{figures_of['sum_ratio']:.3f}",
            "Median error of sums": percent(figures_of["mdape_of_sums"]),
        }
        for market, sides in sums["markets"].items()
        for side, figures_of in sides.items()
        if figures_of["portfolios"]
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")


def _buckets(rows: list[dict[str, Any]]) -> None:
    section("How many models err how much", "Share of the models by their mean error, month by month")
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    order = list(dict.fromkeys(row["bucket"] for row in rows))
    for row in rows:
        total = sums[row["week"][:7], row["bucket"]]
        total[0] += row["models"]
        total[1] += row["sales"]
    counted = [
        {"month": month, "bucket": bucket, "models": models, "sales": sales}
        for (month, bucket), (models, sales) in sums.items()
        if models
    ]
    if not counted:
        notice("quiet", "There are no weeks to compare yet")
        return
    st.altair_chart(
        figures.buckets(counted, order), alt="Share of the models by size of their error, by month"
    )
    st.html('<div class="a-foot">A model counts once for each week in which its collection had sales.</div>')
