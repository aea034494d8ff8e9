"""The UI shows the SLOs: a check per SLO, a freshness policy per asset that one names."""

import dagster as dg
import pytest

from orchestration.definitions import build_defs
from orchestration.settings import load_settings
from orchestration.slo.definitions import load_slos


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    return build_defs(load_settings(home=tmp_path_factory.mktemp("home")))


def test_every_slo_is_a_check_of_slo_status(defs):
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {k.name for k in keys if k.asset_key == dg.AssetKey("slo_status")} == {s.name for s in load_slos()}


def test_assets_that_an_slo_names_carry_its_freshness_policy_and_have_no_partitions(defs):
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    named = {a: slo.materialized for slo in load_slos() if slo.materialized for a in slo.materialized.assets}
    assert {"fct_sales", "token_features", "token_estimates"} <= set(named)
    for asset, promised in named.items():
        policy = specs[asset].freshness_policy
        assert policy is not None, asset
        assert policy.fail_window.to_timedelta().total_seconds() == promised.fail_after_h * 3600
        assert specs[asset].partitions_def is None, f"{asset}: Dagster takes any partition"
