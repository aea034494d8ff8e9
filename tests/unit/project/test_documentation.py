"""What the documentation tells a newcomer to type or to open exists."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
MAKE_COMMAND = re.compile(r"(?:^|`|&& |\$ )make ([a-z][a-z-]*)", re.MULTILINE)
MAKE_TARGET = re.compile(r"^([a-z][a-z-]*):.*## ", re.MULTILINE)
ADR_HEADINGS = ["Context", "Decision", "Consequences", "Measured"]


def _slug(heading: str) -> str:
    """The anchor that the usual Markdown renderers give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    return {_slug(h) for h in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.fixture(scope="module")
def pages(committed: Callable[..., list[Path]]) -> list[Path]:
    return committed(".md")


def test_every_link_between_pages_resolves(root: Path, pages: list[Path]) -> None:
    broken = []
    for page in pages:
        for groups in LINK.findall(page.read_text(encoding="utf-8")):
            link = "".join(groups)
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and target.suffix == ".md" and anchor not in _anchors(target)):
                broken.append(f"{page.relative_to(root)}: {link}")
    assert not broken, broken


def test_every_make_command_in_the_documentation_is_a_target(root: Path, pages: list[Path]) -> None:
    targets = set(MAKE_TARGET.findall((root / "Makefile").read_text(encoding="utf-8")))
    told = {
        (str(page.relative_to(root)), command)
        for page in pages
        for command in MAKE_COMMAND.findall(page.read_text(encoding="utf-8"))
    }
    assert {"run", "ui", "test", "lint", "bench", "clean", "lock", "setup", "help"} <= targets
    assert {command for page, command in told if page == "README.md"} >= {"run", "ui"}
    unknown = sorted((page, command) for page, command in told if command not in targets)
    assert not unknown, f"not in the Makefile: {unknown}"


def test_every_page_of_the_documentation_can_be_reached_from_the_readme(
    root: Path, pages: list[Path]
) -> None:
    seen: set[Path] = set()
    waiting = [root / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or not page.exists():
            continue
        seen.add(page)
        if page.suffix == ".md":
            links = ("".join(groups) for groups in LINK.findall(page.read_text(encoding="utf-8")))
            waiting += [
                (page.parent / link.partition("#")[0]).resolve()
                for link in links
                if not re.match(r"[a-z]+:|#", link)
            ]
    unreachable = [
        str(p.relative_to(root)) for p in pages if p.is_relative_to(root / "docs") and p not in seen
    ]
    assert not unreachable, f"no path of links leads to {unreachable}"


def test_every_decision_record_has_its_four_parts(root: Path) -> None:
    records = sorted((root / "docs" / "adr").glob("[0-9]*.md"))
    numbers = [int(record.name[:4]) for record in records]
    assert numbers == list(range(1, len(records) + 1)), (
        "numbered without gaps, so that a number names one decision"
    )
    for record in records:
        found = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert found == ADR_HEADINGS, f"{record.name}: expected the headings {ADR_HEADINGS}, found {found}"
