"""`make docs-numbers`: the sample outputs of the pages, made again by the commands that they show.

Here: which outputs a page asks for, the runs that make them, and putting them in. Not here: the reference pages, which
are made from the code. A page asks for an output with a comment that its readers do not see:

    <!-- output: assay run -->                           of the default market after its 365 days
    <!-- output day=366 lines=9: assay why sim-00001 --> of the day after that; the first nine lines, then an ellipsis
    <!-- /output -->                                     after the block of text that is replaced

A block of text without them is an example: `<!-- example -->` stands above it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runs import ASSAY

ROOT = Path(__file__).resolve().parent.parent
FIRST_DAY = 365
OPENING = re.compile(r"^<!-- output\b.*$", re.MULTILINE)
SAMPLE = re.compile(
    r"^<!-- output(?: day=(?P<day>\d+))?(?: lines=(?P<lines>\d+))?: assay (?P<words>.+?) -->\n"
    r"```text\n(?P<shown>(?:(?!```).*\n)+)```\n<!-- /output -->$",
    re.MULTILINE,
)


@dataclass(frozen=True, order=True)
class Asked:
    """An output that a page asks for.

    Attributes:
        day: Days of the market when the command is run.
        words: What follows `assay`.
    """

    day: int
    words: str


class SampleError(ValueError):
    """A page asks for an output in a form that is not known."""


def pages() -> list[Path]:
    """The pages whose outputs a reader compares with their own."""
    return [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]


def asked_by(text: str) -> list[tuple[Asked, str]]:
    """Every output that a page asks for, with the one that it shows now.

    Raises:
        SampleError: A comment is not of the form above, or what it begins does not end.
    """
    found = list(SAMPLE.finditer(text))
    begun = {match.start() for match in found}
    if bad := [match[0] for match in OPENING.finditer(text) if match.start() not in begun]:
        raise SampleError(
            "expected `<!-- output day=N lines=N: assay … -->`, a block of text and `<!-- /output -->`, "
            f"found {bad[0]!r}"
        )
    return [(_asked(match), match["shown"]) for match in found]


def renewed(text: str, outputs: Mapping[Asked, str]) -> str:
    """A page with the outputs that it asks for."""

    def put(match: re.Match[str]) -> str:
        shown = match["shown"]
        head, _, tail = match[0].partition(f"```text\n{shown}")
        return f"{head}```text\n{_first(outputs[_asked(match)], match['lines'])}{tail}"

    return SAMPLE.sub(put, text)


def made(asked: Iterable[Asked]) -> dict[Asked, str]:
    """Run the commands on the default market, each when its day has come.

    Raises:
        RuntimeError: A command failed.
    """
    outputs: dict[Asked, str] = {}
    by_day: dict[int, list[Asked]] = {FIRST_DAY: []}
    for each in sorted(set(asked)):
        by_day.setdefault(each.day, []).append(each)
    with tempfile.TemporaryDirectory(prefix="assay-pages-") as folder:
        for day in sorted(by_day):
            report = _output(Path(folder), ["run", "--days", str(day)])
            for each in by_day[day]:
                words = shlex.split(each.words)
                outputs[each] = report if words == ["run"] else _output(Path(folder), words)
    return outputs


def _output(folder: Path, words: list[str]) -> str:
    """What a command prints in a folder of its own, with no setting of this machine's."""
    print("assay", *words, flush=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
    done = subprocess.run(
        [ASSAY, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    # 1: something was found, as by `status`.
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise RuntimeError(f"assay {shlex.join(words)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    # The reader's home is `.assay`; a line may have been broken before the longer name that it has here.
    shown = re.sub(rf"[ \n]+{re.escape(str(folder.resolve()))}/", " ", done.stdout)
    return "".join(f"{line.rstrip()}\n" for line in shown.strip("\n").splitlines())


def _asked(match: re.Match[str]) -> Asked:
    return Asked(int(match["day"] or FIRST_DAY), match["words"])


def _first(output: str, lines: str | None) -> str:
    kept = output.splitlines(keepends=True)
    if lines is None or len(kept) <= int(lines):
        return output
    return "".join((*kept[: int(lines)], "…\n"))


def main() -> None:
    """Write the pages anew; every page is read, and every command run, before one is written."""
    texts = {page: page.read_text(encoding="utf-8") for page in pages()}
    outputs = made([asked for text in texts.values() for asked, _ in asked_by(text)])
    for page, text in texts.items():
        if (new := renewed(text, outputs)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
