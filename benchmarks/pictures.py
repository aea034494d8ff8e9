"""The pictures of the dashboard in the documentation, of the default market as `assay serve` shows it.

python -m benchmarks.pictures [HOME]        # writes docs/dashboard/*.png; without HOME the market is made first
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from benchmarks.browser import BROWSERS, Browser, installed_browser
from benchmarks.runs import ASSAY, assay_run

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "dashboard"
PICTURES = (
    ("", "light"),
    ("", "phone"),
    ("collection", "dark"),
    ("portfolio", "light"),
    ("accuracy", "light"),
    ("operations", "light"),
    ("dictionary", "dark"),
)
"""Pages, each in a mode; the first page has no path."""

RICHEST = """
select wallet from marts.fct_wallet_positions group by wallet having count(distinct collection) > 4
order by count(*) desc, wallet limit 1
"""


def main(
    home: Annotated[Path | None, typer.Argument(help="A home that was published just now.")] = None,
) -> None:
    """Make the pictures; exit with 2 where no browser is installed."""
    program = installed_browser()
    if program is None:
        typer.echo(
            f"pictures: expected one of {', '.join(BROWSERS)}, found none; install chromium.", err=True
        )
        raise typer.Exit(2)
    with tempfile.TemporaryDirectory(prefix="assay-pictures-") as scratch:
        if home is None:
            home = Path(scratch) / "home"
            assay_run(home)
        with _served(home) as url, Browser(program) as browser:
            for path, mode in PICTURES:
                query = {"address": _wallet(home)} if path == "portfolio" else {}
                shown = browser.open(url, path, mode, **query)
                if not shown.is_well:
                    raise RuntimeError(
                        f"expected a page without errors at {url}/{path}, found {shown.errors}"
                    )
                file = FOLDER / f"{path or 'token'}-{mode}.png"
                shown.keep(file)
                _with_fewer_colours(file)
                shown.page.context.close()
                typer.echo(file)


@contextmanager
def _served(home: Path) -> Iterator[str]:
    """`assay serve`, its dashboard alone; gives the address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [ASSAY, "serve", "--home", str(home), "--no-api", "--dashboard-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(120):
            if process.poll() is not None:
                raise RuntimeError(f"`assay serve` ended with {process.returncode}")
            with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                break
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wallet(home: Path) -> str:
    command = [ASSAY, "sql", RICHEST, "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)[0]["wallet"])


def _with_fewer_colours(file: Path) -> None:
    """A page has few: a third of the bytes."""
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(256).save(file, optimize=True)


if __name__ == "__main__":
    typer.run(main)
