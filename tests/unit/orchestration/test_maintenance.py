"""The daily maintenance, whatever the home already holds."""

import dagster as dg

from orchestration.assets.maintenance import lake_maintenance
from orchestration.resources import Assay
from orchestration.settings import load_settings


def test_a_home_without_models_can_be_maintained(tmp_path):
    assay = Assay(load_settings(home=tmp_path))
    assert dg.materialize([lake_maintenance], resources={"assay": assay}).success
