"""The daily maintenance, with an existing lake or none, and with foreign files next to its own."""

from pathlib import Path

import dagster as dg
import pytest

from lake.connection import Lake
from orchestration.cli.app import main
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


def test_a_command_on_the_data_path_of_another_lake_ends_with_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    exports = str(tmp_path / "exports")
    Lake(load_settings(home=tmp_path / "first", data_path=exports).lake_config()).snapshot_id()
    monkeypatch.setenv("ASSAY_DATA_PATH", exports)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "second"))
    monkeypatch.setattr("sys.argv", ["assay", "run"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    message = capfd.readouterr().err
    assert "Traceback" not in message
    assert message.splitlines()[-1].startswith(f"assay: The data path {exports}/ belongs to another lake")
    assert not (tmp_path / "second" / "lake" / "catalog.sqlite").exists()
