"""The dashboard: `streamlit run` starts here, for each session and each change of a page.

Here: the list of pages, the banner about old data, and what is shown when there is nothing to show. Not here: pages.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from serving.dashboard.choosing import OPENED
from serving.dashboard.content import accuracy, collection, data_dictionary, operations, portfolio, token
from serving.dashboard.data import Published
from serving.dashboard.layout import STYLE, notice
from serving.dashboard.text import age
from serving.store.errors import StoreError
from serving.views.errors import NotPublishedError, ViewError

# Ours: the icons that Streamlit knows by name are loaded from elsewhere.
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="#14a394"/>'
    '<path d="M7 21 13 13 18 18 25 9" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)


def main() -> None:
    """One page."""
    st.set_page_config(page_title="Assay", page_icon=ICON, layout="centered")
    st.html(STYLE)
    pages = [
        _page(token.show, "Token", "token", default=True),
        _page(collection.show, "Collection", "collection"),
        _page(portfolio.show, "Portfolio", "portfolio"),
        _page(accuracy.show, "Accuracy", "accuracy"),
        _page(operations.show, "Operations", "operations"),
        _page(data_dictionary.show, "Data dictionary", "dictionary"),
    ]
    page = st.navigation(pages, position="top")
    opened = st.session_state.pop(OPENED, None)
    if opened is not None:
        st.switch_page(pages[0], query_params={"collection": opened[0], "token": opened[1]})
    page.run()


def _page(show: Callable[[Published], None], title: str, path: str, *, default: bool = False) -> st.Page:
    def run() -> None:
        try:
            published = Published.current()
        except StoreError as error:
            notice("warn", "There is nothing to show yet", str(error))
            return
        _say_how_old(published)
        try:
            show(published)
        except NotPublishedError as error:
            notice("warn", "This page has not been published yet", str(error))
        except (ViewError, StoreError) as error:
            notice("warn", "This cannot be shown", str(error))

    run.__name__ = path
    return st.Page(run, title=title, url_path=path, default=default)


def _say_how_old(published: Published) -> None:
    refusal = published.store.refusal()
    if refusal is not None:
        notice("bad", "A newer version is there and cannot be shown", refusal)
    if published.is_stale:
        promised = age(published.edition.pointer.stale_after_s)
        notice(
            "warn",
            f"These data are {age(published.age_s)} old; at most {promised} is promised",
            "Prices may have moved since. `assay run` renews them; `assay status` says what has stopped.",
        )


main()
