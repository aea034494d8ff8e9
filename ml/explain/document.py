"""One explained token as a plain document: what is printed, and what `--json` gives.

Here: picking a token's rows, and summing up components that mean the same to an owner. Not here: numbers, layout.

Concept: an owner asks what a trait is worth, not which model contributes it. So the shares of the index, the market
model and the collection's own model in one trait, or in one kind of evidence, are one line; lines that hardly matter
are one line together. Effects add up, so nothing is lost; `components` keeps every single one.
"""

from __future__ import annotations

import math
from typing import Any

from ml.explain.components import (
    GROUP_LABELS,
    INDEX_TRAIT,
    LEVEL,
    LOCAL_AVERAGE,
    LOCAL_PREFIX,
    LOCAL_TRAIT,
    OWN_HISTORY,
    POOLED_AVERAGE,
    POOLED_PREFIX,
    RARITY,
    SIMILAR_TRAITS,
    group_label,
)
from ml.explain.explain import Explanations
from ml.explain.facts import REASONS
from ml.states import NoValue, Tier

SMALL_EFFECT = 0.004
"""Log effect (0.4 %) below which a line joins "everything else"."""

TRAIT_LINES = 6
"""Traits shown one by one."""

_AVERAGE = "average"
_ORDER = (
    RARITY,
    SIMILAR_TRAITS,
    "token",
    *(name for name in GROUP_LABELS if name not in (SIMILAR_TRAITS, RARITY)),
)


def as_document(explained: Explanations, token_id: str) -> dict[str, Any]:
    """Everything that is known of one explained token, as values ready for JSON.

    Args:
        explained: Explanations that include the token.
        token_id: Which one.

    Returns:
        The estimate with interval and grade (or the reason why there is none), `steps` (level, lines and the estimate:
        factors multiply and ETH amounts add up to it), `components`, `last_sale`, `comparables`, `model`,
        `track_record`, times and notes.
    """
    facts = next(row for row in explained.tokens.to_pylist() if row["token_id"] == token_id)
    components = _rows(explained.components, token_id)
    used, record = explained.used, explained.record
    champion = used.champion
    estimate = facts["explained_eth"]
    reason = None
    if estimate is None:
        reason = facts["no_value_reason"] or facts["explained_reason"]
        reason = reason or (NoValue.NO_FEATURES if used.tier != Tier.NONE else NoValue.NOT_VALUED)
    current = estimate is not None and explained.consistent
    return {
        "collection": explained.collection,
        "token_id": token_id,
        "chain": explained.chain,
        "as_of": _text(explained.as_of or facts["as_of"]),
        "estimate_eth": estimate,
        "stored_estimate_eth": facts["estimate_eth"],
        "interval_80_eth": [facts["lower_80_eth"], facts["upper_80_eth"]] if current else None,
        "interval_90_eth": [facts["lower_90_eth"], facts["upper_90_eth"]] if current else None,
        "grade": facts["grade"] if current else None,
        "tier": used.tier,
        "no_value_reason": reason,
        "no_value_because": REASONS.get(reason, reason) if reason else None,
        "lowest_ask_eth": facts["lowest_ask_eth"],
        "lowest_ask_at": _text(facts["lowest_ask_at"]),
        "live_asks": facts["live_asks"],
        "floor_proxy_eth": facts["floor_proxy_eth"],
        "rarity_pct": facts["rarity_pct"],
        "steps": summarise(components),
        "components": [
            {name: row[name] for name in ("component", "label", "log_effect", "eth_effect")}
            for row in components
        ],
        "last_sale": _last_sale(facts),
        "comparables": [
            {
                name: _text(value)
                for name, value in row.items()
                if name not in ("collection", "token_id", "as_of")
            }
            for row in _rows(explained.comparables, token_id)
        ],
        "model": {
            "version": used.model_version,
            "trained_until": _text(champion.trained_until) if champion else None,
            "market_model": used.prior_version,
            "market_model_trained_until": _text(used.prior_cutoff),
            "own_model_weight": used.weight,
        },
        "track_record": record.as_dict() if record else None,
        "sales_known": explained.sales,
        "collection_last_sale_at": _text(explained.last_sale_at),
        "watermark": _text(explained.watermark),
        "consistent": explained.consistent,
        "notes": list(explained.notes),
    }


def summarise(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Components of one token as lines for people: level first, then traits by weight, then other evidence.

    Returns:
        {label, kind, factor, eth_effect} per line; the first line's factor is None. Products and sums are those of the
        components.
    """
    if not components:
        return []
    lines: dict[tuple[str, str], list[float]] = {}
    for row in components[1:]:
        total = lines.setdefault(_line(row["component"], row["label"]), [0.0, 0.0])
        total[0] += row["log_effect"]
        total[1] += row["eth_effect"]
    traits = sorted((key for key in lines if key[0] == "trait"), key=lambda key: -abs(lines[key][0]))
    shown = [key for key in traits[:TRAIT_LINES] if abs(lines[key][0]) >= SMALL_EFFECT]
    others = [key for key in lines if key[0] != "trait"]
    others.sort(key=lambda key: _ORDER.index(key[0]) if key[0] in _ORDER else len(_ORDER))
    loud = [key for key in others if abs(lines[key][0]) >= SMALL_EFFECT]
    level = components[0]
    steps = [_step(level["label"], LEVEL, None, level["eth_effect"])]
    steps += [_step(key[1], "trait", *lines[key]) for key in shown]
    steps += _sum_up("trait", "{} more traits", [lines[key] for key in traits if key not in shown])
    steps += [_step(key[1], key[0], *lines[key]) for key in loud]
    steps += _sum_up("other", "Everything else", [lines[key] for key in others if key not in loud])
    return steps


def _line(component: str, label: str) -> tuple[str, str]:
    """Kind and label of the line that a component belongs to."""
    if component in (INDEX_TRAIT, LOCAL_TRAIT):
        return "trait", label
    if component in (POOLED_AVERAGE, LOCAL_AVERAGE):
        return _AVERAGE, "What the models correct on average"
    if component == OWN_HISTORY:
        return "token", _sentence("token")
    if component == RARITY:
        return RARITY, label
    group = component.removeprefix(POOLED_PREFIX).removeprefix(LOCAL_PREFIX)
    return group, _sentence(group)


def _sentence(group: str) -> str:
    text = group_label(group)
    return text[:1].upper() + text[1:]


def _step(label: str, kind: str, log_effect: float | None, eth_effect: float) -> dict[str, Any]:
    factor = None if log_effect is None else math.exp(log_effect)
    return {"label": label, "kind": kind, "factor": factor, "eth_effect": eth_effect}


def _sum_up(kind: str, label: str, lines: list[list[float]]) -> list[dict[str, Any]]:
    if not lines:
        return []
    total = [sum(line[number] for line in lines) for number in (0, 1)]
    text = label.format(len(lines)) if len(lines) > 1 else label.format(1).replace("traits", "trait")
    return [_step(text, kind, *total)]


def _last_sale(facts: dict[str, Any]) -> dict[str, Any] | None:
    if facts["last_sale_id"] is None:
        return None
    return {
        "sale_id": facts["last_sale_id"],
        "sold_at": _text(facts["last_sale_at"]),
        "price_eth": facts["last_sale_eth"],
        "indexed_eth": facts["last_sale_indexed_eth"],
        "own_sales": facts["own_sales"],
    }


def _rows(table: Any, token_id: str) -> list[dict[str, Any]]:
    import pyarrow.compute as pc

    return list(table.filter(pc.equal(table["token_id"], token_id)).to_pylist())


def _text(value: Any) -> Any:
    return value.isoformat(sep=" ", timespec="seconds") if hasattr(value, "isoformat") else value
