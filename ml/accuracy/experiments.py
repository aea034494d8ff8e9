"""What each ingredient was worth and what tuning bought: measured elsewhere, shown here.

Here: reading the file of experiments and its sections. Not here: running experiments.

Concept: the file is JSON, either a list of ablation rows or {"ablation": [rows], "tuning": [rows], "text": {…}}. A
row is a flat object; keys that begin with mdape, mape, ppe or share are fractions and are shown in percent. What did
not help stays in the list.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ml.accuracy.tables import Section, Table
from ml.accuracy.wording import decimal, percent, whole

KINDS = {
    "ablation": "What each ingredient is worth",
    "tuning": "What tuning buys",
}

_FRACTIONS = ("mdape", "mape", "ppe", "share")


class ExperimentsError(ValueError):
    """A file of experiments that cannot be shown."""


def read_experiments(path: Path) -> list[Section]:
    """The sections of a file of experiments.

    Raises:
        ExperimentsError: When the file is not JSON of the shape above.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExperimentsError(f"expected JSON in {path.name}; it could not be read ({error})") from error
    if isinstance(content, list):
        content = {"ablation": content}
    unknown = (
        sorted(set(content) - {*KINDS, "text"}) if isinstance(content, dict) else [type(content).__name__]
    )
    if unknown:
        raise ExperimentsError(
            f"{path.name}: expected a list of rows, or an object with {', '.join(KINDS)} and text; "
            f"found {', '.join(unknown)}"
        )
    texts = content.get("text", {})
    return [
        Section(
            title, tuple([texts[kind]] if texts.get(kind) else []), (), (_table(path, kind, content[kind]),)
        )
        for kind, title in KINDS.items()
        if content.get(kind)
    ]


def _table(path: Path, kind: str, rows: Any) -> Table:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "name" in row for row in rows):
        raise ExperimentsError(f'{path.name}: expected "{kind}" to be a list of objects with a "name"')
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns = tuple(key.replace("_", " ") + (" %" if key.startswith(_FRACTIONS) else "") for key in keys)
    return Table(KINDS[kind], columns, tuple(tuple(_show(key, row.get(key)) for key in keys) for row in rows))


def _show(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if key.startswith(_FRACTIONS):
        return percent(float(value), 2)
    return whole(value) if isinstance(value, int) else decimal(value)
