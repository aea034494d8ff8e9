"""A small home with stored results of every kind that the exporter shows, made once for all who read it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestration.home import open_instance, prepare_home
from orchestration.settings import Settings, load_settings
from orchestration.slo.definitions import load_slos
from orchestration.slo.watch import watch_slos
from serving.store.files import FOLDER
from tests.homes import made_once
from tests.unit.serving.market import NOW, Market

RESULTS = f"""
update marts.dim_collections set n_arms_length = 20;
insert into ops.sources by name select 'chain' as name, 'files' as kind, 1 as priority, '{{}}' as identity,
    timestamp '{NOW}' - interval 2 hour as watermark;
insert into ops.sources by name select 'odd "name"' as name, 'files' as kind, 2 as priority, '{{}}' as identity,
    'no such folder' as problem;
insert into ops.ingest_log by name select 'sales' as table_name, 'chain' as source, (timestamp '{NOW}')::date as day,
    40 as rows, 3 as quarantined, 'x' as fingerprint;
insert into ops.ingest_log by name select 'sales' as table_name, 'chain' as source,
    (timestamp '{NOW}' - interval 1 day)::date as day, 60 as rows, 0 as quarantined, 'y' as fingerprint;
insert into raw.quarantine by name select 'q1' as quarantine_id, 'sales' as table_name, 'chain' as delivered_by,
    'made by anybody' as source, 'open' as status, timestamp '{NOW}' as known_at;
insert into monitoring.estimate_ledger by name
    select i::varchar as sale_id, 'Apes' as collection, timestamp '{NOW}' - interval 1 hour * i as event_time,
    event_time as known_at, 10.0 as price_eth, 11.0 as estimate_eth, true as is_arms_length,
    if(i % 4 = 0, 10.5, 9.0) as lower_eth, 12.0 as upper_eth from range(1, 301) r (i);
insert into monitoring.drift_status by name select 'Apes' as collection, 'drifted' as state, 3 as tested;
insert into monitoring.drift_status by name select 'a/b' as collection, 'ok' as state, 3 as tested;
insert into ops.retrain_queue by name select 'Apes' as collection, 'queued' as state;
insert into ops.training_failures by name select 'a/b' as collection, timestamp '{NOW}' as failed_at
"""


def monitored_home(factory: pytest.TempPathFactory) -> Settings:
    """Its settings. Read it, do not change it."""
    folder = made_once(factory, "monitored-home", lambda folder: _make(folder / "home"))
    return load_settings(home=folder / "home")


def _make(folder: Path) -> None:
    settings = load_settings(home=folder)
    prepare_home(settings)
    market = Market(folder)
    market.open(("Apes", "a/b"))
    market.change(*(statement for statement in RESULTS.split(";\n")))
    watch_slos(market.lake, load_slos(), NOW)
    with open_instance(settings):
        pass
    market.publish(folder / FOLDER, now=time.time())
