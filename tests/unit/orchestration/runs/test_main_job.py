"""What the main job refuses before it changes anything."""

from datetime import datetime

import pytest

from orchestration.definitions import open_location
from orchestration.errors import HomeError
from orchestration.home import open_instance, prepare_home
from orchestration.resources import open_lake
from orchestration.runs.main_job import run_everything
from orchestration.settings import load_settings

NEWEST, EARLIER = datetime(2026, 1, 1), datetime(2025, 12, 1)  # noqa: DTZ001 - the lake keeps naive UTC


def test_an_as_of_before_the_newest_sale_is_refused(tmp_path):
    settings = load_settings(home=tmp_path, collections=10, days=30, as_of=EARLIER)
    with open_lake(settings).write("a sale") as con:
        con.execute(
            "insert into raw.sales by name select 'apes' as collection, ?::timestamp as known_at", [NEWEST]
        )
    prepare_home(settings)
    with (
        open_instance(settings) as instance,
        pytest.raises(HomeError, match="has sales known until 2026-01-01"),
    ):
        run_everything(open_location(settings), instance)


def test_an_as_of_before_the_source_begins_is_refused(tmp_path):
    new = load_settings(home=tmp_path / "new", collections=10, days=30, as_of=datetime(2001, 1, 1))  # noqa: DTZ001
    with pytest.raises(HomeError, match="after the first row of the source"):
        prepare_home(new)
    assert not (tmp_path / "new").exists()
    prepare_home(load_settings(home=tmp_path, collections=10, days=30))
    settings = load_settings(home=tmp_path, collections=10, days=30, as_of=datetime(2001, 1, 1))  # noqa: DTZ001
    with (
        open_instance(settings) as instance,
        pytest.raises(HomeError, match="after the first row of the sources"),
    ):
        run_everything(open_location(settings), instance)
