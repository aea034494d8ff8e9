"""What the errors of nodes mean.

Here: texts, and whether to wait. Not here: asking (`sources.ethereum.rpc`).
"""

from __future__ import annotations

import re
from typing import Any

_RATE_WORDS = re.compile(
    r"rate.?limit|too many requests|per second|throughput|capacity|request count|daily (request|limit)|back.?off",
    re.IGNORECASE,
)
_RATE_CODES = (429, -32029, -32097)


def error_text(error: Any) -> str:
    """What an error of JSON-RPC says, cut."""
    if not isinstance(error, dict):
        return str(error)[:300]
    data = error.get("data")
    more = f" ({data})" if isinstance(data, str) and data and not data.startswith("0x") else ""
    return f"{error.get('message', error)}{more}"[:300]


def is_rate_limit(error: Any) -> bool:
    """Whether an error asks to wait, by its number or its words."""
    code = error.get("code") if isinstance(error, dict) else None
    return code in _RATE_CODES or bool(_RATE_WORDS.search(error_text(error)))
