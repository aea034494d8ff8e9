"""Which collection and token a page is about: chosen on the page, kept in its address.

Here: the search box for collections, and addresses of pages. Not here: what is shown.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from serving.dashboard.data import Published
from serving.dashboard.text import plain

OPENED = "opened token"
"""Of the session: (collection, token) that was selected in a table, to be opened."""


def asked(name: str) -> str | None:
    """What the address of the page says, if anything."""
    found: str | None = st.query_params.get(name)
    return found


def remember(**values: str) -> None:
    """Put it into the address, so that it can be sent to others."""
    for name, value in values.items():
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def choose_collection(published: Published, where: Any = st) -> str | None:
    """A search box over all collections, the most valuable first; None when nothing was found or chosen."""
    known = published.collections()
    labels = {one["collection"]: _label(one) for one in known}
    names = list(labels)
    wanted = asked("collection")
    place: int | None = 0
    if wanted is not None:
        place = names.index(wanted) if wanted in labels else None
    chosen: str | None = where.selectbox(
        "Collection",
        names,
        index=place,
        format_func=labels.__getitem__,
        placeholder="Search a collection",
        key=f"collection of {wanted}",
    )
    return chosen if chosen is not None else wanted


def _label(collection: dict[str, Any]) -> str:
    name, shown = collection["collection"], collection["name"]
    return plain(name if not shown or shown == name else f"{shown} · {name}")
