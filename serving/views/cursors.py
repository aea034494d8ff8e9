"""Places in a list, as text that clients hand back unread.

Here: writing and reading cursors. Not here: the lists.

Concept: a cursor is the key of the last row seen, not a number of rows. So a page that was asked for again, or for the
first time after a new publication, neither repeats nor skips rows whose key stayed the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from serving.views.errors import CursorError

_LONGEST = 64_000


def cursor_of(question: tuple[Any, ...], key: tuple[Any, ...]) -> str:
    """The cursor after a row.

    Args:
        question: What was asked (list, order, filters): the cursor is good for the same question only.
        key: Key of the row, of text and numbers.
    """
    packed = json.dumps([_digest(question), *key], ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def key_of(question: tuple[Any, ...], cursor: str | None, *types: type) -> tuple[Any, ...] | None:
    """The key in a cursor; None for the first page.

    Raises:
        CursorError: It is no cursor, or one of another question.
    """
    if cursor is None:
        return None
    found = _unpacked(cursor)
    digest, key = (found[0], found[1:]) if found else (None, [])
    if len(key) != len(types) or not all(map(_is, key, types)):
        raise CursorError(
            "expected the `next_cursor` of the page before, found other text; leave `cursor` out for the first page"
        )
    if digest != _digest(question):
        raise CursorError(
            "expected a cursor of the same list, order and filters, found one of another question; leave `cursor` out "
            "for the first page"
        )
    return tuple(key)


def _unpacked(cursor: str) -> list[Any]:
    """What was packed; an empty list when it is none of ours."""
    if len(cursor) > _LONGEST:
        return []
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _is(value: Any, kind: type) -> bool:
    """Whether SQLite can compare the value as this kind: text that is Unicode, numbers of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return not isinstance(value, int) or abs(value) < 1 << 62


def _digest(question: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()[:12]
