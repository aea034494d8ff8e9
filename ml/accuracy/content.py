"""The report as sections of text and tables, independent of Markdown and HTML.

Here: what stands in which table and the sentences around it. Not here: figures (`ml.accuracy.document`), drawing
(`ml.accuracy.plots`), markup (`ml.accuracy.pages`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.accuracy.config import MODEL, SERIES_NAMES
from ml.accuracy.tables import (
    DIMENSION_TITLES,
    Section,
    Table,
    collection_table,
    error_table,
    group_table,
)
from ml.accuracy.wording import ci, decimal, percent, whole


def sections(document: Mapping[str, Any]) -> list[Section]:
    """All sections of the report but those about experiments, in reading order.

    Args:
        document: Result of `accuracy_of`.
    """
    headline, window = document["headline"], document["window"]
    return [
        _in_short(document),
        _votes(headline),
        Section(
            "Where the error is",
            ("Headline sample. All figures of a row are about the same sales, those that were answered.",),
            ("premium_tiers",),
            (
                *_premium_by_chain(headline),
                *(group_table(headline, dimension) for dimension in DIMENSION_TITLES),
            ),
        ),
        _intervals(headline),
        _whole_window(window),
        _sums(window["portfolio"]),
        _not_clean(document["not_clean"]),
        Section("Every collection", (), (), (collection_table(headline["collections"]),)),
    ]


def _in_short(document: Mapping[str, Any]) -> Section:
    data, settings, headline = document["data"], document["settings"], document["headline"]
    share = f"{100 * settings['last_share']:.0f} %"
    text = [
        f"{whole(data['rows'])} sales of {whole(data['collections'])} collections from {data['first']} to "
        f"{data['last']}; {whole(data['clean'])} of them at arm's length. Headline sample, fixed in advance: "
        f"the last {share} of each collection with at least {settings['min_sales']} of those, "
        f"{whole(data['headline'])} sales.",
    ]
    if data["unpriced"]:
        text.append(f"{whole(data['unpriced'])} rows without a positive price are in no figure.")
    parts = {"all": headline, **headline["chains"]}
    if len(headline["chains"]) == 1:
        parts = {"all": headline}
    for chain, part in parts.items():
        text.append(_sentence("All sales" if chain == "all" else chain.capitalize(), part))
    tables = [
        error_table("Headline, all chains" if chain == "all" else f"Headline, {chain}", part)
        for chain, part in parts.items()
    ]
    return Section("In short", tuple(text), (), tuple(tables))


def _sentence(subject: str, part: Mapping[str, Any]) -> str:
    pooled, beating = part["pooled"], part["contest"]["beating"]
    model, floor = pooled["series"][MODEL], pooled.get("prd_floor")
    simple, five = beating["best_simple"], beating["med_5"]
    largest = part["without_largest"]
    left_out = " and ".join(largest["left_out"])
    against_floor = (
        f", against {decimal(floor['prd'])} for a perfect model under the same noise" if floor else ""
    )
    coverage = pooled["coverage"]
    return (
        f"**{subject}**: half of the estimates are within {percent(model['mdape'])} % of the price "
        f"({ci(model['mdape_ci'])}); {percent(largest['series'][MODEL]['mdape'])} % without {left_out or 'any'}. "
        f"Assay beats the best of the three simple baselines in {simple['wins']} of {simple['n']} collections "
        f"({percent(simple['share'])} %, {ci(simple['share_ci'])}) and the median of the last 5 in {five['wins']} "
        f"({percent(five['share'])} %, {ci(five['share_ci'])}). PRD {decimal(model['prd'])}{against_floor}. "
        f"Intervals of 80 and 90 % held {percent(coverage['80']['share'])} and {percent(coverage['90']['share'])} %. "
        f"Answered: {percent(pooled['hit_rate'])} %."
    )


def _votes(headline: Mapping[str, Any]) -> Section:
    parts = {"all": headline, **(headline["chains"] if len(headline["chains"]) > 1 else {})}
    votes = tuple(
        (
            chain,
            SERIES_NAMES[rival],
            f"{result['wins']} of {result['n']}",
            f"{percent(result['share'])} ({ci(result['share_ci'])})",
            "–" if result["p"] is None else f"{result['p']:.2g}",
            percent(result["median_gain"]),
        )
        for chain, part in parts.items()
        for rival, result in part["contest"]["beating"].items()
    )
    buckets = tuple(
        (chain, row["bucket"], whole(row["collections"]), whole(row["certain"]), whole(row["estimates"]))
        for chain, part in parts.items()
        for row in part["mape_buckets"]["buckets"]
    )
    small = headline["mape_buckets"]["too_small"]
    return Section(
        "Collection by collection",
        (
            "Each collection counts once, however large. A collection with too few estimates has no vote "
            f"({whole(small)} here).",
        ),
        ("collections", "mape_buckets"),
        (
            Table(
                "Collections in which Assay's MdAPE is below the rival's",
                ("chain", "rival", "won", "share % (Wilson 95 %)", "p (Wilcoxon)", "median gain, points"),
                votes,
            ),
            Table(
                "MAPE of collections",
                ("chain", "MAPE", "collections", "of these certain", "estimates"),
                buckets,
            ),
        ),
    )


def _premium_by_chain(headline: Mapping[str, Any]) -> list[Table]:
    chains = headline["chains"]
    return (
        [group_table(part, "premium_tier", f", {chain}") for chain, part in chains.items()]
        if len(chains) > 1
        else []
    )


def _intervals(headline: Mapping[str, Any]) -> Section:
    cells = headline["coverage_cells"]
    wrong = tuple(
        (
            cell["month"],
            cell["premium_tier"],
            percent(cell["level"]),
            whole(cell["n"]),
            percent(cell["share"]),
            f"{cell['p_binomial']:.2g}",
            "–" if cell["p_clustered"] is None else f"{cell['p_clustered']:.2g}",
            "luck" if cell["explained_by_noise"] else "beyond luck",
        )
        for cell in cells["cells"]
        if not cell["within_tolerance"]
    )
    text = [
        f"{level} % intervals: {counts['outside']} of {counts['cells']} cells of tier and month lie outside ±2 points, "
        f"{counts['beyond_noise']} beyond what luck explains ({counts['too_small']} cells are too small to judge)."
        for level, counts in cells["summary"].items()
    ]
    bands = tuple(
        (row["band"], percent(row["nominal"]), percent(row["share"])) for row in headline["interval_bands"]
    )
    columns = (
        "month",
        "predicted premium",
        "promised %",
        "n",
        "inside %",
        "p (binomial)",
        "p (clustered)",
        "verdict",
    )
    return Section(
        "Intervals",
        tuple(text),
        ("calibration", "coverage_months", "signed_errors"),
        (
            Table("Where prices fell", ("band", "promised %", "found %"), bands),
            Table("Cells outside the tolerance", columns, wrong, folded=len(wrong) > 12),
        ),
    )


def _whole_window(window: Mapping[str, Any]) -> Section:
    pooled = window["pooled"]
    curve = tuple(
        (
            row["sales_seen"],
            whole(row["n"]),
            whole(row["collections"]),
            f"{percent(row[MODEL]['mdape'])} ({ci(row[MODEL]['mdape_ci'])})",
            percent(row["index"]["mdape"]),
            percent(row["med_5"]["mdape"]),
        )
        for row in window["learning_curve"]
    )
    columns = ("sales visible before", "sales", "collections", "Assay MdAPE % (95 %)", "index", "median of 5")
    dimensions = ("tier", "sales_seen", "days_since_sale")
    return Section(
        "The whole window",
        (
            f"Every clean sale of the ledger, thin collections and cold starts included: {whole(pooled['n'])} sales, "
            f"{percent(pooled['hit_rate'])} % answered. The learning curve compares different collections, not one "
            "collection growing up.",
        ),
        ("learning_curve",),
        (
            error_table("All clean sales", window),
            Table("Learning curve", columns, curve),
            *(group_table(window, dimension) for dimension in dimensions),
        ),
    )


def _sums(figures: Mapping[str, Any]) -> Section:
    names = {"expected": "mean (for sums)", MODEL: "estimate (median)", "med_5": "median of the last 5"}
    rows = tuple(
        (
            names[name],
            f"{decimal(part['sum_ratio'])} ({ci(part['sum_ratio_ci'], shares=False)})",
            f"{percent(part['mdape_of_sums'])} ({ci(part['mdape_of_sums_ci'])})",
            percent(part["within_20"]),
        )
        for name, part in figures["series"].items()
    )
    sizes = tuple(
        (row["sales"], whole(row["portfolios"]), percent(row["mdape_of_sums"]), decimal(row["sum_ratio"]))
        for row in figures["sizes"]
    )
    return Section(
        "Sums",
        (
            f"{whole(figures['portfolios'])} wallets with at least five sales in the window, {whole(figures['sales'])} "
            "sales: the sum of the estimates against the sum of the prices.",
        ),
        (),
        (
            Table(
                "Portfolios",
                ("estimate", "Σ estimate / Σ price (95 %)", "MdAPE of sums % (95 %)", "within 20 %"),
                rows,
            ),
            Table("By number of sales", ("sales", "portfolios", "MdAPE of sums %", "Σ / Σ"), sizes),
        ),
    )


def _not_clean(figures: Mapping[str, Any]) -> Section:
    rows = tuple(
        (
            name,
            whole(part["n"]),
            percent(part["share"], 2),
            f"{percent(part['figures']['mdape'])} ({ci(part['figures']['mdape_ci'])})",
            percent(part["figures"]["ppe20"]),
            decimal(part["figures"]["level"]),
            whole(part["figures"]["estimates"]),
        )
        for name, part in figures.items()
    )
    columns = ("sales", "n", "share %", "MdAPE % (95 %)", "within 20 %", "level", "estimates")
    return Section(
        "Sales that are not clean",
        ("Scored like all others, and in no figure above: wash trades, bundles, low outliers.",),
        (),
        (Table("Not at arm's length", columns, rows),),
    )
