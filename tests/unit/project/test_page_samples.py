"""The outputs that the pages show: each is made again by `make docs-numbers`, or marked as an example."""

import re

import pytest

from benchmarks.page_samples import FIRST_DAY, Asked, SampleError, asked_by, pages, renewed
from orchestration.cli.catalogue import CATALOGUE

ABOVE_TEXT = re.compile(r"^(.*)\n```text$", re.MULTILINE)
PAGE = """before

<!-- output: assay run -->
```text
old
```
<!-- /output -->
<!-- output day=366 lines=2: assay why sim-00001 -->
```text
old
old
```
<!-- /output -->

after
"""


def test_every_output_of_the_pages_is_made_again_or_is_an_example():
    asked = {asked for page in pages() for asked, _ in asked_by(page.read_text(encoding="utf-8"))}
    assert Asked(FIRST_DAY, "run") in asked
    assert {each.words.split()[0] for each in asked} <= {entry.name for entry in CATALOGUE}
    assert all(each.day >= FIRST_DAY for each in asked), "a market does not go back"
    for page in pages():
        text = page.read_text(encoding="utf-8")
        above = ABOVE_TEXT.findall(text)
        unmarked = [
            line for line in above if not (line.startswith("<!-- output") or line == "<!-- example -->")
        ]
        assert unmarked == [], f"{page.name}: mark the text as an output or as an example"
        assert len(above) == text.count("```text")


def test_an_output_is_replaced_and_nothing_else():
    outputs = {Asked(365, "run"): "new\n```\n\\1 [x]\n", Asked(366, "why sim-00001"): "one\ntwo\nthree\n"}
    new = renewed(PAGE, {**outputs, Asked(365, "run"): "new\n\\1 [x]\n"})
    assert new == PAGE.replace("```text\nold\n```", "```text\nnew\n\\1 [x]\n```").replace(
        "old\nold\n", "one\ntwo\n…\n"
    )
    assert [shown for _, shown in asked_by(new)] == ["new\n\\1 [x]\n", "one\ntwo\n…\n"]
    assert renewed(new, {Asked(365, "run"): "old\n", Asked(366, "why sim-00001"): "old\nold\n"}) == PAGE


@pytest.mark.parametrize(
    "broken",
    [
        PAGE.replace("<!-- /output -->\n", "", 1),
        PAGE.replace("day=366", "day=one"),
        PAGE.replace("assay run", "run"),
        PAGE.replace("```text", "```json"),
    ],
)
def test_a_comment_of_another_form_is_an_error(broken):
    with pytest.raises(SampleError, match="expected"):
        asked_by(broken)
