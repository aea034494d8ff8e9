"""Which reasons are asked for most: counted by several processes, killed or not, and published beforehand."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ml.registry.artifacts import ArtifactStore
from serving.store.asked import HALF_LIFE_S, MAX_COUNTED, MAX_FILES, MAX_WRITTEN, AskedTokens, most_asked
from serving.store.publication import PublicationConfig, publish
from serving.store.reasons import ReasonsConfig, chosen_tokens
from tests.names import HOSTILE
from tests.unit.serving.market import LONG_NAME, PUBLISHED, Market

NOW = PUBLISHED


def written(folder: Path, *asked: tuple[str, str], at: float = NOW) -> None:
    """The file of another process."""
    tokens = AskedTokens(folder, lambda: at)
    for one in asked:
        tokens.count(*one)
    tokens.write()
    for path in folder.glob("*.json"):
        if json.loads(path.read_text())["at"] == at:
            os.utime(path, (at, at))


def count_and_wait(folder: Path, ready: multiprocessing.synchronize.Event) -> None:
    tokens = AskedTokens(folder)
    for number in range(1_000_000):
        tokens.count("Apes", str(number % 5))
        tokens.write()
        ready.set()


def test_counts_of_all_processes_are_added_and_the_most_asked_come_first(tmp_path: Path) -> None:
    written(tmp_path, ("Apes", "1"), ("Apes", "1"), ("Cats", "2"))
    written(tmp_path, ("Cats", "2"), ("Cats", "2"), ("Dogs", "3"))
    assert most_asked(tmp_path, 10, NOW) == [("Cats", "2"), ("Apes", "1"), ("Dogs", "3")]
    assert most_asked(tmp_path, 1, NOW) == [("Cats", "2")]
    assert most_asked(tmp_path, 0, NOW) == []
    assert most_asked(tmp_path / "missing", 10, NOW) == []


def test_what_was_asked_long_ago_weighs_less(tmp_path: Path) -> None:
    written(tmp_path, *[("Old", "1")] * 7, at=NOW - 3 * HALF_LIFE_S)
    written(tmp_path, ("New", "1"))
    assert most_asked(tmp_path, 10, NOW) == [("New", "1"), ("Old", "1")]
    at = NOW - 3 * HALF_LIFE_S
    process = AskedTokens(tmp_path, lambda: at)
    for _ in range(7):
        process.count("Old", "2")
    process.write()
    at = NOW
    process.count("New", "1")
    process.write()
    assert most_asked(tmp_path, 2, NOW) == [("New", "1"), ("Old", "1")]


def test_files_are_bounded_in_number_and_size_and_forgotten(tmp_path: Path) -> None:
    tokens = AskedTokens(tmp_path, lambda: NOW)
    tokens.count(LONG_NAME, "1")
    tokens.write()
    assert not list(tmp_path.iterdir()), "a name that is too long is not counted, and nothing is written"
    for number in range(2 * MAX_COUNTED):
        tokens.count("Apes", str(number))
    for _ in range(3):
        tokens.count("Cats", "best")
    tokens.write()
    (path,) = tmp_path.iterdir()
    assert len(json.loads(path.read_text())["tokens"]) == MAX_WRITTEN
    assert most_asked(tmp_path, 1, NOW) == [("Cats", "best")]
    for _ in range(MAX_FILES + 5):
        written(tmp_path, ("Apes", "1"))
    written(tmp_path, ("Gone", "1"), at=NOW - 90 * 86_400)
    assert ("Gone", "1") not in most_asked(tmp_path, 5_000, NOW)
    assert len(list(tmp_path.iterdir())) <= MAX_FILES


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}"),
        *('{"at": 1, "tokens": 1}', '{"at": 1, "tokens": [1]}'),
        *('{"at": 1, "tokens": [["a", "b", -1]]}', '{"at": 1, "tokens": [["a", "b", NaN]]}'),
    ],
)
def test_a_damaged_file_does_not_cost_the_others(tmp_path: Path, text: str) -> None:
    written(tmp_path, ("Apes", "1"))
    (tmp_path / "damaged.json").write_text(text)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    assert most_asked(tmp_path, 10, NOW) == [("Apes", "1")]


def test_a_killed_process_leaves_a_whole_file(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = [context.Event() for _ in range(2)]
    processes = [context.Process(target=count_and_wait, args=(tmp_path, event)) for event in ready]
    for process in processes:
        process.start()
    for event in ready:
        assert event.wait(60)
    for process in processes:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    files = list(tmp_path.glob("*.json"))
    assert len(files) == 2
    assert all(json.loads(path.read_text())["tokens"] for path in files)
    assert {one[0] for one in most_asked(tmp_path, 10, NOW)} == {"Apes"}


def test_a_folder_that_cannot_be_written_loses_no_count(tmp_path: Path) -> None:
    (tmp_path / "asked").write_text("a file in the place of the folder")
    tokens = AskedTokens(tmp_path / "asked", lambda: NOW)
    tokens.count("Apes", "1")
    with pytest.raises(OSError, match="asked"):
        tokens.write()
    (tmp_path / "asked").unlink()
    tokens.write()
    assert most_asked(tmp_path / "asked", 10, NOW) == [("Apes", "1")]


def test_only_existing_tokens_with_a_value_are_chosen_whatever_they_are_called(market: Market) -> None:
    asked = [(name, "1") for name in HOSTILE] + [
        ("Apes", "11"),
        ("Apes", "no"),
        ("nobody", "1"),
        ("Apes", "3"),
    ]
    with market.lake.read() as con:
        chosen = chosen_tokens(con, ReasonsConfig(), asked)
        assert chosen == {**{name: ["1"] for name in HOSTILE}, "Apes": ["3"]}
        assert chosen_tokens(con, ReasonsConfig(), asked[::-1]) == chosen
        both = chosen_tokens(con, ReasonsConfig(collections=1, tokens=2), asked)
    assert sum(map(len, both.values())) >= len(HOSTILE) + 2


def test_a_publication_explains_what_was_asked_and_not_what_was_not(market: Market, tmp_path: Path) -> None:
    written(tmp_path / "asked", ("Apes", "3"))
    with market.lake.read() as con:
        config = PublicationConfig(reasons=ReasonsConfig(asked=5))
        report = publish(con, tmp_path, market.as_of, ArtifactStore.in_folder(market.home), config, now=NOW)
    # This market has estimates and no features: that its reasons cannot be computed shows that they were asked for.
    assert set(report.unexplained) == {"Apes"}


def test_reasons_that_cannot_be_computed_make_no_version_again_and_again(
    market: Market, tmp_path: Path, database: str
) -> None:
    written(tmp_path / "asked", ("Apes", "3"))
    config = PublicationConfig(reasons=ReasonsConfig(asked=5), asked=tmp_path / "asked")
    for location in (tmp_path / "store", database):
        with market.lake.read() as con:
            first, again = (
                publish(con, location, market.as_of, ArtifactStore.in_folder(market.home), config, now=NOW)
                for _ in range(2)
            )
        assert (first.is_new, again.is_new) == (True, False)
        assert set(again.unexplained) == set(first.unexplained) == {"Apes"}
