"""`assay status`: what it prints, its JSON, and its exit code."""

import io
import json
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from orchestration.cli.app import app
from orchestration.errors import HomeError
from orchestration.home import open_instance, prepare_home
from orchestration.resources import Assay
from orchestration.settings import load_settings
from orchestration.slo.definitions import load_slos
from orchestration.slo.watch import watch_slos

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def assay(tmp_path_factory):
    """A home with empty tables and two weeks of sales that end a day before its watermark."""
    settings = load_settings(home=tmp_path_factory.mktemp("home"), collections=2, days=30)
    prepare_home(settings)
    assay = Assay(settings)
    with assay.lake.write("sales") as con:
        con.execute(
            "insert into raw.sales by name select 'one' as delivered_by, 'one' as source, t.at as known_at,"
            " t.at as event_time,"
            " 0.0 as time_uncertainty_s from (select unnest(generate_series($start, $end, $every)) as at) t",
            {"start": assay.as_of - 400 * HOUR, "end": assay.as_of - 24 * HOUR, "every": HOUR},
        )
    return assay


def invoke(assay, *options: str):
    return CliRunner().invoke(app, ["status", "--home", str(assay.settings.home_path), *options])


def test_a_home_that_was_never_watched_is_evaluated_at_once(assay):
    done = invoke(assay)
    assert done.exit_code == 1, done.output
    assert "no monitoring pass (job monitor) has run on this home yet" in done.output
    assert "sales_arrive: docs/runbook/source-silent.md · assay run" in done.output


def test_json_has_every_slo_with_its_numbers_and_the_exit_code_is_1_when_one_pages(assay):
    with open_instance(assay.settings) as instance:
        watch_slos(assay.lake, load_slos(), assay.as_of, instance)
    done = invoke(assay, "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["pages"], document["stored"]) == (1, ["sales_arrive"], True)
    rows = {row["slo"]: row for row in document["slos"]}
    assert set(rows) == {slo.name for slo in load_slos()}
    assert document["slos"][0]["slo"] == "sales_arrive", "most urgent first"
    assert rows["sales_arrive"]["burn_1h"] == pytest.approx(20)
    assert rows["online_mdape"]["state"] == "no_data"
    assert document["watermark"] == f"{assay.as_of.isoformat()}Z"
    assert document["open_alerts"] is None


@pytest.mark.parametrize("width", [80, 130])
def test_every_name_is_whole_at_any_width(assay, width):
    from rich.console import Console

    from orchestration.slo.report import print_status, read_status

    console = Console(width=width, record=True, file=io.StringIO())
    print_status(read_status(assay), console)
    shown = console.export_text()
    assert all(slo.name in shown for slo in load_slos())
    assert ("burn" in shown) is (width > 110)


def test_the_exit_code_is_0_when_nothing_pages(assay):
    with assay.lake.write("it delivers again") as con:
        con.execute("update raw.sales set known_at = known_at + interval 23 hour")
    with open_instance(assay.settings) as instance:
        watch_slos(assay.lake, load_slos(), assay.as_of, instance)
    done = invoke(assay)
    assert done.exit_code == 0, done.output
    assert "no data" in done.output
    assert "Watermark" in done.output


def test_a_folder_that_is_no_home_is_refused(tmp_path):
    done = CliRunner().invoke(app, ["status", "--home", str(tmp_path / "nowhere")])
    assert isinstance(done.exception, HomeError)
    assert "is no Assay home" in str(done.exception)
