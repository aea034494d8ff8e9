"""Every page of the dashboard in a real browser: its main figure is the store's, and no name from outside acts."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.browser import MODES, Browser
from serving.store.protocol import Edition
from serving.store.sqlite.store import SqliteStore
from serving.views.portfolio import wallet_answer
from tests.integration.dashboard.market import ALERT, RICH, Home
from tests.names import HOSTILE
from tests.unit.serving.market import NAMES, PUBLISHED, WHALE

pytestmark = pytest.mark.slow
ACTING = "[data-testid=stMain] a[href*=evil], [data-testid=stMain] script, .katex"
"""What a name may become if it is read as Markdown, HTML or mathematics."""


@pytest.fixture(scope="module")
def edition(home: Home) -> Edition:
    """What the pages are compared with."""
    return SqliteStore(home.store).current()


def token_of(edition: Edition, collection: str, token: str) -> dict:
    (found,) = edition.resolve(collection, "name")
    return json.loads(edition.token(found.id, token) or b"{}")


# Colours differ in the dark, and nothing else.
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "dark"])
def test_each_page_shows_the_figure_of_the_store(
    browser: Browser, url: str, home: Home, edition: Edition, mode: str
) -> None:
    (apes,) = edition.resolve(RICH, "name")
    token = token_of(edition, RICH, "3")
    whale = json.loads(wallet_answer(edition, WHALE, PUBLISHED))
    collection = json.loads(edition.collection(apes.id) or b"{}")
    tables = json.loads(edition.document("dictionary") or b"{}")["tables"]
    expected = {
        "token": (f"{token['estimate_eth']:.3f} ETH", {"collection": RICH, "token": "3"}),
        "collection": (f"{collection['value_eth']:.2f}", {"collection": RICH}),
        "portfolio": (f"{whale['value_eth']:.2f} ETH", {"address": WHALE}),
        "accuracy": ("8.2 %", {}),
        "operations": ("1 of 2", {}),
        "dictionary": (str(len(tables)), {}),
    }
    for page, (figure, query) in expected.items():
        shown = browser.open(url, "" if page == "token" else page, mode, **query)
        assert shown.figure().split() == figure.split(), page
        assert shown.is_well, (page, shown.errors, shown.text()[:2_000])
        assert not shown.overflows(), page
        assert shown.asked == {url.removeprefix("http://")}, page
        shown.page.context.close()


def test_names_from_outside_are_shown_and_do_nothing(browser: Browser, url: str) -> None:
    for name in HOSTILE[::5]:
        shown = browser.open(url, "", collection=name, token="1")
        assert shown.is_well, (name, shown.errors)
        heading = shown.page.locator("h1").inner_text()
        first = name.split("\n")[0].split("\x1b")[0].split("\u202e")[0].strip()
        assert first[:40] in heading, name
        assert (
            shown.page.locator(
                "[data-testid=stMain] a[href*=evil], .katex, [data-testid=stMain] script"
            ).count()
            == 0
        )
        shown.page.context.close()


def test_words_of_alerts_and_traits_are_text(browser: Browser, url: str) -> None:
    shown = browser.open(url, "operations")
    assert ALERT in shown.text()
    assert "<script>alert(1)</script>" in shown.text()
    assert shown.is_well
    assert shown.page.locator(ACTING).count() == 0
    shown = browser.open(url, "collection", collection=RICH)
    assert shown.is_well
    assert shown.page.locator("img[src=x]").count() == 0


def test_the_accuracy_page_shows_the_sums_of_wallets(browser: Browser, url: str) -> None:
    shown = browser.open(url, "accuracy")
    assert "Sums of wallets" in shown.text()
    assert shown.is_well, shown.errors
    shown.page.context.close()


def test_a_page_about_what_does_not_exist_explains_what_to_do(browser: Browser, url: str) -> None:
    note = ".a-note"
    unknown = browser.open(url, "", wait=note, collection=RICH, token="<b>no</b>")
    assert "expected a token of the collection" in unknown.text()
    assert "<b>no</b>" in unknown.text()
    empty = browser.open(url, "portfolio", wait=note)
    assert "Paste an address" in empty.text()
    stranger = browser.open(url, "portfolio", wait=note, address="0xNobody")
    assert "Nothing is held there" in stranger.text()
    worthless = browser.open(url, "", wait=note, collection=RICH, token="11")
    assert "This token has no value" in worthless.text()
    assert "fewer than 3 sales" in worthless.text()
    lost = browser.open(url, "collection", wait=note, collection="no such collection")
    assert "expected the name" in lost.text()
    for shown in (unknown, empty, stranger, worthless, lost):
        assert shown.is_well, shown.errors
        shown.page.context.close()


def test_a_collection_is_found_and_a_token_opened_by_its_id(
    browser: Browser, url: str, edition: Edition
) -> None:
    shown = browser.open(url, "")
    box = shown.page.get_by_role("combobox").first
    box.click()
    box.fill("quo")
    shown.page.get_by_role("option").filter(has_text="quo").first.click()
    shown.page.wait_for_function("() => document.querySelector('h1')?.innerText.includes('quo\"te')")
    field = shown.page.get_by_role("textbox", name="Token id")
    field.fill("2")
    field.press("Enter")
    shown.page.wait_for_function("() => document.querySelector('h1')?.innerText.endsWith('· 2')")
    browser.settle(shown)
    expected = token_of(edition, "quo\"te's", "2")["estimate_eth"]
    assert shown.figure().split() == [f"{expected:.3f}", "ETH"]
    assert "token=2" in shown.page.url


def test_the_dictionary_is_searched_by_words(browser: Browser, url: str) -> None:
    shown = browser.open(url, "dictionary", table="predictions.token_estimates")
    field = shown.page.get_by_role("textbox", name="Search tables and columns")
    field.fill("lower interval ETH")
    field.press("Enter")
    shown.page.get_by_text("with: lower interval ETH").wait_for()
    assert shown.is_well
    field.fill("<i>nothing</i>")
    field.press("Enter")
    shown.page.get_by_text("No column has all of these words").wait_for()


def test_without_a_store_the_page_explains_how_to_publish_and_then_shows_it(
    browser: Browser, home: Home, tmp_path: Path, serve: Callable
) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    with serve(folder) as url:
        shown = browser.open(url, "", wait=".a-note")
        assert "There is nothing to show yet" in shown.text()
        assert "assay run" in shown.text()
        for file in home.store.iterdir():
            if file.name != "current.json":
                shutil.copy(file, folder)
        shutil.copy(home.store / "current.json", folder)
        time.sleep(1.1)  # the store looks again after a second
        found = browser.open(url, "", collection=RICH, token="3")
        assert "old; at most 26 h is promised" in found.text()
        assert found.is_well


def test_a_store_that_is_too_old_is_refused(browser: Browser, home: Home, serve: Callable) -> None:
    with serve(home.store, refuse_after_s=60.0) as url:
        shown = browser.open(url, "accuracy", wait=".a-note")
        assert "expected data at most" in shown.text()
        assert shown.page.locator("[data-figure]").count() == 0


def test_all_names_of_the_market_can_be_chosen(edition: Edition) -> None:
    assert {name for _, name, _ in edition.collections("name", False, None, 100)} == set(NAMES)
