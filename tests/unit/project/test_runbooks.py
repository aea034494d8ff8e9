"""Every alert names a runbook that exists."""

import re
from collections.abc import Callable
from pathlib import Path

NAMED = {
    ".py": re.compile(r"""runbook["']?\s*[=:]\s*["'](?:docs/runbook/)?([a-z0-9-]+)(?:\.md)?["']"""),
    ".yaml": re.compile(r"^\s*runbook: ([a-z0-9-]+)$", re.MULTILINE),
}


def test_every_runbook_that_the_code_names_is_a_page(
    root: Path, committed: Callable[..., list[Path]]
) -> None:
    named = {
        (name, str(file.relative_to(root)))
        for ending, pattern in NAMED.items()
        for file in committed(ending)
        if file.is_relative_to(root / "orchestration")
        for name in pattern.findall(file.read_text(encoding="utf-8"))
    }
    assert {"run-failed", "drift", "source-silent", "alert-delivery-dead"} <= {name for name, _ in named}
    missing = sorted(n for n in named if not (root / "docs" / "runbook" / f"{n[0]}.md").exists())
    assert not missing, f"alerts name a runbook that is not in docs/runbook: {missing}"


def test_every_runbook_has_the_four_sections(root: Path) -> None:
    """Each page has what you see, why it happens, what to do and how you know that it is over."""
    for page in sorted((root / "docs" / "runbook").glob("*.md")):
        if page.name == "README.md":
            continue
        headings = re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert [h for h in headings if h.startswith(("What you see", "What to do", "How you know"))] == [
            "What you see",
            "What to do",
            "How you know that it is over",
        ], f"{page.name}: found {headings}"
