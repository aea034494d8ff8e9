"""What a page is about: chosen on the page, kept in its address, so that it can be sent to others.

Here: the search box for collections, and what boxes begin with. Not here: what is shown.

Concept: a box keeps what was chosen in it. The address only sets a box when it says something that it did not say
before: a page was opened by a link.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from serving.dashboard.data import Published
from serving.dashboard.text import plain

OPENED = "opened token"
"""Of the session: (collection, token) that was selected in a table, to be opened."""

_SEEN = "seen in the address: "


def asked(name: str) -> str | None:
    """What the address of the page says, if anything."""
    found: str | None = st.query_params.get(name)
    return found


def remember(**values: str) -> None:
    """Put it into the address."""
    for name, value in values.items():
        st.session_state[_SEEN + name] = value
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def begin(box: str, name: str, named: str | None, otherwise: str | None) -> None:
    """Set what a box holds before it is drawn, if it is new or the address has changed.

    Args:
        box: Key of the box.
        name: Its name in the address.
        named: What the address says that the box may hold.
        otherwise: What it holds when the address says nothing.
    """
    is_news = named is not None and asked(name) != st.session_state.get(_SEEN + name)
    if is_news or box not in st.session_state:
        st.session_state[box] = otherwise if named is None else named
    if asked(name) is not None:
        st.session_state[_SEEN + name] = asked(name)


def choose_collection(published: Published, where: Any = st) -> str | None:
    """A search box over all collections, the most valuable first; None when nothing was chosen.

    What the address asks for and does not exist is given back, so that the page can say so.
    """
    labels = {one["collection"]: _label(one) for one in published.collections()}
    names, named = list(labels), asked("collection")
    last = st.session_state.get(_SEEN + "collection")
    first = names[0] if names else None
    is_unknown = named is not None and named not in labels
    if is_unknown and named != last:
        st.session_state["collection"] = None
    begin("collection", "collection", None if is_unknown else named, last if last in labels else first)
    if st.session_state["collection"] not in labels:
        st.session_state["collection"] = None
    chosen: str | None = where.selectbox(
        "Collection",
        names,
        index=None,
        format_func=labels.__getitem__,
        placeholder="Search a collection",
        key="collection",
    )
    return named if chosen is None and is_unknown else chosen


def _label(collection: dict[str, Any]) -> str:
    name, shown = collection["collection"], collection["name"]
    return plain(name if not shown or shown == name else f"{shown} · {name}")
