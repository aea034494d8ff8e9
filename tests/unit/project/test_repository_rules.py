"""Rules that no linter checks: which files may read the hidden truth, how long a file is, its name."""

import re
from collections.abc import Callable
from pathlib import Path

LONGEST_FILE = 350  # lines; docs/contributing.md asks for about 300; a longer file usually has two subjects
TRUTH = re.compile(r"""\btruth\.["\w]|["']truth["']|(?:schema|name):\s*["']?truth\b""")
DECLARATION = Path("ml/tables/raw.py")  # declares the tables of `truth`, and reads none
CLOCK_FORMAT = re.compile(r"%H:%M(:%S)?+(\.%f)?+[})']*+(?!Z| UTC| %Z)")
CLOCKS_WITHOUT_READERS = {
    "sources/instants.py": "times of sources are read with these",
    "ml/tuning/scope.py": "the name of a study, which stays as it is",
    "ml/text/times.py": "adds the zone",
}
NONDESCRIPTIVE_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def _inside(root: Path, files: list[Path], *packages: str) -> list[Path]:
    return [file for file in files if file.relative_to(root).parts[0] in packages]


def test_no_model_mart_or_feature_reads_the_hidden_truth(
    root: Path, committed: Callable[..., list[Path]]
) -> None:
    """True values score estimates in the report; one that reached a feature would fake every number."""
    readers = [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in _inside(root, committed(".py", ".sql", ".yml", ".yaml"), "ml", "dbt_project")
        if file.relative_to(root) != DECLARATION
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if TRUTH.search(line)
    ]
    assert not readers, "schema `truth` is for the report only:\n" + "\n".join(readers)


def test_no_file_is_longer_than_the_limit(root: Path, committed: Callable[..., list[Path]]) -> None:
    too_long = {
        str(file.relative_to(root)): lines
        for file in committed(".py", ".sql")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    }
    assert not too_long, (
        f"more than {LONGEST_FILE} lines, so it has probably two subjects; split it: {too_long}"
    )


def test_no_module_has_a_name_without_content(root: Path, committed: Callable[..., list[Path]]) -> None:
    nondescriptive = [
        str(file.relative_to(root))
        for file in committed(".py", ".sql")
        if NONDESCRIPTIVE_NAMES & {part.removesuffix(file.suffix) for part in file.relative_to(root).parts}
    ]
    assert not nondescriptive, f"expected a name that describes the content: {nondescriptive}"


def test_no_time_is_written_without_its_zone(root: Path, committed: Callable[..., list[Path]]) -> None:
    """Times of the lake have no zone and are UTC; a reader elsewhere takes them for local ones."""
    without = [
        f"{name}:{number}: {line.strip()}"
        for file in _inside(root, committed(".py"), "lake", "ml", "orchestration", "serving", "sources")
        if (name := file.relative_to(root).as_posix()) not in CLOCKS_WITHOUT_READERS
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if CLOCK_FORMAT.search(line)
    ]
    assert not without, "use ml.text.times, or write Z or UTC after it:\n" + "\n".join(without)
