"""Opening a page of the dashboard in a real browser, and reading what it shows."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import urlencode

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Dialog, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

MODES = {"light": (1280, 900), "dark": (1280, 900), "phone": (390, 844)}
TIMEOUT_MS = 90_000


@dataclass
class Shown:
    """A page as the browser shows it.

    Attributes:
        page: Playwright's page.
        seconds: From asking for it until its main figure was there.
        asked: Hosts that the browser sent a request to.
        errors: What scripts of the page have reported.
    """

    page: Page
    seconds: float
    asked: set[str]
    errors: list[str]

    def dismiss(self, dialog: Dialog) -> None:
        """Keep what a dialog of the page says, and close it."""
        self.errors.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def figure(self) -> str:
        """Its main figure, as text."""
        return self.page.locator("[data-figure]").first.inner_text()

    def text(self) -> str:
        """All of its text."""
        return self.page.locator("[data-testid=stMain]").inner_text()

    @property
    def is_well(self) -> bool:
        """Whether it shows no error box, and no script has failed."""
        boxes = "[data-testid=stException], [data-testid=stAlertContentError]"
        return self.page.locator(boxes).count() == 0 and not self.errors

    def overflows(self) -> bool:
        """Whether it is wider than the window."""
        found: bool = self.page.evaluate(
            "() => document.querySelector('[data-testid=stMain]').scrollWidth > window.innerWidth"
        )
        return found

    def keep(self, file: Path, height: int = 1_650) -> None:
        """Write a picture of the page from its top, at most so many pixels high."""
        size = self.page.viewport_size or {"width": 1280, "height": 900}
        whole = self.page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": min(whole + 10, height)})
        # Charts are drawn again at the new height.
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=str(file))


def installed_browser() -> str | None:
    """The program; None where there is none of `BROWSERS`."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Browser:
    """The installed browser; a context manager that ends it."""

    def __init__(self, program: str) -> None:
        self._program = program

    def __enter__(self) -> Browser:
        self._playwright = sync_playwright().start()
        # In a container there is no sandbox; the pages are our own.
        self._browser: Chromium = self._playwright.chromium.launch(
            executable_path=self._program, args=["--no-sandbox"]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.close()
        self._playwright.stop()

    def open(
        self, url: str, path: str, mode: str = "light", wait: str = "[data-figure]", **query: str
    ) -> Shown:
        """A page in a new window.

        Args:
            url: Address of the dashboard.
            path: Of the page.
            mode: A key of `MODES`.
            wait: What must be there for the page to be ready.
            query: Of the page's address.
        """
        width, height = MODES[mode]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if mode == "dark" else "light",
        )
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        shown = Shown(page, 0.0, set(), [])
        page.on("request", lambda request: shown.asked.add(request.url.split("/")[2]))
        page.on("pageerror", lambda error: shown.errors.append(str(error)))
        page.on("dialog", shown.dismiss)
        began = time.perf_counter()
        page.goto(f"{url}/{path}" + (f"?{urlencode(query)}" if query else ""))
        page.wait_for_selector(wait)
        shown.seconds = time.perf_counter() - began
        self.settle(shown)
        print(f"dashboard: {path or 'token'} {mode}: main figure after {shown.seconds:.2f} s")
        return shown

    def settle(self, shown: Shown) -> None:
        """Wait until the script of the page has ended."""
        shown.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
