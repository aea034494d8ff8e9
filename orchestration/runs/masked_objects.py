"""Dagster's objects without secrets, before they are stored.

Not here: what a secret is (`orchestration.output.masking`).
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from orchestration.dagster_internals import deserialize_value, serialize_value
from orchestration.output.masking import masked

T = TypeVar("T")


def without_secrets(stored: T) -> T:
    """The same object with the secrets in its texts masked; itself where there are none."""
    text = serialize_value(cast("Any", stored))
    if masked(text) == text:
        return stored
    # Text by text, so that a mask cannot break the serialised form.
    return cast("T", deserialize_value(json.dumps(_each_text(json.loads(text)))))


def _each_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _each_text(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_each_text(inner) for inner in value]
    return masked(value) if isinstance(value, str) else value
