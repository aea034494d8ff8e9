"""The daily maintenance, with an existing lake or none, and with foreign files next to its own."""

from pathlib import Path

import dagster as dg
import pytest

from lake.connection import Lake
from orchestration.alerts.store import Outbox
from orchestration.cli.app import run_command_line
from orchestration.definitions import build_defs
from orchestration.maintenance.assets import lake_maintenance
from orchestration.resources import Assay
from orchestration.settings import load_settings
from tests.unit.lake.conftest import foreign_file, old_lake

pytestmark = pytest.mark.slow

MAINTAIN = dg.Definitions(
    assets=[lake_maintenance], jobs=[dg.define_asset_job("maintain", [lake_maintenance])]
)


def test_a_home_without_models_can_be_maintained(tmp_path):
    assay = Assay(load_settings(home=tmp_path))
    assert dg.materialize([lake_maintenance], resources={"assay": assay}).success


@pytest.mark.parametrize("old", [False, True])
def test_the_job_keeps_foreign_files_and_names_them(tmp_path: Path, old: bool):
    exports = tmp_path / "exports"
    if old:
        old_lake(tmp_path / "home", exports)
    foreign = [
        foreign_file(exports / name)
        for name in (
            "precious.parquet",
            "sales_2024.parquet",
            "mine/precious.parquet",
            "assay-lake/raw/x.parquet",
        )
    ]
    settings = load_settings(home=tmp_path / "home", data_path=str(exports))
    with dg.DagsterInstance.ephemeral() as instance:
        done = build_defs(settings).resolve_job_def("maintain").execute_in_process(instance=instance)
    assert done.success
    assert [path for path in foreign if not path.exists()] == []
    metadata = done.asset_materializations_for_node("lake_maintenance")[0].metadata
    assert metadata["files_not_ours"].value == (4 if old else 1)
    assert "x.parquet: not a name that this lake gives" in str(metadata["first_not_ours"].value)


def test_a_damaged_file_is_an_incident_and_is_not_merged_into_another(tmp_path: Path):
    assay = Assay(load_settings(home=tmp_path))
    with assay.lake.write("rows") as con:
        con.execute("insert into ops.set_aside (collection) select 'c' || range from range(2000)")
    file = next(Path(assay.lake.data_folder).rglob("*.parquet"))
    whole = file.read_bytes()
    place = len(whole) // 3
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 8]) + whole[place + 1 :])
    before = assay.lake.snapshot_id()
    with pytest.raises(dg.Failure, match="found 1 of the newest snapshot that are not; nothing"):
        dg.materialize([lake_maintenance], resources={"assay": assay})
    assert assay.lake.snapshot_id() == before
    open_ = Outbox.of(tmp_path).rows("select * from incidents where state = 'open'")
    assert [(row["key"], row["severity"], row["runbook"]) for row in open_] == [
        ("damaged/ops.set_aside", "page", "file-damaged")
    ]
    assert "other bytes than were written; 2,000 rows of ops.set_aside" in open_[0]["body"]
    # When only earlier snapshots have it, there is nothing to protect: it goes when they expire.
    with assay.lake.write("rows") as con:
        con.execute("delete from ops.set_aside")
    assert dg.materialize([lake_maintenance], resources={"assay": assay}).success
    (row,) = Outbox.of(tmp_path).rows("select * from incidents where state = 'open'")
    assert row["key"] == "damaged/ops.set_aside"
    file.write_bytes(whole)
    assert dg.materialize([lake_maintenance], resources={"assay": assay}).success
    assert Outbox.of(tmp_path).rows("select * from incidents where state = 'open'") == []


def test_a_command_on_the_data_path_of_another_lake_ends_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    exports = str(tmp_path / "exports")
    Lake(load_settings(home=tmp_path / "first", data_path=exports).lake_config()).snapshot_id()
    monkeypatch.setenv("ASSAY_DATA_PATH", exports)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "second"))
    monkeypatch.setattr("sys.argv", ["assay", "run"])
    with pytest.raises(SystemExit) as ended:
        run_command_line()
    assert ended.value.code == 2
    message = capfd.readouterr().err
    assert "Traceback" not in message
    assert message.splitlines()[-1].startswith(f"assay: The data path {exports}/ belongs to another lake")
    assert not (tmp_path / "second" / "lake" / "catalog.sqlite").exists()
