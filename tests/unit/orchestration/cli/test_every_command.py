"""Every command, as its users meet it: plain, as JSON, 80 columns, a wrong argument, a home that is not there.

Here: what holds for all of them: exit code, standard output apart from standard error, no traceback, and what is not
imported on the way. Not here: what a command says (its own test). A new command needs an entry in `tests.walks`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from orchestration.cli.catalogue import CATALOGUE, every_command
from tests.command import Done, assay
from tests.homes import finished_market
from tests.walks import ARGUMENTS_OF_MISSING, JSON, READS, WALKS

WIDTH = 80
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?")
WITHOUT_ZONE = re.compile(TIME.pattern + r"(?![\d:.]|Z| UTC)")
UNFOLDED = "400"
"""A width at which no time is folded."""
pytestmark = pytest.mark.slow
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HEAVY = (
    "dagster",
    "dagster_dbt",
    "catboost",
    "mlflow",
    "numba",
    "matplotlib",
    "sklearn",
    "streamlit",
    "fastapi",
    "pandas",
)
"""Each takes half a second or more to import; Dagster and dbt six."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return finished_market(tmp_path_factory)[0]


@pytest.fixture(scope="module")
def filled(home, tmp_path_factory) -> Callable[[tuple[str, ...]], list[str]]:
    """Arguments with names that are in the home."""
    with Lake(LakeConfig(home=home)).read() as con:
        [(owner, collection, token)] = con.execute(
            "select buyer, collection, token_id from marts.fct_sales where is_arms_length "
            "order by event_time desc, 1 limit 1"
        ).fetchall()
    names = {
        "owner": owner,
        "collection": collection,
        "token": token,
        "nowhere": str(tmp_path_factory.mktemp("w") / "none"),
    }
    return lambda words: [word.format(**names) for word in words]


def _done(words: str, *arguments: str, home: Path, **variables: str) -> Done:
    given = ("--home", str(home)) if "--home" in _options(words) else ()
    return assay(*words.split(), *given, *arguments, **{"COLUMNS": str(WIDTH), **variables})


def _options(words: str) -> set[str]:
    return {option for parameter in every_command()[words].params for option in parameter.opts}


def test_every_command_is_walked():
    assert set(WALKS) == set(every_command())


def test_every_command_has_help_with_examples_and_one_line_in_the_overview():
    for entry in CATALOGUE:
        done = assay(entry.name, "--help", COLUMNS=str(WIDTH))
        assert done.returncode == 0
        assert f"Examples: assay {entry.name}" in re.sub(r"\s+", " ", done.stdout)
        assert max(map(len, done.stdout.splitlines())) <= WIDTH
        assert len(entry.about) <= WIDTH - 14, f"{entry.name}: its line in the overview would be two"
        assert entry.about.endswith(".")


@pytest.mark.parametrize("words", WALKS)
def test_a_wrong_argument_is_refused_on_standard_error(words, home, filled):
    done = _done(words, *filled(WALKS[words].wrong), home=home)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["value", "explain"])
def test_dollars_and_the_time_of_their_rate_stand_beside_ether(words, home, filled):
    done = _done(words, *filled(WALKS[words].plain or ()), home=home, COLUMNS=UNFOLDED)
    assert re.search(r"USD per ETH, 20\d\d-\d\d-\d\d \d\d:\d\d UTC", done.stdout), done.stdout
    assert WITHOUT_ZONE.search(done.stdout) is None


ANOTHER_MARKET = {
    "collections": ("--collections", "5"),
    "days": ("--days", "30"),
    "seed": ("--seed", "8"),
    "faults": ("--faults", "crash@30"),
    "source": ("--source", "files", "--data-dir", "."),
    "data_dir": ("--data-dir", "."),
}
OTHER_OPTIONS = [
    (words, option)
    for words in (
        "run",
        "backtest",
        "ui",
        "status",
        "portfolio",
        "gains",
        "tune",
        "retrain",
        "rollback",
        "replay",
    )
    for option in ANOTHER_MARKET
    if words == "run" or option in ("source", "data_dir")
]


@pytest.mark.parametrize(("words", "option"), OTHER_OPTIONS)
def test_an_option_that_contradicts_the_home_is_refused(words, option, home, filled):
    market = (home / "market.json").read_text()
    given = filled(ARGUMENTS_OF_MISSING.get(words, ()))
    if words == "backtest":
        given = ["--from", "2025-02-01", "--to", "2025-03-01", "--out", "l.parquet"]
    done = _done(words, *given, *ANOTHER_MARKET[option], home=home)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert (home / "market.json").read_text() == market, "what is refused changes nothing"


def test_a_home_keeps_no_setting_that_is_not_tried(home):
    assert set(json.loads((home / "market.json").read_text())) == {*ANOTHER_MARKET} - {"data_dir"}


@pytest.mark.parametrize("words", [name for name, walk in WALKS.items() if walk.needs_home])
def test_a_home_that_is_not_there_is_refused_and_not_made(words, tmp_path):
    missing = tmp_path / "missing"
    arguments = ARGUMENTS_OF_MISSING.get(words, ())
    done = _done(words, *arguments, home=missing)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Assay home" in done.stderr
    assert not missing.exists()


@pytest.mark.parametrize("words", READS)
def test_what_is_read_is_printed_in_80_columns_on_standard_output(words, home, filled):
    walk = WALKS[words]
    done = _done(words, *filled(walk.plain or ()), home=home)
    assert done.returncode in walk.codes, done.stderr
    assert done.stdout
    assert done.stderr == ""
    wide = [line for line in done.stdout.splitlines() if len(line) > WIDTH and " " in line.strip()]
    assert not wide or walk.wide, wide


@pytest.mark.parametrize("words", JSON)
def test_json_is_all_that_is_written_and_its_times_are_of_one_form(words, home, filled):
    walk = WALKS[words]
    done = _done(words, *filled(walk.plain or ()), "--json", home=home)
    assert done.returncode in walk.codes, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    times = [text for text in _texts(document) if TIME.match(text)]
    assert [text for text in times if not ISO_8601.fullmatch(text)] == []


def _texts(document: object) -> list[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in _texts(value)]
    if isinstance(document, list):
        return [text for value in document for text in _texts(value)]
    return [document] if isinstance(document, str) else []


HELP_PROGRAM = """
import sys
from orchestration.cli.app import app
sys.argv = ["assay", "--help"]
app(standalone_mode=False)
print("MODULES", *sys.modules)
"""
LOADED_PROGRAM = """
import json, os, sys, tempfile, time
from orchestration.cli.app import run_command_line

home, heavy, lines = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
seen = {}
kept = os.dup(1)
printed = tempfile.TemporaryFile()
os.dup2(printed.fileno(), 1)
os.dup2(1, 2)
for words, arguments in lines:
    began, sys.argv = time.process_time(), ["assay", *arguments]
    try:
        run_command_line()
    except SystemExit:
        pass
    seconds, found = round(time.process_time() - began, 2), [name for name in heavy if name in sys.modules]
    sys.stdout.flush()
    printed.seek(0)
    seen[words] = [seconds, found, printed.read().decode()]
    printed.seek(0)
    printed.truncate()
os.write(kept, json.dumps(seen).encode())
"""


def test_help_imports_no_command_and_no_settings():
    done = subprocess.run(
        [sys.executable, "-c", HELP_PROGRAM],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = done.stdout.partition("MODULES ")[2].split()
    assert "orchestration.cli.catalogue" in modules
    assert {"orchestration.settings", "pydantic", "duckdb", "numpy", "pyarrow"} & set(modules) == set()


NEEDS_MODELS = {"doctor", "explain", "watchdog"}
"""What they read needs the models' library or the registry's, and Dagster's storage."""


def test_reading_and_refusing_import_nothing_heavy_and_print_no_time_without_its_zone(home, filled, capsys):
    """One process for all: what is imported by one stays for the next, so the first that does it is named."""
    lines = [
        (f"{words} {kind}", [*words.split(), *given, *filled(arguments)])
        for words, walk in WALKS.items()
        for kind, arguments in (("wrong", walk.wrong), ("plain", walk.plain))
        if arguments is not None and not (kind == "plain" and words in NEEDS_MODELS)
        for given in [("--home", str(home)) if "--home" in _options(words) else ()]
    ]
    done = subprocess.run(
        [sys.executable, "-c", LOADED_PROGRAM, str(home), json.dumps(HEAVY), json.dumps(lines)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": UNFOLDED},
    )
    seen = json.loads(done.stdout)
    assert list(seen) == [words for words, _ in lines]
    with capsys.disabled():
        slowest = sorted(seen.items(), key=lambda item: -item[1][0])[:5]
        print("\nmost CPU seconds:", ", ".join(f"{words} {seconds}" for words, (seconds, *_) in slowest))
    assert {words: loaded for words, (_, loaded, _) in seen.items() if loaded} == {}
    texts = {words: text for words, (_, _, text) in seen.items()}
    assert sum(len(TIME.findall(text)) for text in texts.values()) > 10
    assert {words: text for words, text in texts.items() if WITHOUT_ZONE.search(text)} == {}
