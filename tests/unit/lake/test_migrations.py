"""A home of an earlier version is migrated when it is opened, or refused with the command that rebuilds it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.config import LakeConfig
from lake.connection import Lake
from lake.errors import LakeLockedError, LakeVersionError
from lake.migrations import STEPS, Step, rename_column
from lake.tables import Column, Table, fingerprint, stored_columns
from ml.tables.ops import MART_WATERMARK
from ml.tables.registry import TABLES
from orchestration.home import prepare_home
from orchestration.settings import load_settings

pytestmark = pytest.mark.slow

# As earlier versions made them, each by the first step that wrote it.
EARLIER = {
    "ops.champions": """
        collection varchar, version bigint, tier varchar, prior_version varchar, local_sha varchar, weight double,
        width_factor double, index_fingerprint varchar, feature_fingerprint varchar, trained_until timestamp,
        snapshot_id bigint, previous_version bigint, numbers varchar
    """,
    "ops.rarity_effect": "prior_version varchar, rarity_bin bigint, effect_log double, sales bigint",
    "predictions.token_estimates": """
        collection varchar, token_id varchar, estimate_eth double, lower_80_eth double, upper_80_eth double,
        lower_90_eth double, upper_90_eth double, expected_eth double, tier varchar, no_value_reason varchar,
        model_version varchar, prior_version varchar, feature_fingerprint varchar, as_of timestamp,
        feature_watermark timestamp, snapshot_id bigint, floor_eth double, last_sale_eth double
    """,
    "monitoring.online_metrics": """
        collection varchar, window_start timestamp, window_end timestamp, evaluated_at timestamp, n bigint,
        clusters bigint, mdape double, mdape_low double, mdape_high double, mape double, level double,
        coverage_80 double, med_5_mdape double, past_n bigint, past_mdape double, past_med_5_mdape double,
        z_past double, z_relative double, z_worse_than_med_5 double, trend_z double, trend_weeks bigint, state varchar
    """,
    "features.sale_features": "sale_id varchar, collection varchar, base_log double, a_feature_of_before float",
    "features.feature_state": """
        spine varchar, collection varchar, sales_hash ubigint, traits_hash ubigint, fingerprint varchar
    """,
}
ROWS: tuple[str, ...] = (
    "insert into ops.champions by name select 'apes' as collection, 3 as version, 1.5 as width_factor",
    "insert into ops.rarity_effect values ('prior-1', 0, 0.25, 70)",
    "insert into predictions.token_estimates by name select 'apes' as collection, '7' as token_id, 1.5 as estimate_eth",
    "insert into monitoring.online_metrics by name select 'apes' as collection, 'ok' as state",
    "insert into features.sale_features values ('s', 'apes', 0.5, 1)",
    "insert into features.feature_state values ('sale', 'apes', 1, 1, 'before')",
)


def _before_several_sources(name: str) -> str:
    """The columns of a raw table before its rows named the source that delivered them."""
    table = next(table for table in TABLES if table.name == name)
    return ", ".join(f"{c.name} {c.type}" for c in table.columns if c.name != "delivered_by")


SALE = "'ethereum' as chain, 'apes' as collection, '0x1' as tx_hash, 0 as log_index, 0 as sub_index"
OLD_ID = "md5('ethereum|0x1|0|0')"
EARLIER |= {name: _before_several_sources(name) for name in ("raw.sales", "raw.quarantine")}
EARLIER["ops.ingest_log"] = (
    "table_name varchar, source varchar, day date, rows bigint, quarantined bigint, fingerprint varchar"
)
EARLIER["monitoring.estimate_ledger"] = _before_several_sources("monitoring.estimate_ledger")
EARLIER["ops.mart_watermark"] = "snapshot_id bigint, finished_at timestamp"
ROWS += (
    *(f"insert into raw.sales by name select {SALE}, '{token}' as token_id" for token in (1, 2)),
    "insert into raw.quarantine by name select 'sales:9' as source_row",
    "insert into ops.ingest_log values ('sales', 'files', date '2024-01-01', 2, 1, 'hash')",
    *(
        "insert into monitoring.estimate_ledger by name"
        f" select {OLD_ID} as sale_id, 'apes' as collection, '{token}' as token_id"
        for token in (1, 2)
    ),
    "insert into ops.mart_watermark values (3, timestamp '2024-01-01')",
)

READ = (
    "import sys; from pathlib import Path; from lake.config import LakeConfig; from lake.connection import Lake;"
    "from ml.tables.registry import TABLES;"
    "print(Lake(LakeConfig(Path(sys.argv[1]), lock_timeout_s=0), TABLES).snapshot_id())"
)
"""A process that reads a lake without waiting for the lock."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of an earlier version, with rows; never opened by this one."""
    home = tmp_path_factory.mktemp("earlier")
    with Lake(LakeConfig(home, memory_limit="500MB")).write("as earlier versions did") as con:
        for name, columns in EARLIER.items():
            con.execute(f"create table {name} ({columns})")
        for statement in ROWS:
            con.execute(statement)
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may open."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "home"))


def opened(
    home: Path, tables: tuple[Table, ...] = TABLES, steps: Sequence[Step] = STEPS, **settings: Any
) -> Lake:
    return Lake(LakeConfig(home, memory_limit="500MB", **settings), tables, steps)


def declared() -> dict[str, dict[str, str]]:
    return {table.name: {c.name: c.type for c in table.columns} for table in TABLES}


def test_an_earlier_home_keeps_its_rows_and_gets_what_was_added(home: Path) -> None:
    with opened(home).read() as con:
        # the order of columns is that of the home: writers name them
        assert {name: dict(sorted(c.items())) for name, c in stored_columns(con).items()} == {
            name: dict(sorted(c.items())) for name, c in declared().items()
        }
        for query, row in {
            "select collection, version from ops.champions": ("apes", 3),
            "select market, rarity_bin, effect_log, sales from ops.rarity_effect": (None, 0, 0.25, 70),
            "select token_id, estimate_eth, grade from predictions.token_estimates": ("7", 1.5, None),
            "select collection, state, outdated from monitoring.online_metrics": ("apes", "ok", None),
            "select version, tables from ops.lake_version": (len(STEPS), fingerprint(TABLES)),
        }.items():
            assert con.execute(query).fetchall() == [row]


def test_a_derived_table_with_other_columns_is_emptied_with_its_state(home: Path) -> None:
    with opened(home).read() as con:
        assert con.execute("select count(*) from features.sale_features").fetchone() == (0,)
        assert con.execute("select count(*) from features.feature_state").fetchone() == (0,)


def test_rows_get_their_source_and_sales_of_one_event_an_identifier_each(home: Path) -> None:
    with opened(home).read() as con:
        assert con.execute("select distinct delivered_by from raw.sales").fetchall() == [("files",)]
        assert con.execute("select delivered_by from raw.quarantine").fetchall() == [("files",)]
        assert con.execute(
            "select token_id, sale_id = md5('ethereum|0x1|0|0|apes|' || token_id) from monitoring.estimate_ledger"
            " order by token_id"
        ).fetchall() == [("1", True), ("2", True)]
        # the marts are built again, with the new identifiers
        assert con.execute("select count(*) from ops.mart_watermark").fetchone() == (0,)


def test_a_home_of_the_release_before_gets_the_floor_by_asks_and_builds_its_marts_again(
    tmp_path: Path,
) -> None:
    """Version 4 had several sources, and called a percentile of old sales the floor."""
    tables = {table.name: table.ddl() for table in TABLES if not table.derived and "wallet" not in table.name}
    estimates = tables["predictions.token_estimates"]
    for name in ("lowest_ask_eth", "lowest_ask_at", "live_asks"):
        estimates = re.sub(rf'"{name}" \w+,? ?', "", estimates)
    assert "lowest_ask" not in estimates
    tables["predictions.token_estimates"] = estimates.replace('"floor_proxy_eth"', '"floor_eth"')
    tables[MART_WATERMARK.name] = tables[MART_WATERMARK.name].replace(', "rules" varchar', "")
    assert "rules" not in tables[MART_WATERMARK.name]
    with Lake(LakeConfig(tmp_path, memory_limit="500MB")).write("as the release before did") as con:
        for ddl in tables.values():
            con.execute(ddl)
        con.execute("insert into ops.lake_version values (4, 'hash of its tables', timestamp '2025-06-01')")
        con.execute(f"insert into {MART_WATERMARK.name} values (7, '2025-06-02')")
        con.execute(
            "insert into predictions.token_estimates by name select 'apes' as collection, '7' as token_id,"
            " 1.5 as estimate_eth, 2.5 as floor_eth, 'pooled' as tier, timestamp '2025-06-01' as as_of"
        )
    with opened(tmp_path).read() as con:
        assert con.execute("select version from ops.lake_version").fetchone() == (len(STEPS),)
        assert "floor_eth" not in stored_columns(con)["predictions.token_estimates"]
        kept = "select estimate_eth, lowest_ask_eth, floor_proxy_eth from predictions.token_estimates"
        assert con.execute(kept).fetchall() == [(1.5, None, None)]
        # a position without rules is not used: dbt builds everything, the lots too
        assert con.execute(f"select snapshot_id, rules from {MART_WATERMARK.name}").fetchall() == [(7, None)]
        assert con.execute("select count(*) from marts.fct_lots").fetchone() == (0,)


def test_a_mart_with_the_earlier_name_of_a_column_is_kept_with_its_state(tmp_path: Path) -> None:
    marts = {table.name: table.ddl() for table in TABLES if table.name.startswith("marts.")}
    marts["marts.dim_collections"] = marts["marts.dim_collections"].replace('"covered_until"', '"told_until"')
    with Lake(LakeConfig(tmp_path, memory_limit="500MB")).write("as earlier versions did") as con:
        for ddl in (*marts.values(), MART_WATERMARK.ddl()):
            con.execute(ddl)
        con.execute(
            "insert into marts.dim_collections by name"
            " select 'apes' as collection, timestamp '2025-06-01' as told_until"
        )
        con.execute(f"insert into {MART_WATERMARK.name} values (7, '2025-06-02', null)")
    with opened(tmp_path).read() as con:
        kept = con.execute("select collection, covered_until::varchar from marts.dim_collections").fetchall()
        assert kept == [("apes", "2025-06-01 00:00:00")]
        assert con.execute(f"select count(*) from {MART_WATERMARK.name}").fetchone() == (1,)
        assert "told_until" not in stored_columns(con)["marts.dim_collections"]


def test_a_second_opening_does_nothing_and_waits_for_no_writer(home: Path) -> None:
    before = opened(home).snapshot_id()
    with opened(home).writing("a long build"):
        result = subprocess.run(
            [sys.executable, "-c", READ, str(home)], capture_output=True, text=True, check=True
        )
    assert int(result.stdout) == before


def test_two_processes_that_open_it_at_once_migrate_it_once(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lake.config import LakeConfig; from lake.connection import Lake;"
        "from ml.tables.registry import TABLES; lake = Lake(LakeConfig(Path(sys.argv[1]), threads=1), TABLES)\n"
        "with lake.read() as con: print(con.execute('select count(*) from ops.champions').fetchone()[0])"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=120)[0].strip() for process in both] == ["1", "1"]
    with opened(home).read() as con:
        assert con.execute("select count(*) from ops.lake_version").fetchone() == (1,)


def test_after_a_kill_between_two_steps_it_continues(home: Path) -> None:
    taken: list[int] = []

    def kill(_: object) -> None:
        raise KeyboardInterrupt

    first, second, *others = STEPS

    def count(con: duckdb.DuckDBPyConnection) -> None:
        taken.append(1)
        first.apply(con)

    counted = replace(first, apply=count)
    with pytest.raises(KeyboardInterrupt):
        opened(home, steps=[counted, replace(second, apply=kill), *others]).snapshot_id()
    with opened(home, steps=[counted, second, *others]).read() as con:
        assert con.execute("select version from ops.lake_version").fetchall() == [(len(STEPS),)]
        assert "prior_version" not in stored_columns(con)["ops.rarity_effect"]
    assert taken == [1], "the first step was not taken again"


def test_a_later_step_renames_a_column_and_keeps_its_values(home: Path) -> None:
    opened(home).snapshot_id()
    rename = rename_column("ops.rarity_effect", "sales", "sales_seen")
    steps = [*STEPS, Step(len(STEPS) + 1, "A test's rename.", rename)]
    renamed = tuple(
        replace(
            table,
            columns=tuple(
                Column("sales_seen", "bigint", "Renamed") if c.name == "sales" else c for c in table.columns
            ),
        )
        if table.name == "ops.rarity_effect"
        else table
        for table in TABLES
    )
    with opened(home, renamed, steps).read() as con:
        assert con.execute("select sales_seen from ops.rarity_effect").fetchall() == [(70,)]


def test_a_newer_lake_is_refused_with_the_command_that_rebuilds(home: Path) -> None:
    with opened(home).write("as a later version does") as con:
        con.execute("update ops.lake_version set version = version + 1")
    with pytest.raises(LakeVersionError, match=rf"found version {len(STEPS) + 1}.*assay run --home {home}"):
        opened(home).snapshot_id()


def test_a_column_of_another_type_is_refused_and_nothing_is_changed(home: Path) -> None:
    with Lake(LakeConfig(home)).write("a home with an unknown column type") as con:
        con.execute("drop table ops.champions")
        con.execute("create table ops.champions (collection varchar, version varchar)")
    expected = r"column version of ops.champions to be bigint; found varchar.*assay run --home"
    for _ in range(2):
        with pytest.raises(LakeVersionError, match=expected):
            opened(home).snapshot_id()
    with Lake(LakeConfig(home)).read() as con:
        assert stored_columns(con)["ops.champions"] == {"collection": "varchar", "version": "varchar"}
        assert "grade" not in stored_columns(con)["predictions.token_estimates"]


def test_the_command_line_shows_one_message(home: Path) -> None:
    with opened(home).write("as a later version does") as con:
        con.execute("update ops.lake_version set version = version + 1")
    prepare_home(load_settings(home=home))
    assay = Path(sys.executable).parent / "assay"
    result = subprocess.run(
        [str(assay), "why", "apes", "--home", str(home)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert "assay: Expected a lake of version" in result.stderr
    assert "Traceback" not in result.stderr


def test_while_a_migration_is_due_a_reader_waits_for_the_writer(home: Path) -> None:
    code = READ.replace("lock_timeout_s=0", "lock_timeout_s=0.1")
    with Lake(LakeConfig(home)).writing("an old process that writes"):
        result = subprocess.run(
            [sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=False
        )
    assert LakeLockedError.__name__ in result.stderr
