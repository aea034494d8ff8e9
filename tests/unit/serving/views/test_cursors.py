"""A cursor gives back the key it was made of, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.views.cursors import cursor_of, key_of
from serving.views.errors import CursorError

text = st.text(st.characters(codec="utf-8"), max_size=50)


@given(st.floats(allow_nan=False, allow_infinity=False), text)
def test_a_key_comes_back(value: float, name: str) -> None:
    cursor = cursor_of(("list", "value"), (value, name))
    assert key_of(("list", "value"), cursor, float, str) == (value, name)
    assert cursor.isascii()
    assert not set(cursor) & set("/+=&?#%")
    with pytest.raises(CursorError):
        key_of(("list", "name"), cursor, float, str)
    with pytest.raises(CursorError):
        key_of(("list", "value"), cursor, int, str)


@given(st.text(max_size=80))
def test_other_text_is_refused(cursor: str) -> None:
    with pytest.raises(CursorError):
        key_of(("list",), cursor, float, str)


def test_no_cursor_is_the_first_page() -> None:
    assert key_of(("list",), None, str) is None
