"""`assay sql`, `export`, `list` and `value` on a small lake."""

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestration.home import prepare_home
from orchestration.resources import open_lake
from orchestration.settings import load_settings
from tests.command import assay
from tests.names import HOSTILE

AT = datetime.fromisoformat("2025-03-31 21:53:09")
COLUMNS = "collection, token_id, estimate_eth, lower_80_eth, upper_80_eth, grade, tier, as_of"


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("asking") / "home"
    settings = load_settings(home=home)
    prepare_home(settings)
    with open_lake(settings).write("estimates") as con:
        for i, name in enumerate(HOSTILE):
            row = (name, str(i), 1.0 + i, 0.5 + i, 2.0 + i, "A", "pooled", AT)
            con.execute(
                f"insert into predictions.token_estimates ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)", row
            )
        con.execute(
            "insert into predictions.token_estimates (collection, token_id, tier, no_value_reason, as_of) "
            "values ('cats', '1', 'none', 'no_sales', ?)",
            [AT],
        )
        for name in ("cats", HOSTILE[0]):
            con.execute(
                "insert into marts.dim_collections (collection, chain) values (?, 'ethereum')", [name]
            )
    return home


def _done(home, *arguments):
    return assay(arguments[0], "--home", str(home), *arguments[1:], COLUMNS="200")


def test_a_question_has_three_forms_of_answer(home):
    question = "select collection, as_of, estimate_eth from predictions.token_estimates order by token_id::int limit 2"
    assert HOSTILE[0] in _done(home, "sql", question).stdout
    rows = json.loads(_done(home, "sql", question, "--json").stdout)
    assert rows[0] == {"collection": HOSTILE[0], "as_of": "2025-03-31T21:53:09Z", "estimate_eth": 1.0}
    table = list(csv.reader(io.StringIO(_done(home, "sql", question, "--csv").stdout)))
    assert table[0] == ["collection", "as_of", "estimate_eth"]
    assert len(table) == 3


def test_what_json_cannot_hold_is_null_or_text(home):
    done = _done(
        home, "sql", "select 'nan'::double as a, 1.50::decimal(5, 2) as b, '\\x00'::blob as c", "--json"
    )
    assert json.loads(done.stdout) == [{"a": None, "b": "1.50", "c": "00"}]


def test_a_question_that_changes_something_is_refused(home):
    done = _done(home, "sql", "delete from predictions.token_estimates")
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected one statement that selects, found delete" in done.stderr


def test_a_table_is_exported_whole_and_spreadsheets_run_none_of_it(home, tmp_path):
    target = tmp_path / "new" / "estimates.csv"
    assert _done(home, "export", "predictions.token_estimates", "--to", str(target)).returncode == 0
    rows = list(csv.DictReader(target.open(newline="", encoding="utf-8")))
    assert len(rows) == len(HOSTILE) + 1
    assert "'--help" in {row["collection"] for row in rows}
    assert list(target.parent.iterdir()) == [target]
    exact = tmp_path / "exact.csv"
    _done(home, "export", "predictions.token_estimates", "--to", str(exact), "--exact")
    names = {row["collection"] for row in csv.DictReader(exact.open(newline="", encoding="utf-8"))}
    assert names == {*HOSTILE, "cats"}
    parquet = tmp_path / "estimates.parquet"
    _done(home, "export", "predictions.token_estimates", "--to", str(parquet))
    assert set(pq.read_table(parquet)["collection"].to_pylist()) == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predictions.token_estimates", "--to", "x.xlsx"), ".parquet or .csv"),
        (("predictions.token_estimate", "--to", "x.csv"), "did you mean predictions.token_estimates"),
        (('x"; drop table y; --', "--to", "x.csv"), "there is no table"),
        (("predictions.token_estimates", "--to", "/proc/none/x.csv"), "--to"),
    ],
)
def test_an_export_that_cannot_be_written_leaves_nothing(home, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = _done(home, "export", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(home, tmp_path):
    target = tmp_path / "x.csv"
    target.write_text("mine")
    assert _done(home, "export", "marts.dim_collections", "--to", str(target)).returncode == 2
    assert target.read_text() == "mine"
    assert _done(home, "export", "marts.dim_collections", "--to", str(target), "--replace").returncode == 0
    assert target.read_text() != "mine"


def test_a_list_is_filtered_and_sorted(home):
    def listed(*arguments):
        return [
            row["token_id"] for row in json.loads(_done(home, "list", "tokens", "--json", *arguments).stdout)
        ]

    last = len(HOSTILE) - 1
    assert listed("--limit", "2") == [str(last), str(last - 1)]
    assert listed("--sort", "estimate_eth", "--limit", "1") == ["0"]
    assert listed("--filter", "estimate_eth>=2", "--filter", "estimate_eth<4", "--sort", "token_id") == [
        "1",
        "2",
    ]
    assert listed("--filter", f"collection={HOSTILE[5]}") == ["5"]
    assert listed("--filter", "collection~gang") == ["0"]
    assert listed("--filter", "tier=nothing") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("--sort", "nope"),
        ("--filter", "nope=1"),
        ("--filter", "tier"),
        ("--filter", "estimate_eth>x"),
        ("--filter", "1=1"),
    ],
)
def test_a_list_names_what_is_wrong_with_a_condition(home, arguments):
    done = _done(home, "list", "tokens", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert arguments[0] in done.stderr


def test_a_value_is_one_line_with_or_without_a_price(home):
    done = _done(home, "value", "--", HOSTILE[0], "0")
    assert done.stdout == f"{HOSTILE[0]} #0: 1 ETH (80 %: 0.5 to 2), grade A, as of 2025-03-31 21:53 UTC\n"
    assert (
        _done(home, "value", "cats", "1").stdout
        == "cats #1: no value (no sales), as of 2025-03-31 21:53 UTC\n"
    )
    document = json.loads(_done(home, "value", "cats", "1", "--json").stdout)
    assert (document["estimate_eth"], document["ether_usd"], document["as_of"]) == (
        None,
        None,
        "2025-03-31T21:53:09Z",
    )
    with open_lake(load_settings(home=home)).write("a rate") as con:
        con.execute(
            "insert into raw.exchange_rates (symbol, quote, rate, known_at, granularity) "
            "values ('ETH', 'USD', 2000, timestamp '2025-03-31 21:00:00', 'hour')"
        )
    assert (
        ", 2,000.00 USD (2,000.00 USD per ETH, 2025-03-31 21:00 UTC), "
        in _done(home, "value", "--", HOSTILE[0], "0").stdout
    )
